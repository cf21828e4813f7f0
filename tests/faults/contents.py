"""What a lake holds, as its users see it, and how two lakes compare."""

import json
import warnings
from dataclasses import dataclass, field
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

import matlake
from matlake.documents import opened
from matlake.errors import DamageWarning, LakeError
from matlake.regress.heads.storage import check_head
from matlake.store.storage.places import LakePath

Rows = dict[str, list[NDArray[np.float64]]]
"""The numbers of rows by all that is not a number in them."""

GROWING = ("embeddings", "failures", "predictions")
"""Views that grow commit by commit; datasets and heads change as a whole."""

_LASTING = ("name", "target", "unit", "features", "model", "evaluation", "calibration", "recalibration", "members")
"""Entries of a card that do not differ from training to training."""


@dataclass
class Contents:
    """What a lake holds.

    Attributes:
        tables: The rows of each dataset and of the views that they share.
        heads: What each head's card says, but for times.
    """

    tables: dict[str, Rows] = field(default_factory=dict)
    heads: dict[str, Rows] = field(default_factory=dict)


def contents_of(lake: LakePath, **settings: Any) -> Contents:
    """Read a lake whole; nothing where none is. A warning of damage is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DamageWarning)
        return _read(lake, **settings)


def _read(path: LakePath, **settings: Any) -> Contents:
    try:
        lake = matlake.open_lake(path, **settings)
    except LakeError as error:
        if "there is no lake" in str(error):
            return Contents()
        raise
    found = Contents()
    with lake.connect() as connection:
        for name in lake.dataset_names():
            found.tables[f"dataset {name}"] = _rows(connection, f'main."{name}"')
        views = {name for (name,) in connection.execute("SELECT view_name FROM duckdb_views()").fetchall()}
        for view in GROWING:
            found.tables[view] = _rows(connection, view) if view in views else {}
    repeated = [key for key, several in found.tables["embeddings"].items() if len(several) > 1]
    assert not repeated, f"embedded more than once: {repeated[:3]}"
    for name in lake.head_names():
        check_head(lake, name)
        folder = lake.head_folder(name)
        assert folder is not None
        card = opened(json.loads((folder / "card.json").read_bytes()))
        found.heads[name] = _split([{key: card[key] for key in _LASTING if key in card}])
    return found


def _rows(connection: duckdb.DuckDBPyConnection, view: str) -> Rows:
    return _split(connection.sql(f"FROM {view}").to_arrow_table().to_pylist())


def _split(rows: list[Any]) -> Rows:
    found: Rows = {}
    for row in rows:
        numbers: list[float] = []
        text = json.dumps(_texts(row, numbers), default=str, sort_keys=True)
        found.setdefault(text, []).append(np.array(numbers))
    return {text: sorted(several, key=lambda numbers: numbers.tolist()) for text, several in found.items()}


def _texts(value: Any, numbers: list[float]) -> Any:
    """Return a value with its fractional numbers moved to ``numbers``."""
    if isinstance(value, float):
        numbers.append(value)
        return "number"
    if isinstance(value, dict):
        return {key: _texts(value[key], numbers) for key in sorted(value) if key != "created"}
    return [_texts(one, numbers) for one in value] if isinstance(value, list) else value


def within(some: Rows, *others: Rows) -> bool:
    """Say whether rows are all among those of one or several others."""
    return all(
        any(_close(row, other) for rows in others for other in rows.get(key, []))
        for key, several in some.items()
        for row in several
    )


def same(one: Rows, other: Rows) -> bool:
    """Say whether rows are the same, up to rounding in batches of another size."""
    counts = [{key: len(several) for key, several in rows.items()} for rows in (one, other)]
    return counts[0] == counts[1] and within(one, other) and within(other, one)


def _close(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-4, atol=1e-4, equal_nan=True)


def differences(one: Contents, other: Contents) -> list[str]:
    """Name what differs between two lakes."""
    found = []
    for kind in ("tables", "heads"):
        left, right = getattr(one, kind), getattr(other, kind)
        found += [f"{kind}: {name} on one side only" for name in left.keys() ^ right.keys()]
        found += [
            f"{name}: {_count(left[name])} rows against {_count(right[name])}"
            for name in left.keys() & right.keys()
            if not same(left[name], right[name])
        ]
    return sorted(found)


def half_done(found: Contents, before: Contents, after: Contents) -> list[str]:
    """Name what a reader must not see after a fault: neither what was, nor what was to be, nor whole commits of it."""
    wrong = []
    for kind in ("tables", "heads"):
        some, old, new = (getattr(contents, kind) for contents in (found, before, after))
        for name in sorted(some.keys() | old.keys()):
            if kind == "tables" and name in GROWING:
                continue
            states = [state.get(name) for state in (some, old, new)]
            if not any(_alike(states[0], state) for state in states[1:]):
                wrong.append(f"{name} is neither what it was nor what it was to be")
    for view in GROWING:
        some, old, new = (contents.tables.get(view, {}) for contents in (found, before, after))
        if not within(some, old, new):
            wrong.append(f"{view} holds rows that a clean run does not make")
        lasting = {key: [row for row in rows if within({key: [row]}, new)] for key, rows in old.items()}
        if not within(lasting, some):
            wrong.append(f"{view} lacks rows that were there before")
    return wrong


def _alike(one: Rows | None, other: Rows | None) -> bool:
    return one is other if one is None or other is None else same(one, other)


def _count(rows: Rows) -> int:
    return sum(map(len, rows.values()))
