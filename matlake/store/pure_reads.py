"""Which SQL is a pure read: DuckDB's own parser says what a statement holds, and all that it may hold is listed here.

The type of a statement does not tell. ``EXPLAIN ANALYZE`` executes whatever stands behind it, a common table expression
may be a COPY or an INSERT, and some functions write, read files, or run text as SQL.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
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

_ROW_TABLES: Final = frozenset({"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"})
"""Table functions of what they are given."""

_SCHEMAS: Final = frozenset({"", "main", "embed", "internal"})
"""Of the views; empty where a statement names none."""

_TABLE_FUNCTIONS: Final = frozenset(
    {
        *_ROW_TABLES,
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

_ROW_CLASSES: Final = frozenset(
    ("COLUMN_REF", "CONSTANT", "FUNCTION", "OPERATOR", "COMPARISON", "CONJUNCTION", "CASE", "CAST", "TYPE", "BETWEEN")
)
"""Classes of expressions that have one value for each row."""

_ROW_REFUSED: Final = {"SUBQUERY": "a query inside", "STAR": "*", "LAMBDA": "a lambda", "PARAMETER": "a parameter"}
"""Other classes, in words."""

_ROW_MACROS: Final = frozenset(("if", "nullif", "fdiv"))
"""Functions of a row that DuckDB has as macros."""

_BLANK: Final = r"(?:\s|--[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*+\*/)*+"
_OPTION: Final = r"(?:ANALYZE|FORMAT\s+'?[a-z_]+'?)"
_EXPLAIN: Final = re.compile(
    rf"{_BLANK}EXPLAIN\b{_BLANK}(?P<analyze>ANALYZE\b)?{_BLANK}"
    rf"(?P<options>\(\s*{_OPTION}(?:\s*,\s*{_OPTION})*\s*\))?{_BLANK}(?P<query>.*)",
    re.IGNORECASE | re.DOTALL,
)
_WORDS: Final = "use SELECT, FROM, WITH, DESCRIBE, SUMMARIZE, SHOW, or EXPLAIN of one of these"
_HINT: Final = Hint(_WORDS, cli=f"{_WORDS}; --output writes the result to a file")


@dataclass(frozen=True)
class PureRead:
    """A statement that can do nothing but read the views.

    Attributes:
        text: Ready to run.
        names: Names, in lower case, of the tables that it reads; None where it may list views or describe one.
        own: Those that it gives to queries of its own.
    """

    text: str
    names: frozenset[str] | None
    own: frozenset[str]


def pure_read(connection: duckdb.DuckDBPyConnection, statement: str) -> PureRead:
    """Return the one statement of a text, if all that it can do is read the views.

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
    names, own = _table_names(_check(connection, query, statement))
    if explained is not None:
        query = f"EXPLAIN {explained['analyze'] or ''} {explained['options'] or ''} {query}"
    return PureRead(query, names, own)


def _table_names(tree: dict[str, Any]) -> tuple[frozenset[str] | None, frozenset[str]]:
    """Return the names of the tables that a query reads, and those that it gives to queries of its own.

    Returns:
        None for the first where it may list views or describe one.
    """
    tables: set[str] = set()
    own: set[str] = set()
    for node in tree_nodes(tree):
        kind = node.get("type")
        lists = kind == "TABLE_FUNCTION" and str(node["function"].get("function_name", "")).lower() not in _ROW_TABLES
        foreign = kind == "BASE_TABLE" and str(node.get("schema_name", "")).lower() not in _SCHEMAS
        if kind == "SHOW_REF" or lists or foreign:
            return None, frozenset()
        if kind == "BASE_TABLE":
            tables.add(str(node["table_name"]).lower())
        own.update(str(entry["key"]).lower() for entry in (node.get("cte_map") or {}).get("map", ()))
    return frozenset(tables), frozenset(own)


