"""``Lake.import_embeddings``: vectors that another program made."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matlake.api.mapping import MappedLake
from matlake.progress import Progress, watched
from matlake.sequences import as_list

if TYPE_CHECKING:
    from matlake.store.external.importing import VectorReport


@dataclass(frozen=True, repr=False)
class VectorLake(MappedLake):
    """A lake that takes vectors."""

    def import_embeddings(
        self,
        what: Any,
        *,
        encoder: str,
        dataset: str,
        id: str | None = None,  # noqa: A002
        vector: str | None = None,
        layer: str | None = None,
        licence: str = "",
        citation: str | Iterable[str] = (),
        source: str = "",
        progress: bool | Progress = True,
    ) -> "VectorReport":
        """Import vectors that another program made, as those of an external encoder; all of them, or none.

        Args:
            what: A DataFrame or an Arrow table of ids and vectors; a dictionary of vectors by id; a pair of ids and
                vectors float [n, d]; the path of a Parquet, Feather, npz, JSON lines or CSV file.
            encoder: Name of the encoder; a new one begins with its first vectors.
            dataset: The dataset whose materials the ids are of.
            id: Column of ids; by default one by a usual name.
            vector: Column of vectors, or ``PREFIX*`` for a column for each number; by default one that is called like
                the encoder, or the only one.
            layer: Name of the layer; by default ``vector``, or the first one that the encoder has.
            licence: Licence of the network that made them.
            citation: Papers and data to cite.
            source: The network, the program and its version, for people.
            progress: Whether a terminal or a notebook shows the progress; or what to report to.

        Raises:
            SourceError: It cannot be read; or an id or a vector of it cannot be used, and the first one is named.
            EncoderError: The name is that of an encoder that makes its vectors itself, or the vectors have another
                length.
            LakeError: There is no such dataset, or a material has another vector already.
        """
        from matlake.store.external.card import About
        from matlake.store.external.importing import import_embeddings

        about = About(licence, tuple(map(str, as_list(citation))), source)
        with watched(progress, "importing vectors", "rows") as reporter:
            return import_embeddings(
                self,
                what,
                encoder=encoder,
                dataset=dataset,
                id_column=id,
                vector_column=vector,
                layer=layer,
                about=about,
                progress=reporter,
            )
