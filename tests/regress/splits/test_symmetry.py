from dataclasses import fields, replace

import numpy as np
import pytest
from sample_crystals import bcc, cubic, fcc, fcc_primitive

from matlake.errors import TrainingError
from matlake.materials.crystal import Crystal, CrystalColumns
from matlake.regress.features.matrix import Matrix
from matlake.regress.splits import parse_split
from matlake.regress.splits.symmetry import CRYSTAL_SYSTEMS, space_groups


def without_crystals(matrix: Matrix, rows: list[int]) -> Matrix:
    """Take the atoms away from some rows, as of materials that are compositions only."""
    assert matrix.crystals is not None
    crystals = [matrix.crystals[row] for row in range(len(matrix.y))]
    for row in rows:
        crystals[row] = Crystal(np.empty(0, np.int16), np.zeros((3, 3)), np.empty((0, 3)))
    return replace(matrix, crystals=CrystalColumns.of(crystals))


def test_space_groups_do_not_depend_on_the_cell() -> None:
    close = cubic("H H", 4.0, [(0, 0, 0), (0, 0, 1e-4)])
    crystals = CrystalColumns.of(
        [fcc(), fcc_primitive(), bcc(), cubic("Cs Cl", 4.1, [(0, 0, 0), (0.5, 0.5, 0.5)]), close]
    )
    assert space_groups(crystals).tolist() == [225, 225, 229, 221, 0], "what spglib refuses has none"


def test_space_groups_are_those_of_the_materials_project_nearly_always(elastic) -> None:
    assert elastic.crystals is not None
    stated = elastic.columns["space_group_number"]
    assert np.mean(space_groups(elastic.crystals) == stated) >= 0.97
    assert np.mean(space_groups(elastic.crystals, 0.1) == stated) >= 0.99


def test_the_named_space_group_or_system_is_held_out(elastic) -> None:
    found = space_groups(elastic.crystals)
    held = parse_split("space-group:225").hold_out(elastic, 0)
    assert held.test.tolist() == np.flatnonzero(found == 225).tolist()
    held = parse_split("crystal-system:hexagonal").hold_out(elastic, 0)
    assert held.test.tolist() == np.flatnonzero((found >= 168) & (found <= 194)).tolist()


def test_crystal_systems_end_where_spglib_and_pymatgen_say() -> None:
    from pymatgen.symmetry.groups import SpaceGroup

    starts = dict(zip(CRYSTAL_SYSTEMS, [1, *(last + 1 for last in CRYSTAL_SYSTEMS.values())], strict=False))
    for name, last in CRYSTAL_SYSTEMS.items():
        assert {SpaceGroup.from_int_number(number).crystal_system for number in (starts[name], last)} == {name}


def test_rows_without_a_crystal_are_left_out_and_counted(elastic) -> None:
    fewer = without_crystals(elastic, [0, 5, 9])
    held = parse_split("crystal-system:cubic").hold_out(fewer, 0)
    assert {0, 5, 9} <= set(held.dropped.tolist())
    assert "leaves out 3 without a crystal whose symmetry can be found and" in held.description


def test_rows_of_compositions_only_are_refused(gaps, elastic) -> None:
    for rows in (gaps, without_crystals(elastic, list(range(len(elastic.y))))):
        with pytest.raises(TrainingError, match="has a crystal whose symmetry can be found") as caught:
            parse_split("space-group").hold_out(rows, 0)
        assert "column:NAME" in caught.value.hint


def test_a_system_that_all_rows_belong_to_cannot_be_drawn_or_held_out(elastic) -> None:
    assert elastic.crystals is not None
    cubic_rows = np.flatnonzero(space_groups(elastic.crystals) >= 195)
    values = {field.name: getattr(elastic, field.name) for field in fields(elastic)}
    arrays = {name: value[cubic_rows] for name, value in values.items() if isinstance(value, np.ndarray)}
    only = replace(elastic, **arrays, crystals=elastic.crystals.take(cubic_rows))
    with pytest.raises(TrainingError, match=r"no crystal system holds 5% to 30% of .* cubic \(100.0%\)"):
        parse_split("crystal-system").hold_out(only, 0)
    with pytest.raises(TrainingError, match="0 to train on"):
        parse_split("crystal-system:cubic").hold_out(only, 0)
    with pytest.raises(TrainingError, match="rows are triclinic"):
        parse_split("crystal-system:triclinic").hold_out(only, 0)
