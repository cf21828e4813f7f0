"""Parquet parts on their way into a Delta table: written, on disk, and not yet named by a commit."""

import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from matlake.errors import REPAIR, LakeError
from matlake.files import fsync_file, naming
from matlake.platforms import rename, sync
from matlake.store.storage.conditional_puts import require_conditional_puts
from matlake.store.storage.places import LakePath, fsync_names
from matlake.store.storage.remote_path import RemotePath
from matlake.store.tables.parts import LivePart, digest_of, part_name

ROW_GROUP_BYTES: Final = 8 << 20

_DENSE: Final = 0.45
"""Share of numbers that are not zero from which vectors take less space with their bytes split."""

_SAMPLED_ROWS: Final = 2048


@dataclass(frozen=True)
class Part:
    """A Parquet file on disk that no commit names yet.

    Attributes:
        path: Relative to the table's folder.
        partition: Values of the partition columns, which are not in the file.
        size: Bytes.
        rows: Number of rows.
        nulls: Column -> how many of its values are null; of embeddings none are counted.
    """

    path: str
    partition: dict[str, str]
    size: int
    rows: int
    nulls: Mapping[str, int] = field(default_factory=dict)

    @property
    def statistics(self) -> str:
        """What the log keeps of its rows."""
        nulls = {"nullCount": dict(self.nulls)} if self.nulls else {}
        return json.dumps({"numRecords": self.rows, **nulls})

    def action(self) -> AddAction:
        """Return the action that adds this part to its table."""
        return AddAction(
            path=self.path,
            size=self.size,
            partition_values=self.partition,
            modification_time=int(time.time() * 1000),
            data_change=True,
            stats=self.statistics,
        )


def write_part(root: LakePath, table: pa.Table, partition: dict[str, str], vectors: tuple[str, ...] = ()) -> Part:
    """Write a table as one Parquet file into a Delta table's folder, without committing it.

    Args:
        root: The table's folder.
        table: Rows, without the partition columns.
        partition: Values of the partition columns.
        vectors: Columns of float lists, stored as they compress best; see ``_is_dense``.
    """
    return write_stream(root, table.schema, [table], partition, vectors)


def write_stream(
    root: LakePath,
    schema: pa.Schema,
    tables: Iterable[pa.Table],
    partition: dict[str, str],
    vectors: tuple[str, ...] = (),
) -> Part:
    """Write tables of one schema as one Parquet file, as ``write_part`` does. Holds a row group in memory."""
    folder = root.joinpath(*(f"{key}={value}" for key, value in partition.items()))
    require_conditional_puts(folder)
    nulls: Counter[str] = Counter()
    left = iter(tables)
    first = list(islice(left, 1))
    split = [f"{column}.list.element" for column in vectors if all(_is_dense(table[column]) for table in first)]
    with _arriving(folder) as hidden:
        with naming(hidden), hidden.open("wb") as file:
            with pq.ParquetWriter(
                file,
                schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=[name for name in schema.names if name not in vectors] if vectors else True,
                column_encoding=dict.fromkeys(split, "BYTE_STREAM_SPLIT") or None,
                write_statistics=not vectors,
                data_page_size=ROW_GROUP_BYTES if vectors else None,  # a page a column: a fifth faster
            ) as writer:
                counted = chain((first.pop() for _ in range(len(first))), left)  # no row group stays in memory
                rows = sum(_write_groups(writer, counted if vectors else _counting(counted, nulls)))
            file.flush()
            sync(file.fileno())
        size, path = hidden.stat().st_size, folder / part_name(digest_of(hidden))
        if isinstance(path, RemotePath):
            path.upload(hidden)
        else:
            rename(hidden, path)
    fsync_names(folder, root)
    return Part(_relative(path, root), partition, size, rows, nulls)


def _counting(tables: Iterable[pa.Table], nulls: Counter[str]) -> Iterator[pa.Table]:
    """Count the nulls of each column of tables on their way."""
    for table in tables:
        nulls.update({name: table[name].null_count for name in table.column_names})
        yield table


def _is_dense(vectors: pa.ChunkedArray) -> bool:
    """Say whether few of the numbers in vectors are zero, so that exponents next to exponents compress.

    Of the layers behind a ReLU, most are zero. There, splitting the bytes of the numbers costs a third of the speed of
    writing and up to 60 % more space; without zeros it saves 9 % of the space.
    """
    values = vectors.slice(0, _SAMPLED_ROWS).combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return float(np.count_nonzero(values)) >= _DENSE * len(values)


@contextmanager
def _arriving(folder: LakePath) -> Iterator[Path]:
    """Name a local file that becomes a part: hidden in the folder itself, or temporary if that is in a bucket."""
    if isinstance(folder, RemotePath):
        with tempfile.TemporaryDirectory(prefix="matlake-part-") as temporary:
            yield Path(temporary) / "part"
        return
    folder.mkdir(parents=True, exist_ok=True)
    hidden = folder / f".{part_name(None)}.tmp"
    try:
        yield hidden
    except BaseException:
        hidden.unlink(missing_ok=True)
        raise


def _relative(path: LakePath, root: LakePath) -> str:
    """Return a path as the log of a table has it."""
    return path.relative_to(root).as_posix()  # type: ignore[arg-type]  # both are of one kind


def _write_groups(writer: pq.ParquetWriter, tables: Iterable[pa.Table]) -> Iterator[int]:
    """Write tables in full row groups, and yield the number of rows of each."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        rows = sum(some.num_rows for some in waiting)
        group = _group_rows(waiting)
        if rows >= group:
            whole = pa.concat_tables(waiting)
            full = rows - rows % group
            writer.write_table(whole.slice(0, full), group)
            yield full
            waiting = [whole.slice(full)] if full < rows else []
    if waiting:
        rest = pa.concat_tables(waiting)
        writer.write_table(rest, _group_rows(waiting))
        yield rest.num_rows


def _group_rows(tables: Sequence[pa.Table]) -> int:
    rows, size = sum(table.num_rows for table in tables), sum(table.nbytes for table in tables)
    return max(1024, ROW_GROUP_BYTES // max(1, int(size) // max(1, int(rows))))


def discard(root: LakePath, parts: Iterable[Part]) -> None:
    """Remove parts that no commit names."""
    for part in parts:
        (root / part.path).unlink(missing_ok=True)


def link_part(root: LakePath, part: LivePart, name: str) -> Part:
    """Give a part a second name beside its own, which no commit names yet; copy it where there are no links.

    Raises:
        LakeError: The part is missing, or the folder cannot be written.
    """
    try:
        if isinstance(part.path, RemotePath):
            part.path.copy_to(part.path.with_name(name))
        else:
            _link_or_copy(part.path, part.path.with_name(name))
    except OSError as error:
        raise LakeError(f"{part.path} cannot be read: {error.strerror}", REPAIR) from error
    folder = _relative(part.path.parent.resolve(), root.resolve())  # delta-rs names parts in full, whatever root is
    return Part((PurePosixPath(folder) / name).as_posix(), part.partition, part.size, part.rows, _known(part))


def _known(part: LivePart) -> dict[str, int]:
    return {name: count for name, count in part.nulls.items() if count is not None}


def _link_or_copy(file: Path, path: Path) -> None:
    try:
        path.hardlink_to(file)
    except OSError:
        shutil.copyfile(file, path)
        fsync_file(path)
