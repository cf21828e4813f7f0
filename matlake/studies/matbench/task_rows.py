"""The rows of a task: a file becomes a dataset of the lake, and its rows are known in the file's order."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matlake.encoders.card import InputKind
from matlake.errors import SourceError
from matlake.materials.compositions import CompositionColumns
from matlake.materials.periodic_table import SYMBOLS
from matlake.progress import SILENT, Progress
from matlake.store.importing.importer import import_table
from matlake.store.lake import Lake
from matlake.store.tables import delta
from matlake.studies.matbench.tasks import MatbenchTask


@dataclass(frozen=True)
class TaskRows:
    """The rows of a file that belong to a task, in the file's order.

    Attributes:
        task: The task.
        dataset: The dataset of the lake that holds them.
        target: Column of the target.
        material_id: str [n].
        y: float64 [n], the target in its unit; 0 and 1 of a class.
        valid: bool [n], whether the row is a material: the others are in ``failures``, but count in public folds.
        composition: str [n], hash of the composition; ``""`` where the row is not a material.
        fractions: float32 [n, 118], fractions of the elements; zero where the row is not a material.
    """

    task: MatbenchTask
    dataset: str
    target: str
    material_id: NDArray[np.str_]
    y: NDArray[np.float64]
    valid: NDArray[np.bool_]
    composition: NDArray[np.str_]
    fractions: NDArray[np.float32]

    def __len__(self) -> int:
        """Return n."""
        return len(self.y)

    @property
    def is_complete(self) -> bool:
        """Whether these are the rows of the benchmark, whose public folds can then be made."""
        return self.task.rows == len(self)

    @property
    def where(self) -> str | None:
        """The SQL predicate that selects them."""
        return f'"{self.target}" > 0' if self.task.positive else None


def import_task(lake: Lake, task: MatbenchTask, data: Path, progress: Progress = SILENT) -> TaskRows:
    """Import a file as the dataset named like the task, and read its rows.

    Args:
        lake: Gets the dataset; one of the name is replaced.
        task: What is predicted.
        data: JSON as Matbench has it, Parquet, CSV, or whatever else ``import`` reads.
        progress: Receives the number of rows done.

    Raises:
        SourceError: The file is missing or not of these kinds, has no column of the target, or no crystals where the
            task needs them.
        LakeError: The lake cannot be written.
    """
    progress.note(f"importing {data}")
    import_table(lake, data, task.name, progress=progress)
    table = delta.read_rows(lake.dataset(task.name), verify=lake.verify).sort_by("source_row")
    target = next((name for name in task.columns if name in table.column_names), None)
    if target is None:
        raise SourceError(
            f"{data} has no column {' or '.join(map(repr, task.columns))}, which {task.name} predicts",
            f"its columns: {', '.join(_properties(table))}",
        )
    if task.takes == InputKind.CRYSTAL and "crystal_hash" not in table.column_names:
        raise SourceError(f"{data} has no column of crystal structures, which {task.name} needs", "name another file")
    y = _numbers(table, target, data)
    keep = np.isfinite(y) & ((y > 0) | (not task.positive))
    if not keep.any():
        raise SourceError(f"{target!r} is empty in all rows of {data}", "name another file")
    table, y = table.filter(pa.array(keep)), y[keep]
    materials = table.select(["atomic_numbers", "fractions"])
    return TaskRows(
        task,
        task.name,
        target,
        np.array([name or "" for name in table["material_id"].to_pylist()]),
        y,
        table["import_error"].is_null().to_numpy(),
        np.array([content or "" for content in table["composition_hash"].to_pylist()]),
        _fractions(materials),
    )


def _fractions(table: pa.Table) -> NDArray[np.float32]:
    """Return fractions of the elements, float32 [n, 118]."""
    filled = [pc.if_else(pc.is_null(column), pa.scalar([], column.type), column) for column in table.columns]
    return CompositionColumns.from_arrow(pa.table(filled, table.column_names)).matrix(SYMBOLS)


def _numbers(table: pa.Table, target: str, data: Path) -> NDArray[np.float64]:
    """Return a column as float64 [n], NaN where it is null."""
    column = table[target]
    if not (pa.types.is_boolean(column.type) or pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise SourceError(f"column {target!r} of {data} holds {column.type}, no numbers", "correct the file")
    return column.cast(pa.float64()).to_numpy() if column.null_count == 0 else _with_nan(column)


def _with_nan(column: pa.ChunkedArray) -> NDArray[np.float64]:
    filled: NDArray[np.float64] = pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy()
    return filled


def _properties(table: pa.Table) -> list[str]:
    from matlake.store.importing.rows import CORE_SCHEMA, CRYSTAL_SCHEMA

    return [name for name in table.column_names if name not in {*CORE_SCHEMA.names, *CRYSTAL_SCHEMA.names}]
