"""Files whose columns state their types: Parquet, Feather and Arrow's own, and the folders of Delta tables."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from matlake.errors import LakeError, SourceError
from matlake.store.importing.readers.arrow_table import BATCH_ROWS, ArrowTable, open_arrow_table
from matlake.store.importing.readers.source import KeyColumns
from matlake.store.importing.readers.streams import Allowance

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

PARQUET: Final = (".parquet", ".pq")
IPC: Final = (".feather", ".arrow", ".ipc")

_IPC_FILE: Final = b"ARROW1"
_FEATHER_1: Final = b"FEA1"


def open_parquet_table(path: Path, named: KeyColumns) -> ArrowTable:
    """Look at a Parquet file: names and types of its columns.

    Args:
        path: The file.
        named: Columns of formulas or ids, besides those by usual names.

    Raises:
        SourceError: It has too many columns, or two that may hold the formulas.
    """
    with pq.ParquetFile(path) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
    return open_arrow_table(str(path), schema, rows, partial(_parquet_batches, path), named)


def open_ipc_table(path: Path, named: KeyColumns) -> ArrowTable:
    """Look at a file of Arrow, also called Feather, or at a stream of it in a file.

    Args:
        path: The file.
        named: As in ``open_parquet_table``.

    Raises:
        SourceError: As there; or it is of Feather's first version, or expands to more than tables do.
    """
    with path.open("rb") as file:
        start = file.read(len(_IPC_FILE))
    if start.startswith(_FEATHER_1):
        raise SourceError(f"{path} is of Feather's first version", "write it again, as Feather 2 or Parquet")
    in_blocks = start == _IPC_FILE
    with pa.OSFile(str(path)) as source, _reader(source, in_blocks=in_blocks) as reader:
        schema = reader.schema
    rows = sum(batch.num_rows for batch in _ipc_batches(path, in_blocks=in_blocks))
    return open_arrow_table(str(path), schema, rows, partial(_ipc_batches, path, in_blocks=in_blocks), named)


def is_delta(path: Path) -> bool:
    """Tell whether a folder is a Delta table."""
    return (path / "_delta_log").is_dir()


def open_delta_table(path: Path, named: KeyColumns) -> ArrowTable:
    """Look at the latest version of a Delta table, such as those that the Materials Project publishes.

    Args:
        path: Its folder.
        named: As in ``open_parquet_table``.

    Raises:
        SourceError: As there; or its log cannot be read, or rows are marked as deleted in it.
    """
    from matlake.store.tables import delta
    from matlake.store.tables.commit_outcomes import first_line

    try:
        table = delta.open_table(path)
        dataset = None if table is None else table.to_pyarrow_dataset()
    except LakeError as error:
        raise SourceError(str(error), _delta_hint(error)) from error
    except Exception as error:
        raise SourceError(f"cannot read the Delta table at {path}: {first_line(error)}") from error
    if dataset is None:
        raise SourceError(f"{path} holds no version of a Delta table")
    return open_arrow_table(str(path), dataset.schema, dataset.count_rows(), partial(_dataset_batches, dataset), named)


def _delta_hint(error: LakeError) -> str:
    from matlake.errors import REPAIR

    return "download it again" if error.hint == REPAIR else error.hint


def _parquet_batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=BATCH_ROWS)


def _dataset_batches(dataset: "Dataset") -> Iterator[pa.RecordBatch]:
    for batch in dataset.to_batches(batch_size=BATCH_ROWS, batch_readahead=1, fragment_readahead=1, use_threads=False):
        if batch.num_rows:
            yield batch


def _reader(source: pa.NativeFile, *, in_blocks: bool) -> pa.RecordBatchFileReader | pa.RecordBatchStreamReader:
    return pa.ipc.open_file(source) if in_blocks else pa.ipc.open_stream(source)


def _ipc_batches(path: Path, *, in_blocks: bool) -> Iterator[pa.RecordBatch]:
    allowance = Allowance(path)
    with pa.OSFile(str(path)) as source, _reader(source, in_blocks=in_blocks) as reader:
        found = (reader.get_batch(n) for n in range(reader.num_record_batches)) if in_blocks else reader
        for batch in found:
            allowance.spend(batch.nbytes)
            for start in range(0, batch.num_rows, BATCH_ROWS):
                yield batch.slice(start, BATCH_ROWS)
