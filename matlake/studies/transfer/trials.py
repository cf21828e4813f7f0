"""Trials: fitted, and measured on validation rows, on the test rows, in a cross-validation, along a learning curve."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.features.feature import resolve_features
from matlake.regress.heads.model_spec import resolve_model
from matlake.regress.regressors import Fitted, Model, Parameters, fit_model
from matlake.regress.regressors.catalogue import ENSEMBLE
from matlake.regress.regressors.ensemble import choose_members
from matlake.regress.regressors.fitting import fit_deep
from matlake.regress.splits import Rows, grouped_folds, subsample
from matlake.store.lake import Lake
from matlake.studies.measurement import Measurement, with_errors
from matlake.studies.runner import Runner, key_of
from matlake.studies.transfer.configurations import BASE, NETWORKS, Trial
from matlake.studies.transfer.stages import CURVE, FINAL, FOLDS, TEST, VALIDATION, Round
from matlake.studies.transfer.target_rows import FeatureReader, TargetRows

CURVE_SHARES: Final = (0.125, 0.25, 0.5)
"""Shares of the rows that are not tested on, of which learning curves are made."""

_METRICS: Final = ("mae", "q95")

Fit = Callable[[Measurement], Measurement]


@dataclass
class Fitter:
    """Fits trials.

    Attributes:
        lake: Its registry holds the sources of networks.
    """

    lake: Lake
    _models: dict[str, Model] = field(default_factory=dict)

    def identify(self, trial: Trial) -> list[str]:
        """Return what a trial depends on besides its features: the file that a network's weights start from."""
        _, _, source = trial.model.partition(":")
        return [self.lake.find_encoder(source).card.sha256] if source else []

    def parameters(self, trial: Trial, n_features: int) -> Parameters:
        """Return the parameters of a trial's variant."""
        return self._model(trial).grid(n_features)[trial.variant]

    def fit(
        self,
        trial: Trial,
        x: NDArray[np.float32],
        y: NDArray[np.float64],
        stop_on: tuple[NDArray[np.float32], NDArray[np.float64]],
        seed: int,
    ) -> Fitted:
        """Fit a trial.

        Args:
            trial: What to fit.
            x: float32 [n, d].
            y: float64 [n], in the target's unit.
            stop_on: Features [m, d] and target [m] on which the training of a network is stopped.
            seed: Of what is drawn.
        """
        model, parameters = self._model(trial), self.parameters(trial, x.shape[1])
        if trial.configuration in NETWORKS:
            return fit_deep(model, x, y, *stop_on, seed, parameters)
        return fit_model(model, parameters, x, y, seed)

    def _model(self, trial: Trial) -> Model:
        if trial.model not in self._models:
            features = resolve_features(self.lake, list(trial.features))
            self._models[trial.model] = resolve_model(self.lake, trial.model, features)
        return self._models[trial.model]


