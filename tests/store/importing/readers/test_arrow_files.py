"""Parquet, Feather, Arrow and Delta: columns of OPTIMADE as LeMat-Bulk has them, objects in columns, stated types."""

import json
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opened_sources import jarvis_atoms, optimade_entry, pymatgen_structure, read, species
from pyarrow import feather

from matlake.errors import SourceError
from matlake.materials.crystal import Crystal
from matlake.materials.disorder import DisorderedError

OXIDES = pa.table({"formula": ["MgO", "CaO"], "gap_eV": [7.8, None], "n": pa.array([1, 2], pa.int8())})
ROWS = [{"formula": "MgO", "gap_eV": 7.8, "n": 1}, {"formula": "CaO", "gap_eV": None, "n": 2}]


def lemat(*, nested: bool) -> pa.Table:
    """Return entries as LeMat-Bulk has them: of the third, positions are null, and the fourth is disordered."""
    mixed = [species("M", "Mg", "Ca", shares=(0.5, 0.5)), species("O")]
    entries = [
        optimade_entry(functional="pbe"),
        optimade_entry("Ca", functional="pbe"),
        optimade_entry("Ni", functional="pbe", cartesian_site_positions=None),
        optimade_entry(functional="pbe", species=mixed, species_at_sites=["M", "O"], immutable_id="i-mixed"),
    ]
    rows = [entry["attributes"] for entry in entries]
    if not nested:
        rows = [row | {"species": json.dumps(row["species"])} for row in rows]
    return pa.Table.from_pylist(rows)


@pytest.mark.parametrize("nested", [False, True])
def test_columns_of_optimade_are_structures(tmp_path: Path, nested: bool) -> None:
    pq.write_table(lemat(nested=nested), tmp_path / "lemat.parquet")
    found = read(tmp_path / "lemat.parquet")
    assert found.source.has_structures
    assert found.formulas == [
        "MgO",
        "CaO",
        "no structure: cartesian_site_positions is null",
        "disordered: a site holds Mg 0.5, Ca 0.5",
    ]
    assert isinstance(found.crystals[3], DisorderedError)
    assert found.rows[0] == {
        "immutable_id": "i-Mg",
        "chemical_formula_reduced": "MgO",
        "_x_band_gap": 4.0,
        "functional": "pbe",
    }
    assert found.notes == []


@pytest.mark.parametrize(("name", "value"), [("structure", pymatgen_structure()), ("atoms", jarvis_atoms())])
def test_objects_in_a_column_are_structures(tmp_path: Path, name: str, value: dict[str, Any]) -> None:
    pq.write_table(pa.Table.from_pylist([{"id": 1, name: value}, {"id": 2, name: None}]), tmp_path / "t.parquet")
    found = read(tmp_path / "t.parquet")
    assert found.formulas == ["MgO", "no structure"]
    assert found.rows == [{"id": "1"}, {"id": "2"}]


def test_fields_of_objects_are_columns(tmp_path: Path) -> None:
    rows = [
        {"formula": "MgO", "symmetry": {"number": 225, "more": {"a": 1}}, "symmetry_number": 1.5},
        {"formula": "CaO", "symmetry": None, "symmetry_number": 2.5},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    found = read(tmp_path / "t.parquet")
    assert found.rows == [
        {"formula": "MgO", "symmetry_number": 1.5, "symmetry_number_2": 225},
        {"formula": "CaO", "symmetry_number": 2.5, "symmetry_number_2": None},
    ]
    assert found.notes == [
        "a second column symmetry_number renamed to symmetry_number_2: SQL does not tell capitals apart",
        "column symmetry_more of type struct<a: int64> left out",
    ]


@pytest.mark.parametrize("name", ["t.feather", "t.arrow", "t.ipc"])
def test_feather_and_arrow_files_are_tables(tmp_path: Path, name: str) -> None:
    feather.write_feather(OXIDES, str(tmp_path / name), compression="zstd")
    assert read(tmp_path / name).rows == ROWS


def test_a_stream_of_arrow_in_a_file_is_a_table(tmp_path: Path) -> None:
    with pa.OSFile(str(tmp_path / "t.arrow"), "wb") as sink, pa.ipc.new_stream(sink, OXIDES.schema) as writer:
        writer.write_table(OXIDES)
    assert read(tmp_path / "t.arrow").rows == ROWS


def test_arrow_files_that_are_damaged_old_or_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.feather"
    path.write_bytes(b"FEA1" + bytes(40))
    with pytest.raises(SourceError, match="Feather's first version"):
        read(path)
    path.write_bytes(b"ARROW1\0\0" + bytes(40))
    with pytest.raises(SourceError, match="cannot read"):
        read(path)
    monkeypatch.setattr("matlake.store.importing.readers.streams._ALWAYS_ALLOWED", 1 << 20)
    monkeypatch.setattr("matlake.store.importing.readers.streams.LARGEST_RATIO", 2)
    table = pa.table({"formula": ["MgO"] * 300_000, "zero": [0.0] * 300_000})
    feather.write_feather(table, str(path), compression="zstd")
    with pytest.raises(SourceError, match="decompression bomb"):
        read(path)


def test_a_folder_of_delta_is_a_table_with_its_partitions(tmp_path: Path) -> None:
    table = OXIDES.append_column("structure", [[json.dumps(pymatgen_structure()), None]])
    deltalake.write_deltalake(tmp_path / "t", table, partition_by=["n"])
    found = read(tmp_path / "t")
    assert sorted(row["n"] for row in found.rows) == [1, 2]
    assert sorted(found.formulas) == ["MgO", "no structure"]
    assert sum(isinstance(one, Crystal) for one in found.crystals) == 1


def test_a_delta_table_with_deletion_vectors_is_refused(tmp_path: Path) -> None:
    deltalake.write_deltalake(tmp_path / "t", OXIDES)
    log = tmp_path / "t" / "_delta_log" / "00000000000000000001.json"
    features = ["deletionVectors"]
    protocol = {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": features,
        "writerFeatures": features,
    }
    log.write_text(json.dumps({"protocol": protocol}))
    with pytest.raises(SourceError, match="deletion vectors"):
        read(tmp_path / "t")


def test_a_damaged_delta_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t" / "_delta_log").mkdir(parents=True)
    with pytest.raises(SourceError, match=r"Delta table|cannot read the log"):
        read(tmp_path / "t")
    (tmp_path / "t" / "_delta_log" / "00000000000000000000.json").write_text("{")
    with pytest.raises(SourceError, match="cannot read the log"):
        read(tmp_path / "t")