def check_predicate(connection: duckdb.DuckDBPyConnection, where: str | None) -> None:
    """Raise QueryError where a predicate is more than one, or does more than read the views.

    Args:
        connection: Parses the predicate; nothing is executed.
        where: The predicate; None is none.

    Raises:
        QueryError: See the summary.
        duckdb.Error: It is not SQL.
    """
    if where is not None:
        _check_enclosed(connection, "SELECT 1 WHERE ", where, "predicate")


def check_expression(connection: duckdb.DuckDBPyConnection, expression: str) -> dict[str, Any]:
    """Return the tree of an expression that has one value for each row of a table, as DuckDB writes it in JSON.

    It holds columns, constants, operators, and functions that give the same value for the same row at any time: no
    aggregate, no window, no query, nothing random, no clock.

    Args:
        connection: Parses the expression; nothing is executed.
        expression: SQL.

    Raises:
        QueryError: It is more, or something else.
        duckdb.Error: It is not SQL.
    """
    document = _check_enclosed(connection, "SELECT ", expression, "expression")
    query = document["statements"][0]["node"]
    columns: list[dict[str, Any]] = query["select_list"]
    if len(columns) != 1 or query["from_table"]["type"] != "EMPTY":
        raise QueryError(f"{expression!r} is not one SQL expression")
    functions = {name for name, kind in _functions(connection) if kind == "CONSISTENT"}
    aggregates = {name for name, kind in _functions(connection) if kind == "aggregate"}
    for node in tree_nodes(columns[0]):
        if "class" not in node:
            continue
        what, name = str(node["class"]), str(node.get("function_name", "")).lower()
        if what == "WINDOW" or name in aggregates:
            raise QueryError(f"{expression!r} has {name}, a value of many rows: give an expression of one row")
        if what not in _ROW_CLASSES:
            raise QueryError(f"{expression!r} has {_ROW_REFUSED.get(what, what)}: give an expression of one row")
        if what == "FUNCTION" and name not in functions and name not in _ROW_MACROS:
            raise QueryError(
                f"{expression!r} has {name}, which is not a function of a row alone",
                "use arithmetic, functions of numbers, and CASE",
            )
    return columns[0]


def tree_nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield all objects of a tree of JSON."""
    pending = [tree]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield value
            pending += value.values()
        elif isinstance(value, list):
            pending += value


def _functions(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Return the functions of values by name: of one row with their stability, others with ``aggregate``."""
    return connection.execute(
        "SELECT DISTINCT lower(function_name), if(function_type = 'scalar', stability, function_type) "
        "FROM duckdb_functions() WHERE function_type IN ('scalar', 'aggregate')"
    ).fetchall()


def _check_enclosed(connection: duckdb.DuckDBPyConnection, start: str, text: str, kind: str) -> dict[str, Any]:
    """Check a part of a query, and return the tree of the query that it makes.

    By itself and in brackets: neither brackets of its own nor further clauses get past both.
    """
    document: dict[str, Any] = {}
    for query in (f"{start}{text}\n", f"{start}({text}\n)"):
        if len(connection.extract_statements(query)) != 1:
            raise QueryError(f"{text!r} is not one SQL {kind}")
        document = _check(connection, query, text)
    return document


def _check(connection: duckdb.DuckDBPyConnection, query: str, statement: str) -> dict[str, Any]:
    """Return the tree of a query, as DuckDB writes it in JSON, if all that it can do is read the views."""
    ((text,),) = connection.execute("SELECT json_serialize_sql(?)", [query]).fetchall()
    try:
        document: dict[str, Any] = json.loads(text)
    except RecursionError as error:
        raise QueryError("the statement is nested too deeply", "split it with WITH") from error
    if document["error"]:
        raise _no_query(connection, statement, str(document.get("error_message", "")))
    if len(document["statements"]) != 1:
        raise QueryError(f"{len(document['statements'])} statements given, one expected")
    for node in tree_nodes(document["statements"]):
        _check_node(node)
    return document


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
