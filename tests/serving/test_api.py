"""What the API answers is what the command line answers."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from running_server import Running, serving
from samples import CRYSTAL_ENCODER, ENCODER
from structures import CSCL, POSCAR

import matlake
from matlake.encoders.encoder import open_encoder
from matlake.materials.compositions import element_fractions
from matlake.materials.formula import parse_formula
from matlake.materials.structure_files.sniff import parse_structure
from matlake.regress.prediction.opened_head import open_head
from matlake.regress.prediction.predict import predict

HEAD_V1 = Path(__file__).parents[1] / "data" / "head_v1" / "gap-v1"
DOCUMENTATION = (Path(__file__).parents[2] / "docs" / "guides" / "serving.md").read_text()
FORMULAS = ["BaZrS3", "TiO2", "Xx", "GaN", ""]


def test_predictions_of_formulas_are_those_of_the_command(served_lake: matlake.Lake, server: Running) -> None:
    answer = server.post("/v1/predict", {"head": "gap", "formulas": FORMULAS})
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert_same(answer.document, json.loads(json.dumps(predict(served_lake, "gap", FORMULAS).document())))
    assert [one["row"] for one in answer.document["failed"]] == [2, 4]


def test_predictions_of_structures_are_those_of_the_head(
    served_lake: matlake.Lake, server: Running, elastic: pa.Table
) -> None:
    texts = [*elastic["poscar"].to_pylist()[:3], "nonsense", CSCL]
    answer = server.post("/v1/predict", {"head": "modulus", "structures": texts, "coordinates": True}).document
    crystals = [parse_structure(text) for text in texts if text != "nonsense"]
    expected = open_head(served_lake, "modulus").predict_crystals(crystals)
    assert [one["value"] for one in answer["predictions"]] == pytest.approx(expected.values.tolist(), rel=1e-5)
    assert [one["input"] for one in answer["predictions"]] == [one.composition.reduced_formula for one in crystals]
    assert expected.coordinates is not None
    places = [one["coordinates"] for one in answer["predictions"]]
    assert np.allclose(places, expected.coordinates[:, :2], atol=1e-4)
    (failed,) = answer["failed"]
    assert (failed["row"], failed["input"]) == (3, None)
    assert "neither CIF nor POSCAR" in failed["reason"]


def test_a_head_on_compositions_takes_structures_too(server: Running) -> None:
    of_formula = server.post("/v1/predict", {"head": "gap", "formulas": ["CsCl"]}).document["predictions"]
    of_crystal = server.post("/v1/predict", {"head": "gap", "structures": [POSCAR]}).document["predictions"]
    assert [one["value"] for one in of_crystal] == pytest.approx([one["value"] for one in of_formula], rel=1e-6)


def test_a_head_older_than_trust_answers_what_it_can(tmp_path: Path) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    shutil.copytree(HEAD_V1, lake.heads_folder / HEAD_V1.name)
    with serving(lake, HEAD_V1.name) as (server, _):
        (head,) = server.get("/v1/heads").document["heads"]
        assert (head["level"], head["map"]) == (None, False)
        answer = server.post("/v1/predict", {"formulas": ["TiO2"], "coordinates": True}).document
        (one,) = answer["predictions"]
        assert (one["lower"], one["ood_score"], one["nearest"], one["coordinates"]) == (None, None, [], None)
        refused = server.get(f"/v1/heads/{HEAD_V1.name}/map")
        assert refused.status == 404
        assert "train the head again" in refused.document["hint"]


def test_nothing_asked_is_nothing_answered(server: Running) -> None:
    answer = server.post("/v1/predict", {"head": "gap", "formulas": []})
    assert (answer.status, answer.document["predictions"], answer.document["failed"]) == (200, [], [])


def test_embeddings_are_those_of_the_encoder(served_lake: matlake.Lake, server: Running) -> None:
    answer = server.post("/v1/embed", {"encoder": f"{ENCODER}@16", "formulas": ["GaN", "?", "TiO2"]}).document
    assert (answer["encoder"], answer["layer"], answer["dim"]) == (ENCODER, "16", 32)
    encoder = open_encoder(served_lake.find_encoder(ENCODER).folder)
    fractions = element_fractions([parse_formula(text) for text in ("GaN", "TiO2")])
    expected = encoder.encode(fractions, "16")
    assert [one["input"] for one in answer["embeddings"]] == ["GaN", "TiO2"]
    assert np.allclose([one["vector"] for one in answer["embeddings"]], expected, rtol=1e-5, atol=1e-6)
    assert answer["failed"][0]["row"] == 1


def test_an_encoder_that_no_head_uses_is_opened_when_it_is_asked_for(server: Running) -> None:
    answer = server.post("/v1/embed", {"encoder": "chgnet-mptrj", "structures": [POSCAR]})
    assert answer.status == 200
    assert len(answer.document["embeddings"][0]["vector"]) == answer.document["dim"]


def test_search_finds_the_material_itself_first(server: Running, elastic: pa.Table) -> None:
    text, material_id = elastic["poscar"][5].as_py(), elastic["material_id"][5].as_py()
    answer = server.post("/v1/search", {"encoder": CRYSTAL_ENCODER, "structures": [text, "?"], "k": 3}).document
    (result,) = answer["results"]
    assert result["neighbours"][0]["material_id"] == material_id
    distances = [neighbour["distance"] for neighbour in result["neighbours"]]
    assert len(distances) == 3
    assert distances == sorted(distances)
    assert answer["failed"][0]["row"] == 1


def test_search_notices_what_is_embedded_later(
    served_lake: matlake.Lake, server: Running, write_table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matlake.serving.served_index.CHECK_S", 0.0)
    question = {"encoder": f"{ENCODER}@16", "formulas": ["Na3AlF6"], "k": 1}
    before = server.post("/v1/search", question)
    assert before.status == 404
    assert "matlake embed" in before.document["hint"]
    matlake.import_table(served_lake, write_table("new.parquet", formula=["Na3AlF6"]), "new")
    matlake.embed(served_lake, [f"{ENCODER}@16"], dataset="new")
    (result,) = server.post("/v1/search", question).document["results"]
    assert (result["neighbours"][0]["formula"], result["neighbours"][0]["dataset"]) == ("Na3AlF6", "new")
    assert server.post("/v1/search", question | {"dataset": "gaps"}).document["results"][0]["neighbours"] == []
    assert server.post("/v1/search", question | {"dataset": "no"}).status == 404


def test_heads_tell_what_they_predict_and_need(server: Running) -> None:
    gap, modulus = server.get("/v1/heads").document["heads"]
    assert (gap["head"], gap["unit"], gap["quantity"], gap["input"]) == ("gap", "eV", "band gap", "formulas")
    assert (modulus["head"], modulus["unit"], modulus["input"]) == ("modulus", "GPa", "structures")
    assert gap["metrics"]["mae"] > 0


def test_the_map_holds_the_training_materials_and_their_values(served_lake: matlake.Lake, server: Running) -> None:
    answer = server.get("/v1/heads/gap/map")
    reference = open_head(served_lake, "gap").head.reference
    assert reference is not None
    assert answer.document["formula"] == reference.formula.tolist()
    assert np.allclose(answer.document["x"], reference.coordinates[:, 0], atol=1e-4)
    assert sum(answer.document["histogram"]["counts"]) == len(reference.value)
    again = server.get("/v1/heads/gap/map", If_None_Match=answer.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert server.get("/v1/heads/none/map").status == 404


def test_a_drawing_has_the_cell_its_images_and_its_bonds(server: Running) -> None:
    drawing = server.post("/v1/crystal", {"structure": POSCAR}).document
    assert (drawing["formula"], drawing["atoms"]) == ("CsCl", 2)
    assert [element["symbol"] for element in drawing["elements"]] == ["Cl", "Cs"]
    corners = [site for site in drawing["sites"] if site[0] == 1]
    assert len(corners) == 8  # caesium on each of them
    assert len(drawing["bonds"]) == 8  # from chlorine in the middle
    assert drawing["edges_A"] == pytest.approx([4.123] * 3)
    refused = server.post("/v1/crystal", {"structure": "nonsense"})
    assert refused.status == 422


def test_health_readiness_and_metrics(server: Running) -> None:
    server.post("/v1/predict", {"head": "gap", "formulas": ["TiO2"]})
    assert server.get("/healthz").document == {"status": "ok"}
    assert server.get("/readyz").document == {"status": "ready"}
    text = server.get("/metrics").body.decode()
    for line in ('matlake_requests_total{path="/v1/predict",status="200"}', 'outcome="answered",path="/v1/predict"'):
        assert line in text
    assert 'matlake_batch_requests_count{queue="head gap, formulas"}' in text


def test_examples_of_the_documentation_are_real(server: Running) -> None:
    document = server.get("/openapi.json").document
    assert {"/v1/predict", "/v1/embed", "/v1/search", "/v1/heads", "/healthz", "/readyz", "/metrics"} <= set(
        document["paths"]
    )
    for path in ("/v1/predict", "/v1/embed", "/v1/crystal", "/v1/rows", "/v1/sql"):
        operation = document["paths"][path]["post"]
        answer = server.post(path, operation["requestBody"]["content"]["application/json"]["example"])
        assert answer.status == 200
        expected = operation["responses"]["200"]["content"]["application/json"].get("example")
        if expected is not None:
            assert_same(answer.document, expected)
    for path in document["paths"]:
        assert re.sub(r"\{\w+\}", "NAME", path) in DOCUMENTATION
    page = server.get("/docs").body.decode()
    assert "/v1/predict" in page
    assert "<script" not in page


def assert_same(found: Any, expected: Any) -> None:
    """Compare documents; numbers to a millionth."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert_same(found[key], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)
    else:
        assert found == expected
