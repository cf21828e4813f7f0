"""Rows of a source merged into a dataset by id: those of the same id are replaced, new ones appended, others stay.

A part of the dataset is written anew only where rows of it were replaced, or where its columns are no longer those of
the dataset; the others stay as they are. All of it is one commit, which fails if somebody else wrote meanwhile.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from matlake.errors import REPAIR, LakeError
from matlake.interrupts import hold
from matlake.store.importing.rows import CORE_SCHEMA, CRYSTAL_SCHEMA
from matlake.store.lake import Lake
from matlake.store.parquet_rows import parquet_rows
from matlake.store.quoting import identifier
from matlake.store.sql import connect
from matlake.store.storage.parquet import open_parquet, read_schema, read_table
from matlake.store.storage.places import LakePath
from matlake.store.tables import delta, writing
from matlake.store.tables.parts import LivePart, part_name, split_damaged
from matlake.store.views import UNREAD_CELLS

NOT_COMPARED: Final = frozenset({"source_row", "material_id", "source_version"})
"""Columns in which a row may differ and still be unchanged: its place, and when it was imported or stamped."""

_OF_THE_LAKE: Final = frozenset({*CORE_SCHEMA.names, *CRYSTAL_SCHEMA.names})
_SQL_TYPES: Final = {
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.string(): "VARCHAR",
}


@dataclass(frozen=True)
class Update:
    """What a merge did to the rows of a dataset.

    Attributes:
        new: Rows of an id that the dataset had not.
        changed: Rows that took the place of others of the same id.
        unchanged: Rows that the dataset had already, in all columns.
        others: Rows of the dataset that the source did not bring; they stay.
    """

    new: int
    changed: int
    unchanged: int
    others: int

    @property
    def rows(self) -> int:
        """Rows of the dataset after the merge, failures included."""
        return self.new + self.changed + self.unchanged + self.others

    def line(self) -> str:
        """Return the text for people."""
        return (
            f"{self.new:,} rows new, {self.changed:,} changed, {self.unchanged:,} unchanged; "
            f"{self.others:,} others of the dataset stay"
        )


def merge_rows(
    lake: Lake,
    dataset: str,
    schema: pa.Schema,
    parts: Sequence[writing.Part],
    notes: Mapping[str, str],
    own: Collection[str] = (),
) -> Update:
    """Merge rows into a dataset in one commit.

    What was joined to a material from elsewhere stays with it where the rest of its row changes.

    Args:
        lake: The lake.
        dataset: A dataset that is there.
        schema: Columns of the rows.
        parts: The rows, in parts of the dataset's folder that no commit names. They are removed.
        notes: What the log keeps of the commit.
        own: Properties that the source has brought before: a row that comes without one of them has no value for it.

    Raises:
        LakeError: The dataset is damaged, or another process wrote to it meanwhile.
        CommitUnknownError: It is not known whether the commit was recorded.
    """
    root, written = lake.dataset(dataset), list[writing.Part]()
    table = delta.open_table(root)
    if table is None:
        writing.discard(root, parts)
        raise LakeError(f"there is no dataset {dataset!r} any more", "run the import again")
    try:
        live = whole_parts(lake, dataset, table)
        old_files, new_files = [part.path for part in live], [root / part.path for part in parts]
        with connect(lake, frozenset()) as connection:
            columns = _Columns.of(connection, old_files, new_files, schema, own)
            places = _Places.of(connection, columns, old_files, new_files)
        for part in live:
            written += _kept(root, part, places, columns)
        if places.new or places.changed:
            joined = _joined(old_files, places, columns)
            written.append(writing.write_stream(root, columns.schema, _placed(new_files, places, columns, joined), {}))
        hold()
    except BaseException:
        writing.discard(root, written)
        raise
    finally:
        writing.discard(root, parts)
    commit_whole(root, table, written, columns.schema, notes)
    others = sum(part.rows for part in live) - places.changed - places.unchanged
    return Update(places.new, places.changed, places.unchanged, others)


def whole_parts(lake: Lake, dataset: str, table: DeltaTable) -> list[LivePart]:
    """Return the parts of a dataset.

    Raises:
        LakeError: One of them is damaged, or there are none.
    """
    live, damaged = split_damaged(delta.live_parts(table), verify=lake.verify)
    if damaged or not live:
        raise LakeError(f"dataset {dataset!r} cannot be read whole{f': {damaged[0]}' if damaged else ''}", REPAIR)
    return live


def commit_whole(
    root: LakePath, table: DeltaTable, parts: Sequence[writing.Part], schema: pa.Schema, notes: Mapping[str, str]
) -> None:
    """Make the parts the whole of a dataset, in one commit on the snapshot that they follow.

    Raises:
        LakeError: Another process wrote to it meanwhile.
        CommitUnknownError: It is not known whether the commit was recorded.
    """
    hint = "run the import again"
    if not delta.commit(root, table, parts, "overwrite", delta.MAINTENANCE, hint, schema=schema, notes=notes):
        writing.discard(root, parts)
        raise LakeError(f"another process wrote {root} at the same time", hint)


@dataclass(frozen=True)
class _Columns:
    """The columns of a dataset and of the rows that come, united.

    Attributes:
        schema: Of the dataset after the merge.
        old: Column -> its name in the dataset now.
        new: Column -> its name in the rows that come, which may differ in capitals.
        joined: Columns that others have joined to the dataset.
    """

    schema: pa.Schema
    old: Mapping[str, str]
    new: Mapping[str, str]
    joined: list[str]

    @classmethod
    def of(
        cls,
        connection: duckdb.DuckDBPyConnection,
        old_files: list[LakePath],
        new_files: list[LakePath],
        coming: pa.Schema,
        own: Collection[str],
    ) -> Self:
        """Unite columns: numbers are real where one of both is; a column without values takes the other's type."""
        now = read_schema(old_files[0]).remove_metadata()
        lower = {name.lower(): name for name in now.names}
        new = {lower.get(name.lower(), name): name for name in coming.names}
        fields = []
        for name in (*now.names, *(name for name in new if name not in now.names)):
            kinds = [coming.field(new[name]).type] if name in new else []
            kinds += [now.field(name).type] if name in now.names else []
            if len(set(kinds)) > 1 and kinds[0] in _SQL_TYPES:
                filled = [
                    kind
                    for kind, files in zip(kinds, (new_files, old_files), strict=True)
                    if _has_values(connection, files, name)
                ]
                kinds = [_common(filled or kinds[:1])]
            fields.append(pa.field(name, kinds[0]))
        joined = [name for name in now.names if name not in new and name not in own and name not in _OF_THE_LAKE]
        return cls(pa.schema(fields), {name: name for name in now.names}, new, joined)

    def matches(self, old_rows: str, new_rows: str) -> str:
        """Return the query of each row that comes: its place, that of the row it meets, whether the two differ.

        Rows of the same id more than once, which are failures but for the first, meet in their order.
        """
        differ = [
            f"{self._value('n', self.new, field)} IS DISTINCT FROM {self._value('o', self.old, field)}"
            for field in self.schema
            if field.name not in NOT_COMPARED.union(self.joined, [UNREAD_CELLS] if self.joined else [])
        ]
        numbered = (
            "SELECT *, row_number() OVER (PARTITION BY material_id ORDER BY import_error IS NOT NULL, source_row) "
            "AS occurrence FROM "
        )
        return (
            f"SELECT n.source_row AS came, o.source_row AS met, o.source_row IS NOT NULL AND ({' OR '.join(differ)}) "
            f"AS differs FROM ({numbered}{new_rows}) AS n "
            f"LEFT JOIN ({numbered}{old_rows}) AS o "
            "ON n.material_id IS NOT DISTINCT FROM o.material_id AND n.occurrence = o.occurrence ORDER BY came"
        )

    def _value(self, table: str, names: Mapping[str, str], field: pa.Field) -> str:
        if field.name not in names:
            return "NULL"
        column = f"{table}.{identifier(names[field.name])}"
        return f"{column}::{_SQL_TYPES[field.type]}" if field.type in _SQL_TYPES else column

    def recast(self, table: pa.Table, names: Mapping[str, str]) -> pa.Table:
        """Return rows with the columns of the dataset; what they lack is null."""
        columns = [
            table[names[field.name]].cast(field.type) if field.name in names else pa.nulls(len(table), field.type)
            for field in self.schema
        ]
        return pa.Table.from_arrays(columns, schema=self.schema)


