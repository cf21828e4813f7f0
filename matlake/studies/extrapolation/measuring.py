"""Measuring the methods of an extrapolation study: fitted to the training rows of a task, tested on its test rows."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import measure
from matlake.regress.heads.card import Candidate
from matlake.regress.heads.model_search import search_model
from matlake.regress.regressors import Blocks, LabelledRows, Model, fit_of, named_model
from matlake.regress.regressors.ensemble import ensemble_model, ensemble_parameters
from matlake.regress.splits import grouped_folds, subsample
from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.targets.transforms import Transform
from matlake.regress.uncertainty.fit_reference import choose_reference
from matlake.studies.extrapolation.methods import DEFAULT, HEAD, MEAN, NEAREST, TOGETHER, Method, Network
from matlake.studies.extrapolation.tasks import Task
from matlake.studies.measurement import Measurement, with_errors
from matlake.studies.results import Schema
from matlake.studies.rows import StudyRows
from matlake.studies.runner import Runner, key_of

VALIDATED: Final = 10
"""A part in so many of the training rows ends the training of a network."""

SCHEMA: Final = Schema(
    "extrapolations",
    "key target split seed kind=method features model parameters fit_rows tested_rows mae rmse validation_mae seconds "
    "error predictions",
)
"""Columns are named as in version 0.1.0, whose tables are read and resumed."""


@dataclass(frozen=True)
class MethodRunner:
    """Measures methods in tasks.

    Attributes:
        runner: Looks up what has been measured.
        rows: The rows.
        networks: By name.
        parameters: ``CHOSEN`` or ``DEFAULT``.
        transform: What heads and networks learn in place of the target.
        unfinished: Folder of trainings that were stopped.
    """

    runner: Runner
    rows: StudyRows
    networks: Mapping[str, Network]
    parameters: str
    transform: Transform
    unfinished: Path

    def measure(self, task: Task, method: Method, *, make: bool = True) -> Measurement | None:
        """Look a measurement up, or make it.

        Args:
            task: Rows to train on and to test.
            method: How to predict.
            make: Whether to make one that the table of results lacks.
        """
        blank = Measurement(
            key=self._key(task, method),
            target=self.rows.target,
            method=method.kind,
            features=method.features,
            model=method.model,
            split=task.split,
            seed=task.seed,
            fit_rows=len(task.held.train),
            tested_rows=len(task.held.test),
        )
        fits = {MEAN: self._mean, NEAREST: self._nearest, HEAD: self._head}
        fit = fits.get(method.kind, self._network)
        found = self.runner.measure(blank, lambda blank: fit(task, method, blank), make=make, at_once=method.is_network)
        if method.is_network and found is not None:
            shutil.rmtree(self.unfinished / blank.key, ignore_errors=True)
        return found

    def _key(self, task: Task, method: Method) -> str:
        parts: list[Any] = [self.rows.digest, task.digest, method.kind, method.features]
        if method.is_network:
            parts.append(self.networks[method.model].identity())
        elif method.kind == HEAD:
            grids = [model.grid_of(self._blocks(method)) for model in self._models(method)]
            parts += [method.model, self.parameters, grids[0] if len(grids) == 1 else grids]
        if self.transform is not Transform.NONE and method.is_fitted:
            parts.append(self.transform)
        return key_of(parts)

    def _blocks(self, method: Method) -> Blocks:
        """Return the lengths of a method's features, in the order in which ``StudyRows.part`` puts them."""
        dims = {feature.feature: feature.dim for feature in self.rows.features}
        return tuple(dims[feature] for feature in method.features)

    def _mean(self, task: Task, method: Method, blank: Measurement) -> Measurement:  # noqa: ARG002 - one signature
        return self._tested(task, blank, np.full(len(task.held.test), self.rows.matrix.y[task.held.train].mean()))

    def _nearest(self, task: Task, method: Method, blank: Measurement) -> Measurement:
        part = self.rows.part(method.features)
        reference = choose_reference(part, task.held.train, task.seed)
        return self._tested(task, blank, reference.nearest_values(part, task.held.test))

    def _head(self, task: Task, method: Method, blank: Measurement) -> Measurement:
        """Fit a regressor to the training rows, or to as many compositions of them as it is meant for."""
        matrix, models = self.rows.part(method.features), self._models(method)
        rows = task.held.train
        most = min((model.max_rows for model in models if model.max_rows is not None), default=len(rows))
        rows = rows[subsample(matrix.groups[rows], most, task.seed)]
        labelled, space = matrix.labelled(rows), TargetSpace(self.transform)
        model, best = self._search(method, models, labelled, task.seed, space)
        predicted = fit_of(model, best.parameters, task.seed, space)(labelled).predict(matrix.x[task.held.test])
        about = replace(blank, parameters=best.parameters, fit_rows=len(rows), validation_mae=best.mae)
        return self._tested(task, about, predicted)

    def _network(self, task: Task, method: Method, blank: Measurement) -> Measurement:
        matrix, rows = self.rows.matrix, task.held.train
        fit, stop = (rows[part] for part in grouped_folds(matrix.groups[rows], VALIDATED, task.seed)[0])
        done = self.networks[method.model].fit_predict(
            self.rows.crystals(),
            self.transform.forward(matrix.y),
            fit,
            stop,
            np.concatenate([stop, task.held.test]),
            seed=task.seed,
            folder=self.unfinished / blank.key,
            check=self.runner.check,
        )
        validated, predicted = np.split(self.transform.inverse(done.predicted), [len(stop)])
        mae = measure(matrix.y[stop], validated).mae
        about = replace(blank, parameters=done.settings, fit_rows=len(fit), validation_mae=mae)
        return self._tested(task, about, predicted)

    def _tested(self, task: Task, blank: Measurement, predicted: NDArray[np.float64]) -> Measurement:
        """Return the errors of predictions as they are kept, in single precision."""
        return with_errors(blank, self.rows.matrix.y[task.held.test], predicted.astype(np.float32), ("mae", "rmse"))

    def _search(
        self, method: Method, models: Sequence[Model], labelled: LabelledRows, seed: int, space: TargetSpace
    ) -> tuple[Model, Candidate]:
        """Choose parameters of one regressor, or of each of several whose mean is then validated, too."""
        found = [search_model(model, labelled, seed, space=space, blocks=self._blocks(method)).best for model in models]
        if len(models) == 1:
            return models[0], found[0]
        members = [(each.model, each.parameters, 1.0 / len(found)) for each in found]
        mean = ensemble_model(ensemble_parameters(members))
        return mean, search_model(mean, labelled, seed, space=space).best

    def _models(self, method: Method) -> list[Model]:
        models = [named_model(name) for name in method.model.split(TOGETHER)]
        if self.parameters != DEFAULT:
            return models
        return [_with_default(model) for model in models]


def _with_default(model: Model) -> Model:
    """Return a model whose grid is its default alone."""
    return replace(model, grid=lambda width: model.grid(width)[:1])
