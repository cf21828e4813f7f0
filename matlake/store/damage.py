"""Reading on where parts are damaged: what fails is tried again without the parts that differ from their digest."""

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import wraps
from types import ModuleType
from typing import Concatenate, ParamSpec, TypeVar

import pyarrow as pa

from matlake.errors import Hint, LakeError, MatlakeError, StorageError
from matlake.store.folders import LakeFolders
from matlake.store.snapshots import has_table, open_snapshot, snapshot_or_warn
from matlake.store.storage.places import LakePath
from matlake.store.storage.refusals import refusal_in
from matlake.store.tables import delta
from matlake.store.tables.parts import split_damaged

Folders = TypeVar("Folders", bound=LakeFolders)
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def tables(lake: LakeFolders) -> list[LakePath]:
    """Return the folders of all Delta tables that a lake has."""
    datasets = [lake.dataset(name) for name in lake.dataset_names()]
    return [*datasets, *(root for root in lake.shared_tables if has_table(lake, root))]


def list_damage(lake: LakeFolders, *, verify: bool = False) -> Iterator[tuple[LakePath, str]]:
    """Yield what cannot be read and why: tables that are missing or whose log is damaged, and damaged parts.

    Args:
        lake: The lake.
        verify: See ``parts.find_damage``.
    """
    for root in (lake.embeddings, lake.failures_table):
        if lake.moment is None and not has_table(lake, root):
            yield root, f"{root} is missing"
    for root in tables(lake):
        try:
            table = open_snapshot(lake, root)
        except LakeError as error:
            yield root, str(error)
            continue
        if table is not None:
            _, damaged = split_damaged(table.parts, verify=verify)
            for damage in damaged:
                yield damage.part.path, str(damage)


def verify_parts(lake: LakeFolders, datasets: Iterable[str], layers: Collection[dict[str, str]]) -> None:
    """Compare parts that are about to be read whole with their digests; damaged ones are left out from then on.

    Reading the vectors takes more than ten times as long.

    Args:
        lake: The lake.
        datasets: Names of datasets.
        layers: Partitions of the embeddings table.
    """
    for name in datasets:
        delta.sound_parts(snapshot_or_warn(lake, lake.dataset(name)), verify=True)
    table = snapshot_or_warn(lake, lake.embeddings)
    for partition in layers:
        delta.sound_parts(table, partition, verify=True)


def read_what_is_sound(lake: LakeFolders, read: Callable[[], Result]) -> Result:
    """Read from a lake. Where that fails as damage makes it fail, look for damage and read again without it.

    Args:
        lake: The lake.
        read: Reads; it may be called twice.

    Raises:
        LakeError: It fails again, or nothing is damaged.
    """
    try:
        return read()
    except StorageError:
        raise
    except (_duckdb().Error, pa.ArrowException, OSError, MatlakeError) as error:
        refused = refusal_in(error)
        if refused is not None:
            raise refused from error
        if not _may_be_damage(error):
            raise
        # a file that is no longer there may have been replaced since the lake was looked at
        replaced = isinstance(error.__cause__ or error, (OSError, _duckdb().IOException))
        if not list(list_damage(lake, verify=True)) and not replaced:
            if isinstance(error, MatlakeError):
                raise
            raise _cannot_read(lake, error) from error
    try:
        return read()
    except (_duckdb().Error, pa.ArrowException) as error:
        raise _cannot_read(lake, error) from error


def reads_what_is_sound(
    function: Callable[Concatenate[Folders, Parameters], Result],
) -> Callable[Concatenate[Folders, Parameters], Result]:
    """Make a function of a lake read as ``read_what_is_sound`` does; it may be called twice."""

    @wraps(function)
    def reading(lake: Folders, /, *arguments: Parameters.args, **settings: Parameters.kwargs) -> Result:
        return read_what_is_sound(lake, lambda: function(lake, *arguments, **settings))

    return reading


def _may_be_damage(error: Exception) -> bool:
    if isinstance(error, MatlakeError):
        cause = error.__cause__
        return isinstance(cause, _duckdb().Error) and not isinstance(cause, _of_the_statement())
    return True


def _duckdb() -> ModuleType:
    """Import DuckDB, which what reads no more than logs and cards does without, unless that fails."""
    import duckdb

    return duckdb


def _of_the_statement() -> tuple[type[Exception], ...]:
    """Return what is wrong with a statement, not with the files that it reads."""
    duckdb = _duckdb()
    return (
        duckdb.ParserException,
        duckdb.BinderException,
        duckdb.CatalogException,
        duckdb.PermissionException,
        duckdb.InterruptException,
    )


def _cannot_read(lake: LakeFolders, error: Exception) -> LakeError:
    return LakeError(
        f"cannot read the lake at {lake.path}: {str(error).splitlines()[0]}",
        Hint("matlake.check(lake) lists what is damaged", cli="`matlake check` lists what is damaged"),
    )
