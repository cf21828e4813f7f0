"""Which SQL is a pure read: DuckDB's own parser says what a statement holds, and all that it may hold is listed here.

The type of a statement does not tell. ``EXPLAIN ANALYZE`` executes whatever stands behind it, a common table expression
may be a COPY or an INSERT, and some functions write, read files, or run text as SQL.
"""

import json
import re
from typing import Any, Final

import duckdb

from matlake.errors import Hint, QueryError

_TREE_NODES: Final = frozenset(
    {
        *("SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"),
        *("BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "SHOW_REF", "PIVOT"),
        *("ASCENDING", "DESCENDING", "ORDER_DEFAULT"),
    }
)
"""Nodes and tables that a query may hold, as DuckDB names them in JSON; expressions are those with a class."""

_TREE_SUFFIXES: Final = ("_MODIFIER", "_TYPE_INFO")

_TABLE_FUNCTIONS: Final = frozenset(
    {
        *("range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"),
        *("duckdb_columns", "duckdb_constraints", "duckdb_databases", "duckdb_functions", "duckdb_keywords"),
        *("duckdb_schemas", "duckdb_settings", "duckdb_tables", "duckdb_types", "duckdb_views"),
        *("pragma_version", "pragma_collations", "icu_calendar_names", "pg_timezone_names"),
    }
)
"""Table functions that read no file, write nothing and run no text as SQL."""

_REFUSED_FUNCTIONS: Final = frozenset(
    {
        *("getenv", "write_log", "nextval", "setval"),
        *("query", "query_table", "json_execute_serialized_sql"),
    }
)
"""Functions of values that write, or read what is not the lake."""

_BLANK: Final = r"(?:\s|--[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*+\*/)*+"
_OPTION: Final = r"(?:ANALYZE|FORMAT\s+'?[a-z_]+'?)"
_EXPLAIN: Final = re.compile(
    rf"{_BLANK}EXPLAIN\b{_BLANK}(?P<analyze>ANALYZE\b)?{_BLANK}"
    rf"(?P<options>\(\s*{_OPTION}(?:\s*,\s*{_OPTION})*\s*\))?{_BLANK}(?P<query>.*)",
    re.IGNORECASE | re.DOTALL,
)
_WORDS: Final = "use SELECT, FROM, WITH, DESCRIBE, SUMMARIZE, SHOW, or EXPLAIN of one of these"
_HINT: Final = Hint(_WORDS, cli=f"{_WORDS}; --output writes the result to a file")


def pure_read(connection: duckdb.DuckDBPyConnection, statement: str) -> str:
    """Return the one statement of a text, ready to run, if all that it can do is read the views.

    Args:
        connection: Parses the text; nothing is executed.
        statement: One query, or EXPLAIN of one. EXPLAIN is put together anew from its parts, so that what is run is
            what was looked at.

    Raises:
        QueryError: It is more, or does more.
        duckdb.Error: It is not SQL.
    """
    count = len(connection.extract_statements(statement))
    if count != 1:
        raise QueryError(f"{count} statements given, one expected")
    explained = _EXPLAIN.fullmatch(statement)
    query = explained["query"] if explained else statement
    _check(connection, query, statement)
    if explained is None:
        return query
    return f"EXPLAIN {explained['analyze'] or ''} {explained['options'] or ''} {query}"


def check_predicate(connection: duckdb.DuckDBPyConnection, where: str | None) -> None:
    """Raise QueryError where a predicate is more than one, or does more than read the views.

    Args:
        connection: Parses the predicate; nothing is executed.
        where: The predicate; None is none.

    Raises:
        QueryError: See the summary.
        duckdb.Error: It is not SQL.
    """
    if where is None:
        return
    # by itself and in brackets: neither brackets of its own nor further clauses get past both
    for query in (f"SELECT 1 WHERE {where}\n", f"SELECT 1 WHERE ({where}\n)"):
        if len(connection.extract_statements(query)) != 1:
            raise QueryError(f"{where!r} is not one SQL predicate")
        _check(connection, query, where)


def _check(connection: duckdb.DuckDBPyConnection, query: str, statement: str) -> None:
    ((text,),) = connection.execute("SELECT json_serialize_sql(?)", [query]).fetchall()
    try:
        document: dict[str, Any] = json.loads(text)
    except RecursionError as error:
        raise QueryError("the statement is nested too deeply", "split it with WITH") from error
    if document["error"]:
        raise _no_query(connection, statement, str(document.get("error_message", "")))
    if len(document["statements"]) != 1:
        raise QueryError(f"{len(document['statements'])} statements given, one expected")
    pending: list[Any] = document["statements"]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            _check_node(value)
            pending += value.values()
        elif isinstance(value, list):
            pending += value


def _check_node(node: dict[str, Any]) -> None:
    """Refuse a node of the tree that is not one of a query."""
    kind = node.get("type")
    if "info_type" in node:
        raise QueryError(f"{node['info_type']} inside a query: the lake is read-only to SQL", _HINT)
    if isinstance(kind, str) and "class" not in node and kind not in _TREE_NODES and not kind.endswith(_TREE_SUFFIXES):
        raise QueryError(f"{kind} inside a query: the lake is read-only to SQL", _HINT)
    if kind == "TABLE_FUNCTION":
        name = str(node["function"].get("function_name", "")).lower()
        if name not in _TABLE_FUNCTIONS:
            raise QueryError(
                f"the table function {name} is closed: SQL reads the views of the lake and no files",
                Hint(
                    "import a file to query it: matlake.import_table(…)",
                    cli="import a file to query it: `matlake import FILE`",
                ),
            )
    elif str(node.get("function_name", "")).lower() in _REFUSED_FUNCTIONS:
        raise QueryError(f"the function {node['function_name']} is closed: SQL reads the views of the lake alone")


def _no_query(connection: duckdb.DuckDBPyConnection, statement: str, message: str) -> QueryError:
    """Return the error for a statement that DuckDB does not show as the tree of a query."""
    try:
        kind = connection.extract_statements(statement)[0].type.name
    except ValueError:  # a statement that DuckDB knows and its Python package does not
        kind = "this"
    if kind == "EXPLAIN":
        return QueryError("EXPLAIN of what is not a query: the lake is read-only to SQL", _HINT)
    if kind in ("MULTI", "SELECT"):
        return QueryError(f"this query cannot be checked: {message}", "PIVOT needs its values: ON column IN (…)")
    return QueryError(f"{kind} is not a query: the lake is read-only to SQL", _HINT)
