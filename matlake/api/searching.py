"""What a lake finds by its embeddings: neighbours, near-duplicates, materials that are far from each other."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matlake.progress import Progress, watched
from matlake.sequences import as_list, several, split_names
from matlake.store import lake as store

if TYPE_CHECKING:
    from matlake.store.searching.dedupe import Duplicates
    from matlake.store.searching.diverse import Selection
    from matlake.store.searching.search import SearchResult


@dataclass(frozen=True, repr=False)
class SearchedLake(store.Lake):
    """A lake with the searches of the command line."""

    def search(
        self,
        encoder: str,
        *,
        id: Any = None,  # noqa: A002 - the word of the command line
        formula: Any = None,
        structure: Any = None,
        input: Any = None,  # noqa: A002 - likewise
        k: int = 10,
        columns: str | Iterable[str] = (),
        distinct: str | None = None,
        approximate: bool = False,
        dataset: str | None = None,
        where: str | None = None,
    ) -> "SearchResult":
        """Find the materials whose embeddings are nearest to one, or to each of several.

        Args:
            encoder: ``NAME`` or ``NAME@LAYER``; ``NAME@1+2`` and ``NAME@all`` compare several layers of equal weight.
            id: The id of a material of the lake; or a list or Series of them.
            formula: Instead of that, a formula, or pymatgen's ``Composition``; or several.
            structure: Instead of both, a pymatgen ``Structure``, an ASE ``Atoms``, the text of a CIF or POSCAR, or the
                file of one structure; or several.
            input: Instead of all, a DataFrame, a table or files of formulas or structures, each row to be searched for.
            k: Number of neighbours.
            columns: Property columns of the neighbours to return; ``all`` for every one.
            distinct: Of neighbours with the same ``formula`` or the same ``structure`` return the nearest alone.
            approximate: Use an index that misses up to one neighbour in a hundred: for thousands of queries.
            dataset: Only neighbours of this dataset.
            where: Only neighbours that this SQL predicate selects.

        Raises:
            LakeError: Not one of the four is given; nothing is embedded; there is no such material.
            MatlakeError: See ``matlake.search``.
        """
        from matlake.store.searching.search import SearchRequest, search

        named = split_names(columns) if isinstance(columns, str) else as_list(columns)
        ids, formulas, structures = map(several, (id, formula, structure))
        request = SearchRequest(
            encoder, k, ids, formulas, structures, dataset, where, input, named, distinct, approximate
        )
        return search(self, request)

    def dedupe(
        self,
        encoder: str,
        *,
        distance: float | None = None,
        dataset: str | None = None,
        where: str | None = None,
        progress: bool | Progress = True,
    ) -> "Duplicates":
        """Find near-duplicates: groups of materials whose embeddings are all near the first of the group.

        Args:
            encoder: ``NAME`` or ``NAME@LAYER``; several layers count alike.
            distance: Largest distance of two near-duplicates; by default a ten-thousandth of the root mean square
                distance of two materials.
            dataset: Only materials of this dataset.
            where: Only materials that this SQL predicate selects.
            progress: Whether a terminal or a notebook shows the progress; or what to report to.

        Raises:
            MatlakeError: See ``matlake.dedupe``.
        """
        from matlake.store.searching.dedupe import DedupeRequest, dedupe

        with watched(progress, "comparing", "vectors") as reporter:
            return dedupe(self, DedupeRequest(encoder, distance, dataset, where), reporter)

    def diverse(
        self,
        encoder: str,
        n: int = 20,
        *,
        dataset: str | None = None,
        where: str | None = None,
        progress: bool | Progress = True,
    ) -> "Selection":
        """Select materials whose embeddings are far from each other (farthest-point sampling).

        Args:
            encoder: ``NAME`` or ``NAME@LAYER``; several layers count alike.
            n: Number of materials.
            dataset: Only materials of this dataset.
            where: Only materials that this SQL predicate selects.
            progress: Whether a terminal or a notebook shows the progress; or what to report to.

        Raises:
            MatlakeError: See ``matlake.diverse``.
        """
        from matlake.store.searching.diverse import DiverseRequest, diverse

        with watched(progress, "selecting", "materials") as reporter:
            return diverse(self, DiverseRequest(encoder, n, dataset, where), reporter)
