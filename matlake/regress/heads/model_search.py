"""Searching for a model and its parameters by cross-validation, on training rows only, within a budget."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.progress import SILENT, Progress
from matlake.regress.heads.card import Budget, Candidate, Limit, Search
from matlake.regress.heads.search_gain import expected_gain
from matlake.regress.regressors import (
    AUTO,
    Blocks,
    LabelledRows,
    Model,
    Parameters,
    auto_models,
    find_model,
    fit_model,
)
from matlake.regress.regressors.catalogue import ENSEMBLE
from matlake.regress.regressors.ensemble import choose_members, ensemble_model, ensemble_parameters
from matlake.regress.regressors.hurdle import HURDLE, REPEATED, repeated_share
from matlake.regress.splits import Rows, grouped_folds, subsample
from matlake.regress.targets.kinds import Kind, strata_of
from matlake.regress.targets.target_space import PLAIN, TargetSpace

FOLDS: Final = 3
SLOW_FOLDS: Final = 1
"""Folds that a deep network is fitted to: minutes, not the tens of minutes of three."""

MAX_ROWS: Final = 2000
"""Rows used for the search: more cost minutes and hardly change the order of candidates."""

HOPELESS: Final = 1.2
"""A candidate is dropped if its error on the folds so far is that many times the error of the best."""

MOST_MEMBERS: Final = 4
"""Of an ensemble: each costs its time in every prediction."""

WORTH_IT: Final = 0.99
"""An ensemble must have an error below that share of the best's: its weights were fitted to the validation rows."""

_DEFAULT: Final = Budget()


@dataclass(frozen=True)
class Choice:
    """The outcome of a search.

    Attributes:
        model: Kind of the best candidate.
        search: All candidates, best first, and what they cost.
    """

    model: Model
    search: Search

    @property
    def best(self) -> Candidate:
        """The candidate with the smallest error."""
        return self.search.candidates[0]


def search_model(
    name: str | Model,
    labelled: LabelledRows,
    seed: int,
    progress: Progress = SILENT,
    *,
    budget: Budget = _DEFAULT,
    space: TargetSpace = PLAIN,
    blocks: Blocks | None = None,
    learns_blocks: bool = False,
) -> Choice:
    """Cross-validate a model's grid, or search models and parameters for ``auto``, and return the best.

    ``auto`` begins with the default of each of ``AUTO_MODELS``, or ``AUTO_MODELS_OF_BLOCKS``. It
    goes on with parameters drawn at random (Bergstra and Bengio, J. Mach. Learn. Res. 13, 281, 2012), in turn for those
    models whose default is not hopelessly behind. A candidate that is so is dropped before its last fold (Maron and
    Moore, Adv. Neural Inf. Process. Syst. 6, 59, 1993). In the end, a weighted mean of a few is one candidate more, if
    it is better than each.

    Candidates are only ever compared on the same folds: a grid, and the defaults, go through the folds side by side.
    The outcome depends on data, seed and ``budget.fits``, and on no clock unless ``budget.seconds`` is given.

    Args:
        name: A model, its name, or ``auto``.
        labelled: The training rows.
        seed: Decides folds, the subsample, the parameters drawn, and what models draw.
        progress: Receives what is being tried, and the number of fits done.
        budget: Bounds the search; one model is fitted in any case.
        space: The scale on which the target is fitted, and its bounds.
        blocks: Lengths of the features that make up a row, in order; default: one feature.
        learns_blocks: Whether ``auto`` may choose the kernel that learns what each feature is worth.

    Raises:
        TrainingError: Unknown model, or too many rows for it.
    """
    validation = cross_validate(
        name, labelled, seed, progress, budget=budget, space=space, blocks=blocks, learns_blocks=learns_blocks
    )
    candidates = tuple(validation.ranked())
    best = candidates[0]
    model = ensemble_model(best.parameters) if best.model == ENSEMBLE else validation.models[best.model]
    folds, rows = len(validation.folds), sum(len(part) for part in validation.folds[0])
    gain = validation.expected_gain()
    return Choice(model, Search(candidates, folds, rows, validation.fits, budget, validation.stopped_by, gain))


