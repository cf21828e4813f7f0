"""Targets as users write them: columns of any name, SQL expressions, scales around them, several with commas."""

from collections.abc import Iterator

import duckdb
import pytest

from matlake.errors import TrainingError
from matlake.regress.heads.card import NAME_PATTERN
from matlake.regress.targets.expressions import Columns, Target, find_targets, split_targets

_TABLE = """CREATE TABLE materials AS SELECT 1.5::DOUBLE AS band_gap_eV, 2.0::DOUBLE AS "my gap (eV)",
3.0::DOUBLE AS "log10", 4.0::DOUBLE AS "log10(K)", 5.0::DOUBLE AS "a,b", 6.0::DOUBLE AS "50 % x",
7.0::DOUBLE AS density_g_per_cm3"""


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute(_TABLE)
        yield opened


def _find(connection: duckdb.DuckDBPyConnection, *given: str, scaled: bool = True) -> list[Target]:
    kinds = dict(connection.execute("SELECT column_name, column_type FROM (DESCRIBE materials)").fetchall())
    return find_targets(connection, given, Columns(kinds, "the lake", "property columns: …"), scaled=scaled)


@pytest.mark.parametrize(
    ("text", "name", "value", "unit", "scale"),
    [
        ("band_gap_eV", "band_gap_eV", 1.5, "eV", None),
        ("Band_Gap_EV", "band_gap_eV", 1.5, "eV", None),
        ("log10", "log10", 3.0, "", None),
        ("log10(K)", "log10(K)", 4.0, "K", None),
        ("a,b", "a,b", 5.0, "", None),
        ("50 % x", "50 % x", 6.0, "", None),
        ("log10(band_gap_eV)", "band_gap_eV", 1.5, "eV", "log10"),
        ("LOG( Band_Gap_eV )", "band_gap_eV", 1.5, "eV", "log10"),
        ("(ln(log10))", "log10", 3.0, "", "ln"),
        ('sqrt("50 % x" / log10)', '"50 % x" / log10', 2.0, "", "sqrt"),
        ('band_gap_eV - "my gap (eV)"', 'band_gap_eV - "my gap (eV)"', -0.5, "eV", None),
        ("band_gap_eV - density_g_per_cm3", "band_gap_eV - density_g_per_cm3", -5.5, "", None),
        ("2 * band_gap_eV -- twice", "2 * band_gap_eV", 3.0, "", None),
        ("log(2, log10 + 1)", "log(2, log10 + 1)", 2.0, "", None),
    ],
)
def test_a_target_is_a_column_or_an_expression(
    connection: duckdb.DuckDBPyConnection, text: str, name: str, value: float, unit: str, scale: str | None
) -> None:
    (target,) = _find(connection, text)
    ((found,),) = connection.execute(f"SELECT {target.sql} FROM materials").fetchall()
    assert (target.name, found, target.unit, target.scale) == (name, value, unit, scale)
    assert NAME_PATTERN.fullmatch(target.head_name)


def test_a_scale_can_be_a_part_of_the_property(connection: duckdb.DuckDBPyConnection) -> None:
    (target,) = _find(connection, "log10(band_gap_eV)", scaled=False)
    assert (target.name, target.scale, target.unit) == ("log10(band_gap_eV)", None, "")


def test_several_targets_stand_between_commas(connection: duckdb.DuckDBPyConnection) -> None:
    found = _find(connection, "log10(band_gap_eV), greatest(log10, 2), log10")
    assert [target.name for target in found] == ["band_gap_eV", "greatest(log10, 2)", "log10"]
    assert [target.name for target in _find(connection, "band_gap_eV", "a,b")] == ["band_gap_eV", "a,b"]
    assert split_targets("""f(a, ']'), "b,c", [1, 2]""") == ["f(a, ']')", '"b,c"', "[1, 2]"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nope", "the lake has no column 'nope'(\\n|$)"),
        ("two words", "the lake has no column 'two words'(\\n|$)"),
        ("band_gap_eV / nope", "the lake has no column 'nope'(\\n|$)"),
        ("band_gap_eV +", "that is not a valid SQL expression: Parser Error"),
        ("current_date", "the lake has no column 'current_date'"),
        ("avg(band_gap_eV)", "not one value a row"),
        ("band_gap_eV,", "the lake has no column ''"),
        ("band_gap_eV, log10(band_gap_eV)", "named twice"),
    ],
)
def test_what_is_neither_is_refused_in_one_line(connection: duckdb.DuckDBPyConnection, text: str, reason: str) -> None:
    with pytest.raises(TrainingError, match=reason) as caught:
        _find(connection, text)
    assert "\n" not in str(caught.value)


def test_names_for_files_differ_where_targets_do(connection: duckdb.DuckDBPyConnection) -> None:
    texts = ["band_gap_eV", "log10(band_gap_eV)", "band_gap_eV / log10", "band_gap_eV * log10", "log10 / band_gap_eV"]
    assert len({_find(connection, text)[0].head_name for text in texts}) == len(texts)
