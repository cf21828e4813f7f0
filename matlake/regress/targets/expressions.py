"""What is learned, as the user writes it: a property column, or an SQL expression over ``materials``.

A logarithm or a root around all of it is a scale: the property below it is predicted, in its own unit.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from matlake.errors import QueryError, TrainingError
from matlake.materials.units import unit_of
from matlake.regress.targets.transforms import Transform
from matlake.store.pure_reads import check_expression, tree_nodes
from matlake.store.quoting import identifier

_BRACKETS: Final = {"(": ")", "[": "]", "{": "}"}
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9+._-]+")
_LOOKS_LIKE_SQL: Final = re.compile(r"[()+*/<>=-]")
_DIGEST: Final = 6
_LONGEST: Final = 60
_SAME_UNIT: Final = frozenset(("+", "-", "abs", "greatest", "least", "coalesce", "nullif"))
"""Functions and operators whose value has the unit of what they take."""


class Scale(StrEnum):
    """A function of a property on whose scale its errors are stated, too."""

    LOG10 = "log10"
    LOG2 = "log2"
    LN = "ln"
    SQRT = "sqrt"

    @property
    def transform(self) -> Transform:
        """What is learned: a multiple of the function."""
        return Transform.SQRT if self is Scale.SQRT else Transform.LOG

    def of(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the function of values float64 [n] of the property."""
        divisor = {Scale.LOG10: math.log(10.0), Scale.LOG2: math.log(2.0)}.get(self, 1.0)
        return self.transform.forward(values) / divisor

    @staticmethod
    def named(transform: Transform) -> "Scale | None":
        """Return the scale on which errors of a transform are stated unless the user names one; decimal logarithms."""
        return {Transform.LOG: Scale.LOG10, Transform.SQRT: Scale.SQRT}.get(transform)


_SCALES: Final = {**{scale.value: scale for scale in Scale}, "log": Scale.LOG10}
"""DuckDB's ``log`` of one argument is decimal."""


@dataclass(frozen=True)
class Columns:
    """The columns that a target can be made of.

    Attributes:
        kinds: Their types, as DuckDB writes them, by name.
        place: Whose they are, in words.
        hint: What to do where one is not there.
    """

    kinds: Mapping[str, str]
    place: str
    hint: str


@dataclass(frozen=True)
class Target:
    """A property to learn.

    Attributes:
        name: The column, or the text of the expression.
        sql: What selects its value; null where an expression fails.
        selected: The SQL condition under which a row is one of the target's: not null, or an expression that fails.
        unit: Of the property; empty where none is known.
        scale: The function that the user wrote around it; None for none.
        is_column: Whether it is a column.
    """

    name: str
    sql: str
    selected: str
    unit: str
    scale: Scale | None
    is_column: bool

    @property
    def head_name(self) -> str:
        """A name for files: that of the property where that is safe, else its words and a digest."""
        words = _UNSAFE.sub("_", self.name).strip("_.-+")[:_LONGEST]
        if words != self.name:
            words += f"-{hashlib.sha256(self.name.encode()).hexdigest()[:_DIGEST]}"
        return f"{self.scale}_{words}" if self.scale else words.lstrip("-")


def split_targets(text: str) -> list[str]:
    """Return the parts of a text between its commas, those inside of brackets and quotation marks left alone."""
    parts, start, closing, quote = [], 0, [], ""
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in _BRACKETS:
            closing.append(_BRACKETS[sign])
        elif closing and sign == closing[-1]:
            closing.pop()
        elif sign == "," and not closing:
            parts.append(text[start:place])
            start = place + 1
    return [part.strip() for part in (*parts, text[start:])]


def find_targets(
    connection: duckdb.DuckDBPyConnection, given: Sequence[str], columns: Columns, *, scaled: bool = True
) -> list[Target]:
    """Return the targets that texts mean, each of which is a column, an expression, or several of these with commas.

    Args:
        connection: Holds the views of the lake.
        given: What the user wrote.
        columns: What there is.
        scaled: Whether a logarithm or a root around an expression is a scale, not a part of the property.

    Raises:
        TrainingError: One is neither a column nor an expression of one row, or comes twice.
    """
    texts = [one for text in given for one in ([text] if text in columns.kinds else split_targets(text))]
    targets = [find_target(connection, text, columns, scaled=scaled) for text in texts]
    names = [target.name for target in targets]
    for name in names:
        if names.count(name) > 1:
            raise TrainingError(f"the target {name} is named twice", "name each property once")
    return targets


