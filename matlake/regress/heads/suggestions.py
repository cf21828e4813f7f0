"""What to try where a head is not better than its baselines: features at hand, a model, more rows, other rows."""

from collections.abc import Iterator
from typing import Final

from matlake.encoders.card import PREDICTION, InputKind, Precision
from matlake.encoders.registry import RegisteredEncoder
from matlake.regress.heads.card import HeadCard
from matlake.regress.heads.verdict import FOREST, Outcome, comparisons_of, overall
from matlake.store.lake import Lake

_STILL_FALLS: Final = 0.95
"""Share of the error that is left, at most, where twice as many rows are worth their labels."""

_UNLIKE: Final = 0.8
"""Share of the error on a random split, at most, that shows test rows which are unlike the training rows."""

_SHOWN: Final = 4
_FIRST: Final = ("geometry", "magpie", "chgnet", "elemnet")
"""Architectures in the order in which they helped on most properties (docs/science/models.md); others by name."""

_FRACTIONS: Final = "fractions"


def what_to_try(lake: Lake, card: HeadCard) -> tuple[str, ...]:
    """Return what may make a head better, in words, most promising first; nothing where it is better than all.

    Args:
        lake: Whose registry holds encoders.
        card: Of the head, with all of its baselines.
    """
    return tuple(_suggestions(lake, card)) if overall(card) is not Outcome.BETTER else ()


def _suggestions(lake: Lake, card: HeadCard) -> Iterator[str]:
    outcomes = {found.baseline: found.outcome for found in comparisons_of(card)}
    if card.carries_network:
        yield f"the model auto on features {card.network_source}@all, geometry and magpie, which trains in seconds"
    if outcomes.get(FOREST) is Outcome.WORSE:
        yield "features magpie with the model random-forest, which is better here"
    used = {feature.feature for feature in card.features}
    for baseline in card.more_baselines:
        if baseline.encoder and outcomes[baseline.name] is not Outcome.BETTER and baseline.name not in used:
            new = " on materials that are new to it as well" if baseline.exposed else ""
            yield f"{baseline.name} by itself{new}, which needs no label, or as one more of the features"
    named = {baseline.encoder for baseline in card.more_baselines}
    others = [_name(one) for one in _unused(lake, card) if one.card.name not in named][:_SHOWN]
    if others and not card.carries_network:
        yield f"more features: {', '.join(others)}"
    search = card.model.search
    if search is not None and len({candidate.model for candidate in search.candidates}) == 1:
        yield "the model auto, which compares all kinds of models"
    yield from _rows(card)


def _unused(lake: Lake, card: HeadCard) -> list[RegisteredEncoder]:
    """Return the encoders that take these materials and are not used, the most helpful first."""
    used = {feature.encoder for feature in card.features}
    kinds = {InputKind.COMPOSITION, InputKind.CRYSTAL} if _have_crystals(lake, card) else {InputKind.COMPOSITION}
    found = [
        one
        for one in lake.registered_encoders()
        if one.card.input in kinds
        and one.card.name not in used | {_FRACTIONS}
        and one.card.precision is not Precision.INT8
    ]
    order = {name: place for place, name in enumerate(_FIRST)}
    return sorted(found, key=lambda one: order.get(one.card.architecture, len(order)))


def _have_crystals(lake: Lake, card: HeadCard) -> bool:
    if any(feature.input is InputKind.CRYSTAL for feature in card.features):
        return True
    with lake.connect() as connection:
        sql = f"SELECT count(m.nsites) FROM ({card.training.sql}) JOIN materials AS m USING (dataset, material_id)"
        return bool(connection.execute(sql).fetchall()[0][0])


def _name(registered: RegisteredEncoder) -> str:
    """Return what to write after ``features``: an ElemNet's prediction says most, layers of a crystal's together do."""
    card = registered.card
    if card.is_descriptor:
        return card.name
    layers = f"@{PREDICTION}" if card.input is InputKind.COMPOSITION else "@all"
    return f"{card.name}{layers}" + (" (to be embedded first)" if registered.shipped else "")


def _rows(card: HeadCard) -> Iterator[str]:
    """Say what more labels, or others, are worth."""
    mae = card.evaluation.metrics.mae
    if card.learning_curve and mae < _STILL_FALLS * card.learning_curve[-1].mae:
        point = card.learning_curve[-1]
        yield (
            f"more labelled rows: from {point.rows:,} to {card.evaluation.n_train:,} they took "
            f"{1 - mae / point.mae:.0%} off the error"
        )
    random = card.random_evaluation
    if random is not None and random.metrics.mae < _UNLIKE * mae:
        unit = f" {card.unit}" if card.unit else ""
        yield (
            "labels of materials like those tested: the test rows are unlike the training rows "
            f"(MAE {random.metrics.mae:.3g}{unit} on a random split)"
        )
