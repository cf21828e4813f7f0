"""The folders of a lake: where each lies, and which datasets and encoders are in them, is said here alone."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from matlake.encoders.card import CARD_FILE
from matlake.encoders.registry import (
    RegisteredEncoder,
    copy_to_lake,
    find_encoder,
    list_encoders,
    registered_encoders,
)
from matlake.errors import LakeError
from matlake.platforms import NOT_PORTABLE, is_portable
from matlake.sequences import closest
from matlake.store.bucket_encoders import BucketEncoders, put_encoder
from matlake.store.moment import Moment
from matlake.store.storage.copies import local_copies, local_copy, local_folder
from matlake.store.storage.places import LakePath
from matlake.store.storage.remote_path import RemotePath
from matlake.store.tables.bucket_tables import tables_below

MARKER: Final = "lake.json"
DATASET_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")
RESERVED_NAMES: Final = frozenset({"materials", "embeddings", "failures", "embed", "internal", "main"})
LATER_VIEWS: Final = frozenset({"unread_cells", "predictions"})
"""Views that came after 0.1.0. A dataset of such a name in an old lake takes the view's place; no new one gets it."""

HEADS_BEING_SAVED: Final = ".saving"
"""Folder, among the heads, of those that are not complete yet."""

MEMBER: Final = ":"
"""Between the name of a head of several targets and that of the member for one of them."""

HEADS_REPLACED: Final = ".replaced"
"""Folder, among the heads, of those that another of the same name is about to replace."""

UNFINISHED: Final = "unfinished"
"""Folder of what was stopped."""

DATASET_DELETED: Final = ".deleted-"
"""Beginning of the names of folders, among the datasets, of those that are being deleted."""

RECORDED: Final = re.compile(r"\d{20}\..*(json|parquet)|_last_checkpoint")
"""What a log holds once a table was committed; a writer that was killed leaves other files."""

UNFINISHED_IMPORT: Final = "import-"
"""Beginning of the names of folders, among the unfinished, of what an import has received."""


