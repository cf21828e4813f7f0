"""What a map is asked to show, and in which form."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from matlake.errors import Hint, LakeError, SourceError
from matlake.sequences import closest
from matlake.store.lake import Lake

MAX_POINTS: Final = 100_000
"""As many points as a browser still moves smoothly."""

STRUCTURES: Final = 10_000
"""Crystals in a file unless the user says otherwise: about 5 MB."""

_FEWEST: Final = 3
"""Points that a map needs: two are a line."""


class Projection(StrEnum):
    """How vectors become two coordinates."""

    PCA = "pca"
    UMAP = "umap"


class Form(StrEnum):
    """What is written."""

    PAGE = "html"
    CHEMISCOPE = "chemiscope"
    EMBEDDING_ATLAS = "embedding-atlas"
    PARQUET = "parquet"

    @property
    def endings(self) -> tuple[str, ...]:
        """Endings of its files, the usual one first."""
        return _ENDINGS[self]


EXPORTS: Final = tuple(form.value for form in Form if form is not Form.PAGE)
"""The formats of other programs."""

_ENDINGS: Final = {
    Form.PAGE: (".html", ".htm"),
    Form.CHEMISCOPE: (".json.gz", ".json"),
    Form.EMBEDDING_ATLAS: (".parquet", ".pq"),
    Form.PARQUET: (".parquet", ".pq"),
}


@dataclass(frozen=True)
class MapRequest:
    """What to draw.

    Attributes:
        datasets: Names of datasets. The axes are those of the first; materials of the others are placed on them.
        feature: ``NAME``, ``NAME@LAYER`` or ``NAME@LAYER+LAYER``.
        color: Property that colours the points; None for one colour.
        output: The file; by default ``map`` with the ending of the form, in the current folder.
        export: One of ``EXPORTS`` instead of the page.
        projection: ``pca`` or ``umap``.
        where: Only materials that this SQL predicate over ``materials`` selects.
        structures: At most so many crystals in the file.
        max_points: At most so many materials, drawn at random from more.
        title: Of the page; by default the name of the dataset and of the property.
        seed: Seeds everything random.
    """

    datasets: Sequence[str]
    feature: str
    color: str | None = None
    output: str | Path | None = None
    export: str | None = None
    projection: str = Projection.PCA.value
    where: str | None = None
    structures: int = STRUCTURES
    max_points: int = MAX_POINTS
    title: str | None = None
    seed: int = 0

    @property
    def form(self) -> Form:
        """What is written."""
        return Form.PAGE if self.export is None else Form(self.export)

    @property
    def path(self) -> Path:
        """The file."""
        return Path(f"map{self.form.endings[0]}" if self.output is None else self.output)

    def check(self, lake: Lake) -> None:
        """Raise an error for what can be seen to fail before anything is read.

        Raises:
            LakeError: A dataset is not there, there is none, the output would be in the lake, or a value is not one of
                those possible.
            SourceError: The output cannot be written, or has the ending of another form.
        """
        if not self.datasets:
            raise LakeError("no dataset is named", f"datasets: {', '.join(lake.dataset_names()) or 'none yet'}")
        for name in self.datasets:
            lake.check_dataset(name)
        if twice := [name for name in self.datasets if list(self.datasets).count(name) > 1]:
            raise LakeError(f"the dataset {twice[0]!r} is named twice", "name each once")
        _check_one_of(self.projection, [*Projection], "projection")
        if self.export is not None:
            _check_one_of(self.export, EXPORTS, "format")
        for number, least, word in (
            (self.structures, 0, "structures"),
            (self.max_points, _FEWEST, "points"),
            (self.seed, 0, "as a seed"),
        ):
            if number < least:
                raise LakeError(f"{number} {word}", f"give {least} or more")
        self._check_output(lake)

    def _check_output(self, lake: Lake) -> None:
        path, endings = self.path, self.form.endings
        if not path.name.lower().endswith(endings):
            raise SourceError(
                f"cannot write {path}: a file of this kind ends in {' or '.join(endings)}",
                Hint(
                    f"name another file, or with export one of {', '.join(EXPORTS)}",
                    cli=f"name another file, or with --export one of {', '.join(EXPORTS)}",
                ),
            )
        if path.is_dir() or not path.absolute().parent.is_dir():
            reason = "it is a folder" if path.is_dir() else f"there is no folder {path.parent}"
            raise SourceError(f"cannot write {path}: {reason}", "name another file")
        lake.check_output(path)


def check_enough(points: int, left_out: str) -> None:
    """Raise LakeError where there are too few points for a map.

    Args:
        points: Number of points.
        left_out: Why there are not more; may be empty.
    """
    if points < _FEWEST:
        count = f"{points} material{'' if points == 1 else 's'}" if points else "no material"
        raise LakeError(f"{count} to draw, and a map needs {_FEWEST}{left_out}", "select more materials")


def _check_one_of(given: str, known: Sequence[str], what: str) -> None:
    if given not in list(known):
        raise LakeError(f"{given!r} is not a {what} of maps", f"{closest(given, known)}there are {', '.join(known)}")
