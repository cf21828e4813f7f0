"""The folders of a lake: where each lies, and which datasets and encoders are in them, is said here alone."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from matlake.encoders.card import CARD_FILE
from matlake.encoders.registry import RegisteredEncoder, find_encoder, list_encoders, registered_encoders
from matlake.errors import LakeError
from matlake.store.storage.places import LakePath

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

UNFINISHED_IMPORT: Final = "import-"
"""Beginning of the names of folders, among the unfinished, of what an import has received."""


@dataclass(frozen=True)
class LakeFolders:
    """The folders of a lake, whether they are there or not. Light to import, for commands that need no table.

    Attributes:
        path: The folder of the lake.
        verify: Compare every part with its digest before it is read; one that differs is left out, with a warning.
    """

    path: LakePath
    verify: bool = False

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
    def unfinished(self) -> LakePath:
        """The folder of what was stopped: trainings of an evaluation, and imports of sources by name."""
        return self.path / "unfinished"

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
        return self.datasets_folder / name

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
        """Return the names of all datasets."""
        logs = self.datasets_folder.glob("*/_delta_log")
        return sorted(log.parent.name for log in logs if DATASET_NAME.fullmatch(log.parent.name) and any(log.iterdir()))

    def check_there(self) -> None:
        """Raise LakeError where the folder was deleted or moved after the lake was opened."""
        if not (self.path / MARKER).exists():
            raise LakeError(f"the lake at {self.path} is there no more", "open it where it is now, or make a new one")

    def check_new_dataset(self, name: str) -> None:
        """Raise LakeError where a new name cannot be one, is a view's, or differs from a dataset's in capitals alone.

        SQL does not tell capitals apart.
        """
        self.check_there()
        self.dataset(name)
        same = [other for other in self.dataset_names() if other.lower() == name.lower()]
        if same and name not in same:
            raise LakeError(
                f"there is a dataset {same[0]!r} already, and names in SQL do not tell {name!r} from it",
                f"use the name {same[0]!r} to replace it, or another name",
            )
        if not same and name.lower() in LATER_VIEWS:
            raise LakeError(f"{name!r} cannot name a new dataset: it is a view of the lake", "use another name")

    def check_dataset(self, name: str) -> None:
        """Raise LakeError unless there is a dataset of that name."""
        names = self.dataset_names()
        if name not in names:
            near = next((f"do you mean {other!r}? " for other in names if other.lower() == name.lower()), "")
            raise LakeError(f"there is no dataset {name!r}", f"{near}datasets: {', '.join(names) or 'none yet'}")

    def head_names(self) -> list[str]:
        """Return the names of all heads; of one with several targets those of its members, ``NAME:TARGET``."""
        patterns = ("*", f"{HEADS_REPLACED}/*")
        names = {card.parent.name for one in patterns for card in self.heads_folder.glob(f"{one}/{CARD_FILE}")}
        return [member for name in sorted(names) for member in self.member_names(name) or [name]]

    def head_folder(self, name: str) -> LakePath | None:
        """Return the folder of a head, or None; while one is being replaced, that is where it was put meanwhile."""
        name, _, member = name.partition(MEMBER)
        folders = (self.heads_folder / name / member, self.heads_folder / HEADS_REPLACED / name / member)
        return next((folder for folder in folders if (folder / CARD_FILE).exists()), None)

    def member_names(self, name: str) -> list[str]:
        """Return the names of the heads that make up one of several targets; none for a head of one target."""
        folder = self.head_folder(name)
        cards = [] if folder is None else folder.glob(f"*/{CARD_FILE}")
        return sorted(f"{name}{MEMBER}{card.parent.name}" for card in cards)

    def find_encoder(self, name: str) -> RegisteredEncoder:
        """Find an encoder by name: the lake's own first, then those shipped with the package, then plug-ins."""
        return find_encoder(name, self.encoders_folder)

    def list_encoders(self) -> list[RegisteredEncoder]:
        """Return all encoders that this lake can use."""
        return list_encoders(self.encoders_folder)

    def registered_encoders(self, names: Collection[str] | None = None) -> list[RegisteredEncoder]:
        """Return the encoders in this lake and those shipped with the package: all that it may have vectors of.

        Args:
            names: Look at encoders of these names alone; None for all.
        """
        return registered_encoders(self.encoders_folder, names)