@dataclass(frozen=True)
class _Places:
    """Where the rows that come belong.

    Attributes:
        target: Row that comes -> its place in the dataset, -1 for one that is there already; int64, [rows].
        replaced: Places of the rows that go; int64, sorted.
        new: Number of rows of ids that the dataset had not.
        unchanged: Number of rows that it had already.
    """

    target: npt.NDArray[np.int64]
    replaced: pa.Array
    new: int
    unchanged: int

    @classmethod
    def of(
        cls,
        connection: duckdb.DuckDBPyConnection,
        columns: _Columns,
        old_files: list[LakePath],
        new_files: list[LakePath],
    ) -> Self:
        """Find them: a row that changed takes the place of the other, new ones come after all others."""
        old_rows, new_rows = (parquet_rows(connection, files) for files in (old_files, new_files))
        last = connection.execute(f"SELECT max(source_row) FROM {old_rows}").fetchall()[0][0]
        matches = connection.sql(columns.matches(old_rows, new_rows)).to_arrow_table()
        came, met = (matches[name].combine_chunks() for name in ("came", "met"))
        is_new, differs = pc.is_null(met).to_numpy(zero_copy_only=False), matches["differs"].to_numpy()
        places = pc.fill_null(met, -1).to_numpy().copy()
        places[~is_new & ~differs] = -1
        places[is_new] = np.arange(last + 1, last + 1 + is_new.sum())
        target = np.full(int(pc.max(came).as_py()) + 1, -1, np.int64)
        target[came.to_numpy()] = places
        replaced = met.filter(pa.array(differs))
        return cls(target, replaced, int(is_new.sum()), int((~is_new & ~differs).sum()))

    @property
    def changed(self) -> int:
        """Number of rows that take the place of others."""
        return len(self.replaced)


