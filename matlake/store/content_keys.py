"""By what rows of datasets are joined to vectors, failures and predictions."""

from collections.abc import Iterable, Sequence
from typing import Final

from matlake.encoders.card import InputKind
from matlake.store.quoting import identifier

STORED_KEYS: Final = {InputKind.COMPOSITION: "composition_hash", InputKind.CRYSTAL: "crystal_hash"}
"""What an encoder sees of a material, by the encoder's kind of input; null where there is nothing to see.

Datasets store them.
"""

CONTENT_KEYS: Final = {**STORED_KEYS, InputKind.EXTERNAL: "row_hash"}
"""The same with what the vectors of external encoders belong to, which the views compute; see ``ROW_HASH``."""

KEY_SEPARATOR: Final = "\x1f"
"""Stands between the content and the values of columns in a key; neither hashes nor ids contain it."""

ROW_HASH: Final = (
    f"left(sha256(coalesce(crystal_hash, composition_hash) || chr({ord(KEY_SEPARATOR)}) || material_id), 32)"
)
"""The expression over rows of a dataset that vectors of external encoders are keyed by: its content and its id.

Two rows of equal content have vectors of their own; a changed crystal loses its vector; a dataset that is renamed,
imported again or copied in part keeps them. It has 32 digits, as a content hash has.
"""


def key_columns(kinds: Iterable[InputKind]) -> list[str]:
    """Return the keys of rows that encoders of some kinds need: those that are stored, and what must be computed."""
    return [*STORED_KEYS.values(), *([CONTENT_KEYS[InputKind.EXTERNAL]] if InputKind.EXTERNAL in set(kinds) else [])]


def row_key(kind: InputKind, dataset: str, rows: str = "", numbers: Sequence[str] = ()) -> str:
    """Return the expression over rows that the keys of failures and predictions are compared with.

    It is the content; or the row itself where it has none, as one without a crystal has for an encoder of crystals.
    Values of columns that a head takes beside its encoders follow: another temperature is another input.

    Args:
        kind: What an encoder, or the features of a head, see.
        dataset: Name of the rows' dataset, as an SQL expression.
        rows: Alias of the rows, with a dot; none by default.
        numbers: Expressions of the columns' values, of type DOUBLE.
    """
    key = f"{rows}{CONTENT_KEYS[kind]}"
    if kind is InputKind.CRYSTAL:
        key = f"coalesce({key}, {dataset} || '/' || {rows}material_id)"
    values = [f"coalesce({number}::VARCHAR, 'null')" for number in numbers]
    return f" || chr({ord(KEY_SEPARATOR)}) || ".join([key, *values])


def column_number(column: str, rows: str = "") -> str:
    """Return the expression of a column's value as DOUBLE: null where it is neither a number nor true or false.

    Args:
        column: Its name.
        rows: Alias of the rows, with a dot; none by default.
    """
    return f"TRY_CAST({rows}{identifier(column)} AS DOUBLE)"
