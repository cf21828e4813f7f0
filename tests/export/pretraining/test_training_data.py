"""From tables to training rows: what is read, what is dropped, and the account of it."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from matlake.encoders.training_contents import random_parts
from matlake.errors import SourceError
from matlake.export.pretraining.training_data import TableRecipe, TrainingTable, read_training_data
from matlake.materials.formula import parse_formula
from matlake.materials.units import unit_of, unit_suffix

RECIPE = TableRecipe(("energy_eV_per_atom",))


def test_every_row_is_used_or_accounted_for(write_table) -> None:
    path = write_table(
        formula=["TiO2", "NaCl", "Xx2", "HeO", None, "MgO", "Fe", "LiF"],
        energy_eV_per_atom=[-3.0, None, -1.0, -1.0, -1.0, float("nan"), 7.5, -2.0],
        part=["train", "train", "val", "val", "val", "test", "test", "validation"],
    )
    data = read_training_data(
        TrainingTable.from_file(path), TableRecipe(("energy_eV_per_atom",), split_column="part", max_abs=5.0)
    )
    account = data.account
    assert (account.read, account.missing_target, account.bad_materials, account.outliers) == (8, 2, 3, 1)
    assert account.rows == {"train": 1, "val": 1, "test": 0}
    assert account.read == sum(account.rows.values()) + 6
    assert account.bad_material_examples[0].startswith("row 3: unknown element 'Xx'")
    assert data.parts["val"].targets.tolist() == [[-2.0]]
    assert data.parts["train"].materials.shape == (1, 86)


def test_csv_and_parquet_give_the_same_rows(write_table, tmp_path) -> None:
    parquet = read_training_data(
        TrainingTable.from_file(write_table(formula=["TiO2", "Fe2O3"], energy_eV_per_atom=[-3.0, -1.5])), RECIPE
    )
    (tmp_path / "table.csv").write_text("formula,energy_eV_per_atom\nTiO2,-3.0\nFe2O3,-1.5\n")
    csv = read_training_data(TrainingTable.from_file(tmp_path / "table.csv"), RECIPE)
    for part, rows in parquet.parts.items():
        np.testing.assert_array_equal(rows.materials, csv.parts[part].materials)
        np.testing.assert_array_equal(rows.targets, csv.parts[part].targets)


def test_the_random_split_keeps_equal_compositions_together() -> None:
    compositions = [
        parse_formula(f"{a}{i}O{j}") for a in ("Ti", "Fe", "Mg") for i in range(1, 20) for j in range(1, 20)
    ]
    hashes = [composition.content_hash for composition in compositions]
    parts = random_parts(hashes, seed=1)
    part_of = {}
    for composition, part in zip(compositions, parts, strict=True):
        assert part_of.setdefault(composition.content_hash, part) == part
    assert parts == random_parts(hashes, seed=1)
    assert parts != random_parts(hashes, seed=2)
    assert 0.6 < parts.count("train") / len(parts) < 0.8


@pytest.mark.parametrize(
    ("columns", "recipe", "message"),
    [
        ({"formula": ["Fe"]}, RECIPE, "no column 'energy_eV_per_atom'"),
        ({"formula": ["Fe"], "energy_eV_per_atom": ["low"]}, RECIPE, "does not hold numbers"),
        (
            {"formula": ["Fe"], "energy_eV_per_atom": [1.0], "part": ["holdout"]},
            TableRecipe(("energy_eV_per_atom",), split_column="part"),
            "row 1 of .* has 'holdout'",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_refused(write_table, columns, recipe, message) -> None:
    with pytest.raises(SourceError, match=message):
        read_training_data(TrainingTable.from_file(write_table(**columns)), recipe)


@pytest.mark.parametrize("name", ["absent.csv", "table.xlsx", "broken.parquet"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name) -> None:
    if name != "absent.csv":
        (tmp_path / name).write_bytes(b"\x00 no table")
    with pytest.raises(SourceError, match=name):
        read_training_data(TrainingTable.from_file(tmp_path / name), RECIPE)


def test_oqmd_loses_only_its_86_outliers(oqmd, tmp_path) -> None:
    table = pq.read_table(oqmd)
    outlier = pc.greater(pc.abs(table["formation_energy_eV_per_atom"]), 5.0)
    some = pc.or_(outlier, pc.equal(pc.bit_wise_and(pa.array(np.arange(len(table))), 15), 0))  # and each sixteenth row
    pq.write_table(table.filter(some), tmp_path / "oqmd.parquet")
    recipe = TableRecipe(("formation_energy_eV_per_atom",), split_column="split", max_abs=5.0)
    data = read_training_data(TrainingTable.from_file(tmp_path / "oqmd.parquet"), recipe)
    assert (data.account.missing_target, data.account.bad_materials, data.account.outliers) == (0, 0, 86)
    parts = table.filter(pc.and_(some, pc.invert(outlier)))["split"].to_pylist()
    assert data.account.rows == {part: parts.count(part) for part in ("train", "val", "test")}
    assert len(parts) > 21_000


@pytest.mark.parametrize(
    ("column", "suffix", "unit"),
    [
        ("formation_energy_eV_per_atom", "eV_per_atom", "eV/atom"),
        ("volume_A3_per_atom", "A3_per_atom", "Å³/atom"),
        ("bulk_modulus_VRH_GPa", "GPa", "GPa"),
        ("poisson_ratio", "", ""),
        ("piezoelectric_eij_max_C_per_m2", "C_per_m2", "C/m²"),
        ("last_phdos_peak_per_cm", "per_cm", "1/cm"),
    ],
)
def test_units_are_read_from_column_names(column, suffix, unit) -> None:
    assert unit_suffix(column) == suffix
    assert unit_of(column) == unit
