"""``mp:delta`` and ``mp:./FOLDER``: the Materials Project's Delta tables, public or as its client keeps them.

The public tables are read without a key, from where the Materials Project's client 0.46 reads them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from matlake.errors import SourceError
from matlake.files import whole_file
from matlake.store.importing.readers import open_source
from matlake.store.sources.columns import with_units
from matlake.store.sources.materials_project_documents import CITATION, ID, KEEP, UNITS, by_licence
from matlake.store.sources.protocol import Fetch, Fetched, NamedSource, Remembered
from matlake.store.sources.published import CC_BY, PublishedSet
from matlake.store.sources.published_files import local_copy

PUBLIC: Final = "s3://materialsproject-build/collections"
TABLES: Final = "delta"

_OPTIONS: Final = {"AWS_SKIP_SIGNATURE": "true", "AWS_REGION": "us-east-1"}
_LOG: Final = "_delta_log"
_COLLECTION: Final = "collection"
_COLLECTIONS: Final = ("summary", "materials", "elasticity", "dielectric", "piezoelectric", "magnetism")
_AVERAGED: Final = ("bulk_modulus", "shear_modulus")
_AVERAGES: Final = ("voigt", "reuss", "vrh")
_OF_DATABASE: Final = "version"
_BATCH_ROWS: Final = 2000
_COLOURS: Final = re.compile("\x1b\\[[0-9;]*m")
_LONGEST_ERROR: Final = 300


def open_tables(rest: str) -> NamedSource:
    """Return public tables, ``delta?collection=summary``, or a local folder of one, or files of documents.

    Raises:
        SourceError: There is no such collection, or nothing at the path.
    """
    place, _, query = rest.partition("?")
    settings = dict(parse_qsl(query, keep_blank_values=True))
    keep = keeps_by_nc(settings)
    collection = settings.pop(_COLLECTION, "summary") if place == TABLES else ""
    if settings:
        raise SourceError(f"mp:{place} takes no parameter {next(iter(settings))!r}", f"it takes {_COLLECTION}, {KEEP}")
    suffix = f"?{KEEP}=true" if keep else ""
    if place == TABLES:
        if collection not in _COLLECTIONS:
            raise SourceError(f"mp:{TABLES} has no collection {collection!r}", f"it has {', '.join(_COLLECTIONS)}")
        return Tables(f"mp:{TABLES}/{collection}{suffix}", f"{PUBLIC}/{collection}/", _OPTIONS, keep)
    path = Path(place).expanduser()
    if (path / _LOG).is_dir():
        return Tables(f"mp:{path.name}{suffix}", str(path), {}, keep)
    unknown = PublishedSet("mp", "", "", "", CC_BY, CITATION, (), UNITS)
    return local_copy(unknown, {}, path, lambda source, _: by_licence(source, keep=keep))


def keeps_by_nc(settings: dict[str, str]) -> bool:
    """Take out of the parameters whether documents of the licence BY-NC are kept."""
    return settings.pop(KEEP, "false").lower() in ("true", "1", "yes")


@dataclass(frozen=True)
class Tables:
    """A table of documents.

    Attributes:
        origin: How it is named, without a path of this machine.
        place: Its folder or address.
        options: How to reach it.
        keep_by_nc: Whether documents of the licence BY-NC are kept.
    """

    origin: str
    place: str
    options: Mapping[str, str]
    keep_by_nc: bool

    def fetch(self, work: Fetch) -> Fetched | None:
        """Read the newest version of the table, unless the dataset has it.

        Raises:
            SourceError: There is no table, or it cannot be read.
        """
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        try:
            table = DeltaTable(self.place, storage_options=dict(self.options))
            version = str(table.version())
            marks = {"table": str(table.metadata().id), "version": version}
            if work.before is not None and dict(work.before.marks) == marks:
                return None
            work.progress.note(f"reading {self.origin}, version {version} of the table")
            path, left_out = _copied(table.to_pyarrow_dataset(), work.folder)
        except (DeltaError, pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of this machine: a full disk
            raise SourceError(
                f"the tables of {self.origin} cannot be read: {_in_one_line(error)}", "check the folder or the network"
            ) from error
        source = with_units(open_source(path, max_atoms=work.max_atoms), UNITS)
        source = by_licence(source, keep=self.keep_by_nc)
        if left_out:
            source.notes.append(f"documents of older versions of the database left out: {left_out:,}")
        source.notes.append(f"{self.origin}: licence {CC_BY}; cite {CITATION}")
        return Fetched(source, Remembered(self.origin, f"table version {version}", CC_BY, marks), ID)


def _in_one_line(error: BaseException) -> str:
    """Return what an error of delta-rs says: lines with colours and arrows."""
    return " ".join(_COLOURS.sub(" ", str(error)).replace("↳", " ").split())[:_LONGEST_ERROR]


def _copied(rows: Any, folder: Path) -> tuple[Path, int]:
    """Copy the documents of the database's newest version, without lists, with averages of moduli as single values.

    Documents that state no version are copied, too. Returned is also the number of those of older versions.
    """
    from pyarrow import dataset

    names = [field.name for field in rows.schema if field.name in _AVERAGED or not _is_collection(field.type)]
    newest, older = None, 0
    if _OF_DATABASE in names:
        versions = rows.to_table(columns=[_OF_DATABASE])[_OF_DATABASE]
        last = pa.scalar(max(filter(None, pc.unique(versions).to_pylist()), key=_parts, default=None), versions.type)
        newest = (dataset.field(_OF_DATABASE) == last) | dataset.field(_OF_DATABASE).is_null()
        older = pc.sum(pc.not_equal(versions, last)).as_py() or 0
        names.remove(_OF_DATABASE)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "documents.parquet"
    with whole_file(path) as file:
        writer = None
        for batch in rows.to_batches(columns=names, filter=newest, batch_size=_BATCH_ROWS):
            plain = _plain(batch)
            writer = writer or pq.ParquetWriter(file, plain.schema)
            writer.write_batch(plain)
        if writer is not None:
            writer.close()
    return path, older


def _parts(version: object) -> list[int]:
    """Return the numbers in a version or date: 2025.10.1 comes after 2025.9.25."""
    return [int(part) for part in re.findall(r"\d+", str(version))]


def _is_collection(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind))


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns: dict[str, pa.Array] = {}
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_map(values.type):
            columns |= {f"{name}_{one}": pc.map_lookup(values, one, "first") for one in _AVERAGES}
        else:
            columns[name] = values
    return pa.RecordBatch.from_pydict(columns)
