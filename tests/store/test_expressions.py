"""Expressions over ``materials`` that have one value a row; everything else is refused by the rule of predicates."""

import duckdb
import pytest

from matlake.errors import QueryError
from matlake.store.pure_reads import check_expression


@pytest.mark.parametrize(
    "expression",
    [
        *("a / b", "-a", "log10(a)", "greatest(a, b)", "a ** 2", "a // 2", "abs(a - b)", "nullif(a, 0)", "a::INTEGER"),
        *(
            "CASE WHEN a > 0 THEN b END",
            "coalesce(a, b)",
            "a BETWEEN 1 AND 2",
            "TRY(ln(a))",
            '"odd % name" + 1',
            "a -- b",
        ),
    ],
)
def test_values_of_a_row_are_taken(expression: str) -> None:
    with duckdb.connect() as connection:
        assert check_expression(connection, expression)["class"]


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("avg(a)", "avg, a value of many rows"),
        ("count(*)", "a value of many rows"),
        ("histogram(a)", "a value of many rows"),
        ("sum(a) OVER ()", "a value of many rows"),
        ("row_number() OVER ()", "a value of many rows"),
        ("a + (SELECT 1)", "a query inside"),
        ("a IN (SELECT 1)", "a query inside"),
        ("(SELECT max(x) FROM read_csv('/etc/passwd'))", "read_csv is closed"),
        ("unnest([1, 2])", "not a function of a row alone"),
        ("random()", "not a function of a row alone"),
        ("now()", "not a function of a row alone"),
        ("geomean(a)", "not a function of a row alone"),
        ("setseed(0.1)", "not a function of a row alone"),
        ("getenv('HOME')", "getenv is closed"),
        ("nextval('s')", "nextval is closed"),
        ("query('SELECT 1')", "query is closed"),
        ("COLUMNS(*)", r"\*"),
        ("$1", "a parameter"),
        ("a; DROP TABLE materials", "not one SQL expression"),
    ],
)
def test_other_expressions_are_refused(expression: str, reason: str) -> None:
    with duckdb.connect() as connection, pytest.raises(QueryError, match=reason):
        check_expression(connection, expression)


@pytest.mark.parametrize(
    "expression", ["a FROM t", "a) FROM (SELECT 1", "a AS b", "a ORDER BY 1", "DISTINCT a", "", "a ["]
)
def test_clauses_are_no_expressions(expression: str) -> None:
    with duckdb.connect() as connection, pytest.raises(duckdb.Error):
        check_expression(connection, expression)
