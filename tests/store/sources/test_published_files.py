"""Tests of published data sets: found, downloaded, opened with units; changed, damaged, or already here."""

import bz2
import gzip
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from web_server import Asked, Reply, Waits, WebServer, web_server

import matlake
from matlake.errors import SourceError
from matlake.store.importing.importer import ImportReport
from matlake.store.sources import alexandria, jarvis, lemat, matbench
from matlake.store.sources.catalogue import named_source
from matlake.store.sources.importing import import_named
from matlake.store.sources.materials_project_documents import UNITS
from matlake.store.sources.protocol import Fetch, Fetched, Remembered
from matlake.store.sources.published import PublishedSet, RemoteFile, read_table
from matlake.store.tables import delta

METALS = {"Mg": 4.21, "Ca": 4.81, "Ni": 4.19}


def cell(a: float) -> list[list[float]]:
    return [[0, a / 2, a / 2], [a / 2, 0, a / 2], [a / 2, a / 2, 0]]


def pymatgen(metal: str) -> dict[str, Any]:
    sites = [
        {"species": [{"element": element, "occu": 1}], "abc": [place] * 3}
        for element, place in ((metal, 0.0), ("O", 0.5))
    ]
    return {"@class": "Structure", "lattice": {"matrix": cell(METALS[metal])}, "sites": sites}


def jarvis_zip(gap: float = 4.0, name: str = "jdft_3d-9-24-2025.json") -> bytes:
    records = [
        {
            "jid": f"JVASP-{number}",
            "atoms": {
                "lattice_mat": cell(a),
                "coords": [[0.0] * 3, [0.5] * 3],
                "elements": [metal, "O"],
                "cartesian": False,
            },
            "formula": f"{metal}O",
            "formation_energy_peratom": -2.5,
            "optb88vdw_bandgap": gap if metal == "Ca" else 4.0,
            "mbj_bandgap": "na",
            "bulk_modulus_kv": 150.0,
        }
        for number, (metal, a) in enumerate(METALS.items())
    ]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, json.dumps(records))
    return packed.getvalue()


def matbench_json() -> bytes:
    rows = [[pymatgen(metal), 500.0] for metal in METALS]
    table = {"index": [0, 1, 2], "columns": ["structure", "last phdos peak"], "data": rows}
    return gzip.compress(json.dumps(table).encode(), mtime=0)


def alexandria_bz2(first: int) -> bytes:
    entries = [
        {
            "@class": "ComputedStructureEntry",
            "energy": -12.0,
            "composition": {metal: 1.0, "O": 1.0},
            "entry_id": None,
            "structure": pymatgen(metal),
            "data": {"mat_id": f"agm{first + number:06d}", "e_form": -2.5, "e_above_hull": 0.0, "band_gap_ind": 4.0},
        }
        for number, metal in enumerate(METALS)
    ]
    return bz2.compress(json.dumps({"entries": entries}).encode())


def lemat_parquet(first: int, functional: str = "pbe") -> bytes:
    columns = {
        "immutable_id": [f"x-{first + number}" for number in range(3)],
        "chemical_formula_reduced": [f"{metal}O" for metal in METALS],
        "lattice_vectors": [cell(a) for a in METALS.values()],
        "cartesian_site_positions": [[[0.0] * 3, [a / 2] * 3] for a in METALS.values()],
        "species": [
            json.dumps([{"name": name, "chemical_symbols": [name], "concentration": [1.0]} for name in (metal, "O")])
            for metal in METALS
        ],
        "species_at_sites": [[metal, "O"] for metal in METALS],
        "functional": [functional] * 3,
        "energy": [-12.0] * 3,
    }
    stored = io.BytesIO()
    pq.write_table(pa.table(columns), stored)
    return stored.getvalue()


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    with web_server(lambda _: Reply()) as running:
        yield running


