"""What an extrapolation study is asked for."""

from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import Final

from matlake.errors import TrainingError
from matlake.regress.heads.card import check_name
from matlake.regress.regressors import named_model
from matlake.regress.splits import Split, parse_split
from matlake.regress.uncertainty.applicability import FEW
from matlake.studies.extrapolation.leakage import LABELS, POLICIES
from matlake.studies.extrapolation.methods import CHOSEN, DEFAULT, DEFAULT_MODELS, NETWORKS

_MOST_SETS: Final = len(ascii_uppercase)


@dataclass(frozen=True)
class ExtrapolationRequest:
    """What to evaluate.

    Attributes:
        target: Numeric property column.
        splits: As typed for ``train --split``.
        features: Sets of ``NAME`` or ``NAME@LAYER``; each set side by side is what heads are fitted to.
        models: Regressors of the catalogue.
        networks: Networks to train end to end: ``cgcnn``, ``schnet``, ``dimenet++``, or encoders of crystals.
        starts: Whether networks start from ``scratch``, from the encoder's weights (``fine-tune``), or both.
        epochs: Most epochs of a network; None for the usual ones.
        device: Torch device of networks.
        training_tables: Tables or datasets that encoders were trained on, to know which tested rows leak.
        dataset: Only this dataset.
        where: Only rows of ``materials`` that this SQL predicate selects.
        seeds: How many seeds, from 0.
        network_seeds: With how many of them networks are trained; None for all. What was measured with others is shown.
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
    parameters: str = CHOSEN
    few: int = FEW
    policy: str = LABELS
    name: str = "extrapolation"
    seconds: float | None = None

    def checked_splits(self) -> list[Split]:
        """Return the splits after checking all that can be checked without the lake.

        Raises:
            TrainingError: Something is missing, unknown or too much.
        """
        check_name(self.name)
        if not self.splits or not self.features or not all(self.features):
            raise TrainingError("an extrapolation needs splits and features", "name them")
        if len(self.features) > _MOST_SETS:
            raise TrainingError(f"{len(self.features)} sets of features are too many", f"name at most {_MOST_SETS}")
        if self.policy not in POLICIES:
            raise TrainingError(f"unknown leakage policy {self.policy!r}", f"policies: {', '.join(POLICIES)}")
        if self.parameters not in (CHOSEN, DEFAULT):
            raise TrainingError(f"parameters are {CHOSEN!r} or {DEFAULT!r}, not {self.parameters!r}")
        if self.seeds < 1:
            raise TrainingError("at least one seed is needed", "ask for 3 seeds")
        for model in self.models:
            named_model(model)
        return list({split.text: split for split in map(parse_split, self.splits)}.values())
