"""Materials of the lake that may be measured next: not measured yet, and with the features that a head needs."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.encoders.card import InputKind
from matlake.errors import MatlakeError
from matlake.materials.formula import parse_formula
from matlake.regress.features.feature import columns_of
from matlake.regress.features.own_columns import feature_name
from matlake.regress.heads.storage import Head
from matlake.regress.prediction.stored_rows import CHOSEN, Block, StoredRows, content_key
from matlake.regress.suggesting.acquisition import Float
from matlake.store.content_keys import column_number, row_key
from matlake.store.lake import Lake
from matlake.store.quoting import identifier, literal

_CANDIDATES: Final = "candidates"
_UNPREDICTED: Final = "unpredicted"
_FINALISTS: Final = "finalists"
_MEASURED: Final = "measured"
_KEY: Final = "measured_key"
_NUMBERS: Final = ("value", "lower", "upper", "expected_error", "ood_score")


@dataclass(frozen=True)
class Measured:
    """What is known already.

    Attributes:
        values: float64 [m], measured values in the head's unit.
        keys: Of what was measured: hashes of compositions, with the values of the head's columns.
        columns: Those columns; none where the rows are not found.
        found: Whether the rows that the head was trained on are in this lake. Otherwise these are the rows that the
            head keeps of them.
    """

    values: Float
    keys: pa.Array
    columns: tuple[str, ...]
    found: bool

    def key_of(self, rows: str) -> str:
        """Return the expression over rows of ``CHOSEN``, of alias and dot ``rows``, that ``keys`` compare with."""
        numbers = [f"{rows}{identifier(feature_name(column))}" for column in self.columns]
        return row_key(InputKind.COMPOSITION, "", rows, numbers)


@dataclass(frozen=True)
class Candidates:
    """n materials with predictions, one for each content.

    Attributes:
        rows: int64 [n], rows of the table of candidates.
        numbers: float64 [n] each: ``value``, ``lower``, ``upper``, ``expected_error``, ``ood_score``; NaN where a head
            has none.
        from_saved: How many of the predictions were saved before.
        measured: Selected rows left out because their composition was measured.
        lacking: Candidates left out because they lack a feature.
    """

    rows: NDArray[np.int64]
    numbers: dict[str, Float]
    from_saved: int
    measured: int
    lacking: int


def read_measured(lake: Lake, head: Head) -> Measured:
    """Return the rows that a head was trained and tested on, as the lake holds them, and those that the head keeps."""
    card, reference = head.card, head.reference
    values = [] if reference is None else [reference.value]
    formulas = [] if reference is None else np.unique(reference.formula).tolist()
    hashes = [pa.array([parse_formula(formula).content_hash for formula in formulas], pa.string())]
    columns = columns_of(card.features)
    key = row_key(InputKind.COMPOSITION, "", "c.", [column_number(column, "m.") for column in columns])
    beside = "JOIN materials AS m USING (dataset, material_id)" if columns else ""
    try:
        labelled = lake.query(
            f"SELECT {key} AS {_KEY}, r.{identifier(card.target)} AS value FROM ({card.training.sql}) AS r "
            f"JOIN internal.compositions AS c USING (dataset, material_id) {beside}"
        )
    except MatlakeError:
        labelled = None
    found = labelled is not None and labelled.num_rows > 0
    if labelled is not None and found:
        values = [labelled["value"].to_numpy().astype(np.float64)]
        # at which temperature the rows that the head keeps were measured is known from the lake alone
        hashes = [*([] if columns else hashes), *labelled[_KEY].chunks]
    return Measured(
        np.concatenate(values) if values else np.empty(0), pa.concat_arrays(hashes), columns if found else (), found
    )


def read_candidates(rows: StoredRows, digest: str, measured: Measured) -> Candidates:
    """Predict the selected materials that were not measured; what is saved of the head as it is now is not predicted.

    Args:
        rows: The selected rows, and the head.
        digest: Of the head.
        measured: What is known already.
    """
    connection = rows.connection
    connection.register("known", pa.table({_KEY: measured.keys}))
    connection.execute(f"CREATE TEMP TABLE {_MEASURED} AS SELECT DISTINCT {_KEY} FROM known")
    known = f"(SELECT *, {measured.key_of('c.')} AS {_KEY} FROM {CHOSEN} AS c)"
    connection.unregister("known")
    connection.execute(
        f"CREATE TEMP TABLE {_CANDIDATES} AS SELECT row_number() OVER (ORDER BY s.row) - 1 AS row, s.* EXCLUDE (row) "
        f"FROM (SELECT min(t.row) AS row FROM {known} AS t ANTI JOIN {_MEASURED} USING ({_KEY}) "
        f"GROUP BY {content_key(rows.head, 't.')}) JOIN {CHOSEN} AS s USING (row)"
    )
    saved = connection.sql(
        f"SELECT s.row, {', '.join(f'p.{name}' for name in _NUMBERS)} FROM {_CANDIDATES} AS s "
        "JOIN internal.predictions AS p USING (dataset, material_id) "
        f"WHERE p.head_digest = {literal(digest)} ORDER BY s.row"
    ).to_arrow_table()
    connection.register("saved_now", saved)
    connection.execute(
        f"CREATE TEMP TABLE {_UNPREDICTED} AS SELECT row_number() OVER (ORDER BY s.row) - 1 AS row, "
        f"s.* EXCLUDE (row), s.row AS place FROM {_CANDIDATES} AS s ANTI JOIN saved_now USING (row)"
    )
    connection.unregister("saved_now")
    found = [_from_saved(saved), *(_from_block(block) for block in rows.blocks(_UNPREDICTED))]
    places = np.concatenate([own for own, _ in found])
    numbers = {name: np.concatenate([columns[name] for _, columns in found]) for name in _NUMBERS}
    ((count,),) = connection.execute(f"SELECT count(*) FROM {known} SEMI JOIN {_MEASURED} USING ({_KEY})").fetchall()
    return Candidates(places, numbers, saved.num_rows, int(count), rows.count(_CANDIDATES) - len(places))


def predict_finalists(rows: StoredRows, places: NDArray[np.int64]) -> list[Block]:
    """Predict some of the candidates from their features, which tells where they lie and what is near them.

    Args:
        rows: As of ``read_candidates``, which was called before.
        places: int64 [m], of ``Candidates.rows``.

    Returns:
        Blocks of the m rows, in order of ``places``.
    """
    wanted = pa.table({"place": places, "row": np.arange(len(places))})
    rows.connection.register("wanted", wanted)
    rows.connection.execute(
        f"CREATE TEMP TABLE {_FINALISTS} AS SELECT w.row, s.* EXCLUDE (row) FROM wanted AS w "
        f"JOIN {_CANDIDATES} AS s ON s.row = w.place"
    )
    rows.connection.unregister("wanted")
    return list(rows.blocks(_FINALISTS))


def _from_saved(saved: pa.Table) -> tuple[NDArray[np.int64], dict[str, Float]]:
    numbers = {name: saved[name].to_numpy().astype(np.float64) for name in _NUMBERS}
    return saved["row"].to_numpy().astype(np.int64), numbers


def _from_block(block: Block) -> tuple[NDArray[np.int64], dict[str, Float]]:
    (predicted,) = block.predicted
    there = np.flatnonzero([reason is None for reason in predicted.reasons])
    columns = {
        "value": predicted.values,
        "lower": predicted.lower,
        "upper": predicted.upper,
        "expected_error": predicted.expected_errors,
        "ood_score": predicted.ood_scores,
    }
    places = block.materials["place"].to_numpy().astype(np.int64)
    return places[there], {name: column[there] for name, column in columns.items()}
