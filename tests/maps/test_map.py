"""Maps of a lake: what is drawn, what is left out and said, and what other programs make of the files."""

import base64
import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import matlake
from matlake.errors import MatlakeError
from matlake.maps import projection
from matlake.materials.crystal import CrystalColumns
from matlake.materials.periodic_table import SYMBOLS

MODULUS = "bulk_modulus_VRH_GPa"


def block(page: Path, name: str) -> bytes:
    """Return what a block of a page holds."""
    found = re.search(rf'<script type="text/plain" id="data-{name}">([^<]*)</script>', page.read_text())
    assert found is not None, name
    return gzip.decompress(base64.b64decode(found[1]))


def facts(page: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(block(page, "facts"))
    return document


def test_a_page_holds_the_points_and_names_nothing_outside(mapped: matlake.Lake, page: Path) -> None:
    text = page.read_text()
    markup = re.sub(r"<script[^>]*>.*?</script>", "", text, flags=re.DOTALL)
    assert "://" not in markup
    assert "onerror" not in text
    assert "default-src 'none'" in text
    formulas, ids = (json.loads(block(page, name)) for name in ("formulas", "ids"))
    assert "<img src=x onerror=alert(1)>" in ids
    rows = mapped.sql(f"SELECT material_id, formula, {MODULUS} AS value FROM elastic ORDER BY material_id").arrow()
    assert (ids, formulas) == (rows["material_id"].to_pylist(), rows["formula"].to_pylist())
    numbers = np.frombuffer(block(page, "numbers"), "<f8")
    expected = np.array([np.nan if v is None else v for v in rows["value"].to_pylist()])
    assert np.array_equal(numbers, expected, equal_nan=True)
    shown = facts(page)
    assert (shown["colour"]["quantity"], shown["colour"]["unit"]) == ("bulk modulus VRH", "GPa")
    assert shown["colour"]["missing"] == 6
    assert shown["colour"]["low"] == pytest.approx(np.nanpercentile(expected, 2))
    assert shown["crystals"] == {"stored": 50, "available": 60}
    assert any("50 of 60 materials" in note for note in shown["notes"])
    crystal = np.frombuffer(block(page, "crystal"), "<i4")
    assert sorted(crystal[crystal >= 0]) == list(range(50))
    row = int(np.flatnonzero(crystal == 40)[0])
    drawing = json.loads(block(page, "crystals-1"))[40 - 32]
    assert drawing["formula"] == matlake.parse_formula(formulas[row]).reduced_formula


def test_the_same_request_gives_the_same_bytes(mapped: matlake.Lake, page: Path, tmp_path: Path) -> None:
    other = tmp_path / "again.html"
    found = mapped.map("elastic", "magpie", MODULUS, output=other, structures=50, progress=False)
    assert other.read_bytes() == page.read_bytes()
    assert found.size == len(page.read_bytes())
    assert sum(found.explained) > 0.2
    assert "two principal components explain" in repr(found)
    table = found.to_arrow()
    assert table.column_names == ["dataset", "material_id", "formula", "x", "y", MODULUS]
    assert np.frombuffer(block(page, "xy"), "<f4").reshape(-1, 2)[:, 0].tolist() == table["x"].to_pylist()


def test_words_truths_and_days_are_colours(mapped: matlake.Lake, tmp_path: Path) -> None:
    found = {}
    for name in ("kind", "stiff", "measured", "NELEMENTS"):
        mapped.map("elastic", "magpie", name, output=tmp_path / f"{name}.html", structures=0, progress=False)
        found[name] = facts(tmp_path / f"{name}.html")["colour"]
    assert len(found["kind"]["categories"]) == 7
    assert found["kind"]["others"] == 1
    assert found["kind"]["missing"] == 6
    assert found["stiff"]["categories"] == ["no", "yes"]
    assert 2020 <= found["measured"]["low"] < found["measured"]["high"] < 2020.2
    assert json.loads(block(tmp_path / "measured.html", "words"))[0].startswith("2020-")
    assert found["NELEMENTS"]["name"] == "nelements"


def test_other_datasets_lie_on_the_axes_of_the_first(mapped: matlake.Lake, tmp_path: Path) -> None:
    alone = mapped.map("elastic", "magpie", output=tmp_path / "a.parquet", export="parquet", progress=False)
    both = mapped.map(["elastic", "gaps"], "magpie", "dataset", output=tmp_path / "b.html", progress=False)
    table = both.to_arrow()
    assert both.explained == alone.explained
    assert table.num_rows == 100
    assert table["x"].to_pylist()[:60] == pytest.approx(alone.to_arrow()["x"].to_pylist(), rel=1e-5)
    assert facts(tmp_path / "b.html")["datasets"] == ["elastic", "gaps"]
    home = np.frombuffer(block(tmp_path / "b.html", "home"), np.uint8)
    assert home.tolist() == [0] * 60 + [1] * 40
    crystal = np.frombuffer(block(tmp_path / "b.html", "crystal"), "<i4")
    assert (crystal[:60] >= 0).all()
    assert (crystal[60:] == -1).all()


def test_what_is_left_out_is_counted_and_named(mapped: matlake.Lake, tmp_path: Path) -> None:
    found = mapped.map(
        ["gaps", "bare"], "magpie", "band_gap_eV", max_points=30, output=tmp_path / "m.html", seed=5, progress=False
    )
    answer = found.document()
    assert (answer["points"], answer["embedded"], answer["selected"]) == (30, 40, 43)
    assert answer["without_vector"] == 3
    assert {one["dataset"] for one in answer["left_out"]} == {"bare"}
    assert {one["reason"] for one in answer["left_out"]} == {"not embedded"}
    assert "30 of 40 materials, drawn at random" in repr(found)
    assert "3 of 43 materials have no vector" in repr(found)
    assert json.loads(json.dumps(answer)) == answer


@pytest.mark.parametrize(
    ("request_", "message", "hint"),
    [
        ({"dataset": "elastics"}, "there is no dataset 'elastics'", "do you mean 'elastic'?"),
        ({"dataset": []}, "no dataset is named", "datasets: "),
        ({"dataset": ["gaps", "gaps"]}, "named twice", "once"),
        ({"encoder": "magpi"}, "no encoder named 'magpi'", "do you mean 'magpie'?"),
        ({"encoder": "fractions"}, "nothing is embedded with fractions", "embed"),
        (
            {"dataset": "bare"},
            "nothing of dataset 'bare' is embedded",
            "lake.embed('magpie@attributes', dataset='bare')",
        ),
        ({"color": "bulk_modulus"}, "no property 'bulk_modulus'", "do you mean 'bulk_modulus_VRH_GPa'"),
        ({"where": "nelements ="}, "cannot select by", "predicate"),
        ({"where": "nelements > 90"}, "no material to draw", "more materials"),
        ({"where": "material_id IN ('mp-10003', 'mp-10010')"}, "a map needs 3", "more materials"),
        ({"projection": "tsne"}, "'tsne' is not a projection", "pca, umap"),
        ({"export": "embedding_atlas"}, "not a format", "embedding-atlas"),
        ({"max_points": 2}, "2 points", "3 or more"),
        ({"structures": -1}, "-1 structures", "0 or more"),
        ({"output": "map.png"}, "ends in .html", "export"),
        ({"output": "map.html", "export": "parquet"}, "ends in .parquet", "export"),
        ({"output": "nowhere/map.html"}, "there is no folder nowhere", "another file"),
    ],
)
def test_bad_requests_are_refused_and_write_nothing(
    mapped: matlake.Lake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request_: dict[str, Any],
    message: str,
    hint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MatlakeError) as caught:
        mapped.map(**{"dataset": "elastic", "encoder": "magpie", "progress": False} | request_)
    assert message in str(caught.value)
    assert hint in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_equal_vectors_cannot_be_mapped(mapped: matlake.Lake, tmp_path: Path) -> None:
    mapped.add(["GaN", "Ga2N2", "NGa", "N4Ga4"], dataset="same", progress=False)
    mapped.embed("magpie", dataset="same", progress=False)
    with pytest.raises(MatlakeError, match="all vectors are equal"):
        mapped.map("same", "magpie", output=tmp_path / "map.html", progress=False)
    mapped.datasets.delete("same")


def test_the_old_file_stays_where_the_new_one_cannot_be_written(
    mapped: matlake.Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "map.parquet"
    path.write_text("the old one")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(MatlakeError, match="No space left"):
            mapped.map("gaps", "magpie", output=path, export="parquet", progress=False)
    assert path.read_text() == "the old one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["map.parquet"]
    mapped.map("gaps", "magpie", output=path, export="parquet", progress=False)
    assert pq.read_table(path).num_rows == 40
    with pytest.raises(MatlakeError, match="is inside the lake"):
        mapped.map("gaps", "magpie", output=mapped.path / "heads" / "map.html", progress=False)


def test_umap_is_repeated_by_its_seed_and_places_what_it_was_not_fitted_to(
    mapped: matlake.Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("umap", reason="needs the extra 'map'")
    monkeypatch.setattr(projection, "UMAP_SAMPLE", 30)
    request: dict[str, Any] = {"projection": "umap", "export": "parquet", "progress": False}
    first = mapped.map("gaps", "magpie", output=tmp_path / "a.parquet", seed=2, **request)
    second = mapped.map("gaps", "magpie", output=tmp_path / "b.parquet", seed=2, **request)
    assert first.to_arrow().equals(second.to_arrow())
    assert first.fitted == 30
    assert "UMAP was fitted to 30 of" in repr(first)
    xy = np.stack([first.to_arrow()[axis].to_numpy() for axis in "xy"])
    assert np.isfinite(xy).all()
    assert xy.std(axis=1).min() > 0


def test_chemiscope_reads_its_file(mapped: matlake.Lake, tmp_path: Path) -> None:
    chemiscope = pytest.importorskip("chemiscope", reason="needs chemiscope, which 'dev' brings")
    path = tmp_path / "map.json.gz"
    found = mapped.map("elastic", "magpie", MODULUS, export="chemiscope", output=path, structures=20, progress=False)
    document = json.loads(gzip.decompress(path.read_bytes()))
    assert len(document["structures"]) == 20
    # what chemiscope itself would have made of the same structures and properties
    made = chemiscope.create_input(
        structures=document["structures"],
        properties=document["properties"],
        metadata={"name": document["meta"]["name"], "description": document["meta"]["description"]},
        settings=document["settings"],
    )
    assert json.dumps(made, sort_keys=True) == json.dumps(document, sort_keys=True)
    assert chemiscope.show_input(str(path)) is not None
    ids = document["properties"]["material_id"]["values"]
    assert ids == found.to_arrow()["material_id"].to_pylist()
    _, table = mapped.read_dataset("elastic")
    place = table["material_id"].to_pylist().index(ids[7])
    crystal = CrystalColumns.from_arrow(table.slice(place, 1))[0]
    shown = document["structures"][7]
    assert shown["names"] == [SYMBOLS[z - 1] for z in crystal.numbers]
    assert np.reshape(shown["cell"], (3, 3)) == pytest.approx(crystal.lattice, abs=1e-5)
    cartesian = np.stack([shown["x"], shown["y"], shown["z"]], axis=1)
    assert cartesian == pytest.approx(crystal.positions @ crystal.lattice, abs=1e-4)
    mapped.map("gaps", "magpie", "band_gap_eV", export="chemiscope", output=tmp_path / "g.json", progress=False)
    gaps = json.loads((tmp_path / "g.json").read_text())
    assert gaps["structures"] == []
    assert len(gaps["properties"]["band_gap_eV"]["values"]) == 40
    assert chemiscope.show_input(str(tmp_path / "g.json"), mode="map") is not None


def test_embedding_atlas_gets_coordinates_and_its_command(mapped: matlake.Lake, tmp_path: Path) -> None:
    path = tmp_path / "map.parquet"
    found = mapped.map("gaps", "magpie", "band_gap_eV", export="embedding-atlas", output=path, progress=False)
    table = pq.read_table(path)
    assert table.column_names == ["dataset", "material_id", "formula", "x", "y", "band_gap_eV"]
    command = found.document()["open_with"]
    assert command == f"embedding-atlas {path} --x x --y y --text formula"
