"""The rows that a head was trained and tested on, found again in the lake."""

from dataclasses import dataclass

import numpy as np

from matlake.errors import MatlakeError
from matlake.materials.formula import parse_formula
from matlake.regress.features.matrix import Matrix, read_matrix
from matlake.regress.heads.card import HeadCard
from matlake.regress.heads.storage import load_head
from matlake.regress.splits import Rows, parse_split
from matlake.regress.uncertainty.reference_set import Reference
from matlake.store.lake import Lake


@dataclass(frozen=True)
class SourceRows:
    """Rows of a head.

    Attributes:
        matrix: All rows that were selected for it.
        train: Those it was trained on.
        test: Those it was tested on.
    """

    matrix: Matrix
    train: Rows
    test: Rows


@dataclass(frozen=True)
class Past:
    """What is known of the rows that a head was trained on.

    Attributes:
        rows: The rows; None if the lake has changed since, so that they cannot be found.
        compositions: Hashes of the compositions trained on; those of its reference rows if the rows are not
            known.
    """

    rows: SourceRows | None
    compositions: frozenset[str]


def find_past(lake: Lake, card: HeadCard) -> Past:
    """Find a head's rows by its query, split and seed.

    Raises:
        HeadError: The head cannot be loaded.
    """
    reference = load_head(lake.path, card.name).reference
    rows = _find_rows(lake, card, reference)
    if rows is not None:
        return Past(rows, frozenset(rows.matrix.groups[rows.train].tolist()))
    formulas = reference.formula.tolist() if reference else []
    return Past(None, frozenset(parse_formula(formula).content_hash for formula in formulas))


def _find_rows(lake: Lake, card: HeadCard, reference: Reference | None) -> SourceRows | None:
    """Select and split again; None unless that gives as many rows, and the head's reference rows are among them."""
    try:
        split = parse_split(card.training.split)
        matrix = read_matrix(
            lake,
            card.target,
            card.features,
            where=f"(dataset, material_id) IN (SELECT (s.dataset, s.material_id) FROM ({card.training.sql}) AS s)",
            columns=split.columns,
            crystals=split.needs_crystals,
        )
        held = split.hold_out(matrix, card.training.seed)
    except MatlakeError:
        return None
    if (len(held.train), len(held.test)) != (card.evaluation.n_train, card.evaluation.n_test) or reference is None:
        return None
    trained = set(zip(matrix.dataset[held.train].tolist(), matrix.material_id[held.train].tolist(), strict=True))
    kept = zip(reference.dataset.tolist(), reference.material_id.tolist(), strict=True)
    return SourceRows(matrix, held.train, held.test) if trained.issuperset(kept) else None


def rows_of_new(matrix: Matrix, compositions: frozenset[str]) -> Rows:
    """Return the rows whose composition is not among some."""
    return np.flatnonzero(~np.isin(matrix.groups, sorted(compositions)))