def cross_validate(
    name: str | Model,
    labelled: LabelledRows,
    seed: int,
    progress: Progress = SILENT,
    *,
    budget: Budget = _DEFAULT,
    space: TargetSpace = PLAIN,
    blocks: Blocks | None = None,
    learns_blocks: bool = False,
) -> "CrossValidation":
    """Return all candidates of ``search_model``, which has the same arguments, with their held-out predictions."""
    lengths = blocks or (labelled.features.shape[1],)
    models = _models(name, labelled, space, learns_blocks=learns_blocks)
    rows = subsample(labelled.groups, MAX_ROWS, seed)
    cut = grouped_folds(labelled.groups[rows], FOLDS, seed, strata_of(labelled.y[rows]))
    folds = [(rows[fit], rows[held]) for fit, held in cut]
    if all(model.slow for model in models):
        folds = folds[:SLOW_FOLDS]
    progress.note(f"cross-validating {', '.join(model.name for model in models)} on {len(rows):,} training rows")
    validation = CrossValidation(labelled, folds, seed, budget, budget.fits, progress, space)
    if name == AUTO:
        _search(validation, models, lengths)
    else:
        grid = models[0].grid_of(lengths)
        validation.total = min(budget.fits, len(grid) * len(folds))
        validation.run_side_by_side([(models[0], parameters) for parameters in grid])
    return validation


@dataclass
class Run:
    """A candidate on its way through the folds.

    Attributes:
        model: Its kind.
        parameters: Its parameters.
        drawn: Whether they were drawn at random.
        errors: For each of the first folds its error.
        predicted: For each of these its predictions.
    """

    model: Model
    parameters: Parameters
    drawn: bool = False
    errors: list[float] = field(default_factory=list)
    predicted: list[NDArray[np.float64]] = field(default_factory=list)

    def mae(self, folds: int) -> float:
        """Return the mean error on the first folds."""
        return float(np.mean(self.errors[:folds]))

    def cut(self, folds: int) -> None:
        """Forget all but the first folds."""
        del self.errors[folds:], self.predicted[folds:]

    def candidate(self) -> Candidate:
        """Return what a card says of it."""
        folds = len(self.errors)
        return Candidate(self.model.name, self.parameters, self.mae(folds), float(np.std(self.errors)), folds)


