"""From SQL to the matrix that a regressor is fitted to.

SQL gives keys, target and a row number; vectors stream in as Arrow batches and are written to their rows, because
the order of a join is not stable and a second copy of the vectors would double the memory.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.encoders.base import Encoder
from matlake.encoders.card import InputKind
from matlake.errors import Hint, TrainingError, embed_first
from matlake.materials.compositions import CompositionColumns
from matlake.materials.crystal import CrystalColumns
from matlake.materials.periodic_table import SYMBOLS
from matlake.regress.features.columns import column_kinds, not_numbers, read_columns, read_crystals
from matlake.regress.features.descriptors import describe, open_descriptor
from matlake.regress.features.feature import Feature
from matlake.regress.regressors.labelled_rows import LabelledRows, Weights
from matlake.store.damage import reads_what_is_sound, verify_parts
from matlake.store.embedding.pending import NO_CRYSTAL
from matlake.store.lake import Lake
from matlake.store.pure_reads import check_predicate
from matlake.store.quoting import identifier, literal
from matlake.store.sql import not_a_predicate
from matlake.store.views import CONTENT_KEYS, MATERIAL_COLUMNS, readable_view

MIN_ROWS: Final = 10
BATCH_BYTES: Final = 16 << 20
_MIN_BATCH_ROWS: Final = 2048
_NUMERIC: Final = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(.*\)")
"""Types of numbers as DuckDB writes them."""

_NOT_EMBEDDED: Final = "not embedded"


@dataclass(frozen=True)
class Missing:
    """A selected row that has a target but lacks a feature.

    Attributes:
        dataset: Its dataset.
        material_id: Its id.
        feature: What it lacks.
        reason: ``not embedded``, or why it cannot be.
    """

    dataset: str
    material_id: str
    feature: str
    reason: str


@dataclass(frozen=True)
class Matrix:
    """Rows with features and target, in order of dataset and id.

    Attributes:
        x: float32 [n, d], the features side by side.
        y: float64 [n], the target.
        fractions: float32 [n, 118], fractions of all elements in the same rows.
        dataset: str [n].
        material_id: str [n].
        formula: str [n].
        groups: str [n], hash of the composition: polymorphs are one group.
        missing: Rows left out because a feature is missing.
        sql: The query that selects the rows.
        columns: [n] each, the columns asked for: numbers (NaN where null), times (NaT) or text (None).
        crystals: The n crystals, if asked for; one without atoms where a material has no crystal structure.
        weights: float64 [n], how much each row counts; None where all count alike.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float64]
    fractions: NDArray[np.float32]
    dataset: NDArray[np.str_]
    material_id: NDArray[np.str_]
    formula: NDArray[np.str_]
    groups: NDArray[np.str_]
    missing: tuple[Missing, ...]
    sql: str
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    crystals: CrystalColumns | None = None
    weights: Weights = None

    def labelled(self, rows: NDArray[Any]) -> LabelledRows:
        """Return some of the rows as a fit takes them."""
        return LabelledRows(self.x, self.y, self.groups, self.weights).take(rows)


