"""Measuring: ways are fitted and tested, unless the ledger has them, and what is measured is written down."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import MatlakeError
from matlake.metrics import measure
from matlake.regress.heads.model_search import search_model
from matlake.regress.regressors import Model, fit_model, named_model
from matlake.regress.splits import subsample
from matlake.regress.uncertainty.fit_reference import choose_reference
from matlake.studies.extrapolation.measurement import Measurement
from matlake.studies.extrapolation.methods import HEAD, MEAN, NEAREST, Network, Way
from matlake.studies.extrapolation.tasks import EvaluatedRows, Task, set_aside
from matlake.studies.ledger import Ledger

METHOD: Final = 1
"""Raised when the same way gives another number than before: older measurements are then made again."""

CHOSEN: Final = "chosen"
"""Parameters of a head are the best of the catalogue's grid in cross-validation on the training rows."""

DEFAULT: Final = "default"
"""Parameters of a head are the first of the catalogue's grid."""

_FAILURES: Final = (MatlakeError, ValueError, ArithmeticError, np.linalg.LinAlgError, MemoryError)


class OutOfTimeError(Exception):
    """The budget is spent in the middle of a training, which goes on from there in the next run."""


@dataclass
class Desk:
    """Where one evaluation measures.

    Attributes:
        ledger: What has been measured.
        rows: The rows.
        networks: By name.
        parameters: ``CHOSEN`` or ``DEFAULT``.
        unfinished: Folder of trainings that were stopped.
        deadline: ``time.monotonic()`` after which only what has been measured is looked up; None for none.
        tell: Told of each measurement, made now or before.
        made: Measurements made now.
        out_of_time: Whether something was left out for want of time.
    """

    ledger: Ledger[Measurement]
    rows: EvaluatedRows
    networks: dict[str, Network]
    parameters: str
    unfinished: Path
    deadline: float | None
    tell: Callable[[Measurement], None]
    made: int = 0
    out_of_time: bool = False

    def measure(self, task: Task, way: Way, *, make: bool = True) -> Measurement | None:
        """Return a measurement from the ledger, or make it if there is time; a failure is one, with its reason.

        Args:
            task: Rows to train on and to test.
            way: How to predict.
            make: Whether to make one that the ledger lacks.
        """
        key = self._key(task, way)
        found = self.ledger.find(key)
        if found is None and not make:
            return None
        if found is None:
            if self._is_late():
                self.out_of_time = True
                return None
            started = time.monotonic()
            blank = Measurement(
                key=key,
                target=self.rows.target,
                split=task.split,
                seed=task.seed,
                kind=way.kind,
                features=way.features,
                model=way.model,
                parameters={},
                fit_rows=len(task.held.train),
                tested_rows=len(task.held.test),
                mae=None,
                rmse=None,
            )
            try:
                found = self._fit(task, way, blank)
            except OutOfTimeError:
                self.out_of_time = True
                return None
            except _FAILURES as error:
                found = replace(blank, error=f"{type(error).__name__}: {error}")
            found = replace(found, seconds=time.monotonic() - started)
            self.ledger.add(found, at_once=way.is_network)
            self.made += 1
            if way.is_network:
                shutil.rmtree(self.unfinished / key, ignore_errors=True)
        self.tell(found)
        return found

    def _key(self, task: Task, way: Way) -> str:
        parts: list[Any] = [METHOD, self.rows.digest, task.digest, way.kind, way.features]
        if way.is_network:
            parts.append(self.networks[way.model].identity())
        elif way.kind == HEAD:
            parts += [way.model, self.parameters, self._model(way).grid(self._width(way.features))]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _is_late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    def _fit(self, task: Task, way: Way, blank: Measurement) -> Measurement:
        y, train, test = self.rows.matrix.y, task.held.train, task.held.test
        if way.kind == MEAN:
            return _judged(blank, y[test], np.full(len(test), y[train].mean()))
        if way.kind == NEAREST:
            part = self.rows.part(way.features)
            return _judged(blank, y[test], choose_reference(part, train, task.seed).nearest_values(part, test))
        if way.is_network:
            return self._fit_network(task, way, blank)
        return self._fit_head(task, way, blank)

    def _fit_head(self, task: Task, way: Way, blank: Measurement) -> Measurement:
        """Fit a regressor to the training rows, or to as many compositions of them as it is meant for."""
        matrix, model = self.rows.part(way.features), self._model(way)
        rows = task.held.train
        if model.max_rows is not None:
            rows = rows[subsample(matrix.groups[rows], model.max_rows, task.seed)]
        x, y = matrix.x[rows], matrix.y[rows]
        choice = search_model(model, x, y, matrix.groups[rows], task.seed)
        fitted = fit_model(model, choice.best.parameters, x, y, task.seed)
        test = task.held.test
        return replace(
            _judged(blank, matrix.y[test], fitted.predict(matrix.x[test])),
            parameters=choice.best.parameters,
            fit_rows=len(rows),
            validation_mae=choice.best.mae,
        )

    def _fit_network(self, task: Task, way: Way, blank: Measurement) -> Measurement:
        def check() -> None:
            if self._is_late():
                raise OutOfTimeError

        matrix, test = self.rows.matrix, task.held.test
        fit, stop = set_aside(matrix, task.held.train, task.seed)
        done = self.networks[way.model].fit_predict(
            self.rows.crystals(),
            matrix.y,
            fit,
            stop,
            test,
            seed=task.seed,
            folder=self.unfinished / blank.key,
            check=check,
        )
        return replace(
            _judged(blank, matrix.y[test], done.predicted),
            parameters=done.settings,
            fit_rows=len(fit),
            validation_mae=done.validation_mae,
        )

    def _model(self, way: Way) -> Model:
        model = named_model(way.model)
        if self.parameters == DEFAULT:
            return replace(model, grid=lambda width: model.grid(width)[:1])
        return model

    def _width(self, features: Sequence[str]) -> int:
        return sum(f.dim for f in self.rows.features if f.feature in features)


def _judged(blank: Measurement, y: NDArray[np.float64], predicted: NDArray[np.float64]) -> Measurement:
    """Keep predictions in float32, as the ledger does, and judge those that are kept."""
    kept = predicted.astype(np.float32)
    errors = measure(y, kept.astype(np.float64))
    if not np.isfinite(errors.rmse):
        raise ValueError("predictions are not finite")
    return replace(blank, mae=errors.mae, rmse=errors.rmse, predictions=tuple(kept.tolist()))
