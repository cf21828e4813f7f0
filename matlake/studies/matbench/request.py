"""What an evaluation on a task is asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from matlake.encoders.card import InputKind
from matlake.errors import TrainingError
from matlake.regress.heads.card import Budget, check_name
from matlake.regress.regressors import AUTO
from matlake.sequences import as_list
from matlake.studies.matbench.folds import CLUSTERS, PUBLIC
from matlake.studies.matbench.tasks import MatbenchTask, find_task

RECOMMENDED: Final[dict[InputKind, tuple[str, ...]]] = {
    InputKind.CRYSTAL: ("geometry", "magpie", "chgnet-mptrj@all"),
    InputKind.COMPOSITION: (
        "magpie",
        "fractions",
        *(f"elemnet-oqmd-{name}@prediction" for name in ("formation-energy", "band-gap", "volume", "total-energy")),
    ),
}
"""Input -> the features that docs/science/encoders.md and docs/science/transfer.md recommend."""


@dataclass(frozen=True)
class MatbenchRequest:
    """What to evaluate.

    Attributes:
        task: Name of a task, with or without ``matbench_``.
        data: Its file.
        folds: The benchmark's validation file; None to draw the public folds by its recipe.
        features: As for ``train``; by default those recommended for the task's input. They are embedded where needed.
        model: As for ``train``.
        splits: ``public``, ``clusters``, or splits as typed for ``train``; by default the first two and those of the
            task.
        fits: Bounds the model search of each fold.
        seed: Seeds everything random except folds.
        name: Of the evaluation: a later one of the same name resumes it; by default the task's.
        seconds: Time after which no fold is begun; None for no limit.
    """

    task: str
    data: Path
    folds: Path | None = None
    features: tuple[str, ...] = ()
    model: str = AUTO
    splits: tuple[str, ...] = ()
    fits: int = Budget.fits
    seed: int = 0
    name: str | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        """Take one name as text for a tuple of one, and text for a path."""
        for name in ("features", "splits"):
            object.__setattr__(self, name, tuple(as_list(getattr(self, name))))
        object.__setattr__(self, "data", Path(self.data))
        if self.folds is not None:
            object.__setattr__(self, "folds", Path(self.folds))

    def checked_task(self) -> MatbenchTask:
        """Return the task after checking all that can be checked without the lake.

        Raises:
            TrainingError: There is no such task, or folds are given for a set that has none.
            HeadError: The name is not valid.
        """
        task = find_task(self.task)
        check_name(self.name or task.name)
        if self.folds is not None and task.rows is None:
            raise TrainingError(f"{task.name} has no published folds", "leave the validation file out")
        return task

    def features_of(self, task: MatbenchTask) -> tuple[str, ...]:
        """Return the features."""
        return self.features or RECOMMENDED[task.takes]

    def splits_of(self, task: MatbenchTask) -> tuple[str, ...]:
        """Return the kinds of folds."""
        return self.splits or (PUBLIC, CLUSTERS, *task.splits)
