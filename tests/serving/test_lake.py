"""What the server tells of its lake and of its heads: rows, SQL, materials, searches by id, reports; and its limits."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from running_server import Running, serving, serving_process
from samples import CRYSTAL_ENCODER, ENCODER

import matlake
from matlake.encoders.encoder import open_encoder
from matlake.materials.structure_files.sniff import parse_structure
from matlake.regress.heads.card_files import CARD_FILE, read_card
from matlake.regress.heads.storage import find_head
from matlake.serving.settings import Settings

GAPS = {"dataset": "gaps", "where": [{"column": "band_gap_eV", "operator": ">", "value": 3}]}


def test_datasets_and_their_embedded_layers_are_listed(server: Running) -> None:
    answer = server.get("/v1/datasets").document
    named = {one["name"]: one for one in answer["datasets"]}
    assert (named["gaps"]["materials"], named["elastic"]["crystals"]) == (307, 120)
    assert named["elastic"]["source"] == "elastic.parquet"  # folders of the machine are nobody's business
    layers = {one["feature"]: one for one in answer["layers"]}
    assert (layers[f"{ENCODER}@13"]["input"], layers[f"{ENCODER}@13"]["external"]) == ("composition", False)
    assert any(name.startswith(CRYSTAL_ENCODER) and one["input"] == "crystal" for name, one in layers.items())
    assert answer["limits"]["rows"] == 10_000
    columns = {one["name"]: one for one in server.get("/v1/datasets/gaps").document["columns"]}
    assert (columns["band_gap_eV"]["unit"], columns["band_gap_eV"]["quantity"]) == ("eV", "band gap")
    assert ">=" in columns["band_gap_eV"]["operators"]
    assert "has all" in columns["elements"]["operators"]
    assert server.get("/v1/datasets/none").status == 404


def test_rows_come_with_the_sql_that_returns_them(served_lake: matlake.Lake, server: Running) -> None:
    sort = [{"column": "band_gap_eV", "descending": True}]
    answer = server.post("/v1/rows", GAPS | {"columns": ["formula", "band_gap_eV"], "sort": sort, "limit": 5}).document
    assert answer["columns"] == ["formula", "band_gap_eV"]
    gaps = [row[1] for row in answer["rows"]]
    assert len(gaps) == 5
    assert gaps == sorted(gaps, reverse=True)
    expected = served_lake.query("SELECT count(*) AS n FROM gaps WHERE band_gap_eV > 3")["n"][0].as_py()
    assert answer["total"] == expected
    same = served_lake.query(answer["sql"]).to_pylist()
    assert [list(row.values()) for row in same] == answer["rows"]
    by_hand = server.post("/v1/sql", {"statement": answer["sql"]}).document
    assert (by_hand["rows"], by_hand["truncated"]) == (answer["rows"], False)


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        ("rows", {"dataset": "no"}, 404, "there is no dataset 'no'"),
        ("rows", {"dataset": "gaps", "columns": ["a; DROP TABLE x"]}, 422, "there is no column"),
        ("rows", {"dataset": "gaps", "sort": [{"column": "no"}]}, 422, "there is no column 'no'"),
        ("rows", {"dataset": "gaps", "limit": 10_001}, 422, "a limit of 10,001 rows"),
        ("rows", {"dataset": "gaps", "limit": 0}, 422, "limit"),
        ("rows", {"dataset": "gaps", "offset": -1}, 422, "offset"),
        ("rows", {"dataset": "gaps", "where": [{"column": "formula", "operator": "="}] * 31}, 422, "where"),
        ("rows", {"dataset": "gaps", "where": [{"column": "formula", "operator": "LIKE", "value": "%"}]}, 422, "LIKE"),
        ("rows", {"dataset": "gaps", "where": "1=1"}, 422, "where"),
        ("rows", {"dataset": "gaps", "sql": "1"}, 422, "sql"),
        ("rows", {}, 422, "dataset"),
        ("sql", {"statement": "SELECT * FROM read_csv('/etc/passwd')"}, 422, "closed"),
        ("sql", {"statement": "COPY gaps TO '/tmp/x.csv'"}, 422, "read-only"),
        ("sql", {"statement": "SELECT 1; SELECT 2"}, 422, "2 statements"),
        ("sql", {"statement": "SELEC 1"}, 422, "syntax error"),
        ("sql", {"statement": "SELECT getenv('HOME')"}, 422, "closed"),
        ("sql", {"statement": "SELECT $1"}, 422, ""),
        ("sql", {"statement": " " * 20_001}, 422, "statement"),
        ("material", {"dataset": "gaps", "material_id": "none"}, 404, "there is no material 'none'"),
        ("material", {"dataset": "../gaps", "material_id": "x"}, 404, "there is no dataset"),
        ("search", {"materials": [{"material_id": "x"}], "formulas": ["GaN"]}, 422, "both materials and formulas"),
        ("search", {"materials": [{"material_id": "x"}] * 101}, 422, "materials"),
        ("search", {"materials": [], "encoder": "none"}, 404, "none"),
    ],
)
def test_a_wrong_question_gets_a_reason(server: Running, path: str, body: Any, status: int, reason: str) -> None:
    answer = server.post(f"/v1/{path}", body)
    assert (answer.status, set(answer.document)) == (status, {"error", "hint"})
    assert reason in answer.document["error"]
    assert ".py" not in answer.body.decode()


def test_a_query_has_limits_of_time_memory_and_rows(served_lake: matlake.Lake) -> None:
    with serving(served_lake, "gap", query_s=0.5, query_rows=100, query_bytes=64 << 20) as (server, _):
        endless = "SELECT sum(hash(a.range + b.range)) FROM range(100000000) a, range(100000000) b"
        slow = server.post("/v1/sql", {"statement": endless})
        assert slow.status == 422
        assert "more than 0.5 s" in slow.document["error"]
        assert "--max-seconds" not in slow.document["hint"]
        large = server.post("/v1/sql", {"statement": "SELECT repeat('x', 1000000) AS x FROM range(1000)"})
        assert large.status == 422
        many = server.post("/v1/sql", {"statement": "SELECT * FROM range(1000)"}).document
        assert (len(many["rows"]), many["truncated"]) == (100, True)
        assert server.post("/v1/predict", {"formulas": ["GaN"]}).status == 200


def test_a_material_is_shown_with_its_crystal(server: Running, elastic: pa.Table) -> None:
    name = elastic["material_id"][3].as_py()
    found = server.post("/v1/material", {"dataset": "elastic", "material_id": name}).document
    values = {one["name"]: one for one in found["values"]}
    assert values["bulk_modulus_VRH_GPa"]["unit"] == "GPa"
    assert values["bulk_modulus_VRH_GPa"]["value"] == pytest.approx(elastic["bulk_modulus_VRH_GPa"][3].as_py())
    drawn = server.post("/v1/crystal", {"structure": found["structure"]}).document
    assert drawn["atoms"] == len(parse_structure(elastic["poscar"][3].as_py()).numbers)


def test_a_search_by_id_is_one_by_the_vector_of_that_material(
    served_lake: matlake.Lake, server: Running, elastic: pa.Table
) -> None:
    name, text = elastic["material_id"][5].as_py(), elastic["poscar"][5].as_py()
    asked = [{"material_id": name, "dataset": "elastic"}, {"material_id": "none"}, {"material_id": name}]
    answer = server.post("/v1/search", {"encoder": CRYSTAL_ENCODER, "materials": asked, "k": 3}).document
    first, again = answer["results"]
    assert first == again
    assert answer["failed"][0]["row"] == 1
    assert "'none' is not a material that is embedded" in answer["failed"][0]["reason"]
    layer = open_encoder(served_lake.find_encoder(CRYSTAL_ENCODER).folder).card.default_layer
    assert (answer["encoder"], answer["layer"]) == (CRYSTAL_ENCODER, layer)
    near = [one["material_id"] for one in first["neighbours"]]
    assert name not in near
    question = {"encoder": CRYSTAL_ENCODER, "structures": [text], "k": 4}
    (by_structure,) = server.post("/v1/search", question).document["results"]
    assert [one["material_id"] for one in by_structure["neighbours"] if one["material_id"] != name][:3] == near
    distances = [one["distance"] for one in by_structure["neighbours"] if one["material_id"] != name]
    assert np.allclose(distances, [one["distance"] for one in first["neighbours"]], atol=1e-4)


def test_the_report_of_a_head_is_that_of_the_command(served_lake: matlake.Lake) -> None:
    with serving(served_lake, "gap") as (server, _):
        answer = server.get("/v1/heads/gap/report")
        report = answer.document
        headings = [section["heading"] for section in report["sections"]]
        assert {"Result", "Baselines", "Data", "Features", "Intervals and expected errors"} <= set(headings)
        parts = {section["heading"]: section["parts"] for section in report["sections"]}
        (table,) = [part for part in parts["Baselines"] if part["kind"] == "table"]
        assert any("mean of the training rows" in row for row in table["rows"])
        assert len(table["columns"]) == len(table["rows"][0])
        licence = next(part for part in parts["Features"] if part["kind"] == "table")
        assert "licence" in [column["heading"] for column in licence["columns"]]
        assert {part["kind"] for part in parts["Data"]} >= {"text", "code"}
        (plot,) = [part for part in parts["Result"] if part["kind"] == "plot" and part["name"] == "parity"]
        assert plot["caption"]
        calibration = read_card(find_head(served_lake, "gap") / CARD_FILE).calibration
        assert calibration is not None
        assert report["coverage"]["level"] == 0.9
        assert report["coverage"]["shares"][0]["share"] == calibration.coverage
        drawn = find_head(served_lake, "gap") / "plots" / "parity.svg"
        image = server.get("/v1/heads/gap/plots/parity")
        assert (image.headers["content-type"], image.body) == ("image/svg+xml", drawn.read_bytes())
        assert "sandbox" in image.headers["content-security-policy"]
        assert "default-src 'none'" in image.headers["content-security-policy"]
        again = server.get("/v1/heads/gap/report", If_None_Match=answer.headers["etag"])
        assert again.status == 304
        for path in ("gap/plots/none", "gap/plots/..%2Fcard.json", "none/report", "none/plots/parity"):
            assert server.get(f"/v1/heads/{path}").status == 404


def test_heads_alone_tell_nothing_of_the_lake(served_lake: matlake.Lake, tmp_path: Path) -> None:
    with serving_process(Path(str(served_lake.path)), tmp_path / "log", "gap", "--heads-only") as served:
        server = served.running
        assert server.get("/v1/datasets").document["datasets"] == []
        for path, body in (
            ("rows", GAPS),
            ("sql", {"statement": "SELECT 1"}),
            ("material", {"dataset": "gaps", "material_id": "x"}),
            ("search", {"formulas": ["GaN"]}),
        ):
            answer = server.post(f"/v1/{path}", body)
            assert (answer.status, answer.document["error"]) == (404, "this server answers for its heads alone")
        assert server.get("/v1/datasets/gaps").status == 404
        assert server.get("/v1/heads/gap/report").status == 200
        assert server.post("/v1/predict", {"formulas": ["GaN"]}).status == 200
        assert "elastic" not in json.dumps(server.get("/openapi.json").document["paths"]["/v1/rows"])
    assert Settings(("gap",)).heads_only is False


def test_a_lake_that_cannot_be_written_is_served_whole(served_lake: matlake.Lake, server: Running) -> None:
    """Nothing appears in its folder, whatever is asked; a copy without any right to write is in the tests of search."""
    root = Path(str(served_lake.path))
    before = snapshot(root)
    server.post("/v1/rows", GAPS)
    server.post("/v1/sql", {"statement": "SELECT count(*) FROM embeddings"})
    server.get("/v1/datasets/elastic")
    server.get("/v1/heads/modulus/report")
    assert snapshot(root) == before


def snapshot(root: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in root.rglob("*")}
