"""Tests of the Materials Project's Delta tables, against tables of our own with the types of the public ones."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from matlake.errors import SourceError
from matlake.store.sources.catalogue import named_source
from matlake.store.sources.materials_project_tables import Tables
from matlake.store.sources.protocol import Fetch, Fetched, Remembered

MODULI = pa.map_(pa.string(), pa.float64())


def structure(metal: str, a: float) -> dict[str, Any]:
    """Return a structure with the empty fields that a table of one type for all must have."""
    return {
        "@class": "Structure",
        "charge": None,
        "lattice": {"matrix": [[0, a / 2, a / 2], [a / 2, 0, a / 2], [a / 2, a / 2, 0]]},
        "sites": [
            {"species": [{"element": element, "occu": 1.0, "oxidation_state": None}], "abc": [place] * 3, "name": None}
            for element, place in ((metal, 0.0), ("O", 0.5))
        ],
    }


def table(version: str = "2026.10.1", licences: tuple[str, ...] = ("BY-C", "BY-C", "BY-NC")) -> pa.Table:
    structures = [structure("Mg", 4.21), structure("Ca", 4.81), structure("Ni", 4.19)]
    return pa.table(
        {
            "version": [version] * 3,
            "material_id": [f"mp-{number}" for number in range(3)],
            "formula_pretty": ["MgO", "CaO", "NiO"],
            "structure": structures,
            "band_gap": [4.0] * 3,
            "symmetry": [{"number": 225, "symbol": "Fm-3m"}] * 3,
            "bulk_modulus": pa.array([{"vrh": 160.0, "voigt": 161.0}, None, {"reuss": 159.0}], MODULI),
            "task_ids": [["mp-0"]] * 3,
            "builder_meta": [{"license": one, "database_version": version} for one in licences],
        }
    )


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mp") / "summary"
    write_deltalake(root, table("2026.9.9"), partition_by=["version"])
    write_deltalake(root, table(), mode="append", partition_by=["version"])
    return root


def rows(fetched: Fetched | None) -> list[dict[str, Any]]:
    assert fetched is not None
    return [row for batch in fetched.source.batches() for row in batch.columns.to_pylist()]


def test_a_local_table_gives_crystals_of_its_newest_version(tables: Path, tmp_path: Path) -> None:
    fetched = named_source(f"mp:{tables}").fetch(Fetch(tmp_path))
    assert fetched is not None
    assert fetched.remembered.origin == "mp:summary"
    [batch] = fetched.source.batches()
    assert batch.crystals is not None
    assert [crystal.composition.reduced_formula for crystal in batch.crystals] == ["MgO", "CaO"]  # type: ignore[union-attr]
    row = batch.columns.to_pylist()[0]
    assert row["band_gap_eV"] == 4.0
    assert row["symmetry_number"] == 225
    assert (row["bulk_modulus_VRH_GPa"], row["bulk_modulus_reuss_GPa"]) == (160.0, None)
    assert (row["source_version"], row["source_licence"]) == ("2026.10.1", "CC BY 4.0")
    assert any("licence BY-NC left out: 1 (mp-2)" in note for note in fetched.source.notes)
    assert "documents of older versions of the database left out: 3" in fetched.source.notes


def test_all_licences_are_kept_on_request(tables: Path, tmp_path: Path) -> None:
    fetched = named_source(f"mp:{tables}?include_by_nc=true").fetch(Fetch(tmp_path))
    assert [row["source_licence"] for row in rows(fetched)] == ["CC BY 4.0", "CC BY 4.0", "CC BY-NC 4.0"]


def test_a_table_that_has_not_changed_is_not_read_again(tables: Path, tmp_path: Path) -> None:
    first = named_source(f"mp:{tables}").fetch(Fetch(tmp_path))
    assert first is not None
    assert named_source(f"mp:{tables}").fetch(Fetch(tmp_path, first.remembered)) is None
    older = Remembered(first.remembered.origin, marks={**first.remembered.marks, "version": "0"})
    assert named_source(f"mp:{tables}").fetch(Fetch(tmp_path, older)) is not None


def test_structures_as_text_are_read_too(tmp_path: Path) -> None:
    root = tmp_path / "texts"
    texts = [json.dumps(one) for one in table()["structure"].to_pylist()]
    write_deltalake(root, table().drop_columns(["version"]).set_column(2, "structure", pa.array(texts)))
    assert len(rows(named_source(f"mp:{root}").fetch(Fetch(tmp_path / "work")))) == 2


def test_files_of_documents_are_read_as_such(tmp_path: Path) -> None:
    path = tmp_path / "documents.jsonl"
    documents = [
        {"material_id": f"mp-{number}", "structure": structure("Mg", 4.21), "builder_meta": {"license": licence}}
        for number, licence in enumerate(("BY-C", "BY-NC"))
    ]
    path.write_text("\n".join(map(json.dumps, documents)))
    assert [row["material_id"] for row in rows(named_source(f"mp:{path}").fetch(Fetch(tmp_path)))] == ["mp-0"]


def test_the_licence_of_documents_without_one_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "documents.json"
    path.write_text(json.dumps([{"material_id": "mp-0", "structure": structure("Mg", 4.21), "band_gap": 4.0}]))
    fetched = named_source(f"mp:{path}").fetch(Fetch(tmp_path))
    assert [row["source_licence"] for row in rows(fetched)] == ["not known; ask its owners"]
    assert fetched is not None
    assert any("some may be BY-NC" in note for note in fetched.source.notes)


def test_the_public_tables_need_no_key_and_one_line_says_when_they_cannot_be_reached(tmp_path: Path) -> None:
    public = named_source("mp:delta?collection=elasticity")
    assert isinstance(public, Tables)
    assert public.place == "s3://materialsproject-build/collections/elasticity/"
    assert public.options["AWS_SKIP_SIGNATURE"] == "true"
    nobody = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ALLOW_HTTP": "true", "max_retries": "0"}
    with pytest.raises(SourceError, match=r"mp:delta/elasticity cannot be read") as caught:
        Tables(public.origin, public.place, {**public.options, **nobody}, keep_by_nc=False).fetch(Fetch(tmp_path))
    assert "\n" not in str(caught.value)
