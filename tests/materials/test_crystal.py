"""Crystals: what is refused, and that columns give back what was put in."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_crystals import handmade, hcp, perovskite, rock_salt, water_in_a_box

from matlake.errors import StructureError
from matlake.materials.crystal import COLUMNS, Crystal, CrystalColumns, make_crystal

CUBE = 4.0 * np.eye(3)
ORIGIN = [[0.0, 0.0, 0.0]]


def same(one: Crystal, other: Crystal) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name)) and getattr(one, name).dtype == dtype
        for name, dtype in (("numbers", np.int16), ("lattice", np.float64), ("positions", np.float64))
    )


def all_same(one: CrystalColumns, other: list[Crystal]) -> bool:
    return len(one) == len(other) and all(same(one[k], crystal) for k, crystal in enumerate(other))


@pytest.mark.parametrize(
    ("numbers", "lattice", "positions", "reason"),
    [
        ([], CUBE, [], "no atoms"),
        ([6, 6], CUBE, ORIGIN, "2 species but 1 positions"),
        ([6], CUBE[:2], ORIGIN, "shape"),
        ([0], CUBE, ORIGIN, "atomic number 0"),
        ([-1], CUBE, ORIGIN, "atomic number -1"),
        ([119], CUBE, ORIGIN, "atomic number 119"),
        ([6], CUBE * np.nan, ORIGIN, "finite"),
        ([6], CUBE + np.diag([np.inf, 0, 0]), ORIGIN, "finite"),
        ([6], CUBE, [[0.0, np.nan, 0.0]], "finite"),
        ([6], CUBE, [[0.0, 0.0, -np.inf]], "finite"),
        ([6], np.zeros((3, 3)), ORIGIN, "not a periodic cell"),
        ([6], np.diag([4.0, 4.0, 0.4]), ORIGIN, "not a periodic cell"),
        ([6], np.diag([4.0, 4.0, 2e4]), ORIGIN, "not a periodic cell"),
        ([6], [(4, 0, 0), (0, 4, 0), (4, 4, 0)], ORIGIN, "in a plane"),
        ([6], [(4, 0, 0), (0, 4, 0), (4, 4, 0.001)], ORIGIN, "in a plane"),
        ([6], CUBE, [[0.0, 0.0, 2e4]], "positions look Cartesian"),
    ],
)
def test_what_is_no_crystal_is_refused_with_the_reason(numbers, lattice, positions, reason) -> None:
    with pytest.raises(StructureError) as refusal:
        make_crystal(numbers, lattice, positions)
    assert reason in f"{refusal.value} {refusal.value.hint}"


def test_cells_are_as_large_as_the_caller_allows() -> None:
    positions = np.random.default_rng(0).random((11, 3))
    assert len(make_crystal([6] * 11, 40 * CUBE, positions, max_atoms=11).numbers) == 11
    with pytest.raises(StructureError, match="11 atoms, more than 10"):
        make_crystal([6] * 11, 40 * CUBE, positions, max_atoms=10)


def test_the_heaviest_element_and_a_left_handed_cell_pass() -> None:
    crystal = make_crystal([118], CUBE * [1, 1, -1], ORIGIN)
    assert crystal.numbers.tolist() == [118]
    assert crystal.volume == pytest.approx(64.0)


def test_cartesian_positions_become_fractional_ones() -> None:
    original = hcp()
    other = make_crystal(original.numbers, original.lattice, original.positions @ original.lattice, cartesian=True)
    np.testing.assert_allclose(other.positions, original.positions, atol=1e-14)


def test_the_composition_is_that_of_the_reduced_formula() -> None:
    assert rock_salt().composition.amounts == ((11, 1), (17, 1))
    assert perovskite().composition.amounts == ((8, 3), (22, 1), (38, 1))


def test_the_content_hash_never_changes() -> None:
    assert rock_salt().content_hash == "1030184eb659b652fdd31a654f7dc2b1"


def test_the_content_hash_tells_species_lattice_and_positions_apart() -> None:
    original = perovskite()
    numbers, positions = original.numbers.copy(), original.positions.copy()
    numbers[0] = 56
    positions[1, 2] += 1e-12
    variants = [
        Crystal(numbers, original.lattice, original.positions),
        Crystal(original.numbers, original.lattice * (1 + 1e-12), original.positions),
        Crystal(original.numbers, original.lattice, positions),
        Crystal(original.numbers[::-1], original.lattice, original.positions),
    ]
    hashes = {crystal.content_hash for crystal in [original, *variants]}
    assert len(hashes) == 5
    assert all(len(value) == 32 for value in hashes)


def test_the_content_hash_does_not_depend_on_the_layout_in_memory() -> None:
    original = perovskite()
    other = Crystal(original.numbers, np.asfortranarray(original.lattice), np.asfortranarray(original.positions))
    columns = CrystalColumns.from_arrow(CrystalColumns.of([rock_salt(), original]).to_arrow())
    assert original.content_hash == other.content_hash == columns[1].content_hash


def test_columns_give_back_their_crystals() -> None:
    crystals = list(handmade().values())
    columns = CrystalColumns.of(crystals)
    assert all_same(columns, crystals)
    assert columns.sizes.tolist() == [len(crystal.numbers) for crystal in crystals]


def test_real_crystals_survive_arrow_and_parquet(real_crystals, tmp_path) -> None:
    table = CrystalColumns.of(real_crystals).to_arrow()
    assert table.schema == COLUMNS
    pq.write_table(table, tmp_path / "crystals.parquet", row_group_size=64)
    assert all_same(CrystalColumns.from_arrow(table), real_crystals)
    assert all_same(CrystalColumns.from_arrow(pq.read_table(tmp_path / "crystals.parquet")), real_crystals)


@given(st.integers(0, 11), st.integers(0, 11), st.integers(1, 5))
def test_slices_and_chunks_of_a_table_are_read_as_they_stand(start, count, chunk) -> None:
    crystals = list(handmade().values())
    table = CrystalColumns.of(crystals).to_arrow()
    pieces = [table.slice(k, chunk) for k in range(0, len(table), chunk)]
    sliced = pa.concat_tables(pieces).slice(start, count)
    assert all_same(CrystalColumns.from_arrow(sliced), crystals[start : start + count])


@pytest.mark.parametrize("table", [COLUMNS.empty_table(), CrystalColumns.of([]).to_arrow()])
def test_no_crystals_at_all_are_columns_too(table) -> None:
    columns = CrystalColumns.from_arrow(table)
    assert len(columns) == 0
    assert columns.offsets.tolist() == [0]
    assert columns.lattices.shape == (0, 3, 3)
    assert columns.positions.shape == (0, 3)
    assert columns.to_arrow().equals(COLUMNS.empty_table())


@given(st.lists(st.integers(0, 10), max_size=20))
def test_any_rows_are_taken_in_the_order_given(rows) -> None:
    crystals = list(handmade().values())
    taken = CrystalColumns.of(crystals).take(rows)
    assert all_same(taken, [crystals[row] for row in rows])
    assert taken.offsets[-1] == len(taken.numbers) == len(taken.positions)


def test_taken_columns_go_through_arrow_again() -> None:
    crystals = [water_in_a_box(), rock_salt(), hcp()]
    taken = CrystalColumns.from_arrow(CrystalColumns.of(crystals).to_arrow()).take([2, 0, 2])
    assert all_same(CrystalColumns.from_arrow(taken.to_arrow()), [crystals[2], crystals[0], crystals[2]])
