"""A race of candidates through the folds of a cross-validation, within a budget."""

import time
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import measure
from matlake.progress import Progress
from matlake.regress.regressors import Model, Parameters, fit_model
from matlake.regress.regressors.ensemble import ENSEMBLE, ensemble_parameters
from matlake.regress.regressors.ensemble_selection import choose_members
from matlake.regress.splits import Rows

HOPELESS: Final = 1.2
"""A candidate whose error on the folds so far is so many times that of the best is dropped."""

MOST_MEMBERS: Final = 4
"""Of an ensemble: each costs its time in every prediction."""

WORTH_IT: Final = 0.99
"""An ensemble is taken where its error is below so many times that of the best: its weights have seen the held rows."""


@dataclass(frozen=True)
class Budget:
    """What a search may cost; it ends with the first limit that is reached.

    Attributes:
        fits: Models fitted in all, one for each fold and candidate.
        seconds: Time after which none is begun. A search that ends so depends on the machine, not on the seed alone.
    """

    fits: int = 45
    seconds: float = 120.0


@dataclass(frozen=True)
class Candidate:
    """A model with parameters, and what cross-validation says of it.

    Attributes:
        model: Name of the model; ``ensemble`` for a weighted mean of others.
        parameters: Its parameters.
        mae: Mean over folds of the mean absolute error, in the target's unit.
        mae_std: Standard deviation over folds.
        folds: Folds that it was fitted to: fewer than all where it was dropped, or where the budget ended.
    """

    model: str
    parameters: Parameters
    mae: float
    mae_std: float
    folds: int


@dataclass
class Race:
    """Candidates that have run so far.

    Attributes:
        x: float32 [n, d].
        y: float64 [n].
        folds: For each fold the rows to fit and the rows to validate on.
        seed: Of what models draw.
        budget: Bounds the race; one model is fitted in any case.
        total: Fits expected.
        progress: Hears the number of fits done.
        candidates: In the order in which they ran.
        fits: Models fitted.
        stopped_by: Which limit ended the race; None while it goes on.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float64]
    folds: list[tuple[Rows, Rows]]
    seed: int
    budget: Budget
    total: int
    progress: Progress
    candidates: list[Candidate] = field(default_factory=list)
    fits: int = 0
    stopped_by: Literal["fits", "seconds"] | None = None
    _started: float = field(default_factory=time.monotonic)
    _best: list[float] = field(default_factory=list)
    _held: list[NDArray[np.float64]] = field(default_factory=list)

    def run(self, model: Model, parameters: Parameters) -> None:
        """Let a candidate run, until it is through all folds, or dropped, or the budget is spent."""
        errors: list[float] = []
        predicted: list[NDArray[np.float64]] = []
        for fit, held in self.folds:
            if self._is_over() or self._is_hopeless(errors):
                break
            fitted = fit_model(model, parameters, self.x[fit], self.y[fit], self.seed)
            predicted.append(fitted.predict(self.x[held]))
            errors.append(measure(self.y[held], predicted[-1]).mae)
            self.fits += 1
            self.progress.track(self.fits, self.total)
        if errors:
            mae, spread = float(np.mean(errors)), float(np.std(errors))
            self.candidates.append(Candidate(model.name, parameters, mae, spread, len(errors)))
            self._held.append(np.concatenate(predicted))
        if len(errors) == len(self.folds) and (not self._best or np.mean(errors) < np.mean(self._best)):
            self._best = errors

    def average(self) -> None:
        """Add a weighted mean of candidates as one more, where it is worth what it costs."""
        through = [i for i, candidate in enumerate(self.candidates) if candidate.folds == len(self.folds)]
        if not through:
            return
        predicted = np.array([self._held[i] for i in through])
        measured = np.concatenate([self.y[held] for _, held in self.folds])
        weights = choose_members(measured, predicted, MOST_MEMBERS)
        errors = np.abs(weights @ predicted - measured)
        maes = [part.mean() for part in np.split(errors, np.cumsum([len(held) for _, held in self.folds])[:-1])]
        if np.mean(maes) > WORTH_IT * self.ranked()[0].mae:
            return
        members = [(self.candidates[through[i]], float(weights[i])) for i in np.flatnonzero(weights)]
        parameters = ensemble_parameters([(member.model, member.parameters, weight) for member, weight in members])
        mae, spread = float(np.mean(maes)), float(np.std(maes))
        self.candidates.append(Candidate(ENSEMBLE, parameters, mae, spread, len(self.folds)))

    def ranked(self) -> list[Candidate]:
        """Return the candidates, best first; those that are not through all folds come last."""
        return sorted(self.candidates, key=lambda candidate: (-candidate.folds, candidate.mae))

    def _is_over(self) -> bool:
        if self.fits >= self.budget.fits:
            self.stopped_by = "fits"
        elif self.fits and time.monotonic() - self._started >= self.budget.seconds:
            self.stopped_by = "seconds"
        return self.fits > 0 and self.stopped_by is not None

    def _is_hopeless(self, errors: list[float]) -> bool:
        so_far = self._best[: len(errors)]
        return bool(errors and so_far) and np.mean(errors) > HOPELESS * np.mean(so_far)
