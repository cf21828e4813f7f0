"""Encoders whose prediction is a head's very property: what they say of its test rows, without a label of them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.card import PREDICTION, EncoderCard, InputKind, Precision
from matlake.encoders.encoder import open_encoder
from matlake.encoders.label_kinds import same_property
from matlake.encoders.leakage import expose
from matlake.encoders.registry import RegisteredEncoder
from matlake.materials.compositions import CompositionColumns
from matlake.regress.features.descriptors import describe
from matlake.regress.features.matrix import Matrix
from matlake.regress.splits import Rows, subsample
from matlake.store.lake import Lake

MOST_CRYSTALS: Final = 500
"""Test rows that an encoder of crystals predicts at most: enough to compare with, and seconds."""

FEWEST_OUTSIDE: Final = 30
"""So many test rows outside an encoder's training are enough to compare on these alone."""


def predicting_encoders(lake: Lake, target: str) -> list[RegisteredEncoder]:
    """Return the encoders of a lake's registry that predict the quantity of a column, in its unit.

    Of several that were trained alike, those stored less exactly are left out.
    """
    known = [one for one in lake.registered_encoders() if _place(one.card, target) is not None]
    exact = {_training(one.card) for one in known if one.card.precision is not Precision.INT8}
    return [one for one in known if one.card.precision is not Precision.INT8 or _training(one.card) not in exact]


def any_takes_crystals(lake: Lake, target: str) -> bool:
    """Return whether one of the encoders that predict the quantity of a column takes crystals."""
    return any(one.card.input is InputKind.CRYSTAL for one in predicting_encoders(lake, target))


def _training(card: EncoderCard) -> tuple[str, tuple[str, ...], str]:
    return card.architecture, card.trained_on, card.training.table.sha256 if card.training.table else card.sha256


def _place(card: EncoderCard, target: str) -> int | None:
    """Return which number of its prediction an encoder means by the target; None if none."""
    layer = next((layer for layer in card.layers if layer.name == PREDICTION), None)
    names = card.target.name.split(",") if card.target else []
    if layer is None or layer.dim != len(names):
        return None
    return next((place for place, name in enumerate(names) if same_property(name.strip(), target)), None)


def predict_rows(
    registered: RegisteredEncoder, target: str, matrix: Matrix, rows: Rows, seed: int
) -> NDArray[np.float64]:
    """Return an encoder's predictions for some rows, float64 [m] in the target's unit.

    NaN stands for a row that it does not take, or that is not among the ``MOST_CRYSTALS`` drawn.

    Args:
        registered: One of ``predicting_encoders``.
        target: Column of the property.
        matrix: The rows, with crystals where the encoder takes them.
        rows: Which of them, m.
        seed: Decides what is drawn.

    Raises:
        EncoderError: Its file is refused, or a value is not finite.
    """
    card = registered.card
    predicted = np.full(len(rows), np.nan)
    drawn = np.arange(len(rows))
    if card.input is InputKind.CRYSTAL:
        if matrix.crystals is None or not matrix.crystals.sizes[rows].any():
            return predicted
        drawn = subsample(matrix.groups[rows], MOST_CRYSTALS, seed)
    encoder = open_encoder(registered.folder, layers=[PREDICTION])
    vectors = np.full((len(drawn), card.layer(PREDICTION).dim), np.nan, dtype=np.float32)
    if card.input is InputKind.CRYSTAL and matrix.crystals is not None:
        describe(encoder, PREDICTION, matrix.crystals.take(rows[drawn]), vectors)
    else:
        describe(encoder, PREDICTION, CompositionColumns.from_matrix(matrix.fractions[rows[drawn]]), vectors)
    predicted[drawn] = vectors[:, _place(card, target) or 0]
    return predicted


def compared_rows(card: EncoderCard, target: str, groups: NDArray[np.str_]) -> tuple[NDArray[np.bool_], int, str]:
    """Choose the test rows to compare an encoder on: outside its training where enough of them surely are.

    Args:
        card: Of the encoder.
        target: Column of the property.
        groups: Hashes of the compositions of m test rows.

    Returns:
        bool [m], the rows; how many of these may have been in its training; and that in words.
    """
    exposure, met = expose(card, target, groups.tolist(), None, None)
    outside = int(np.count_nonzero(~met))
    if outside == len(groups):
        return ~met, 0, "none of these rows was in its training"
    if outside >= FEWEST_OUTSIDE:
        return ~met, 0, f"on {outside:,} of {len(groups):,} test rows, whose compositions were not in its training"
    exposed = exposure.compositions
    text = f"up to {exposed:,} of the {len(groups):,} compositions may have been in its training"
    return np.ones(len(groups), dtype=bool), exposed, text
