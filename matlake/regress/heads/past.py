"""The rows that a head was trained and tested on, found again by its query, split and seed."""

from dataclasses import dataclass, replace
from typing import Final

from matlake.encoders.registry import RegisteredEncoder
from matlake.errors import EncoderError, MatlakeError
from matlake.materials.formula import readings
from matlake.regress.features.frozen_rows import frozen_rows
from matlake.regress.features.matrix import Matrix, read_shared_rows, resolve_targets
from matlake.regress.features.row_counts import counted_sql
from matlake.regress.heads.card import HeadCard
from matlake.regress.heads.group import divide
from matlake.regress.heads.storage import load_head, member_names
from matlake.regress.splits import HeldOut, parse_split
from matlake.regress.targets.expressions import Scale, Target
from matlake.regress.uncertainty.reference_set import Reference
from matlake.store.folders import MEMBER
from matlake.store.lake import Lake

_CHANGED: Final = "the lake has changed since it was trained"


@dataclass(frozen=True)
class SourceRows:
    """Rows of a head.

    Attributes:
        matrix: All rows that were selected for it.
        held_out: Which of them it was trained on, and which it was tested on.
    """

    matrix: Matrix
    held_out: HeldOut


@dataclass(frozen=True)
class Past:
    """What is known of the rows that a head was trained on.

    Attributes:
        rows: The rows; None if they cannot be found.
        compositions: Hashes of the compositions trained on; if the rows are not known, those of its reference rows.
        lost: Why the rows cannot be found; ``""`` where they are known.
    """

    rows: SourceRows | None
    compositions: frozenset[str]
    lost: str = ""


def target_of(lake: Lake, card: HeadCard) -> Target:
    """Return the target of a head, with the scale on which it was learned.

    Raises:
        TrainingError: The lake has no such property any more.
    """
    (target,) = resolve_targets(lake, [card.target], scaled=False)
    function = card.scale.function if card.scale else ""
    return replace(target, scale=Scale(function)) if function else target


def find_past(lake: Lake, card: HeadCard) -> Past:
    """Find a head's rows by its query, split and seed.

    Raises:
        HeadError: The head cannot be loaded.
    """
    reference = load_head(lake, card.name).reference
    rows = _find_rows(lake, card, reference)
    if isinstance(rows, SourceRows):
        return Past(rows, frozenset(rows.matrix.groups[rows.held_out.train].tolist()))
    formulas = reference.formula.tolist() if reference else []
    return Past(None, frozenset(one.content_hash for formula in formulas for one in readings(formula)), rows)


def _find_rows(lake: Lake, card: HeadCard, reference: Reference | None) -> SourceRows | str:
    """Select and split again; why not, unless that gives as many rows, the head's reference rows among them."""
    try:
        matrix, held = _split_again(lake, card)
    except MatlakeError as error:
        return str(error)
    if (len(held.train), len(held.test)) != (card.evaluation.n_train, card.evaluation.n_test) or reference is None:
        return _CHANGED
    trained = set(zip(matrix.dataset[held.train].tolist(), matrix.material_id[held.train].tolist(), strict=True))
    kept = zip(reference.dataset.tolist(), reference.material_id.tolist(), strict=True)
    return SourceRows(matrix, held) if trained.issuperset(kept) else _CHANGED


def _source_of(lake: Lake, card: HeadCard) -> RegisteredEncoder:
    """Return the encoder that a network was fine-tuned from: a split may look at its vectors.

    Raises:
        EncoderError: It is not there, or another one has its name.
    """
    source = lake.find_encoder(card.network_source)
    if source.card.sha256 != card.model.parameters["encoder_sha256"]:
        raise EncoderError(f"encoder {source.card.name} is not the one that head {card.name} was fine-tuned from")
    return source


def _split_again(lake: Lake, card: HeadCard) -> tuple[Matrix, HeldOut]:
    """Return the rows of a head and its split; those of a member were split together with the other targets' rows."""
    split, seed = parse_split(card.training.split), card.training.seed
    names = member_names(lake, card.name.partition(MEMBER)[0])
    targets = [target_of(lake, card if name == card.name else load_head(lake, name).card) for name in names]
    counted = counted_sql(card.training.sql)
    shared = read_shared_rows(
        lake,
        targets,
        () if card.carries_network else card.features,
        where=f"(dataset, material_id) IN (SELECT (s.dataset, s.material_id) FROM ({counted}) AS s)",
        columns=split.columns,
        crystals=split.needs_crystals or card.carries_network,
    )
    if len(names) == 1:
        matrix, _ = shared.of(0)
        if card.carries_network:
            matrix = frozen_rows(matrix, _source_of(lake, card)).matrix
        return matrix, split.hold_out(matrix, seed)
    _, _, matrix, held_out = list(divide(shared, split, seed))[names.index(card.name)]
    return matrix, held_out
