"""SQL over a lake: a DuckDB connection that holds the views of the contract and sees nothing but the lake."""

import tempfile
import uuid
from pathlib import Path

import duckdb
import pyarrow as pa

from matlake.errors import Hint, QueryError
from matlake.store.folders import LakeFolders
from matlake.store.quoting import literal
from matlake.store.views import create_views

_QUERIES = frozenset({duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN})


def connect(lake: LakeFolders) -> duckdb.DuckDBPyConnection:
    """Return a connection with the views of one moment of the lake, closed to all other files.

    Besides the contract's views there is ``internal.compositions`` (``dataset``, ``material_id``,
    ``composition_hash``, ``crystal_hash``, ``atomic_numbers``, ``fractions``) and ``internal."NAME@LAYER"``
    (``content_hash``, ``vector``) for readers of contents. ``crystal_hash`` is null where a dataset has no structures.
    """
    # DuckDB lets SQL read its spill folder: give it one of its own, made only when something spills
    spill = Path(tempfile.gettempdir()) / f"matlake-{uuid.uuid4()}"
    connection = duckdb.connect(":memory:", config={"temp_directory": str(spill)})
    try:
        create_views(lake, connection)
        connection.execute(f"SET allowed_directories = [{literal(str(lake.path.resolve()) + '/')}]")
        for setting in (
            "enable_external_access = false",
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            "lock_configuration = true",
        ):
            connection.execute(f"SET {setting}")
    except BaseException:
        connection.close()
        raise
    return connection


def query(lake: LakeFolders, statement: str) -> pa.Table:
    """Run one read-only statement and return its result.

    Raises:
        QueryError: The statement is wrong, not a query, or reaches outside the lake.
    """
    with connect(lake) as connection:
        try:
            parsed = connection.extract_statements(statement)
            if len(parsed) != 1:
                raise QueryError(f"{len(parsed)} statements given, one expected")
            if parsed[0].type not in _QUERIES:
                raise QueryError(
                    f"{parsed[0].type.name} is not a query: the lake is read-only to SQL",
                    Hint(
                        "use SELECT, WITH, DESCRIBE, SUMMARIZE or EXPLAIN",
                        cli="use SELECT, WITH, DESCRIBE, SUMMARIZE or EXPLAIN; --output writes the result to a file",
                    ),
                )
            return connection.sql(parsed[0].query).to_arrow_table()
        except duckdb.PermissionException as error:
            raise QueryError(
                f"the query reaches outside the lake: {error}",
                Hint(
                    "import the file first: matlake.import_table(…)", cli="import the file first: `matlake import FILE`"
                ),
            ) from error
        except duckdb.Error as error:
            raise QueryError(
                str(error), "`SELECT table_name FROM information_schema.tables` lists the views"
            ) from error


def not_a_predicate(where: str | None, error: Exception) -> QueryError:
    """Return the error for a predicate that DuckDB does not take."""
    return QueryError(
        f"cannot select by {where!r}: {error}", 'give a predicate over `materials`, such as "nelements = 2"'
    )