def _kept(root: LakePath, part: LivePart, places: _Places, columns: _Columns) -> Iterator[writing.Part]:
    """Yield a part as it is, under a second name, or written anew without the rows that go; nothing if none is left."""
    schema = read_schema(part.path).remove_metadata()
    rows = read_table(part.path, ["source_row"])["source_row"]
    stays = pc.invert(pc.is_in(rows, places.replaced))
    if schema.equals(columns.schema) and pc.all(stays).as_py():
        yield writing.link_part(root, part, part_name(part.digest))
    elif pc.any(stays).as_py():
        names = {name: name for name in schema.names}
        kept = (columns.recast(table, names) for table in _without(part.path, places.replaced))
        yield writing.write_stream(root, columns.schema, kept, {})


def _without(path: LakePath, places: pa.Array) -> Iterator[pa.Table]:
    with open_parquet(path) as file:
        for batch in file.iter_batches():
            table = pa.Table.from_batches([batch])
            yield table.filter(pc.invert(pc.is_in(table["source_row"], places)))


def _joined(files: list[LakePath], places: _Places, columns: _Columns) -> pa.Table:
    """Return what others have joined to the rows that go, with the places of those."""
    read = (read_table(path, ["source_row", *columns.joined]) for path in files)
    return pa.concat_tables(rows.filter(pc.is_in(rows["source_row"], places.replaced)) for rows in read)


def _placed(files: list[LakePath], places: _Places, columns: _Columns, joined: pa.Table) -> Iterator[pa.Table]:
    """Yield the rows that come, without those that are there already, each with its place and what was joined to it."""
    for path in files:
        with open_parquet(path) as file:
            for batch in file.iter_batches():
                table = columns.recast(pa.Table.from_batches([batch]), columns.new)
                target = pa.array(places.target[table["source_row"].to_numpy()])
                met = pc.index_in(target, joined["source_row"].combine_chunks())
                values = {"source_row": target, **{name: joined[name].take(met) for name in columns.joined}}
                for name, column in values.items():
                    table = table.set_column(table.schema.get_field_index(name), name, column)
                yield table.filter(pc.greater_equal(target, 0))


def _has_values(connection: duckdb.DuckDBPyConnection, files: list[LakePath], name: str) -> bool:
    counted = connection.execute(f"SELECT count({identifier(name)}) FROM {parquet_rows(connection, files)}").fetchall()
    return bool(counted[0][0])


def _common(kinds: Sequence[pa.DataType]) -> pa.DataType:
    if len(set(kinds)) == 1:
        return kinds[0]
    return pa.float64() if set(kinds) <= {pa.int64(), pa.float64()} else pa.string()
