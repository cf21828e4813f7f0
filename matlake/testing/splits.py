"""The contract of a split: two sides without a row or a composition in common, the same ones every time."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.reference import reference_crystals
from matlake.errors import TrainingError
from matlake.materials.compositions import CompositionColumns
from matlake.materials.periodic_table import SYMBOLS
from matlake.regress.features.matrix import Matrix
from matlake.regress.splits import HeldOut, Method, Split
from matlake.testing.requirements import require, require_name, unchanged

ROWS: Final = 150
"""Rows that a split is tried on: 120 real crystals, and 30 more of the same compositions."""

_SEEDS: Final = (0, 1)
_REPEATED: Final = 30


def check_split(
    method: Method, arguments: Sequence[str | None] = (None,), columns: Mapping[str, Sequence[Any]] | None = None
) -> None:
    """Check what ``train --split`` and the studies rely on, on 150 real crystals with repeated compositions.

    Training, test and dropped rows are disjoint, in order, and together all rows; no composition is on both sides; one
    seed always gives the same; the description says how many rows are tested, trained on and left out; and the text of
    the split, which a head's card keeps, makes the same split again.

    Args:
        method: What the entry point in ``matlake.splits`` stands for.
        arguments: What to type after the colon, one after the other; None for the name alone.
        columns: The columns that the split needs, with ``ROWS`` numbers or texts each.

    Raises:
        AssertionError: One of these does not hold.
        TrainingError: The split refuses an argument, or these rows.
    """
    require(isinstance(method, Method), f"it is of type {type(method).__name__}, not matlake.regress.splits.Method")
    require_name(method.name)
    rows = sample_rows(columns or {})
    for argument in arguments:
        split = method.make(argument)
        require(isinstance(split, Split), f"it makes a {type(split).__name__}, not a matlake.regress.splits.Split")
        name, _, typed = split.text.partition(":")
        require(
            name == method.name, f"the text of the split is {split.text!r}, and does not begin with {method.name!r}"
        )
        again = method.make(typed or None)
        require(again.text == split.text, f"the text {split.text!r} makes another split, {again.text!r}")
        missing = [column for column in split.columns if column not in rows.columns]
        require(not missing, f"it needs the columns {', '.join(missing)}: give them to check_split")
        for seed in _SEEDS:
            _check_parts(split, again, rows, seed)


def sample_rows(columns: Mapping[str, Sequence[Any]]) -> Matrix:
    """Return the rows that splits are tried on, with element fractions as features."""
    crystals = reference_crystals()
    chosen = [*range(ROWS - _REPEATED), *range(_REPEATED)]
    compositions = [crystals[row].composition for row in chosen]
    fractions = CompositionColumns.of(compositions).matrix(SYMBOLS)
    random = np.random.default_rng(0)
    for name, values in columns.items():
        require(len(values) == ROWS, f"column {name} has {len(values)} values for {ROWS} rows")
    return Matrix(
        x=fractions,
        y=fractions @ random.normal(size=len(SYMBOLS)) + 0.1 * random.normal(size=ROWS),
        fractions=fractions,
        dataset=np.full(ROWS, "sample"),
        material_id=np.array([f"sample-{row}" for row in range(ROWS)]),
        formula=np.array([composition.reduced_formula for composition in compositions]),
        groups=np.array([composition.content_hash for composition in compositions]),
        missing=(),
        sql="",
        columns={name: np.array(values) for name, values in columns.items()},
        crystals=crystals.take(chosen),
    )


def _check_parts(split: Split, again: Split, rows: Matrix, seed: int) -> None:
    with unchanged(target=rows.y, features=rows.x, groups=rows.groups, **rows.columns):
        held = split.hold_out(rows, seed)
        folds = list(_folds(split, rows, seed))
    for part in (held, *folds):
        _check_sides(part, rows)
    repeated = [again.hold_out(rows, seed), *_folds(again, rows, seed)]
    require(len(repeated) == 1 + len(folds), "with one seed it gives another number of folds each time")
    for first, second in zip([held, *folds], repeated, strict=True):
        same = all(np.array_equal(a, b) for a, b in zip(_sets(first), _sets(second), strict=True))
        require(same, f"with one seed it holds out other rows each time ({first.label}): draw from the seed alone")


def _folds(split: Split, rows: Matrix, seed: int) -> Iterator[HeldOut]:
    """Yield the folds; a split that holds out one thing only may have none."""
    try:
        yield from split.folds(rows, seed)
    except TrainingError:
        return


def _check_sides(held: HeldOut, rows: Matrix) -> None:
    named = {"train": held.train, "test": held.test, "dropped": held.dropped}
    for (one, first), (other, second) in combinations(named.items(), 2):
        both = np.intersect1d(first, second)
        require(not len(both), f"{len(both)} rows are in {one} and in {other} ({held.label})")
    for name, part in named.items():
        require((np.diff(part) > 0).all(), f"the rows of {name} are not in ascending order, each once ({held.label})")
    found = np.sort(np.concatenate(list(named.values())))
    require(
        np.array_equal(found, np.arange(len(rows.y))),
        f"train, test and dropped together hold {len(found)} of {len(rows.y)} rows ({held.label})",
    )
    shared = np.intersect1d(rows.groups[held.train], rows.groups[held.test])
    require(not len(shared), f"{len(shared)} compositions are trained on and tested ({held.label})")
    numbers = set(re.findall(r"[\d,]*\d", held.description))
    for name, part in (("tested", held.test), ("trained on", held.train)):
        require(f"{len(part):,}" in numbers, f"the description does not say that {len(part):,} rows are {name}")
    stated = not len(held.dropped) or "leaves out" in held.description
    require(stated, f"{len(held.dropped):,} rows are dropped, and the description does not say what it leaves out")


def _sets(held: HeldOut) -> tuple[NDArray[np.intp], ...]:
    return held.train, held.test, held.dropped
