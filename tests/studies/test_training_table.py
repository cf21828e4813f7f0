"""The table that a network is pretrained on: a file, a dataset, or none."""

import pytest

import matlake
from matlake.errors import LakeError
from matlake.studies.training_table import read_training_table


def test_a_file_needs_no_lake_and_a_dataset_does(tmp_path) -> None:
    table = tmp_path / "gaps.csv"
    table.write_text("formula,gap_eV\nTiO2,3.0\nNaCl,8.5\n")
    read = read_training_table(tmp_path / "lake", table, None)
    assert read is not None
    assert (read.name, read.table.num_rows) == ("gaps.csv", 2)
    assert read_training_table(tmp_path / "lake", None, None) is None
    with pytest.raises(LakeError):
        read_training_table(tmp_path / "lake", None, "gaps")

    matlake.import_table(matlake.open_lake(tmp_path / "lake", create=True), table, "gaps")
    read = read_training_table(tmp_path / "lake", None, "gaps")
    assert read is not None
    assert (read.name, read.table.num_rows) == ("gaps", 2)