@reads_what_is_sound
def read_matrix(
    lake: Lake,
    target: str,
    features: tuple[Feature, ...],
    *,
    dataset: str | None = None,
    where: str | None = None,
    columns: tuple[str, ...] = (),
    crystals: bool = False,
) -> Matrix:
    """Read features and target of all materials that have both.

    Args:
        lake: The lake; all is read at one moment of it.
        target: Numeric property column; rows in which it is null are not selected.
        features: Embedded layers and descriptors, concatenated in this order. Descriptors are computed here.
        dataset: Only this dataset.
        where: Only rows of ``materials`` that this SQL predicate selects.
        columns: Columns of ``materials`` that a split needs.
        crystals: A split needs the crystals.

    Raises:
        TrainingError: The target is unknown, not numeric, not finite or constant; a feature is not embedded;
            a column is unknown; fewer than ``MIN_ROWS`` rows.
        QueryError: ``where`` is not a predicate over ``materials``.
        LakeError: The dataset cannot be read.
    """
    if dataset is not None and dataset not in lake.dataset_names():
        raise TrainingError(
            f"there is no dataset {dataset!r}", f"datasets: {', '.join(lake.dataset_names()) or 'none yet'}"
        )
    verify_parts(
        lake, lake.dataset_names() if dataset is None else [dataset], [feature.partition for feature in features]
    )
    with lake.connect() as connection:
        view = None if dataset is None else readable_view(lake, connection, dataset)
        _check_target(connection, target, view)
        sql = _selection_sql(connection, target, dataset, where)
        keys = _select(connection, sql, target, where)
        y = keys["target"].to_numpy().astype(np.float64)
        _check_values(y, keys, target)
        datasets, material_ids = keys["dataset"].to_pylist(), keys["material_id"].to_pylist()
        asked = read_columns(connection, columns, view)
        opened = [open_descriptor(lake, feature) for feature in features]
        described = [one is not None and one.input is InputKind.CRYSTAL for one in opened]
        cells = read_crystals(connection) if crystals or any(described) else None
        compositions = connection.sql(
            "SELECT c.atomic_numbers, c.fractions FROM selection AS s JOIN internal.compositions AS c "
            "USING (dataset, material_id) ORDER BY s.row"
        ).to_arrow_table()
        x = np.empty((len(y), sum(feature.dim for feature in features)), dtype=np.float32)
        kept = np.ones(len(y), dtype=bool)
        missing: list[Missing] = []
        start = 0
        for feature, descriptor in zip(features, opened, strict=True):
            vectors = x[:, start : start + feature.dim]
            start += feature.dim
            if descriptor is None:
                reasons = _read_vectors(connection, feature, keys, vectors)
            elif feature.input is InputKind.CRYSTAL and cells is not None:
                reasons = _read_or_describe(connection, descriptor, feature, keys, cells, vectors)
            else:
                reasons = describe(descriptor, feature.layer, CompositionColumns.from_arrow(compositions), vectors)
            for row, reason in enumerate(reasons):
                if reason is not None:
                    kept[row] = False
                    missing.append(Missing(datasets[row], material_ids[row], feature.feature, reason))
    if not kept.all():
        rows = np.flatnonzero(kept)
        x, y, keys, compositions = x[rows], y[rows], keys.take(rows), compositions.take(rows)
        asked = {name: values[rows] for name, values in asked.items()}
        cells = cells.take(rows) if cells is not None else None
    _check_enough(y, target, missing)
    text = {name: keys[name].to_numpy().astype(np.str_) for name in ("dataset", "material_id", "formula")}
    return Matrix(
        x=x,
        y=y,
        fractions=CompositionColumns.from_arrow(compositions).matrix(SYMBOLS),
        groups=keys["composition_hash"].to_numpy().astype(np.str_),
        missing=tuple(missing),
        sql=sql,
        columns=asked,
        crystals=cells if crystals else None,
        **text,
    )


@reads_what_is_sound
def numeric_columns(lake: Lake) -> list[str]:
    """Return the property columns of ``materials`` that hold numbers."""
    with lake.connect() as connection:
        return _properties(column_kinds(connection))


def _properties(kinds: dict[str, str]) -> list[str]:
    return [name for name, kind in kinds.items() if name not in MATERIAL_COLUMNS and _NUMERIC.fullmatch(kind)]


def _check_target(connection: duckdb.DuckDBPyConnection, target: str, dataset: str | None) -> None:
    kinds = column_kinds(connection, dataset)
    hint = f"property columns: {', '.join(_properties(kinds)) or 'none: import a table with columns of numbers'}"
    if target not in kinds:
        raise TrainingError(f"{f'dataset {dataset}' if dataset else 'the lake'} has no column {target!r}", hint)
    if not _NUMERIC.fullmatch(kinds[target]):
        raise TrainingError(not_numbers(connection, target, kinds[target], dataset), hint)


def _selection_sql(connection: duckdb.DuckDBPyConnection, target: str, dataset: str | None, where: str | None) -> str:
    conditions = [f"{identifier(target)} IS NOT NULL"]
    if dataset is not None:
        conditions.append(f"dataset = {literal(dataset)}")
    if where is not None:
        conditions.append(f"({where}\n)")
    sql = (
        f"SELECT dataset, material_id, formula, {identifier(target)} FROM materials "
        f"WHERE {' AND '.join(conditions)} ORDER BY dataset, material_id"
    )
    try:
        check_predicate(connection, where)
    except duckdb.Error as error:
        raise not_a_predicate(where, error) from error
    return sql


def _select(connection: duckdb.DuckDBPyConnection, sql: str, target: str, where: str | None) -> pa.Table:
    """Number the selected rows in the temporary table ``selection`` and return it in order."""
    try:
        connection.execute(
            "CREATE TEMP TABLE selection AS SELECT row_number() OVER (ORDER BY s.dataset, s.material_id) - 1 AS row, "
            f"s.dataset, s.material_id, s.formula, s.{identifier(target)}::DOUBLE AS target, "
            f"{', '.join(f'c.{key}' for key in CONTENT_KEYS.values())} "
            f"FROM ({sql}) AS s JOIN internal.compositions AS c USING (dataset, material_id)"
        )
    except duckdb.Error as error:
        raise not_a_predicate(where, error) from error
    return connection.sql("SELECT * FROM selection ORDER BY row").to_arrow_table()