@dataclass(frozen=True)
class LakeFolders:
    """The folders of a lake, whether they are there or not. Light to import, for commands that need no table.

    Attributes:
        path: The folder of the lake.
        verify: Compare every part with its digest before it is read; one that differs is left out, with a warning.
        moment: The versions of tables that all reads are of; None for the latest ones. Such a lake is not written to.
    """

    path: LakePath
    verify: bool = False
    moment: Moment | None = None

    @property
    def datasets_folder(self) -> LakePath:
        """The folder of the datasets, a Delta table each."""
        return self.path / "datasets"

    @property
    def embeddings(self) -> LakePath:
        """The Delta table of vectors, partitioned by encoder, digest and layer."""
        return self.path / "embeddings"

    @property
    def failures_table(self) -> LakePath:
        """The Delta table of contents that an encoder rejects, partitioned by encoder and digest."""
        return self.path / "failures"

    @property
    def predictions(self) -> LakePath:
        """The Delta table of predictions, partitioned by head and digest; not there before one was saved."""
        return self.path / "predictions"

    @property
    def encoders_folder(self) -> LakePath:
        """The folder of the encoders used in this lake."""
        return self.path / "encoders"

    @property
    def heads_folder(self) -> LakePath:
        """The folder of the trained heads."""
        return self.path / "heads"

    @property
    def evaluations(self) -> LakePath:
        """The Delta table of measurements of transfer."""
        return self.path / "evaluations"

    @property
    def extrapolations(self) -> LakePath:
        """The Delta table of measurements of extrapolation."""
        return self.path / "extrapolations"

    @property
    def benchmarks(self) -> LakePath:
        """The Delta table of measurements of public benchmarks."""
        return self.path / "benchmarks"

    @property
    def shared_tables(self) -> tuple[LakePath, ...]:
        """The Delta tables that are not of one dataset."""
        return (
            self.embeddings,
            self.failures_table,
            self.predictions,
            self.evaluations,
            self.extrapolations,
            self.benchmarks,
        )

    @property
    def unfinished(self) -> Path:
        """The folder of what was stopped: trainings of an evaluation, and imports of sources by name.

        That of a lake in a bucket is on this machine, since both add to files.
        """
        return local_folder(self.path / UNFINISHED)

    @property
    def plots(self) -> LakePath:
        """The folder of the plots of ``quickstart``."""
        return self.path / "plots"

    @property
    def structures(self) -> LakePath:
        """The folder of the structure files of ``quickstart``."""
        return self.path / "structures"

    def dataset(self, name: str) -> LakePath:
        """Return the Delta table of a dataset.

        Raises:
            LakeError: The name cannot be a view's name.
        """
        if not DATASET_NAME.fullmatch(name) or name.lower() in RESERVED_NAMES:
            raise LakeError(
                f"{name!r} cannot name a dataset",
                f"use letters, digits, '_' and '-', start with a letter; not {', '.join(sorted(RESERVED_NAMES))}",
            )
        return self.datasets_folder / (name if self.moment is None else self.moment.folders.get(name, name))

    def place(self, root: LakePath) -> str:
        """Return the folder of a table as versions name it: ``embeddings``, ``datasets/NAME``, …."""
        return root.name if root.parent == self.path else f"{root.parent.name}/{root.name}"

    def check_output(self, output: Path) -> None:
        """Raise LakeError where a file that a user wants written would be one of the lake's own."""
        if not isinstance(self.path, Path):
            return
        place = output.resolve()
        if place.is_relative_to(self.path.resolve()):
            inside = place.relative_to(self.path.resolve())
            if len(inside.parts) != 1 or inside.name == MARKER or place.is_dir():
                raise LakeError(f"{output} is inside the lake, which keeps its own files there", "name another place")

    def dataset_names(self) -> list[str]:
        """Return the names of all datasets, of the lake's moment if it has one."""
        if self.moment is not None:
            return sorted(self.moment.folders)
        if isinstance(self.datasets_folder, RemotePath):
            return [name for name in tables_below(self.datasets_folder) if DATASET_NAME.fullmatch(name)]
        logs = [log for log in self.datasets_folder.glob("*/_delta_log") if DATASET_NAME.fullmatch(log.parent.name)]
        return sorted(log.parent.name for log in logs if any(RECORDED.fullmatch(file.name) for file in log.iterdir()))

    def check_there(self) -> None:
        """Raise LakeError where the folder was deleted or moved after the lake was opened."""
        if not (self.path / MARKER).exists():
            raise LakeError(f"the lake at {self.path} is there no more", "open it where it is now, or make a new one")

    def check_writable(self) -> None:
        """Raise LakeError where the lake is read as of a moment."""
        if self.moment is not None:
            raise LakeError(
                f"the lake at {self.path} is open as of {self.moment.name or 'a moment'}, to be read only",
                "open it without as_of for this",
            )

    def check_new_dataset(self, name: str) -> None:
        """Raise LakeError where a new name cannot be one, is a view's, or differs from a dataset's in capitals alone.

        SQL does not tell capitals apart.
        """
        self.check_writable()
        self.check_there()
        self.dataset(name)
        same = [other for other in self.dataset_names() if other.lower() == name.lower()]
        if same and name not in same:
            raise LakeError(
                f"there is a dataset {same[0]!r} already, and names in SQL do not tell {name!r} from it",
                f"use the name {same[0]!r} to replace it, or another name",
            )
        if not same and not is_portable(name):
            raise LakeError(f"no folder can be named {name!r} on Windows", NOT_PORTABLE)
        if not same and name.lower() in LATER_VIEWS:
            raise LakeError(f"{name!r} cannot name a new dataset: it is a view of the lake", "use another name")

    def check_dataset(self, name: str) -> None:
        """Raise LakeError unless there is a dataset of that name."""
        names = self.dataset_names()
        if name not in names:
            known = ", ".join(names) or "none yet"
            raise LakeError(f"there is no dataset {name!r}", f"{closest(name, names)}datasets: {known}")

    def head_names(self) -> list[str]:
        """Return the names of all heads; of one with several targets those of its members, ``NAME:TARGET``."""
        return list(self.head_folders())

    def head_folders(self) -> dict[str, Path]:
        """Return local folders with the cards of all heads, by the names of ``head_names``."""
        found = local_copies(self.heads_folder, CARD_FILE, (CARD_FILE,), ("", HEADS_REPLACED))
        return {name: folder for whole in sorted(found) for name, folder in _members(whole, found[whole])}

    def head_folder(self, name: str, files: Collection[str] | None = None) -> Path | None:
        """Return a local folder with the files of a head, or None; its own one, or a copy of what is in the bucket.

        While a head is being replaced, it is where it was put meanwhile.

        Args:
            name: Name of the head.
            files: Names of the files that are needed there; all by default.
        """
        whole, _, member = name.partition(MEMBER)
        for place in self._places_of_head(whole):
            folder = local_copy(place, CARD_FILE, files)
            if folder is not None:
                return folder / member if (folder / member / CARD_FILE).exists() else None
        return None

    def place_of_head(self, name: str) -> LakePath | None:
        """Return where in the lake a head is, or None; see ``head_folder``."""
        whole, _, member = name.partition(MEMBER)
        places = (place / member if member else place for place in self._places_of_head(whole))
        return next((place for place in places if (place / CARD_FILE).is_file()), None)

    def _places_of_head(self, whole: str) -> tuple[LakePath, LakePath]:
        return self.heads_folder / whole, self.heads_folder / HEADS_REPLACED / whole

    def find_encoder(self, name: str) -> RegisteredEncoder:
        """Find an encoder by name: the lake's own first, then those shipped with the package, then plug-ins."""
        return find_encoder(name, self._encoders)

    def list_encoders(self) -> list[RegisteredEncoder]:
        """Return all encoders that this lake can use."""
        return list_encoders(self._encoders)

    def registered_encoders(self, names: Collection[str] | None = None) -> list[RegisteredEncoder]:
        """Return the encoders in this lake and those shipped with the package: all that it may have vectors of.

        Args:
            names: Look at encoders of these names alone; None for all.
        """
        return registered_encoders(self._encoders, names)

    def keep_encoder(self, encoder: RegisteredEncoder) -> RegisteredEncoder:
        """Copy an encoder into the lake, unless it has one of that name, and return it as it is there."""
        folder = self.encoders_folder
        if isinstance(folder, Path):
            return copy_to_lake(encoder, folder)
        if not (folder / encoder.card.name / CARD_FILE).is_file():
            put_encoder(encoder.folder, folder / encoder.card.name)
        return self.find_encoder(encoder.card.name)

    @property
    def _encoders(self) -> Path | BucketEncoders:
        folder = self.encoders_folder
        return folder if isinstance(folder, Path) else BucketEncoders(folder)


def _members(whole: str, folder: Path) -> list[tuple[str, Path]]:
    """Return the members of a head of several targets with their folders, or the head itself."""
    cards = sorted(folder.glob(f"*/{CARD_FILE}"))
    return [(f"{whole}{MEMBER}{card.parent.name}", card.parent) for card in cards] or [(whole, folder)]


CARRIED: Final = "encoders"
"""Folder in that of a head, with a folder for each encoder that the head carries."""
