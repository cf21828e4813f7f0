"""By what rows of datasets are joined to vectors, failures and predictions."""

from typing import Final

from matlake.encoders.card import InputKind

CONTENT_KEYS: Final = {InputKind.COMPOSITION: "composition_hash", InputKind.CRYSTAL: "crystal_hash"}
"""What an encoder sees of a material, by the encoder's kind of input; null where there is nothing to see."""


def row_key(kind: InputKind, dataset: str, rows: str = "") -> str:
    """Return the expression over rows that the keys of failures and predictions are compared with.

    It is the content; or the row itself where it has none, as one without a crystal has for an encoder of crystals.

    Args:
        kind: What an encoder, or the features of a head, see.
        dataset: Name of the rows' dataset, as an SQL expression.
        rows: Alias of the rows, with a dot; none by default.
    """
    key = f"{rows}{CONTENT_KEYS[kind]}"
    return key if kind is InputKind.COMPOSITION else f"coalesce({key}, {dataset} || '/' || {rows}material_id)"
