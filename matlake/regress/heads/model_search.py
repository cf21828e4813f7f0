"""Choosing a model and its parameters by cross-validation, on training rows only, within a budget."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.progress import SILENT, Progress
from matlake.regress.heads.race import HOPELESS, Budget, Candidate, Race
from matlake.regress.regressors import AUTO, AUTO_MODELS, MODELS, Model, Parameters, check_rows, find_model
from matlake.regress.regressors.ensemble import ENSEMBLE, ensemble_model
from matlake.regress.splits import grouped_folds, subsample

__all__ = ["Budget", "Candidate", "Choice", "choose"]

FOLDS: Final = 3
SLOW_FOLDS: Final = 1
"""Folds that a deep network is fitted to: minutes, not the tens of minutes of three."""

MAX_ROWS: Final = 2000
"""Rows used for choosing: more cost minutes and hardly change the order of candidates."""

_DEFAULT: Final = Budget()


@dataclass(frozen=True)
class Choice:
    """The outcome of choosing.

    Attributes:
        model: Kind of the best candidate.
        best: The candidate with the smallest error.
        candidates: All of them, best first; those that are not through all folds come last.
        folds: Number of folds, cut by composition.
        rows: Training rows that took part.
        fits: Models fitted.
        budget: What was allowed.
        stopped_by: The limit that ended the search, ``fits`` or ``seconds``; None where all that there is was tried.
    """

    model: Model
    best: Candidate
    candidates: tuple[Candidate, ...]
    folds: int
    rows: int
    fits: int
    budget: Budget
    stopped_by: str | None

    def document(self) -> dict[str, Any]:
        """Return what the card and ``train --json`` say about the choice."""
        return {
            "mae": self.best.mae,
            "mae_std": self.best.mae_std,
            "folds": self.folds,
            "rows": self.rows,
            "fits": self.fits,
            "budget": asdict(self.budget),
            "stopped_by": self.stopped_by,
            "candidates": [vars(candidate) for candidate in self.candidates],
        }


def choose(
    name: str | Model,
    x: NDArray[np.float32],
    y: NDArray[np.float64],
    groups: NDArray[np.str_],
    seed: int,
    progress: Progress = SILENT,
    *,
    budget: Budget = _DEFAULT,
) -> Choice:
    """Cross-validate a model's grid, or search models and parameters for ``auto``, and return the best.

    ``auto`` begins with the default of each of ``AUTO_MODELS``. It goes on with parameters drawn at random (Bergstra
    and Bengio, J. Mach. Learn. Res. 13, 281, 2012), in turn for those models whose default is not hopelessly behind. A
    candidate that is so is dropped before its last fold (Maron and Moore, Adv. Neural Inf. Process. Syst. 6, 59, 1993).
    In the end, a weighted mean of a few is one candidate more, where it is better than each.

    Args:
        name: A model, its name, or ``auto``.
        x: float32 [n, d], training rows.
        y: float64 [n], target.
        groups: [n], composition of each row; no composition is both fitted and validated on.
        seed: Decides folds, the subsample, the parameters drawn, and what models draw.
        progress: Hears what is being tried, and the number of fits done.
        budget: Bounds the search; one model is fitted in any case.

    Raises:
        TrainingError: Unknown model, or too many rows for it.
    """
    models = _models(name, len(y))
    rows = subsample(groups, MAX_ROWS, seed)
    folds = [(rows[fit], rows[held]) for fit, held in grouped_folds(groups[rows], FOLDS, seed)]
    if all(model.slow for model in models):
        folds = folds[:SLOW_FOLDS]
    progress.note(f"cross-validating {', '.join(model.name for model in models)} on {len(rows):,} training rows")
    race = Race(x, y, folds, seed, budget, budget.fits, progress)
    n_features = x.shape[1]
    if name == AUTO:
        _search(race, models, n_features)
    else:
        grid = models[0].grid(n_features)
        race.total = min(budget.fits, len(grid) * len(folds))
        _run(race, ((models[0], parameters) for parameters in grid))
    best, *others = race.ranked()
    known = {model.name: model for model in models}
    model = ensemble_model(best.parameters) if best.model == ENSEMBLE else known[best.model]
    return Choice(model, best, (best, *others), len(folds), len(rows), race.fits, budget, race.stopped_by)


def _models(name: str | Model, n_rows: int) -> list[Model]:
    if isinstance(name, Model):
        check_rows(name, n_rows)
        return [name]
    if name != AUTO:
        return [find_model(name, n_rows)]
    offered = (MODELS[known] for known in AUTO_MODELS)
    return [model for model in offered if model.max_rows is None or n_rows <= model.max_rows]


def _search(race: Race, models: list[Model], n_features: int) -> None:
    _run(race, ((model, model.grid(n_features)[0]) for model in models))
    best = race.ranked()[0]
    near = {rival.model for rival in race.candidates if rival.folds == best.folds and rival.mae <= HOPELESS * best.mae}
    remaining = [model for model in models if model.name in near]
    _run(race, _draws(remaining, n_features, race.seed))
    race.average()


def _draws(models: list[Model], n_features: int, seed: int) -> Iterator[tuple[Model, Parameters]]:
    """Draw parameters for one model after the other, for ever; each has random numbers of its own."""
    sources = [(model, np.random.default_rng([seed, *model.name.encode()])) for model in models]
    while sources:
        for model, source in sources:
            yield model, model.draw(source, n_features)


def _run(race: Race, proposals: Iterator[tuple[Model, Parameters]]) -> None:
    while race.stopped_by is None and (proposal := next(proposals, None)):
        race.run(*proposal)