def _check_values(y: NDArray[np.float64], keys: pa.Table, target: str) -> None:
    bad = np.flatnonzero(~np.isfinite(y))
    if len(bad):
        first = keys.slice(int(bad[0]), 1).to_pylist()[0]
        raise TrainingError(
            f"{target} is not finite in {len(bad):,} rows, first in {first['material_id']} of {first['dataset']}",
            Hint(
                f"leave them out: where='isfinite({identifier(target)})'",
                cli=f"leave them out: --where 'isfinite({identifier(target)})'",
            ),
        )


def _check_enough(y: NDArray[np.float64], target: str, missing: list[Missing]) -> None:
    if len(y) < MIN_ROWS:
        reasons = Counter({(row.dataset, row.material_id): row.reason for row in missing}.values())
        others = ", ".join(f"{count:,} more: {reason}" for reason, count in reasons.items())
        raise TrainingError(
            f"only {len(y)} rows have {target} and all features{f' ({others})' if others else ''}; "
            f"at least {MIN_ROWS} are needed",
            "check the dataset or predicate, and embed rows that are not embedded yet",
        )
    if y.min() == y.max():
        raise TrainingError(
            f"{target} is {y[0]:g} in all {len(y):,} rows: nothing to learn", "select rows in which it varies"
        )


def _read_or_describe(
    connection: duckdb.DuckDBPyConnection,
    descriptor: Encoder,
    feature: Feature,
    keys: pa.Table,
    crystals: CrystalColumns,
    vectors: NDArray[np.float32],
) -> list[str | None]:
    """Read a descriptor of crystals where it is embedded, which is faster, and compute the rest; see ``describe``."""
    _check_crystals(keys, feature)
    reasons: list[str | None] = [_NOT_EMBEDDED] * len(keys)
    if _is_embedded(connection, feature):
        reasons = _read_vectors(connection, feature, keys, vectors)
    rows = np.flatnonzero([reason is not None for reason in reasons])
    computed = np.empty((len(rows), feature.dim), dtype=np.float32)
    for row, reason in zip(rows, describe(descriptor, feature.layer, crystals.take(rows), computed), strict=True):
        reasons[row] = reason
    vectors[rows] = computed
    return reasons


def _check_crystals(keys: pa.Table, feature: Feature) -> None:
    key = CONTENT_KEYS[feature.input]
    if len(keys) and keys[key].null_count == len(keys):
        raise TrainingError(
            f"none of the {len(keys):,} rows has a crystal structure, which {feature.feature} needs",
            "import structures, or name features of compositions",
        )


def _is_embedded(connection: duckdb.DuckDBPyConnection, feature: Feature) -> bool:
    views = "SELECT count(*) FROM duckdb_views() WHERE schema_name = 'embed' AND view_name = ?"
    return bool(connection.execute(views, [feature.feature]).fetchall()[0][0])


def _read_vectors(
    connection: duckdb.DuckDBPyConnection, feature: Feature, keys: pa.Table, x: NDArray[np.float32]
) -> list[str | None]:
    """Write a feature's vectors into the columns ``x`` [n, d] and return why a row has none, or None where it has.

    Vectors stream past in the order of the files and are placed by content hash here: a join in DuckDB copies every
    vector once more.
    """
    key = CONTENT_KEYS[feature.input]
    _check_crystals(keys, feature)
    if not _is_embedded(connection, feature):
        raise TrainingError(f"nothing is embedded with {feature.feature}", embed_first(feature.feature))
    if not len(x):
        return []
    found = np.zeros(len(x), dtype=bool)
    vectors = f"internal.{identifier(feature.feature)}"
    (stored,) = connection.execute(f"SELECT count(*) FROM {vectors}").fetchall()[0]
    some = f"SEMI JOIN selection AS s ON s.{key} = e.content_hash" if 2 * len(x) < stored else ""
    reader: Any = connection.sql(f"SELECT e.content_hash, e.vector FROM {vectors} AS e {some}").to_arrow_reader(
        max(_MIN_BATCH_ROWS, BATCH_BYTES // (4 * feature.dim))
    )
    hashes = keys[key].to_pylist()
    wanted = np.array([content or "" for content in hashes], dtype=np.bytes_)
    order = np.argsort(wanted, kind="stable")
    wanted = wanted[order]
    for batch in reader:
        given = np.array(batch.column(0).to_pylist(), dtype=np.bytes_)
        places = np.minimum(np.searchsorted(wanted, given), len(wanted) - 1)
        hit = np.flatnonzero(wanted[places] == given)
        rows = order[places[hit]]
        block = batch.column(1).flatten().to_numpy().reshape(-1, feature.dim)
        x[rows] = block if len(hit) == len(given) else block[hit]
        found[rows] = True
    first = order[np.searchsorted(wanted, wanted)]  # equal contents share the vector of the first
    repeated = first != order
    x[order[repeated]] = x[first[repeated]]
    found[order[repeated]] = found[first[repeated]]
    return [
        None if one else NO_CRYSTAL if content is None else _NOT_EMBEDDED
        for one, content in zip(found.tolist(), hashes, strict=True)
    ]
