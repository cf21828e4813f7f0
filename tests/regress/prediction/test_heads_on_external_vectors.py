"""Heads on vectors of other programs predict where these are given, and say so where they are not."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from running_server import serving
from samples import GAPS

import matlake
from matlake.errors import EncoderError, HeadError, SourceError, UnknownEncoderError
from matlake.regress.prediction import given_vectors

ROWS, GIVEN, DIM = 60, 50, 5

TARGET = "band_gap_eV"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[matlake.Lake]:
    """60 measured gaps, 50 of them with vectors; ``alone`` on these, ``beside`` on two layers of them and fractions."""
    made = matlake.open_lake(tmp_path_factory.mktemp("external") / "lake", create=True)
    table = pq.read_table(GAPS).filter(pa.compute.greater(pq.read_table(GAPS)[TARGET], 1.0)).slice(0, ROWS)
    made.add(table.append_column("id", [[f"gap-{row}" for row in range(ROWS)]]), "gaps", progress=False)
    gaps = table[TARGET].to_numpy()[:GIVEN]
    vectors = np.random.default_rng(3).standard_normal((GIVEN, DIM))
    vectors[:, 0] = gaps + 0.1 * vectors[:, 0]  # what a good network would know
    ids = [f"gap-{row}" for row in range(GIVEN)]
    for layer in ("early", "late"):
        made.import_embeddings((ids, vectors), encoder="net", layer=layer, dataset="gaps", progress=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matlake.regress.heads.train.draw_plots", lambda *_: {})
        common: dict[str, Any] = {"model": "ridge", "transform": "none", "minimum": -1e9, "progress": False}
        made.train(TARGET, "net", name="alone", **common)
        made.train(TARGET, "net@late,fractions,net@early", name="beside", **common)
        yield made


def stored(lake: matlake.Lake, head: str) -> dict[str, float]:
    """Return what a head predicts for the lake's materials, by id."""
    found = lake.head(head).predict_dataset("gaps", progress=False)
    return {one.input: one.value for one in found.predictions}


def tables(lake: matlake.Lake) -> tuple[pa.Table, list[str]]:
    """Return formulas and vectors as a user has them, with their ids."""
    table = lake.sql(
        "SELECT material_id, formula, vector FROM embed.net JOIN gaps USING (dataset, material_id) ORDER BY material_id"
    ).arrow()
    return table.select(["formula", "vector"]).rename_columns(["formula", "net"]), table["material_id"].to_pylist()


def test_rows_without_a_vector_are_listed_and_the_others_predicted(lake: matlake.Lake) -> None:
    for head in ("alone", "beside"):
        found = lake.head(head).predict_dataset("gaps", progress=False)
        assert len(found.predictions) == GIVEN
        reasons = {failure.reason for failure in found.failed}
        assert reasons == {"no vector of encoder net: import it with import-embeddings"}
        assert len(found.failed) == ROWS - GIVEN
        assert (lake.head(head).metrics.r2 or 0.0) > 0.3  # the vectors are used


def test_a_table_of_vectors_gives_what_the_lake_gives(lake: matlake.Lake, tmp_path: Path) -> None:
    table, ids = tables(lake)
    expected = stored(lake, "alone")
    head = lake.head("alone")
    wide = table["net"].to_pylist()
    pq.write_table(table, tmp_path / "new.parquet", row_group_size=9)
    table.to_pandas().to_json(tmp_path / "new.jsonl", orient="records", lines=True)
    numbered = pd.DataFrame(wide, columns=[f"NET_{number}" for number in range(1, DIM + 1)])
    numbered = numbered.assign(formula=table["formula"].to_pylist(), other0=1.0, other1=2.0)
    numbered.to_csv(tmp_path / "numbered.csv", index=False)
    for given in (
        table,
        table.to_pandas(),
        table.rename_columns(["formula", "net@early"]).to_pandas().assign(net_x=1),
        pl.DataFrame({"formula": table["formula"].to_pylist(), "NET": wide}),
        {"formula": table["formula"].to_pylist(), "net": np.array(wide)},
        pa.RecordBatchReader.from_batches(table.schema, table.to_batches(7)),
        tmp_path / "new.parquet",
        tmp_path / "new.jsonl",
        numbered,
        tmp_path / "numbered.csv",
    ):
        found = head.predict(given, progress=False)
        assert [one.value for one in found.predictions] == pytest.approx([expected[name] for name in ids]), type(given)

    written = head.predict(tmp_path / "new.parquet", output=tmp_path / "out.csv", progress=False)
    assert (written.rows, written.n_failed) == (GIVEN, 0)
    assert pd.read_csv(tmp_path / "out.csv")[f"predicted_{TARGET}"].tolist() == pytest.approx(
        [expected[n] for n in ids]
    )

    with pytest.raises(SourceError, match="NET_1 to NET_5, but no NET_3"):
        head.predict(numbered.drop(columns="NET_3"), progress=False)

    both = table.rename_columns(["formula", "net@early"]).append_column("net@late", table["net"])
    expected = stored(lake, "beside")
    found = lake.head("beside").predict(both, progress=False)
    assert [one.value for one in found.predictions] == pytest.approx([expected[name] for name in ids], rel=1e-5)
    with pytest.raises(HeadError, match="head beside needs vectors of net@late, net@early"):
        lake.head("beside").predict(table, progress=False)  # which layer is it?


