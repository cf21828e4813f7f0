"""One set of tests for lakes in a folder and in a bucket, and for lakes that are copied from one to the other."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pyarrow.parquet as pq
import pytest
from object_store import ObjectStore, slow_down
from samples import GAPS

import matlake
from matlake.errors import DamageWarning, EncoderError, HeadError, LakeError
from matlake.regress.heads.storage import load_head, save_head
from matlake.store.storage.places import LakePath, lake_path
from matlake.store.storage.remote_path import RemotePath

ENCODER = "fractions"
ASKED = ["GaN", "TiO2"]
ROWS = 50
LAKE_0_1_0 = Path(__file__).parents[1] / "data" / "lake_0_1_0" / "lake"


@pytest.fixture(scope="module")
def environment(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The variables that lead to the store."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in object_store.environment.items():
            patch.setenv(name, value)
        patch.setenv("MATLAKE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module", params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where a lake is to be."""
    if request.param == "folder":
        return str(tmp_path_factory.mktemp("lake") / "lake")
    request.getfixturevalue("environment")
    store: ObjectStore = request.getfixturevalue("object_store")
    return f"s3://{store.make_bucket()}/some/lake"


@pytest.fixture(scope="module")
def lake(place: str) -> matlake.Lake:
    """A lake with the dataset ``gaps``, embedded, and the head ``gap``."""
    lake = matlake.open_lake(place, create=True)
    lake.add(pq.read_table(GAPS).slice(0, ROWS), "gaps", progress=False)
    lake.embed(ENCODER, progress=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matlake.regress.heads.train.draw_plots", lambda *_: {"parity.png": b"a plot"})
        lake.train("band_gap_eV", ENCODER, model="ridge", name="gap", progress=False)
    return lake


def values(lake: matlake.Lake, head: str = "gap") -> list[float]:
    return [one.value for one in lake.predict(head, ASKED, progress=False).predictions]


def one(lake: matlake.Lake, statement: str) -> object:
    return lake.sql(statement).arrow()[0][0].as_py()


def test_materials_are_queried_with_sql(lake: matlake.Lake) -> None:
    assert one(lake, "SELECT count(*) FROM materials") == ROWS
    assert one(lake, f"SELECT count(vector) FROM embed.{ENCODER}") == ROWS
    with pytest.raises(matlake.errors.QueryError):
        lake.sql("DROP TABLE materials")


def test_a_second_embed_has_nothing_to_do_and_new_rows_are_embedded(lake: matlake.Lake) -> None:
    assert lake.embed(ENCODER, progress=False).embedded == 0
    lake.add(["NaCl", "KBr"], "salts", progress=False)
    assert lake.embed(ENCODER, dataset="salts", progress=False).embedded == 2


def test_the_nearest_materials_are_found(lake: matlake.Lake) -> None:
    first = lake.sql("SELECT material_id, formula FROM gaps LIMIT 1").arrow().to_pylist()[0]
    found = lake.search(ENCODER, formula=first["formula"], dataset="gaps", k=3).neighbours
    assert found[0].distance == pytest.approx(0, abs=1e-6)
    assert first["material_id"] not in [n.material_id for n in lake.search(ENCODER, id=first["material_id"]).neighbours]


def test_vectors_of_other_programs_are_imported_and_searched(lake: matlake.Lake) -> None:
    ids = lake.sql("SELECT material_id FROM gaps ORDER BY material_id LIMIT 3").df()["material_id"].tolist()
    for imported in (3, 0):
        report = lake.import_embeddings((ids, [[0, 0], [0, 1], [5, 5]]), encoder="net", dataset="gaps", progress=False)
        assert (report.imported, report.without_vector) == (imported, ROWS - 3)
    assert [one.material_id for one in lake.search("net", id=ids[0], k=2).neighbours] == ids[1:]
    assert lake.encoders.verify("net").passed


def test_heads_predict_formulas_and_datasets(lake: matlake.Lake) -> None:
    assert values(lake) == pytest.approx(values(matlake.open_lake(str(lake.path))))
    saved = lake.head("gap").predict_dataset("gaps", save=True, progress=False)
    assert saved.saved + saved.skipped == ROWS
    assert one(lake, "SELECT count(*) FROM predictions WHERE dataset = 'gaps' AND NOT stale") == ROWS
    stored = one(lake, "SELECT value FROM predictions ORDER BY material_id LIMIT 1")
    formula = one(lake, "SELECT formula FROM gaps ORDER BY material_id LIMIT 1")
    assert lake.predict("gap", [formula], progress=False).predictions[0].value == pytest.approx(stored, abs=1e-4)


def test_heads_and_encoders_are_listed_shown_and_reported_on(lake: matlake.Lake, tmp_path: Path) -> None:
    assert "gap" in lake.heads
    assert not lake.encoders[ENCODER].registered.shipped  # the lake keeps the encoders that it uses
    assert lake.encoders[ENCODER].folder.joinpath("encoder.onnx").exists()
    assert lake.status().heads == sorted(lake.heads.names())
    (page,) = lake.head("gap").report(tmp_path / "gap.html")
    assert "data:image/png" in page.read_text()


def test_heads_suggest_and_are_served(lake: matlake.Lake) -> None:
    pytest.importorskip("fastapi", reason="needs the extra 'serve'")
    lake.add(["AlN", "InN"], "nitrides", progress=False)
    lake.embed(ENCODER, dataset="nitrides", progress=False)
    assert len(lake.suggest("gap", 2, dataset="nitrides").suggestions) == 2
    server = lake.serve("gap", port=0)
    try:
        body = json.dumps({"formulas": ASKED}).encode()
        request = Request(f"{server.url}v1/predict", body, {"Content-Type": "application/json"})  # noqa: S310 - ours
        with urlopen(request, timeout=60) as answer:  # noqa: S310 - of this machine
            predicted = [one["value"] for one in json.load(answer)["predictions"]]
    finally:
        server.stop()
    assert predicted == pytest.approx(values(lake), rel=1e-3)


def test_a_study_keeps_its_measurements_and_resumes(lake: matlake.Lake) -> None:
    study: dict[str, Any] = {
        "target": "band_gap_eV",
        "splits": ("random",),
        "features": ((ENCODER,),),
        "models": ("ridge",),
        "dataset": "gaps",
        "seeds": 1,
        "parameters": "default",
    }
    assert lake.evaluate.extrapolation(progress=False, **study).document()["measured"] > 0
    again = matlake.open_lake(str(lake.path)).evaluate.extrapolation(progress=False, **study)
    assert again.document()["measured"] == 0


def test_a_head_that_is_saved_again_is_another_at_once(lake: matlake.Lake) -> None:
    head = load_head(lake, "gap")
    content = lake.head_folder("gap").joinpath("head.onnx").read_bytes()  # type: ignore[union-attr]
    reader = matlake.open_lake(str(lake.path))
    for seed in (1, 2):
        card = replace(head.card, name="again", training=replace(head.card.training, seed=seed))
        save_head(lake, card, content, head.reference, {"parity.png": b"a plot"})
        assert load_head(reader, "again").card.training.seed == seed
    lake.heads.delete("again")
    with pytest.raises(HeadError, match=f"there is no head 'again' in {lake.path}"):
        reader.head("again")


def test_heads_are_exported_to_folders_and_to_other_lakes(lake: matlake.Lake, tmp_path: Path) -> None:
    assert (lake.head("gap").export(tmp_path / "gap") / "head.onnx").exists()
    with pytest.raises(HeadError, match="exists"):
        lake.head("gap").export(tmp_path / "gap")
    lake.head("gap").export(str(lake.path / "heads" / "copied"))
    assert values(lake, "copied") == values(lake)
    lake.heads.delete("copied")


def test_a_lake_is_checked_and_compacted(lake: matlake.Lake) -> None:
    assert lake.check(progress=False).damaged == []
    lake.compact(progress=False)
    assert one(lake, f"SELECT count(vector) FROM embed.{ENCODER} WHERE dataset = 'gaps'") == ROWS


def test_datasets_are_renamed_exported_and_deleted(lake: matlake.Lake, tmp_path: Path) -> None:
    lake.add(["MgO", "CaO"], "oxides", progress=False)
    lake.datasets.rename("oxides", "rocksalt")
    assert lake.datasets.export("rocksalt", tmp_path / "rocksalt.csv") == 2
    lake.datasets.delete("rocksalt")
    assert not {"oxides", "rocksalt"} & set(lake.datasets)


def test_damage_to_a_head_or_an_encoder_is_named(lake: matlake.Lake) -> None:
    other = copied(lake.path, lake.path.parent / "damaged")
    (other.path / "heads" / "gap" / "head.onnx").write_bytes(b"damage")
    (other.path / "encoders" / ENCODER / "encoder.onnx").write_bytes(b"damage")
    with pytest.raises(HeadError, match="does not match the sha256 of its card"):
        values(other)
    with pytest.raises(EncoderError, match="does not match the sha256 of its card"):
        other.search(ENCODER, formula="GaN")
    found = [str(problem) for problem in other.check(progress=False).damaged]
    assert any("heads/gap/head.onnx does not match the digest" in line for line in found)
    assert any(f"encoders/{ENCODER}/encoder.onnx does not match" in line for line in found)
    other.check(repair=True, progress=False)  # the encoder is in the package, too
    assert len(other.search(ENCODER, formula="GaN", k=2).neighbours) == 2
    (other.path / "heads" / "gap" / "card.json").write_bytes(b"{}")
    with pytest.warns(DamageWarning, match="is not a head's card"):
        assert other.heads.to_arrow().num_rows == 0


def test_there_is_no_lake_where_none_was_made(lake: matlake.Lake) -> None:
    nowhere = lake.path.parent / "nowhere"
    with pytest.raises(LakeError, match=f"there is no lake at {nowhere}"):
        matlake.open_lake(str(nowhere))


@pytest.mark.parametrize("place", ["bucket"], indirect=True)
def test_a_lake_copied_from_a_bucket_to_a_folder_answers_equally(lake: matlake.Lake, tmp_path: Path) -> None:
    assert answers(copied(lake.path, tmp_path / "lake")) == answers(lake)


@pytest.mark.usefixtures("environment")
def test_a_lake_of_0_1_0_copied_to_a_bucket_answers_equally_and_comes_back(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    old = matlake.open_lake(shutil.copytree(LAKE_0_1_0, tmp_path / "old"))
    there = copied(old.path, lake_path(f"s3://{object_store.make_bucket()}/lake"))
    expected = answers(old)
    assert len(expected["heads"]) > 1
    assert answers(there) == expected
    back = copied(there.path, tmp_path / "back")
    assert dict(contents(back.path)) == dict(contents(old.path))


def copied(source: LakePath, target: LakePath) -> matlake.Lake:
    """Copy a lake object by object, as any tool does."""
    for relative, content in contents(source):
        place = target.joinpath(*relative.split("/"))
        if isinstance(place, Path):
            place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return matlake.open_lake(target if isinstance(target, Path) else str(target))


def contents(source: LakePath) -> Iterator[tuple[str, bytes]]:
    if isinstance(source, RemotePath):
        yield from ((str(path.relative_to(source)), path.read_bytes()) for path, _ in source.objects())
        return
    for folder, _, names in os.walk(source):
        for name in names:
            path = Path(folder, name)
            yield path.relative_to(source).as_posix(), path.read_bytes()


def answers(lake: matlake.Lake) -> dict[str, Any]:
    """Return what a lake answers to many questions."""
    layers = [f"{one['name']}@{one['layer']}" for one in lake.status().encoders]
    with lake.connect() as connection:

        def ask(statement: str) -> list[tuple[object, ...]]:
            return connection.execute(statement).fetchall()

        ((first,),) = ask(f'SELECT material_id FROM embed."{layers[0]}" ORDER BY ALL LIMIT 1')
        asked = {
            "materials": ask("SELECT dataset, material_id, formula FROM materials ORDER BY ALL"),
            "vectors": [ask(f'SELECT * FROM embed."{layer}" ORDER BY dataset, material_id') for layer in layers],
            "failures": ask("SELECT dataset, material_id, reason FROM failures ORDER BY ALL"),
            "predictions": ask("SELECT material_id, value, stale FROM predictions ORDER BY ALL"),
        }
    return asked | {
        "heads": {name: lake.head(name).predict_dataset(progress=False).document() for name in lake.heads},
        "nearest": [vars(n) for n in lake.search(layers[0], id=first, k=3).neighbours],
    }


@pytest.mark.parametrize("place", ["bucket"], indirect=True)
def test_a_busy_store_delays_heads_and_does_no_harm(lake: matlake.Lake, object_store: ObjectStore) -> None:
    with object_store.failing(slow_down(2, key="*/heads/*")):
        assert len(values(lake)) == len(ASKED)