def find_target(connection: duckdb.DuckDBPyConnection, text: str, columns: Columns, *, scaled: bool = True) -> Target:
    """Return the target that one text means; see ``find_targets``."""
    kinds = columns.kinds
    if text in kinds:
        return _column(text, None)
    tree = _tree(connection, text, columns)
    scale = None
    if scaled and (found := _scale(tree)):
        scale, tree = found
        text = _text(connection, tree)
    name = _only_column(tree, kinds)
    if name is not None:
        return _column(name, scale)
    if "\n" in text or "--" in text:
        text = _text(connection, tree)
    value = f"({text})"
    return Target(
        text,
        f"TRY({value})",
        # an expression that fails is neither null nor not
        f"coalesce(NOT TRY({value} IS NULL), true)",
        _unit(tree, kinds),
        scale,
        is_column=False,
    )


def columns_in(connection: duckdb.DuckDBPyConnection, text: str) -> set[str]:
    """Return the columns that an expression is made of, in small letters."""
    nodes = tree_nodes(check_expression(connection, text))
    return {str(node["column_names"][-1]).lower() for node in nodes if node.get("class") == "COLUMN_REF"}


def _column(name: str, scale: Scale | None) -> Target:
    quoted = identifier(name)
    return Target(name, quoted, f"{quoted} IS NOT NULL", unit_of(name), scale, is_column=True)


def _tree(connection: duckdb.DuckDBPyConnection, text: str, columns: Columns) -> dict[str, Any]:
    try:
        tree = check_expression(connection, text)
    except QueryError as error:
        raise TrainingError(f"the target is not one value a row: {error}", error.hint or columns.hint) from error
    except duckdb.Error as error:
        reason = (
            f", and that is not a valid SQL expression: {_first_line(error)}" if _LOOKS_LIKE_SQL.search(text) else ""
        )
        raise TrainingError(f"{columns.place} has no column {text!r}{reason}", columns.hint) from error
    known = {name.lower() for name in columns.kinds}
    for node in tree_nodes(tree):
        if node.get("class") == "COLUMN_REF":
            name = ".".join(node["column_names"])
            if str(node["column_names"][-1]).lower() not in known:
                raise TrainingError(f"{columns.place} has no column {name!r}", columns.hint)
    return tree


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _scale(tree: Mapping[str, Any]) -> tuple[Scale, dict[str, Any]] | None:
    """Return the function around an expression, and what is in it."""
    scale = _SCALES.get(str(tree.get("function_name", "")).lower()) if tree["class"] == "FUNCTION" else None
    within = _arguments(tree)
    return (scale, within[0]) if scale is not None and len(within) == 1 else None


def _arguments(tree: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a function or an operator takes; versions of DuckDB write it in two ways."""
    if "arguments" in tree:
        return [one["expression"] for one in tree["arguments"]]
    found: list[dict[str, Any]] = tree.get("children", [])
    return found


def _only_column(tree: Mapping[str, Any], kinds: Mapping[str, str]) -> str | None:
    """Return the column that an expression is, spelled as in the lake; names know no capitals in SQL."""
    if tree["class"] != "COLUMN_REF":
        return None
    wanted = str(tree["column_names"][-1]).lower()
    return next(name for name in kinds if name.lower() == wanted)


def _text(connection: duckdb.DuckDBPyConnection, tree: Mapping[str, Any]) -> str:
    """Return an expression as DuckDB writes it, on one line."""
    (document,) = connection.execute("SELECT json_serialize_sql('SELECT 1')").fetchall()[0]
    query = json.loads(document)
    query["statements"][0]["node"]["select_list"] = [tree]
    (text,) = connection.execute("SELECT json_deserialize_sql(?::JSON)", [json.dumps(query)]).fetchall()[0]
    written = str(text).removeprefix("SELECT ")
    return written[1:-1] if _is_enclosed(written) else written


def _is_enclosed(text: str) -> bool:
    """Whether the first bracket of a text is closed by its last one."""
    if not (text.startswith("(") and text.endswith(")")):
        return False
    depth, quote = 0, ""
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "()":
            depth += 1 if sign == "(" else -1
            if depth == 0:
                return place == len(text) - 1
    return False


def _unit(tree: Mapping[str, Any], kinds: Mapping[str, str]) -> str:
    """Return the unit of an expression: that of its terms where it is a sum, a difference, or one of several values."""
    if tree["class"] == "COLUMN_REF":
        return unit_of(_only_column(tree, kinds) or "")
    function = str(tree.get("function_name", "")).lower()
    if tree["class"] == "OPERATOR" and tree["type"] == "OPERATOR_COALESCE":
        function = "coalesce"
    units = {_unit(one, kinds) for one in _arguments(tree)} if function in _SAME_UNIT else set()
    return units.pop() if len(units) == 1 else ""