@dataclass
class CrossValidation:
    """Candidates, fitted fold by fold until the budget is spent; those far behind are dropped early.

    Attributes:
        labelled: The rows.
        folds: For each fold the rows to fit and the rows to validate on.
        seed: Of what models draw.
        budget: Bounds the search; one model is fitted in any case.
        total: Fits expected, for ``progress``.
        progress: Receives the number of fits done.
        space: The scale on which the target is fitted, and its bounds.
        fits: Models fitted.
        stopped_by: The limit that was reached; None so far.
    """

    labelled: LabelledRows
    folds: list[tuple[Rows, Rows]]
    seed: int
    budget: Budget
    total: int
    progress: Progress
    space: TargetSpace = PLAIN
    fits: int = 0
    stopped_by: Limit | None = None
    _started: float = field(init=False)
    _runs: list[Run] = field(default_factory=list)
    _ensemble: list[Candidate] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def run_side_by_side(self, proposals: Sequence[tuple[Model, Parameters]]) -> None:
        """Fit candidates to the first fold, those not far behind on it to the next, and so on.

        Where the budget ends among candidates of one fold, all are compared on the folds before it.
        """
        going = [Run(*proposal) for proposal in proposals]
        for done in range(len(self.folds)):
            for run in going:
                if self._is_over():
                    self._keep(going, done)
                    return
                self._fit(run)
            best = min(run.mae(done + 1) for run in going)
            self._runs += [run for run in going if run.mae(done + 1) > HOPELESS * best]
            going = [run for run in going if run.mae(done + 1) <= HOPELESS * best]
        self._runs += going

    def run_one_by_one(self, proposals: Iterable[tuple[Model, Parameters]]) -> None:
        """Fit one candidate after the other to all folds, until the budget is spent."""
        for proposal in proposals:
            run, best = Run(*proposal, drawn=True), self._best()
            while len(run.errors) < len(self.folds) and not self._is_over() and not _is_hopeless(run, best):
                self._fit(run)
            self._keep([run], len(run.errors))
            if self.stopped_by is not None:
                return

    def average(self) -> None:
        """Add a weighted mean of candidates as one more, if it is worth what it costs."""
        complete = self.complete()
        if not complete:
            return
        weights, maes = self.best_mean(complete)
        if np.mean(maes) > WORTH_IT * self.ranked()[0].mae:
            return
        members = [(complete[i], float(weights[i])) for i in np.flatnonzero(weights)]
        parameters = ensemble_parameters([(run.model.name, run.parameters, weight) for run, weight in members])
        mae, spread = float(np.mean(maes)), float(np.std(maes))
        self._ensemble = [Candidate(ENSEMBLE, parameters, mae, spread, len(self.folds))]

    def expected_gain(self) -> float | None:
        """Estimate the share by which as many fits again would lower the error; None where nothing was drawn."""
        drawn = self.drawn
        if self.stopped_by is not Limit.FITS or not drawn:
            return None
        complete = self.complete()
        place = {id(run): number for number, run in enumerate(complete)}
        times = 1.0 + self.budget.fits / sum(len(run.errors) for run in drawn)

        def error(numbers: Sequence[int]) -> float:
            return float(np.mean(self.best_mean([complete[number] for number in numbers])[1]))

        defaults = [number for number, run in enumerate(complete) if not run.drawn]
        return expected_gain(error, defaults, [place.get(id(run)) for run in drawn], times)

    def best_mean(self, runs: Sequence[Run]) -> tuple[NDArray[np.float64], list[float]]:
        """Return the weights of the best mean of complete candidates, float64 [k], and its error on each fold."""
        predicted, measured = self.held_out(runs)
        weights = choose_members(measured, predicted, MOST_MEMBERS, self.space.loss)
        ends = np.cumsum([len(held) for _, held in self.folds])[:-1]
        parts = zip(np.split(measured, ends), np.split(weights @ predicted, ends), strict=True)
        return weights, [self.space.loss(y, mean) for y, mean in parts]

    def complete(self) -> list[Run]:
        """Return the candidates that were fitted to all folds."""
        return [run for run in self._runs if len(run.errors) == len(self.folds)]

    @property
    def drawn(self) -> list[Run]:
        """The candidates with parameters drawn at random, in their order, with those that were dropped."""
        return [run for run in self._runs if run.drawn]

    @property
    def models(self) -> dict[str, Model]:
        """The kinds that were tried, by name."""
        return {run.model.name: run.model for run in self._runs}

    def held_out(self, runs: Sequence[Run]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what complete candidates predict for the rows held out, float64 [k, n], and what was measured [n]."""
        predicted = np.array([np.concatenate(run.predicted) for run in runs])
        return predicted, np.concatenate([self.labelled.y[held] for _, held in self.folds])

    def ranked(self) -> list[Candidate]:
        """Return the candidates, best first; those that did not complete all folds come last."""
        candidates = [*(run.candidate() for run in self._runs), *self._ensemble]
        return sorted(candidates, key=lambda candidate: (-candidate.folds, candidate.mae))

    def _fit(self, run: Run) -> None:
        """Fit a candidate to its next fold."""
        fit, held = self.folds[len(run.errors)]
        rows = self.labelled.take(fit)
        fitted = fit_model(run.model, run.parameters, rows.features, rows.y, self.seed, self.space, rows.weights)
        run.predicted.append(fitted.predict(self.labelled.take(held).features))
        run.errors.append(self.space.loss(self.labelled.y[held], run.predicted[-1]))
        self.fits += 1
        self.progress.track(self.fits, self.total)

    def _keep(self, runs: list[Run], folds: int) -> None:
        """Keep what candidates did on so many folds; on the first fold, of those that it was begun with."""
        for run in runs:
            run.cut(max(folds, 1))
        self._runs += [run for run in runs if run.errors]

    def _best(self) -> Run | None:
        """Return the best of the candidates that completed all folds."""
        return min(self.complete(), key=lambda run: run.mae(len(self.folds)), default=None)

    def _is_over(self) -> bool:
        seconds = self.budget.seconds
        if self.fits >= self.budget.fits:
            self.stopped_by = Limit.FITS
        elif self.fits and seconds is not None and time.monotonic() - self._started >= seconds:
            self.stopped_by = Limit.SECONDS
        return self.fits > 0 and self.stopped_by is not None


def _is_hopeless(run: Run, best: Run | None) -> bool:
    folds = len(run.errors)
    return bool(folds) and best is not None and run.mae(folds) > HOPELESS * best.mae(folds)


def _models(name: str | Model, labelled: LabelledRows, space: TargetSpace, *, learns_blocks: bool) -> list[Model]:
    n_rows, weighted = len(labelled), labelled.weights is not None
    if name != AUTO:
        return [find_model(name, n_rows)]
    models = auto_models(n_rows, learns_blocks=learns_blocks)
    if space.kind is Kind.NUMBER and repeated_share(labelled.y) > REPEATED:
        models.append(HURDLE)
    return [model for model in models if model.weighted or not weighted]


def _search(validation: CrossValidation, models: list[Model], blocks: Blocks) -> None:
    validation.run_side_by_side([(model, model.grid_of(blocks)[0]) for model in models])
    if validation.stopped_by is None:
        complete = {each.model for each in validation.ranked() if each.folds == len(validation.folds)}
        remaining = [model for model in models if model.name in complete]
        validation.run_one_by_one(_draws(remaining, blocks, validation.seed))
    validation.average()


def _draws(models: list[Model], blocks: Blocks, seed: int) -> Iterator[tuple[Model, Parameters]]:
    """Draw parameters for one model after the other, without end; each has random numbers of its own."""
    sources = [(model, np.random.default_rng([seed, *model.name.encode()])) for model in models]
    while sources:
        for model, source in sources:
            yield model, model.draw_of(source, blocks)
