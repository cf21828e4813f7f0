"""Measuring: trials are fitted and judged, unless the ledger has them, and what is measured is written down."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import MatlakeError
from matlake.metrics import measure
from matlake.regress.regressors import Fitted
from matlake.regress.regressors.ensemble import ENSEMBLE
from matlake.regress.regressors.ensemble_selection import choose_members
from matlake.regress.splits import Rows, grouped_folds, subsample
from matlake.studies.transfer.configurations import BASE, Trial
from matlake.studies.transfer.feature_reader import FeatureReader
from matlake.studies.transfer.fitting import Fitter
from matlake.studies.transfer.ledger import Ledger
from matlake.studies.transfer.measurement import CURVE, FOLDS, TEST, VALIDATION, Measurement
from matlake.studies.transfer.successive_halving import FINAL, Rung, rows_of
from matlake.studies.transfer.target_rows import TargetRows

METHOD: Final = 1
"""Raised when the same trial gives another number than before: older measurements are then made again."""

CURVE_SHARES: Final = (0.125, 0.25, 0.5)
"""Shares of the rows that are not tested on, of which learning curves are made."""

_FAILURES: Final = (MatlakeError, ValueError, ArithmeticError, np.linalg.LinAlgError, MemoryError)


@dataclass
class Desk:
    """Where one evaluation measures.

    Attributes:
        ledger: What has been measured.
        reader: Of features.
        fitter: Of regressors and networks.
        seed: Of all that is drawn.
        deadline: ``time.monotonic()`` after which only what has been measured is looked up; None for none.
        tell: Told of each measurement, made now or before.
        made: Measurements made now.
        out_of_time: Whether something was left out for want of time.
    """

    ledger: Ledger
    reader: FeatureReader
    fitter: Fitter
    seed: int
    deadline: float | None
    tell: Callable[[Measurement], None]
    made: int = 0
    out_of_time: bool = False

    def base(self, target: TargetRows) -> None:
        """Measure the mean of the rows that are not tested on."""

        def judge(trial: Trial) -> Measurement:
            predicted = np.full(len(target.test), target.y[target.pool].mean())
            return replace(_judged(target, trial, TEST, target.test, predicted, keep=False), fit_rows=len(target.pool))

        self._once(target, Trial(BASE, (), "mean"), [TEST], judge)

    def validate(self, target: TargetRows, trials: list[Trial], rung: Rung) -> list[Measurement]:
        """Return the errors of trials on validation rows, without those for which there is no time.

        Networks stop early on the very rows that they are judged on, as in the study. On the last rung, what was fitted
        without the first fold is tested at once: that is the study's 81/9/10.
        """
        folds = rung.folds(target, self.seed)
        rows = rows_of(folds)
        extent = [[len(fit), len(held)] for fit, held in folds]

        def judge(trial: Trial) -> Measurement:
            x = self.reader.read(target, trial.features, rows)
            predicted, maes = [], []
            for number, (fit, held) in enumerate(folds):
                places, judged = np.searchsorted(rows, fit), np.searchsorted(rows, held)
                stop_on = x[judged], target.y[held]
                fitted = self.fitter.fit(trial, x[places], target.y[fit], stop_on, self.seed)
                predicted.append(fitted.predict(x[judged]))
                if number == 0 and rung is FINAL:
                    self._test(target, trial, fitted)
                maes.append(float(np.abs(predicted[-1] - target.y[held]).mean()))
            held_rows = np.concatenate([held for _, held in folds])
            found = _judged(target, trial, VALIDATION, held_rows, np.concatenate(predicted), keep=rung is FINAL)
            fit_rows = round(float(np.mean([len(fit) for fit, _ in folds])))
            spread = float(np.std(maes)) if len(maes) > 1 else None
            return replace(found, rung=rung.number, fit_rows=fit_rows, mae_std=spread)

        found = []
        for trial in trials:
            measured = self._once(target, trial, [VALIDATION, rung.number, extent], judge)
            if measured is not None:
                found.append(measured)
                if rung is FINAL and measured.mae is not None:
                    self.test(target, trial)
        return found

    def test(self, target: TargetRows, trial: Trial) -> Measurement | None:
        """Return the errors of a trial on the test rows, fitted to all others but the first fold."""
        return self._test(target, trial, None)

    def ensemble(self, target: TargetRows, name: str, members: list[Measurement]) -> None:
        """Average trials of the last rung, weighted by their predictions for validation rows; test the mean."""
        known = [m for m in members if m.mae is not None]
        if not known:
            return
        held = np.concatenate([held for _, held in FINAL.folds(target, self.seed)])
        predictions = np.array([m.predictions for m in known], dtype=np.float64)
        weights = choose_members(target.y[held], predictions)
        chosen = [(known[i], weights[i]) for i in np.flatnonzero(weights)]
        every = [self.test(target, self.trial(m)) for m, _ in chosen]
        tested = [m for m in every if m is not None and m.mae is not None]
        if len(tested) < len(chosen):
            return
        parts = [
            {"configuration": m.configuration, "features": m.features, "model": m.model, "weight": float(weight)}
            | m.parameters
            for m, weight in chosen
        ]
        trial = Trial(name, tuple(sorted({feature for m, _ in chosen for feature in m.features})), ENSEMBLE)
        averaged = weights @ predictions
        on_test = np.average([m.predictions for m in tested], axis=0, weights=[weight for _, weight in chosen])

        def mean(stage: str, rows: Rows, predicted: NDArray[np.float64]) -> Callable[[Trial], Measurement]:
            def judge(trial: Trial) -> Measurement:
                found = _judged(target, trial, stage, rows, predicted, keep=True)
                return replace(found, parameters={"members": parts}, rung=FINAL.number, fit_rows=tested[0].fit_rows)

            return judge

        keys = [m.key for m, _ in chosen]
        self._once(target, trial, [VALIDATION, keys], mean(VALIDATION, held, averaged), takes_time=False)
        self._once(target, trial, [TEST, keys], mean(TEST, target.test, on_test), takes_time=False)

    def cross_validate(self, target: TargetRows, trial: Trial, folds: int) -> None:
        """Measure a trial in a cross-validation over all rows that are not tested on."""

        def judge(trial: Trial) -> Measurement:
            cut = [
                (target.pool[fit], target.pool[held])
                for fit, held in grouped_folds(target.groups[target.pool], folds, self.seed + 1)
            ]
            predicted = [
                self._fit(target, trial, fit).predict(self.reader.read(target, trial.features, held))
                for fit, held in cut
            ]
            maes = [np.abs(p - target.y[held]).mean() for p, (_, held) in zip(predicted, cut, strict=True)]
            rows = np.concatenate([held for _, held in cut])
            found = _judged(target, trial, FOLDS, rows, np.concatenate(predicted), keep=False)
            return replace(
                found, mae=float(np.mean(maes)), mae_std=float(np.std(maes)), rung=FINAL.number, fit_rows=len(cut[0][0])
            )

        self._once(target, trial, [FOLDS, folds], judge)

    def learning_curve(self, target: TargetRows, trial: Trial) -> None:
        """Measure a trial on the test rows, fitted to growing parts of the others, each holding the one before."""
        for share in CURVE_SHARES:
            rows = target.pool[subsample(target.groups[target.pool], round(share * len(target.pool)), self.seed)]

            def judge(trial: Trial, rows: Rows = rows) -> Measurement:
                fitted = self._fit(target, trial, rows)
                x = self.reader.read(target, trial.features, target.test)
                found = _judged(target, trial, CURVE, target.test, fitted.predict(x), keep=False)
                return replace(found, rung=FINAL.number, fit_rows=len(rows))

            self._once(target, trial, [CURVE, share], judge)

    def trial(self, measured: Measurement) -> Trial:
        """Return the trial that was measured."""
        return Trial(
            measured.configuration, measured.features, measured.model, int(measured.parameters.get("variant", 0))
        )

    def _once(
        self,
        target: TargetRows,
        trial: Trial,
        what: list[Any],
        judge: Callable[[Trial], Measurement],
        *,
        takes_time: bool = True,
    ) -> Measurement | None:
        """Return a measurement from the ledger, or make it if there is time; a failure is one, with its reason."""
        inputs = self.reader.identify(trial.features) + self.fitter.identify(trial)
        parts = [METHOD, target.digest, trial.configuration, inputs, trial.model, trial.variant, what, self.seed]
        key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        found = self.ledger.find(key)
        if found is None:
            if takes_time and self.deadline is not None and time.monotonic() >= self.deadline:
                self.out_of_time = True
                return None
            started = time.monotonic()
            try:
                found = judge(trial)
            except _FAILURES as error:
                found = _unmeasured(target, trial, str(what[0]), f"{type(error).__name__}: {error}")
            parameters = found.parameters or {"variant": trial.variant}
            found = replace(found, key=key, parameters=parameters, seconds=time.monotonic() - started)
            self.ledger.add(found)
            self.made += 1
        self.tell(found)
        return found

    def _test(self, target: TargetRows, trial: Trial, fitted: Fitted | None) -> Measurement | None:
        def judge(trial: Trial) -> Measurement:
            ready = fitted or self._fit(target, trial, target.fit_rows(0))
            x = self.reader.read(target, trial.features, target.test)
            found = _judged(target, trial, TEST, target.test, ready.predict(x), keep=True)
            return replace(found, rung=FINAL.number, fit_rows=len(target.pool) - len(target.folds[0]))

        return self._once(target, trial, [TEST], judge)

    def _fit(self, target: TargetRows, trial: Trial, rows: Rows) -> Fitted:
        """Fit to rows of the pool; networks stop on a tenth of them."""
        x, y = self.reader.read(target, trial.features, rows), target.y[rows]
        if not self.fitter.is_network(trial):
            return self.fitter.fit(trial, x, y, None, self.seed)
        fit, held = grouped_folds(target.groups[rows], len(target.folds), self.seed)[0]
        return self.fitter.fit(trial, x[fit], y[fit], (x[held], y[held]), self.seed)


def _judged(
    target: TargetRows, trial: Trial, stage: str, rows: Rows, predicted: NDArray[np.float64], *, keep: bool
) -> Measurement:
    errors = measure(target.y[rows], predicted)
    if not np.isfinite(errors.mae):
        raise ValueError("predictions are not finite")
    unseen = target.unseen if stage in (TEST, CURVE) else np.zeros(len(rows), dtype=bool)
    return replace(
        _unmeasured(target, trial, stage),
        judged_rows=len(rows),
        mae=errors.mae,
        q95=errors.q95,
        unseen_mae=measure(target.y[rows][unseen], predicted[unseen]).mae if unseen.any() else None,
        predictions=tuple(predicted.astype(np.float32).tolist()) if keep else (),
    )


def _unmeasured(target: TargetRows, trial: Trial, stage: str, error: str = "") -> Measurement:
    return Measurement(
        key="",
        target=target.name,
        configuration=trial.configuration,
        features=trial.features,
        model=trial.model,
        parameters={},
        stage=stage,
        rung=0,
        fit_rows=0,
        judged_rows=0,
        mae=None,
        q95=None,
        error=error,
    )