def test_bad_vectors_of_a_table_cost_their_own_rows(lake: matlake.Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    good = np.ones(DIM)
    vectors = [good, None, good[:3], [*good[:4], np.nan], good, good]
    monkeypatch.setattr("matlake.store.external.tables.BLOCK_ROWS", 2)
    frame = pd.DataFrame({"formula": ["GaN", "TiO2", "MgO", "ZnO", "Xx", "SiC"], "net": vectors})
    found = lake.head("alone").predict(frame, progress=False)
    assert [one.input for one in found.predictions] == ["GaN", "SiC"]
    reasons = [failure.reason for failure in found.failed]
    assert reasons[0] == "no vector of encoder net, in column net"
    assert reasons[1] == f"a vector of 3 numbers, not {DIM}, in column net"
    assert reasons[2].startswith("a vector with NaN")
    assert "Xx" in reasons[3]
    with pytest.raises(SourceError, match="'net' of the DataFrame holds text, not vectors"):
        lake.head("alone").predict(frame.assign(net="[1, 2]"), progress=False)
    short = given_vectors.VectorStream("a table", iter([]))
    with pytest.raises(SourceError, match="a table has lines that are no rows, or was changed while it was read"):
        short.take(1)


def test_lines_of_a_file_keep_their_own_vectors(lake: matlake.Lake, tmp_path: Path) -> None:
    rows = [{"formula": formula, "NET": [float(place)] * DIM} for place, formula in enumerate(["GaN", "TiO2", "SiC"])]
    expected = [one.value for one in lake.head("alone").predict(pd.DataFrame(rows), progress=False).predictions]
    lines = [json.dumps(row) for row in rows]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n\n".join(lines))
    found = lake.head("alone").predict(path, progress=False).predictions
    assert [one.value for one in found] == pytest.approx(expected)
    path.write_text("\n".join([lines[0], "no row", *lines[1:]]))
    with pytest.raises(SourceError, match=r"cannot read .*rows.jsonl"):
        lake.head("alone").predict(path, progress=False)
    features = lake.head("alone").card.features
    both = pd.DataFrame({"net": [[7.0] * DIM] * 3, "NET": [row["NET"] for row in rows]})
    given = given_vectors.open_vectors(features, both)
    assert given is not None
    assert given.take(2).of(features[0]).tolist() == [[7.0] * DIM] * 2  # of the column of the very name
    with pytest.raises(SourceError, match="lines that are no rows"):
        given.check_end()


def test_nothing_is_predicted_from_a_formula(lake: matlake.Lake, tmp_path: Path) -> None:
    (tmp_path / "formulas.csv").write_text("formula\nGaN\n")
    for given in ("GaN", ["GaN", "TiO2"], pd.DataFrame({"formula": ["GaN"]}), tmp_path / "formulas.csv"):
        with pytest.raises(HeadError, match="head alone needs vectors of net@early, which another program") as error:
            lake.head("alone").predict(given, progress=False)
        assert "head.predict(df)" in error.value.hint
        assert "--input TABLE with a column net" in error.value.cli_hint


def test_predictions_are_saved_once_and_found_by_id(lake: matlake.Lake) -> None:
    head = lake.head("alone")
    first = head.predict_dataset("gaps", save=True, progress=False)
    assert (first.saved, first.n_failed) == (GIVEN, ROWS - GIVEN)
    assert head.predict_dataset("gaps", save=True, progress=False).saved == 0
    assert lake.failures.df().empty  # a vector may come
    expected = stored(lake, "alone")
    table = lake.sql("SELECT material_id, value FROM predictions WHERE head = 'alone'").arrow()
    assert dict(zip(*(column.to_pylist() for column in table.columns), strict=True)) == pytest.approx(expected)
    lake.import_embeddings({"gap-59": np.zeros(DIM)}, encoder="net", dataset="gaps", progress=False)
    assert head.predict_dataset("gaps", save=True, progress=False).saved == 1


def test_a_head_refuses_vectors_of_another_encoder_of_the_same_name(lake: matlake.Lake, tmp_path: Path) -> None:
    other = matlake.open_lake(tmp_path / "other", create=True)
    other.add({"id": ["a"], "formula": ["GaN"]}, "one", progress=False)
    other.import_embeddings({"a": np.ones(DIM)}, encoder="net", layer="early", dataset="one", progress=False)
    lake.head("alone").export(other.heads_folder / "alone")
    with pytest.raises(HeadError, match="was trained on net with sha256"):
        other.head("alone").predict_dataset("one", progress=False)


def test_a_head_is_not_saved_whose_encoder_was_deleted_meanwhile(
    lake: matlake.Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    card = lake.head("alone").card
    trained = [SimpleNamespace(files=SimpleNamespace(card=replace(card, name="late")))]
    monkeypatch.setattr("matlake.regress.heads.train.train_unsaved", lambda *_: trained)
    folder = Path(lake.encoders_folder / "net")
    folder.rename(tmp_path / "net")
    with pytest.raises(UnknownEncoderError, match="head late needs encoder net: no encoder named 'net'"):
        lake.train(TARGET, "net", progress=False)
    (tmp_path / "net").rename(folder)
    assert "late" not in lake.head_names()


def test_what_has_no_weights_is_not_trained_on(lake: matlake.Lake) -> None:
    with pytest.raises(EncoderError, match="fine-tune:net: encoder net is external, and has no weights here"):
        lake.train(TARGET, model="fine-tune:net", progress=False)


def test_the_server_says_that_it_cannot(lake: matlake.Lake) -> None:
    with serving(lake, "alone") as (server, _):
        (about,) = server.ask("GET", "/v1/heads").document["heads"]
        assert about["input"] == "vectors"
        answer = server.post("/v1/predict", {"formulas": ["GaN"]})
        assert answer.status == 422
        assert "needs vectors of net@early, which another program makes" in answer.document["error"]
        assert "--dataset NAME" in answer.document["hint"]
        assert server.post("/v1/embed", {"encoder": "net", "formulas": ["GaN"]}).status == 422
        assert server.post("/v1/embed", {"formulas": ["GaN"]}).status == 200
        assert server.ask("GET", "/docs").status == 200
