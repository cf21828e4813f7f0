"""Fitting what a trial names: a regressor of the catalogue, or a network."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from matlake.regress.features.feature import resolve_features
from matlake.regress.heads.model_spec import resolve_model
from matlake.regress.regressors import Fitted, Model, Parameters, fit_model
from matlake.regress.regressors.fitting import fit_deep
from matlake.store.lake import Lake
from matlake.studies.transfer.configurations import NETWORKS, Trial


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
