"""Formulas that are read together: exactly what ``parse_formula`` reads of each, and nothing that it refuses."""

import random

import pyarrow as pa
import pyarrow.parquet as pq
from samples import GAPS

from matlake.materials.formula import parse_formula
from matlake.materials.plain_formulas import read_plain_formulas

PIECES = "Fe Si O C B N S Sn CO Co In I 2 3 V H A Ac Pr P Na Ba 10 04 0 1 x ( ) . H2O 123456 D T Xx é".split()


def assert_read_alike(texts: list[str | None]) -> float:
    """Compare with ``parse_formula``; return the share that was read."""
    found = read_plain_formulas(pa.array(texts, pa.string()))
    columns = (found.elements, found.nelements, found.content_hashes, found.atomic_numbers, found.fractions)
    read = zip(*(column.to_pylist() for column in columns), strict=True)
    for row, values in zip(found.rows.tolist(), read, strict=True):
        one = parse_formula(texts[row])
        numbers = [z for z, _ in one.amounts]
        assert values == (one.elements, len(numbers), one.content_hash, numbers, one.fractions), texts[row]
    return len(found.rows) / max(1, len(texts))


def test_formulas_of_a_database_are_read_alike() -> None:
    assert assert_read_alike(pq.read_table(GAPS)["formula"].to_pylist()) > 0.7


def test_whatever_is_in_doubt_is_left_alone() -> None:
    some = random.Random(1)  # noqa: S311 - of tests
    texts: list[str | None] = ["".join(some.choices(PIECES, k=some.randint(0, 6))) for _ in range(20_000)]
    assert 0.02 < assert_read_alike([*texts, None, "", " "]) < 0.5
    doubtful = ["SNO2", "Fe203", "CuSO4.5H2O", "Ti64", "NaCl2+", "Fe2O3 ", "PZT", "InN0.5", "Fe0O", "Si", "CO2", "H"]
    for text in doubtful:
        assert not len(read_plain_formulas(pa.array([text])).rows), text
    assert not [text for text in ("Steel", "UNKNOWN", "Fe(III)2O3") if len(read_plain_formulas(pa.array([text])).rows)]


def test_no_rows_and_slices_are_read() -> None:
    assert assert_read_alike([]) == 0
    assert assert_read_alike([None, None]) == 0
    texts = pa.array(["Fe2O3", "TiO2", None, "NaCl", "Al2O3"])
    assert read_plain_formulas(texts.slice(1, 3)).rows.tolist() == [0, 2]
