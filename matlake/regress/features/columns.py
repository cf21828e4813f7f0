"""What is read of the selected rows besides layers and target: columns and crystals.

They are read for the temporary table ``selection`` of ``matrix.read_matrix``.
"""

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.materials.compositions import CompositionColumns
from matlake.materials.crystal import CrystalColumns
from matlake.store.column_names import GEOMETRY_COLUMNS, MATERIAL_COLUMNS
from matlake.store.quoting import dataset_rows, identifier, literal

if TYPE_CHECKING:
    import duckdb

_ALL: Final = "materials"
_SHOWN: Final = 40
_NESTED: Final = ("[", "STRUCT", "MAP", "UNION")
BOOLEAN: Final = "BOOLEAN"
_NUMERIC: Final = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(.*\)")
"""Types of numbers as DuckDB writes them."""


def is_number(kind: str) -> bool:
    """Return whether a type, as DuckDB writes it, is one of numbers."""
    return _NUMERIC.fullmatch(kind) is not None


def is_numeric(kind: str) -> bool:
    """Return whether a type, as DuckDB writes it, is one of numbers, or true and false."""
    return kind == BOOLEAN or is_number(kind)


def column_kinds(connection: "duckdb.DuckDBPyConnection", dataset: str | None = None) -> dict[str, str]:
    """Return the types of the columns of ``materials``, or of a dataset's own view, as DuckDB writes them."""
    view = f"(DESCRIBE main.{identifier(dataset or _ALL)})"
    return dict(connection.execute(f"SELECT column_name, column_type FROM {view}").fetchall())


def not_numbers(connection: "duckdb.DuckDBPyConnection", name: str, kind: str, dataset: str | None) -> str:
    """Return why a column cannot be a target: its type and, for text, how many of its values are not numbers.

    Args:
        connection: Holds the views of the lake.
        name: The column.
        kind: Its type as DuckDB writes it.
        dataset: The dataset whose column it is; None for ``materials``.
    """
    said = f"column {name!r} holds {kind}, not numbers" + (f", in dataset {dataset}" if dataset else "")
    if kind != "VARCHAR":
        return said
    column = identifier(name)
    values, texts, example = connection.execute(
        f"SELECT count({column}), count({column}) FILTER (number IS NULL), first({column}) FILTER (number IS NULL) "
        f"FROM (SELECT {column}, TRY_CAST({column} AS DOUBLE) AS number FROM main.{identifier(dataset or _ALL)})"
    ).fetchall()[0]
    if not texts or texts == values:
        return said
    return f"{said}: {texts:,} of its {values:,} values are text, such as {example[:_SHOWN]!r}"


def read_columns(
    connection: "duckdb.DuckDBPyConnection", names: tuple[str, ...], dataset: str | None = None
) -> dict[str, NDArray[Any]]:
    """Read columns for the selected rows, in their order.

    Args:
        connection: Holds the table ``selection``.
        names: Columns of numbers, text, or times.
        dataset: The dataset that all rows are of: its own columns are read. None for those of ``materials``.

    Returns:
        Name -> [n]: numbers as they are, or float64 with NaN where some are null; datetime64 with NaT; or objects
        with None.

    Raises:
        TrainingError: The lake has no such column, or it holds lists or records.
    """
    kinds = column_kinds(connection, dataset)
    known = [name for name in kinds if name not in MATERIAL_COLUMNS]
    for name in names:
        if name not in kinds:
            there = f"dataset {dataset}" if dataset else "the lake"
            raise TrainingError(f"{there} has no column {name!r}", f"columns: {', '.join(known) or 'none'}")
        if any(mark in kinds[name] for mark in _NESTED):
            raise TrainingError(f"column {name!r} holds {kinds[name]}, not numbers, text or times")
    found: dict[str, NDArray[Any]] = {}
    for name in names:
        column = connection.sql(
            f"SELECT m.{identifier(name)} AS value FROM selection AS s "
            f"JOIN main.{identifier(dataset or _ALL)} AS m USING (dataset, material_id) ORDER BY s.row"
        ).to_arrow_table()["value"]
        found[name] = (column.cast(pa.float64()) if pa.types.is_decimal(column.type) else column).to_numpy()
    return found


def read_compositions(connection: "duckdb.DuckDBPyConnection") -> CompositionColumns:
    """Read the compositions of the selected rows, in their order.

    Args:
        connection: Holds the table ``selection``.
    """
    return CompositionColumns.from_arrow(
        connection.sql(
            "SELECT c.atomic_numbers, c.fractions FROM selection AS s JOIN internal.compositions AS c "
            "USING (dataset, material_id) ORDER BY s.row"
        ).to_arrow_table()
    )


def read_crystals(connection: "duckdb.DuckDBPyConnection") -> CrystalColumns:
    """Read the crystals of the selected rows, in their order.

    Args:
        connection: Holds the table ``selection``.

    Returns:
        n crystals; one without atoms where a material has no crystal structure.
    """
    (count,) = connection.execute("SELECT count(*) FROM selection").fetchall()[0]
    datasets = [name for (name,) in connection.execute("SELECT DISTINCT dataset FROM selection").fetchall()]
    geometry = " UNION ALL ".join(
        f"SELECT {literal(name)} AS dataset, material_id, {', '.join(GEOMETRY_COLUMNS)} "
        f"FROM {dataset_rows(name)} WHERE import_error IS NULL AND crystal_hash IS NOT NULL"
        for name in sorted(datasets)
    )
    if not datasets:
        return CrystalColumns.of([])
    table = connection.sql(
        f"SELECT s.row, {', '.join(f'g.{name}' for name in GEOMETRY_COLUMNS)} FROM selection AS s "
        f"JOIN ({geometry}) AS g USING (dataset, material_id) ORDER BY s.row"
    ).to_arrow_table()
    sizes, lattices = np.zeros(count, dtype=np.int64), np.zeros((count, 3, 3))
    present, rows = CrystalColumns.from_arrow(table), table["row"].to_numpy()
    sizes[rows], lattices[rows] = present.sizes, present.lattices
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return CrystalColumns(offsets, present.numbers, lattices, present.positions)