@dataclass
class TrialRunner:
    """Measures trials of one target.

    Attributes:
        runner: Looks up what has been measured.
        reader: Of features.
        fitter: Of regressors and networks.
        target: The rows.
        seed: Seeds everything random.
    """

    runner: Runner
    reader: FeatureReader
    fitter: Fitter
    target: TargetRows
    seed: int

    def base(self) -> None:
        """Measure the mean of the rows that are not tested on."""

        def fit(blank: Measurement) -> Measurement:
            target = self.target
            predicted = np.full(len(target.test), target.y[target.pool].mean())
            return self._tested(replace(blank, fit_rows=len(target.pool)), predicted, keep=False)

        self._once(Trial(BASE, (), "mean"), [TEST], fit, number=0)

    def validate(self, trials: list[Trial], halving: Round) -> list[Measurement]:
        """Return the errors of trials on validation rows, without those for which there is no time.

        Networks stop early on the very rows that they are validated on, as in the study. In the last round, what was
        fitted without the first fold is tested at once: that is the study's 81/9/10.
        """
        y, folds = self.target.y, halving.folds(self.target, self.seed)
        rows = np.unique(np.concatenate([part for pair in folds for part in pair]))
        held_rows = np.concatenate([held for _, held in folds])
        extent = [[len(fit), len(held)] for fit, held in folds]
        found = []
        for trial in trials:

            def validated(blank: Measurement, trial: Trial = trial) -> Measurement:
                x = self._read(trial, rows)
                predicted, maes = [], []
                for number, (fit, held) in enumerate(folds):
                    x_held = x[np.searchsorted(rows, held)]
                    fitted = self.fitter.fit(trial, x[np.searchsorted(rows, fit)], y[fit], (x_held, y[held]), self.seed)
                    predicted.append(fitted.predict(x_held))
                    if number == 0 and halving is FINAL:
                        self.test(trial, fitted)
                    maes.append(float(np.abs(predicted[-1] - y[held]).mean()))
                every = np.concatenate(predicted)
                return replace(
                    with_errors(blank, y[held_rows], every, _METRICS, keep=halving is FINAL),
                    fit_rows=round(float(np.mean([len(fit) for fit, _ in folds]))),
                    mae_std=float(np.std(maes)) if len(maes) > 1 else None,
                )

            measured = self._once(trial, [VALIDATION, halving.number, extent], validated, number=halving.number)
            if measured is not None:
                found.append(measured)
                if halving is FINAL and measured.mae is not None:
                    self.test(trial)
        return found

    def test(self, trial: Trial, fitted: Fitted | None = None) -> Measurement | None:
        """Return the errors of a trial on the test rows.

        Args:
            trial: What to test.
            fitted: To all rows but those of the first fold; default: fitted here.
        """

        def fit(blank: Measurement) -> Measurement:
            rows = self.target.fit_rows(0)
            ready = fitted or self._fit(trial, rows)
            return self._tested(replace(blank, fit_rows=len(rows)), ready.predict(self._read(trial, self.target.test)))

        return self._once(trial, [TEST], fit)

    def ensemble(self, name: str, members: list[Measurement]) -> None:
        """Average trials of the last round, weighted by their predictions for validation rows; test the mean."""
        known = [m for m in members if m.mae is not None]
        if not known:
            return
        held = np.concatenate([held for _, held in FINAL.folds(self.target, self.seed)])
        predictions = np.array([m.predictions for m in known], dtype=np.float64)
        weights = choose_members(self.target.y[held], predictions)
        chosen = [(known[i], weights[i]) for i in np.flatnonzero(weights)]
        every = [self.test(trial_of(m)) for m, _ in chosen]
        on_test = [m for m in every if m is not None and m.mae is not None]
        if len(on_test) < len(chosen):
            return
        parts = [
            {"configuration": m.method, "features": m.features, "model": m.model, "weight": float(weight)}
            | m.parameters
            for m, weight in chosen
        ]
        averaged = weights @ predictions
        averaged_on_test = np.average(
            [m.predictions for m in on_test], axis=0, weights=[weight for _, weight in chosen]
        )

        def about(blank: Measurement) -> Measurement:
            return replace(blank, parameters={"members": parts}, fit_rows=on_test[0].fit_rows)

        def validated(blank: Measurement) -> Measurement:
            return with_errors(about(blank), self.target.y[held], averaged, _METRICS)

        trial = Trial(name, tuple(sorted({feature for m, _ in chosen for feature in m.features})), ENSEMBLE)
        keys = [m.key for m, _ in chosen]
        self._once(trial, [VALIDATION, keys], validated, takes_time=False)
        self._once(trial, [TEST, keys], lambda blank: self._tested(about(blank), averaged_on_test), takes_time=False)

    def cross_validate(self, trial: Trial, folds: int) -> None:
        """Measure a trial in a cross-validation over all rows that are not tested on."""

        def validated(blank: Measurement) -> Measurement:
            y, pool = self.target.y, self.target.pool
            cut = grouped_folds(self.target.groups[pool], folds, self.seed + 1)
            predicted = [self._fit(trial, pool[fit]).predict(self._read(trial, pool[held])) for fit, held in cut]
            maes = [np.abs(p - y[pool[held]]).mean() for p, (_, held) in zip(predicted, cut, strict=True)]
            rows = pool[np.concatenate([held for _, held in cut])]
            found = with_errors(blank, y[rows], np.concatenate(predicted), _METRICS, keep=False)
            return replace(found, mae=float(np.mean(maes)), mae_std=float(np.std(maes)), fit_rows=len(cut[0][0]))

        self._once(trial, [FOLDS, folds], validated)

    def learning_curve(self, trial: Trial) -> None:
        """Measure a trial on the test rows, fitted to growing parts of the others, each holding the one before."""
        pool = self.target.pool
        for share in CURVE_SHARES:
            rows = pool[subsample(self.target.groups[pool], round(share * len(pool)), self.seed)]

            def fit(blank: Measurement, rows: Rows = rows) -> Measurement:
                predicted = self._fit(trial, rows).predict(self._read(trial, self.target.test))
                return self._tested(replace(blank, fit_rows=len(rows)), predicted, keep=False)

            self._once(trial, [CURVE, share], fit)

    def _once(
        self, trial: Trial, what: list[Any], fit: Fit, *, number: int = FINAL.number, takes_time: bool = True
    ) -> Measurement | None:
        """Look a measurement up, or make it; ``what`` begins with its stage."""
        inputs = self.reader.identify(trial.features) + self.fitter.identify(trial)
        about = [self.target.data.digest, trial.configuration, inputs, trial.model, trial.variant, what, self.seed]
        blank = Measurement(
            key=key_of(about),
            target=self.target.name,
            method=trial.configuration,
            features=trial.features,
            model=trial.model,
            parameters={"variant": trial.variant},
            stage=what[0],
            round=number,
        )
        return self.runner.measure(blank, fit, takes_time=takes_time)

    def _tested(self, blank: Measurement, predicted: NDArray[np.floating], *, keep: bool = True) -> Measurement:
        """Return a measurement with errors on the test rows, and on those of compositions outside the pool."""
        y, outside = self.target.y[self.target.test], self.target.outside
        outside_mae = float(np.abs(predicted - y)[outside].mean()) if outside.any() else None
        return with_errors(replace(blank, outside_mae=outside_mae), y, predicted, _METRICS, keep=keep)

    def _read(self, trial: Trial, rows: Rows) -> NDArray[np.float32]:
        return self.reader.read(self.target, trial.features, rows)

    def _fit(self, trial: Trial, rows: Rows) -> Fitted:
        """Fit to rows of the pool; networks stop on a tenth of them."""
        x, y = self._read(trial, rows), self.target.y[rows]
        fit, held = np.arange(len(rows)), np.arange(0)
        if trial.configuration in NETWORKS:
            fit, held = grouped_folds(self.target.groups[rows], len(self.target.folds), self.seed)[0]
        return self.fitter.fit(trial, x[fit], y[fit], (x[held], y[held]), self.seed)


def trial_of(measured: Measurement) -> Trial:
    """Return the trial that was measured."""
    return Trial(measured.method, measured.features, measured.model, int(measured.parameters.get("variant", 0)))
