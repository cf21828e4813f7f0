"""The methods that an extrapolation study compares."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from matlake.materials.crystal import CrystalColumns

MEAN: Final = "mean"
NEAREST: Final = "nearest"
HEAD: Final = "head"
SCRATCH: Final = "scratch"
FINE_TUNE: Final = "fine-tune"
NETWORKS: Final = (SCRATCH, FINE_TUNE)

DEFAULT_MODELS: Final = ("svr-linear", "svr-rbf", "svr", "ridge", "kernel-ridge", "random-forest")
"""Regressors of the decoupled-transfer study, and ``svr``, whose kernel is a sum of both."""

CHOSEN: Final = "chosen"
"""Parameters of a head are the best of the catalogue's grid in cross-validation on the training rows."""

DEFAULT: Final = "default"
"""Parameters of a head are the first of the catalogue's grid."""


@dataclass(frozen=True)
class NetworkFit:
    """A trained network's predictions.

    Attributes:
        predicted: float64 [m], in the target's unit.
        validation_mae: On the validation rows, in the target's unit.
        settings: How it was trained.
    """

    predicted: NDArray[np.float64]
    validation_mae: float
    settings: dict[str, Any]


class Network(Protocol):
    """A network that is trained end to end; ``matlake.studies.extrapolation.end_to_end`` has those that there are."""

    @property
    def name(self) -> str:
        """``scratch:ARCHITECTURE`` or ``fine-tune:ENCODER``."""

    @property
    def counterpart(self) -> str:
        """Name of the encoder whose network this is."""

    @property
    def encoder(self) -> str | None:
        """Name of the encoder whose weights it starts from."""

    def identity(self) -> dict[str, Any]:
        """Return what a measurement depends on, besides rows and seed."""

    def fit_predict(
        self,
        crystals: CrystalColumns,
        y: NDArray[np.float64],
        fit: NDArray[np.intp],
        stop: NDArray[np.intp],
        test: NDArray[np.intp],
        *,
        seed: int,
        folder: Path,
        check: Callable[[], None],
    ) -> NetworkFit:
        """Train on rows to fit, end by rows to stop on, and predict for rows to test."""


@dataclass(frozen=True)
class Method:
    """One method of predicting.

    Attributes:
        kind: ``MEAN``, ``NEAREST``, ``HEAD``, ``SCRATCH`` or ``FINE_TUNE``.
        letter: Of its features in tables, such as ``A``; of a network, those that its encoder is among.
        features: ``NAME@LAYER`` of each feature; none of a network or the mean.
        model: Name of the regressor, or of the network; empty for baselines.
        encoders: Encoders whose training matters to it.
    """

    kind: str
    letter: str = ""
    features: tuple[str, ...] = ()
    model: str = ""
    encoders: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What tables call it."""
        if self.kind in NETWORKS or self.kind == MEAN:
            return self.model or self.kind
        return f"{self.model or self.kind} on {self.letter}"

    @property
    def is_network(self) -> bool:
        """Whether it is a network trained end to end."""
        return self.kind in NETWORKS
