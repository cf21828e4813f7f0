"""What an extrapolation study is asked for, and the methods that it compares."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.leakage import LABELS, POLICIES
from matlake.errors import TrainingError
from matlake.materials.crystal import CrystalColumns
from matlake.regress.heads.card import check_name
from matlake.regress.regressors import named_model
from matlake.regress.splits import Split, parse_split
from matlake.regress.targets.transforms import Transform
from matlake.regress.uncertainty.applicability import FEW
from matlake.sequences import as_list

MEAN: Final = "mean"
NEAREST: Final = "nearest"
HEAD: Final = "head"
SCRATCH: Final = "scratch"
FINE_TUNE: Final = "fine-tune"
NETWORKS: Final = (SCRATCH, FINE_TUNE)

DEFAULT_MODELS: Final = ("svr-linear", "svr-rbf", "svr", "ridge", "kernel-ridge", "random-forest")
"""Regressors of the decoupled-transfer study, and ``svr``, whose kernel is a sum of both."""

TOGETHER: Final = "+"
"""Between the names of regressors whose predictions are averaged."""

CHOSEN: Final = "chosen"
"""Parameters of a head are the best of the catalogue's grid in cross-validation on the training rows."""

DEFAULT: Final = "default"
"""Parameters of a head are the first of the catalogue's grid."""


@dataclass(frozen=True)
class NetworkFit:
    """A trained network's predictions.

    Attributes:
        predicted: float64 [m], of the rows asked for, as the target was given.
        settings: How it was trained.
    """

    predicted: NDArray[np.float64]
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

    @property
    def is_fitted(self) -> bool:
        """Whether something is fitted to the target, which then may be transformed."""
        return self.is_network or self.kind == HEAD


@dataclass(frozen=True)
class ExtrapolationRequest:
    """What to evaluate.

    Attributes:
        target: Numeric property column.
        splits: As typed for ``train --split``.
        features: Sets of ``NAME`` or ``NAME@LAYER``; each set side by side is what heads are fitted to.
        models: Regressors of the catalogue; ``NAME+NAME`` is the mean of several.
        networks: Networks to train end to end: ``cgcnn``, ``schnet``, ``dimenet++``, or encoders of crystals.
        starts: Whether networks start from ``scratch``, from the encoder's weights (``fine-tune``), or both.
        epochs: Most epochs of a network; None for the usual ones.
        device: Torch device of networks.
        training_tables: Tables or datasets that encoders were trained on, to find leaked test rows.
        dataset: Only this dataset.
        where: Only rows of ``materials`` that this SQL predicate selects.
        seeds: How many seeds, from 0.
        network_seeds: How many of the seeds networks are trained with; None for all. Earlier results with others are
            shown.
        transform: ``none``, ``log`` or ``sqrt``: what heads and networks learn in place of the target. Errors are in
            its unit all the same.
        parameters: ``CHOSEN`` by cross-validation on training rows, or the catalogue's ``DEFAULT``.
        few: Training rows from which an element or motif counts as known.
        policy: What is refused as leakage, one of ``leakage.POLICIES``.
        name: Of the evaluation: a later one of the same name resumes it.
        seconds: Time after which nothing is begun; None for no limit.
    """

    target: str
    splits: tuple[str, ...]
    features: tuple[tuple[str, ...], ...]
    models: tuple[str, ...] = DEFAULT_MODELS
    networks: tuple[str, ...] = ()
    starts: tuple[str, ...] = NETWORKS
    epochs: int | None = None
    device: str = "cpu"
    training_tables: tuple[str | Path, ...] = ()
    dataset: str | None = None
    where: str | None = None
    seeds: int = 3
    network_seeds: int | None = None
    transform: str = Transform.NONE.value
    parameters: str = CHOSEN
    few: int = FEW
    policy: str = LABELS
    name: str = "extrapolation"
    seconds: float | None = None

    def __post_init__(self) -> None:
        """Take one name as text, or one path, for a tuple of one."""
        for name in ("splits", "models", "networks", "starts", "training_tables"):
            object.__setattr__(self, name, tuple(as_list(getattr(self, name))))
        object.__setattr__(self, "features", tuple(tuple(as_list(one)) for one in as_list(self.features)))

    def checked_splits(self) -> list[Split]:
        """Return the splits after checking all that can be checked without the lake.

        Raises:
            TrainingError: Something is missing, unknown or too much.
        """
        check_name(self.name)
        if not self.splits or not self.features or not all(self.features):
            raise TrainingError("an extrapolation needs splits and features", "name them")
        if len(self.features) > (most := len(ascii_uppercase)):
            raise TrainingError(f"{len(self.features)} sets of features are too many", f"name at most {most}")
        if self.policy not in POLICIES:
            raise TrainingError(f"unknown leakage policy {self.policy!r}", f"policies: {', '.join(POLICIES)}")
        if self.parameters not in (CHOSEN, DEFAULT):
            raise TrainingError(f"parameters are {CHOSEN!r} or {DEFAULT!r}, not {self.parameters!r}")
        if self.transform not in [*Transform]:
            raise TrainingError(f"unknown transform {self.transform!r}", f"transforms: {', '.join(Transform)}")
        if self.seeds < 1:
            raise TrainingError("at least one seed is needed", "ask for 3 seeds")
        for model in self.models:
            for name in model.split(TOGETHER):
                named_model(name)
        return list({split.text: split for split in map(parse_split, self.splits)}.values())