@pytest.fixture(autouse=True)
def _cache(server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATLAKE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setattr(alexandria, "ROOT", f"{server.url}/data")
    server.asked.clear()


def serve(server: WebServer, content: Mapping[str, Any]) -> None:
    """Answer with files and documents at these paths; a file has a tag of its content."""

    def answer(asked: Asked) -> Reply:
        body = content.get(asked.path)
        if body is None:
            return Reply({"message": "no such file"}, 404)
        if not isinstance(body, bytes):
            return Reply(body)
        tag = f'"{hashlib.sha256(body).hexdigest()}"'
        return Reply(b"", 304) if asked.headers.get("if-none-match") == tag else Reply(body, 200, {"ETag": tag})

    server.answers = answer


def put(monkeypatch: pytest.MonkeyPatch, sets: dict[str, PublishedSet], name: str, **changes: Any) -> RemoteFile:
    """Give the file of a data set another address, checksum or listing."""
    file = replace(sets[name].files[0], **changes)
    monkeypatch.setitem(sets, name, replace(sets[name], files=(file,)))
    return file


def fetch(folder: Path, spec: str, before: Remembered | None = None) -> Fetched | None:
    return named_source(spec).fetch(Fetch(folder, before, client=Waits().client))


def rows(fetched: Fetched | None) -> list[dict[str, Any]]:
    assert fetched is not None
    return [row for batch in fetched.source.batches() for row in batch.columns.to_pylist()]


def crystals(fetched: Fetched | None) -> int:
    assert fetched is not None
    return sum(len(batch.crystals or []) for batch in fetched.source.batches())


def test_a_task_of_matbench_is_checked_and_has_its_ids_and_unit(
    server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = matbench_json()
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    put(monkeypatch, matbench.SETS, "matbench_phonons", url=f"{server.url}/phonons.json.gz", checksum=checksum)
    serve(server, {"/phonons.json.gz": content})
    fetched = fetch(tmp_path, "matbench:phonons")
    assert rows(fetched) == [
        {"material_id": f"mb-phonons-{number}", "last_phdos_peak_per_cm": 500.0} for number in (1, 2, 3)
    ]
    assert crystals(fetched) == 3
    assert fetched is not None
    assert fetched.remembered.version == "0.1"
    assert fetched.remembered.licence == "CC BY 4.0"
    assert any("cite G. Petretto" in note for note in fetched.source.notes)
    assert fetch(tmp_path, "matbench:matbench_phonons", fetched.remembered) is None


def test_a_file_that_is_not_the_published_one_is_not_kept(
    server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, matbench.SETS, "matbench_phonons", url=f"{server.url}/phonons.json.gz")
    serve(server, {"/phonons.json.gz": matbench_json()})
    with pytest.raises(SourceError, match="does not have the published checksum sha256:4db551f2"):
        fetch(tmp_path, "matbench:phonons")
    assert not list((tmp_path / "cache").rglob("*phonons*"))


def test_jarvis_is_checked_by_what_figshare_lists(
    server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = jarvis_zip()
    put(
        monkeypatch, jarvis.SETS, "dft_3d", url=f"{server.url}/files/64391379", listing=f"{server.url}/articles/1/files"
    )
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    listed = [{"id": 1, "computed_md5": "0" * 32}, {"id": 64391379, "computed_md5": md5}]
    serve(server, {"/files/64391379": content, "/articles/1/files": listed})
    fetched = fetch(tmp_path, "jarvis:dft_3d")
    row = rows(fetched)[0]
    assert row["formation_energy_eV_per_atom"] == -2.5
    assert row["optb88vdw_bandgap_eV"] == 4.0
    assert row["bulk_modulus_kv_GPa"] == 150.0
    assert "JVASP-0" in row.values()
    assert crystals(fetched) == 3
    listed[1]["computed_md5"] = "1" * 32
    with pytest.raises(SourceError, match="does not have the published checksum md5:1111"):
        fetch(tmp_path, "jarvis:dft_3d")


def test_jarvis_without_figshare_is_not_checked_but_compared_by_its_tag(
    server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, jarvis.SETS, "dft_3d", url=f"{server.url}/file", listing=f"{server.url}/nowhere")
    serve(server, {"/file": jarvis_zip()})
    first = fetch(tmp_path, "jarvis:dft_3d")
    assert first is not None
    assert fetch(tmp_path, "jarvis:dft_3d", first.remembered) is None
    serve(server, {"/file": jarvis_zip(gap=5.0)})
    assert sorted(row["optb88vdw_bandgap_eV"] for row in rows(fetch(tmp_path, "jarvis:dft_3d", first.remembered))) == [
        4.0,
        4.0,
        5.0,
    ]


def test_a_truncated_zip_is_one_line_and_is_not_kept(
    server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, jarvis.SETS, "dft_3d", url=f"{server.url}/file", listing="")
    serve(server, {"/file": jarvis_zip()[:200]})
    with pytest.raises(SourceError, match=r"damaged.*; the downloaded copy was removed"):
        fetch(tmp_path, "jarvis:dft_3d")
    assert not list((tmp_path / "cache").rglob("*jdft*"))


def test_a_copy_that_the_user_has_is_the_published_data_set(tmp_path: Path) -> None:
    path = tmp_path / "jdft_3d-9-24-2025.json.zip"
    path.write_bytes(jarvis_zip())
    for spec in (f"jarvis:{path}", f"jarvis:{tmp_path}/"):
        fetched = fetch(tmp_path, spec)
        assert fetched is not None
        assert fetched.remembered.origin == "jarvis:dft_3d"
        assert fetched.remembered.version == "2025-09-24"
        assert crystals(fetched) == 3


def test_a_copy_with_another_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "matbench_phonons.json.gz"
    path.write_bytes(matbench_json())
    with pytest.raises(SourceError, match="does not have the published checksum"):
        fetch(tmp_path, f"matbench:{path}")


def test_alexandria_takes_all_numbered_files_of_the_newest_version(server: WebServer, tmp_path: Path) -> None:
    old, new = "/data/pbe/2024.12.15", "/data/pbe/2025.07.02"
    index = '<a href="../">../</a><a href="2024.12.15/">2024</a><a href="2025.07.02/">2025</a><a href="x.dat">x</a>'
    files = (
        '<a href="alexandria_000.json.bz2">0</a><a href="alexandria_001.json.bz2">1</a><a href="convex_hull.json.bz2">'
    )
    pages = {"/data/pbe/": index.encode(), f"{new}/": files.encode(), f"{old}/": files[:45].encode()}
    content = {f"{new}/alexandria_{number:03d}.json.bz2": alexandria_bz2(10 * number) for number in (0, 1)}
    serve(server, {**pages, **content, f"{old}/alexandria_000.json.bz2": alexandria_bz2(90)})
    fetched = fetch(tmp_path, "alexandria:pbe")
    assert fetched is not None
    assert crystals(fetched) == 6
    assert "no checksum was found for 2025.07.02-alexandria_000.json.bz2, …" in fetched.source.notes
    assert fetched.remembered.version == "2025.07.02"
    row = rows(fetched)[3]
    assert "agm000010" in row.values()
    assert row["formation_energy_eV_per_atom"] == -2.5
    assert row["band_gap_ind_eV"] == 4.0
    earlier = fetch(tmp_path, "alexandria:pbe@2024.12.15")
    assert crystals(earlier) == 3
    with pytest.raises(SourceError, match=r"has no version 2020\.01\.01") as caught:
        fetch(tmp_path, "alexandria:pbe@2020.01.01")
    assert "2024.12.15, 2025.07.02" in caught.value.hint


def test_a_folder_that_lists_nothing_is_said(server: WebServer, tmp_path: Path) -> None:
    serve(server, {"/data/scan/": b"<html>moved</html>"})
    with pytest.raises(SourceError, match="lists no files of Alexandria"):
        fetch(tmp_path, "alexandria:scan")


def hub(server: WebServer, functional: str = "pbe", revision: str = "a" * 40) -> None:
    place = "/api/datasets/LeMaterial/LeMat-Bulk"
    files = {f"compatible_pbe/train-0000{number}-of-00002.parquet": lemat_parquet(3 * number) for number in (0, 1)}
    files["compatible_pbe/train-00001-of-00002.parquet"] = lemat_parquet(3, functional)
    tree = [
        {"type": "file", "path": path, "lfs": {"oid": hashlib.sha256(content).hexdigest()}}
        for path, content in files.items()
    ]
    resolved = {f"/datasets/LeMaterial/LeMat-Bulk/resolve/{revision}/{path}": body for path, body in files.items()}
    serve(server, {place: {"sha": revision}, f"{place}/tree/{revision}/compatible_pbe": tree, **resolved})


def test_lemat_takes_the_shards_of_one_functional(server: WebServer, tmp_path: Path) -> None:
    hub(server)
    fetched = fetch(tmp_path, "lemat:pbe")
    assert crystals(fetched) == 6
    assert fetched is not None
    assert fetched.remembered.version == "revision aaaaaaaaaaaa"
    assert rows(fetched)[0]["energy_eV"] == -12.0
    server.asked.clear()
    assert fetch(tmp_path, "lemat:pbe", fetched.remembered) is None
    assert len(server.asked) == 2


def test_lemat_refuses_energies_of_two_functionals(server: WebServer, tmp_path: Path) -> None:
    hub(server, functional="scan")
    fetched = fetch(tmp_path, "lemat:pbe")
    with pytest.raises(SourceError, match="several functionals: pbe, scan"):
        rows(fetched)


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("jarvis:dft3d", "no data set 'dft3d'", "did you mean jarvis:dft_3d"),
        ("jarvis:", "names no data set", "dft_3d"),
        ("matbench:phonon", "no data set 'phonon'", "matbench:matbench_phonons"),
        ("alexandria:pbe@new", "not a version", "alexandria:pbe@2024.12.15"),
        ("lemat:hse", "no data set 'hse'", "pbe, pbesol, scan"),
        ("jarvis:./nothing.json.zip", "no file of jarvis", "dft_3d"),
    ],
)
def test_a_name_that_does_not_exist_suggests_near_ones(server: WebServer, spec: str, message: str, hint: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        named_source(spec)
    assert hint in caught.value.hint
    assert not server.asked


@pytest.mark.parametrize("found", [*jarvis.SETS.values(), *matbench.SETS.values()], ids=lambda found: found.spec)
def test_each_data_set_says_where_it_is_and_what_to_cite(found: PublishedSet) -> None:
    assert found.version
    assert found.licence
    assert "doi:" in found.citation or "http" in found.citation or "(1997)" in found.citation
    assert all(file.url.startswith("https://") and "/" not in file.name for file in found.files)
    if found.source == "matbench":
        assert all(len(file.checksum) == len("sha256:") + 64 for file in found.files)


@pytest.mark.parametrize("sets", [jarvis.SETS, matbench.SETS, alexandria.SETS, lemat.SETS], ids=len)
def test_the_page_states_licence_and_citation_of_each(sets: dict[str, PublishedSet]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "sources.md").read_text("utf-8")
    lines = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    for found in sets.values():
        own = found.citation.removesuffix(f"; {matbench.BENCHMARK}")
        assert f"| {found.licence} | {own} |" in lines[found.spec]
    assert read_table()["looked_up"] in page


def test_the_benchmark_knows_the_columns_with_units() -> None:
    from matlake.studies.matbench.tasks import TASKS

    assert set(matbench.SETS) <= set(TASKS)
    for found in matbench.SETS.values():
        assert {*found.units, *found.units.values()} <= set(TASKS[found.name].columns)


def test_units_are_read_from_the_names_of_columns() -> None:
    from matlake.materials.units import unit_of

    named = [new for units in (*read_table()["units"].values(), UNITS) for new in units.values()]
    assert [name for name in named if not unit_of(name)] == []


@pytest.fixture
def empty_lake(tmp_path: Path) -> matlake.Lake:
    return matlake.open_lake(tmp_path / "lake", create=True)


def import_again(lake: matlake.Lake, spec: str) -> ImportReport:
    return import_named(lake, spec, "mine", client=Waits().client)


def test_an_import_says_of_each_row_where_it_is_from(
    server: WebServer, empty_lake: matlake.Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, jarvis.SETS, "dft_3d", url=f"{server.url}/file", listing="")
    serve(server, {"/file": jarvis_zip()})
    report = import_again(empty_lake, "jarvis:dft_3d")
    assert (report.rows, report.failed) == (3, 0)
    found = empty_lake.query(
        "SELECT material_id, source, source_id, source_version, source_licence FROM mine ORDER BY 1"
    )
    assert found.to_pylist()[0] == {
        "material_id": "JVASP-0",
        "source": "jarvis:dft_3d",
        "source_id": "JVASP-0",
        "source_version": "2025-09-24",
        "source_licence": "CC BY 4.0",
    }


def test_the_same_file_leaves_the_dataset_alone_and_another_is_merged(
    server: WebServer, empty_lake: matlake.Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, jarvis.SETS, "dft_3d", url=f"{server.url}/file", listing="")
    serve(server, {"/file": jarvis_zip()})
    import_again(empty_lake, "jarvis:dft_3d")
    table = delta.open_table(empty_lake.dataset("mine"))
    assert table is not None
    again = import_again(empty_lake, "jarvis:dft_3d")
    table.update_incremental()
    assert (table.version(), again.rows) == (0, 0)
    serve(server, {"/file": jarvis_zip(gap=5.0)})
    changed = import_again(empty_lake, "jarvis:dft_3d").update
    assert changed is not None
    assert (changed.new, changed.changed, changed.unchanged) == (0, 1, 2)
    gaps = empty_lake.query("SELECT optb88vdw_bandgap_eV AS gap FROM mine ORDER BY material_id")
    assert gaps["gap"].to_pylist() == [4.0, 5.0, 4.0]


def test_a_wrong_checksum_leaves_the_lake_as_it_was(
    server: WebServer, empty_lake: matlake.Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, matbench.SETS, "matbench_phonons", url=f"{server.url}/phonons.json.gz")
    serve(server, {"/phonons.json.gz": matbench_json()})
    with pytest.raises(SourceError, match="does not have the published checksum"):
        import_again(empty_lake, "matbench:phonons")
    assert empty_lake.dataset_names() == []
