"""Vectors of other programs: from any table into the lake, each to its material, all of them or none."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import commands
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from pyarrow import feather
from samples import ELASTIC

import matlake
from matlake.errors import CommitUnknownError, EncoderError, LakeError, MatlakeError, SourceError
from matlake.locks import LOCKED, FileLock
from matlake.store.encoder_folders import BEING_REGISTERED
from matlake.store.external import importing
from matlake.store.external.card import find_external, save_card
from matlake.store.tables import delta
from matlake.store.tables.appender import Appender

ROWS, DIM = 40, 6

TITANIA = pd.DataFrame({"id": ["rutile", "anatase", "gan"], "formula": ["TiO2", "TiO2", "GaN"]})


@pytest.fixture(scope="module")
def crystals(tmp_path_factory: pytest.TempPathFactory) -> matlake.Lake:
    """A lake with 40 real crystals as ``mp``; each test uses encoders of its own names."""
    lake = matlake.open_lake(tmp_path_factory.mktemp("external") / "lake", create=True)
    lake.add(pq.read_table(ELASTIC).slice(0, ROWS), "mp", progress=False)
    return lake


@pytest.fixture(scope="module")
def ids(crystals: matlake.Lake) -> list[str]:
    return list(crystals.sql("SELECT material_id FROM mp ORDER BY material_id DESC").df()["material_id"])


@pytest.fixture(scope="module")
def made(ids: list[str]) -> NDArray[np.float32]:
    """A vector for each id, float32 [40, 6]; numbers that half precision holds."""
    return (np.random.default_rng(1).integers(-99, 99, (len(ids), DIM)) / 8).astype(np.float32)


@pytest.fixture
def titania(tmp_path: Path) -> matlake.Lake:
    """A lake with three formulas, two of them equal."""
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    lake.add(TITANIA, "oxides", progress=False)
    return lake


def held(lake: matlake.Lake, encoder: str) -> dict[str, list[float]]:
    """Return the vectors of the view of an encoder by id."""
    table = lake.sql(f'SELECT material_id, vector FROM embed."{encoder}"').arrow()
    return dict(zip(table["material_id"].to_pylist(), table["vector"].to_pylist(), strict=True))


def given(lake: matlake.Lake, what: Any, encoder: str = "net", **settings: Any) -> importing.VectorReport:
    (dataset,) = lake.dataset_names()
    return lake.import_embeddings(what, encoder=encoder, dataset=dataset, progress=False, **settings)


def listed(vectors: NDArray[Any], kind: pa.DataType) -> pa.Array:
    return pa.array(vectors.tolist(), kind)


def containers(folder: Path, ids: list[str], made: NDArray[np.float32]) -> dict[str, Any]:
    """Return the same ids and vectors in everything that holds some."""
    table = pa.table({"material_id": ids, "vector": listed(made, pa.list_(pa.float32()))})
    wide = pa.table({"id": ids, **{f"x{place}": made[:, place] for place in range(DIM)}})
    for name, kind in {
        "float64": pa.list_(pa.float64()),
        "fixed": pa.list_(pa.float32(), DIM),
        "large": pa.large_list(pa.float32()),
        "half": pa.list_(pa.float16()),
    }.items():
        cells = pa.array([np.float16(row) for row in made], kind) if name == "half" else listed(made, kind)
        pq.write_table(pa.table({"id": ids, "some_vectors": cells}), folder / f"{name}.parquet", row_group_size=7)
    feather.write_feather(table, folder / "feather.feather")
    np.savez(folder / "arrays.npz", ids=np.array(ids), vectors=made.astype(np.float64))
    np.savez_compressed(folder / "packed.npz", ids=np.array(ids), vectors=made)
    pd.DataFrame({"id": ids, "vector": made.tolist()}).to_json(folder / "lines.jsonl", orient="records", lines=True)
    pacsv.write_csv(wide, folder / "wide.csv")
    indexed = pd.DataFrame(made, index=ids, columns=[f"f{n + 1}" for n in range(DIM)])
    indexed.to_parquet(folder / "index.parquet")
    indexed.to_csv(folder / "index.csv")
    frame = pd.DataFrame({"jid": ids, "net": list(made)})
    return {
        **{path.name: path for path in sorted(folder.iterdir())},
        "DataFrame": frame,
        "indexed DataFrame": indexed,
        "polars": pl.DataFrame({"id": ids, "embedding": list(made)}),
        "Arrow": table,
        "wide Arrow in another order": wide.select(["x3", "id", "x1", "x0", "x2", "x5", "x4"]),
        "dictionary by id": dict(zip(ids, made, strict=True)),
        "columns": {"material_id": ids, "vector": made},
        "columns of ids and vectors": {"ids": ids, "vectors": made},
        "numpy's archive": np.load(folder / "arrays.npz"),
        "pair": (pd.Series(ids), made.tolist()),
    }


def test_every_container_gives_the_same_vectors(
    crystals: matlake.Lake, ids: list[str], made: NDArray[np.float32], tmp_path: Path
) -> None:
    expected = dict(zip(ids, made.tolist(), strict=True))
    found = containers(tmp_path, ids, made)
    assert len(found) == 21
    for place, (name, container) in enumerate(found.items()):
        report = given(crystals, container, layer=f"l{place}")
        assert (report.rows, report.imported, report.without_vector, report.dim) == (ROWS, ROWS, 0, DIM), name
        assert held(crystals, f"net@l{place}") == expected, name


def test_columns_are_named_where_a_table_has_several(
    crystals: matlake.Lake, ids: list[str], made: NDArray[np.float32]
) -> None:
    several = pa.table(
        {
            "name": ids,
            "a": listed(made, pa.list_(pa.float32())),
            "b": listed(-made, pa.list_(pa.float32())),
            "gap_eV": made[:, 0],
            **{f"soap_{n}": made[:, n] for n in range(DIM)},
        }
    )
    with pytest.raises(SourceError, match="no column of ids"):
        given(crystals, several, "chosen")
    with pytest.raises(SourceError, match="several columns of the Arrow table hold vectors: a, b"):
        given(crystals, several, "chosen", id="name")
    with pytest.raises(SourceError, match=r"'soap_1' is the only column .* that begins with 'soap_1'"):
        given(crystals, several, "chosen", id="name", vector="soap_1*")
    given(crystals, several, "chosen", id="name", vector="b")
    assert held(crystals, "chosen")[ids[3]] == (-made[3]).tolist()
    given(crystals, several, "counted", id="name", vector="soap_*")
    assert held(crystals, "counted")[ids[3]] == made[3].tolist()
    with pytest.raises(SourceError, match="no soap_2"):
        given(crystals, several.drop_columns(["soap_2"]), "gaps", id="name", vector="soap_*")
    lone = several.select(["name", "gap_eV", *(f"soap_{n}" for n in range(DIM))])
    given(crystals, lone, "lone", id="name")  # a property beside them is none of them
    assert held(crystals, "lone") == held(crystals, "counted")


class WithGradients:
    """Like a tensor of torch."""

    ndim = 1

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad")


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "NaN": (lambda: {"rutile": [1.0, 2.0], "gan": [np.nan, 1.0]}, "row 1 of .*'gan', has a vector with NaN"),
    "infinite": (lambda: {"rutile": [np.inf, 2.0]}, "row 0 of .*'rutile', has a vector with NaN"),
    "too large": (lambda: {"gan": np.array([1e39, 2.0])}, "'gan', has a vector with .* larger ones than float32"),
    "unknown id": (lambda: {"gan": [1.0], "x": [1.0], "y": [2.0]}, "'x' in row 1 .* of oxides, nor are 1 others"),
    "id twice": (lambda: (["gan", "rutile", "gan"], np.ones((3, 2))), "'gan' stands in .* twice, in rows 0 and 2"),
    "no id": (lambda: (["gan", None], np.ones((2, 2))), "row 1 of .* has no id"),
    "another length": (lambda: {"gan": [1.0, 2.0], "rutile": [1.0]}, "row 1 .* a vector of 1 numbers, not 2"),
    "nothing in it": (lambda: {"gan": [], "rutile": []}, "row 0 .* a vector of 0 numbers"),
    "no vector": (lambda: pa.table({"id": ["gan", "rutile"], "vector": [[1.0], None]}), "'rutile', has no vector"),
    "null in it": (lambda: pa.table({"id": ["gan"], "vector": [[1.0, None]]}), "'gan', has a vector with NaN"),
    "no rows": (
        lambda: pa.table({"id": pa.array([], "string"), "vector": pa.array([], pa.list_(pa.float32()))}),
        "no rows",
    ),
    "text": (lambda: pa.table({"id": ["gan"], "vector": ["[1, 2]"]}), "'vector' .* holds text, not vectors"),
    "text in a list": (lambda: {"gan": ["a", "b"]}, "'gan', has a list in place of a vector"),
    "text of numbers": (lambda: {"gan": ["1", "2"]}, "'gan', has a list in place of a vector"),
    "three axes": (lambda: (["gan"], np.ones((1, 2, 2))), "holds values that are neither numbers nor"),
    "a number each": (lambda: (["gan"], np.ones(1)), "'vector' .* holds numbers, not vectors"),
    "nothing at all": (dict, "are empty"),
    "complex numbers": (lambda: (["gan"], np.ones((1, 2), dtype=complex)), "holds values that are neither numbers nor"),
    "true and false": (lambda: {"gan": [True, False]}, "'gan', has a list in place of a vector"),
    "objects as ids": (lambda: pa.table({"id": [{"mp": 1}], "vector": [[1.0]]}), "column 'id' .* holds no ids: .*cast"),
    "bytes as ids": (lambda: pa.table({"id": [b"\xff"], "vector": [[1.0]]}), "column 'id' .* holds no ids: .*UTF8"),
    "gradients": (lambda: {"gan": WithGradients()}, "'gan', has a WithGradients that cannot be read: Can't call numpy"),
    "text among numbers": (
        lambda: pd.DataFrame({"id": ["gan", "rutile"], "x0": [1.0, 2.0], "x1": pd.Series([1.0, "n/a"], dtype=object)}),
        "row 1 .*'rutile', has a vector with NaN",
    ),
    "nested": (lambda: {"gan": [[1.0], [2.0]]}, "'gan', has a list in place of a vector"),
    "two columns": (
        lambda: pd.DataFrame([["gan", [1], [2]]], columns=["id", "vector", "vector"]),
        "two columns 'vector'",
    ),
    "two of a number": (lambda: pa.table({"id": ["gan"], "x0": [1.0], "x00": [2.0]}), "number 0 of .*: x0 and x00"),
    "no column": (lambda: pa.table({"id": ["gan"], "y": [1.0]}), "no column of vectors"),
    "different lengths": (lambda: (["gan"], np.ones((2, 2))), "different lengths: 1 and 2"),
    "a number": (lambda: 7, "cannot be read from a int"),
    "no file": (lambda: "nowhere.parquet", "no file at nowhere.parquet"),
}


def test_bad_input_is_refused_whole_and_its_first_row_named(titania: matlake.Lake) -> None:
    for make, message in WRONG.values():
        with pytest.raises(SourceError, match=message):
            given(titania, make())
    assert_nothing_of_it(titania)


def assert_nothing_of_it(lake: matlake.Lake) -> None:
    assert find_external(lake, "net") is None
    assert not list(lake.embeddings.rglob("*.parquet"))
    assert lake.status().encoders == []


def test_bad_files_and_names_are_refused(titania: matlake.Lake, tmp_path: Path) -> None:
    good = {"gan": [1.0]}
    objects, broken, empty = tmp_path / "objects.npz", tmp_path / "broken.parquet", tmp_path / "empty.npz"
    np.savez(objects, ids=np.array(["gan"], dtype=object), vectors=np.ones((1, 2)))
    broken.write_bytes(b"PAR1, it says")
    empty.touch()
    by_columns = tmp_path / "fortran.npz"
    np.savez(by_columns, ids=np.array(["gan", "rutile"]), vectors=np.asfortranarray(np.ones((2, 3))))
    unequal = tmp_path / "unequal.npz"
    np.savez(unequal, ids=np.array(["gan", "rutile"]), vectors=np.ones((1, 3)))
    packed = tmp_path / "packed.npz"
    np.savez_compressed(packed, ids=np.array(["gan"]), vectors=np.random.default_rng(0).random((1, 99)))
    content = bytearray(packed.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40] = bytes(40)
    packed.write_bytes(content)
    for path, message in {
        packed: "cannot read",
        objects: "holds Python objects, and reading those would run code",
        broken: "cannot read",
        empty: "is empty",
        by_columns: "column by column",
        unequal: "was changed while it was read",
        tmp_path / "vectors.pkl": "no file",
    }.items():
        with pytest.raises(SourceError, match=message):
            given(titania, path)
    with pytest.raises(EncoderError, match="'magpie' is an encoder of compositions, which makes its vectors itself"):
        given(titania, good, "magpie")
    with pytest.raises(EncoderError, match="is not an encoder name"):
        given(titania, good, "Net!")
    with pytest.raises(EncoderError, match="'all' cannot name a layer"):
        given(titania, good, layer="all")
    with pytest.raises(LakeError, match="there is no dataset 'mp'"):
        titania.import_embeddings(good, encoder="net", dataset="mp", progress=False)
    assert_nothing_of_it(titania)


def test_rows_of_equal_content_keep_vectors_of_their_own(titania: matlake.Lake) -> None:
    report = given(titania, {"rutile": [1, 2], "anatase": [3, 4]})
    assert (report.imported, report.without_vector) == (2, 1)
    expected = {"rutile": [1.0, 2.0], "anatase": [3.0, 4.0]}
    assert held(titania, "net") == expected
    (neighbour,) = titania.search("net", id="rutile").neighbours
    assert neighbour.material_id == "anatase"
    assert neighbour.distance == pytest.approx(8**0.5)
    with pytest.raises(LakeError, match="'gan' has no vector of net@vector") as error:
        titania.search("net", id="gan")
    assert "import_embeddings" in error.value.hint

    titania.datasets.rename("oxides", "renamed")
    assert held(titania, "net") == expected
    changed = TITANIA.assign(formula=["TiO2", "Ti2O3", "GaN"], note="changed")
    titania.add(changed, "renamed", progress=False)  # another content under the id: it needs another vector
    assert held(titania, "net") == {"rutile": [1.0, 2.0]}
    titania.add(TITANIA.iloc[1:], "part", progress=False)  # the same material again
    assert held(titania, "net") == expected
    verified = {check.name: check.passed for check in titania.encoders.verify("net").checks}
    assert all(verified.values())

    titania.datasets.delete("part")
    failed = [check for check in titania.encoders.verify("net").checks if not check.passed]
    assert [check.detail.partition(";")[0] for check in failed] == ["net@vector: 1 belong to none"]
    assert titania.compact(drop_unused=True, progress=False).dropped == 1
    card = titania.encoders_folder / "net" / "card.json"
    written = card.read_bytes()
    card.write_bytes(b"damaged")
    assert titania.compact(drop_unused=True, progress=False).dropped == 0
    card.write_bytes(written)
    assert titania.encoders.verify("net").passed
    assert held(titania, "net") == {"rutile": [1.0, 2.0]}


def test_a_vector_is_skipped_when_it_comes_again_and_another_one_refused(titania: matlake.Lake) -> None:
    first = given(titania, {"rutile": [1, 0.0]}, source="a network of ours", licence="CC0", citation=["us, 2026"])
    again = given(titania, {"rutile": [1, -0.0], "gan": [5, 6]})
    assert (again.imported, again.skipped, again.sha256) == (1, 1, first.sha256)
    card = titania.encoders.show("net").card
    assert (card.licence, card.citation, card.training.origin) == ("CC0", ("us, 2026",), "a network of ours")
    with pytest.raises(LakeError, match="'gan' has another vector of net@vector already"):
        given(titania, {"anatase": [9, 9], "gan": [5, 7]})
    with pytest.raises(EncoderError, match="vectors of net@vector have 2 numbers, and these have 3"):
        given(titania, {"anatase": [9, 9, 9]})
    assert held(titania, "net") == {"rutile": [1.0, 0.0], "gan": [5.0, 6.0]}

    given(titania, {"anatase": [9, 9, 9]}, layer="late")
    assert [(layer.name, layer.dim) for layer in titania.encoders.show("net").card.layers] == [
        ("vector", 2),
        ("late", 3),
    ]
    assert held(titania, "net@late") == {"anatase": [9.0, 9.0, 9.0]}
    with pytest.raises(EncoderError, match="net has a layer 'late', and names in SQL do not tell 'Late' from it"):
        given(titania, {"anatase": [9, 9, 9]}, layer="Late")
    with pytest.raises(EncoderError, match="encoder net is external") as error:
        titania.embed("net", progress=False)
    assert "import-embeddings FILE --encoder net" in error.value.cli_hint


def test_an_encoder_is_deleted_with_its_vectors_if_that_is_asked_for(titania: matlake.Lake) -> None:
    given(titania, {"rutile": [1.0, 2.0], "gan": [3.0, 4.0]}, "old")
    given(titania, {"rutile": [5.0, 6.0]}, "other")
    before = titania.encoders["old"].card.sha256
    with pytest.raises(EncoderError, match="encoder old cannot be deleted: 2 vectors of layer vector are bound to"):
        titania.encoders.delete("old")
    titania.encoders.delete("old", vectors=True)
    assert "old" not in titania.encoders
    assert set(titania.sql("SELECT encoder FROM embeddings").df()["encoder"]) == {"other"}
    given(titania, {"rutile": [7.0, 8.0, 9.0]}, "old")
    assert held(titania, "old") == {"rutile": [7.0, 8.0, 9.0]}
    assert titania.encoders["old"].card.sha256 != before
    assert titania.check().document()["damaged"] == []

    shutil.rmtree(titania.encoders_folder / "old")  # as if vectors had come while it was deleted
    with pytest.raises(EncoderError, match="no encoder named 'old'"):
        titania.encoders.delete("old")
    titania.encoders.delete("old", vectors=True)
    assert {one["name"] for one in titania.status().encoders} == {"other"}


def test_what_looks_at_a_whole_lake_knows_external_encoders(titania: matlake.Lake, tmp_path: Path) -> None:
    given(titania, {"rutile": [1, 2], "anatase": [1, 2], "gan": [7, 8]})
    assert titania.status().encoders == [
        {"name": "net", "layer": "vector", "vectors": 3, "bytes": pytest.approx(1e3, rel=1)}
    ]
    assert titania.dedupe("net", distance=0.1, progress=False).pairs == 1
    assert {one.material_id for one in titania.diverse("net", 2, progress=False).materials} > {"gan"}
    assert "net, external" in "\n".join(titania.encoders.show("net").lines())
    assert {one.card.name: one.card.input for one in titania.encoders.list()}["net"] == "external"
    report = titania.check(progress=False)
    assert not report.damaged
    assert titania.datasets.export("oxides", tmp_path / "out.csv") == 3
    assert "row_hash" not in (tmp_path / "out.csv").read_text()
    assert "row_hash" not in titania.sql("SELECT * FROM materials").df().columns


def test_a_damaged_part_is_named_and_its_vectors_are_imported_again(titania: matlake.Lake) -> None:
    given(titania, {"rutile": [1, 2], "gan": [3, 4]})
    (part,) = titania.embeddings.rglob("*.parquet")
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.warns(matlake.DamageWarning):
        report = given(titania, {"rutile": [1, 2], "gan": [3, 4]})
    assert report.imported == 2
    assert held(titania, "net") == {"rutile": [1.0, 2.0], "gan": [3.0, 4.0]}


KILL = "import os, matlake.store.tables.appender as m; m.Appender.append = lambda *_: os._exit(9)"


def test_an_import_killed_before_its_commit_leaves_nothing_half(titania: matlake.Lake, tmp_path: Path) -> None:
    np.savez(tmp_path / "vectors.npz", ids=np.array(["gan", "rutile"]), vectors=np.eye(2))
    arguments = ["--lake", str(titania.path), "import-embeddings", str(tmp_path / "vectors.npz")]
    killed = commands.run([*arguments, "--encoder", "net", "--dataset", "oxides"], KILL)
    assert killed.returncode == 9
    assert titania.status().encoders == []
    assert titania.sql("SELECT * FROM embeddings").df().empty
    assert given(titania, {"gan": [1, 0, 5]}).imported == 1  # of another length: nothing binds it
    assert held(titania, "net") == {"gan": [1.0, 0.0, 5.0]}


def test_an_interrupted_import_removes_its_parts(titania: matlake.Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(importing, "_claim", interrupted)
    with pytest.raises(KeyboardInterrupt):
        given(titania, {"rutile": [3, 4]})
    assert_nothing_of_it(titania)


def test_parts_that_a_commit_may_have_recorded_are_kept(titania: matlake.Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any) -> int:
        raise CommitUnknownError("no answer")

    monkeypatch.setattr(Appender, "append", unknown)
    with pytest.raises(CommitUnknownError):
        given(titania, {"rutile": [3, 4]})
    assert len(list(titania.embeddings.rglob("*.parquet"))) == 1


def test_two_imports_at_once_do_not_make_two_encoders(titania: matlake.Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    write = importing._Writer.write

    def beside(vectors: dict[str, list[int]]) -> None:
        """Let another process import vectors as soon as the next import has written its parts."""

        def later(self: Any, parts: Any) -> None:
            monkeypatch.setattr(importing._Writer, "write", write)
            write(self, parts)
            given(titania, vectors)

        monkeypatch.setattr(importing._Writer, "write", later)

    beside({"gan": [1, 2]})
    with pytest.raises(LakeError, match="another process made encoder net at the same time"):
        given(titania, {"rutile": [3, 4]})
    assert held(titania, "net") == {"gan": [1.0, 2.0]}
    assert len(list(titania.embeddings.rglob("*.parquet"))) == 1

    beside({"rutile": [5, 5]})
    with pytest.raises(LakeError, match="another process imported vectors of net@vector at the same time, 1 of them"):
        given(titania, {"rutile": [6, 6], "anatase": [7, 7]})
    assert held(titania, "net")["rutile"] == [5.0, 5.0]


def test_from_the_card_to_the_commit_an_import_is_alone(titania: matlake.Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    free: list[bool] = []
    save, append = importing.save_card, Appender.append

    def try_lock() -> None:
        held = FileLock.take(titania.encoders_folder / f"{BEING_REGISTERED}{LOCKED}", wait=False)
        free.append(held is not None)
        if held is not None:
            held.release()

    monkeypatch.setattr(importing, "save_card", lambda *arguments: (try_lock(), save(*arguments)))
    monkeypatch.setattr(Appender, "append", lambda *arguments: (try_lock(), append(*arguments))[1])
    given(titania, {"gan": [1, 2]})
    try_lock()
    assert free == [False, False, True]


def test_a_lake_that_cannot_be_written_is_left_as_it_is(titania: matlake.Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    given(titania, {"gan": [1, 2]})
    past = matlake.open_lake(titania.path, as_of="oxides=0")
    with pytest.raises(LakeError, match="to be read only"):
        past.import_embeddings({"gan": [1, 2]}, encoder="net", dataset="oxides", progress=False)
    card = titania.encoders.show("net").card
    monkeypatch.setattr(
        "matlake.store.external.card.write_whole", lambda *_: (_ for _ in ()).throw(PermissionError(13, "no"))
    )
    with pytest.raises(MatlakeError, match=r"cannot write .*card\.json"):
        save_card(titania, card)


def test_large_tables_become_several_parts(
    crystals: matlake.Lake, ids: list[str], made: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matlake.store.external.tables.BLOCK_ROWS", 7)
    monkeypatch.setattr(importing, "_PART_BYTES", 700)
    given(crystals, (ids, made), "parts")
    snapshot = delta.read_snapshot(crystals.embeddings)
    assert snapshot is not None
    assert sum(part.partition["encoder"] == "parts" for part in snapshot.parts) >= 3
    assert held(crystals, "parts") == dict(zip(ids, made.tolist(), strict=True))
    assert given(crystals, (ids, made), "parts").skipped == ROWS


def test_whole_numbers_at_the_head_of_json_lines_do_not_make_vectors_of_integers(
    crystals: matlake.Lake, ids: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matlake.store.external.tables._JSON_BLOCK", 256)
    vectors = np.arange(ROWS * DIM, dtype=np.float32).reshape(ROWS, DIM)
    vectors[-1] += 0.5
    columns = {"id": ids, "vector": [[int(n) if n == int(n) else n for n in row] for row in vectors.tolist()]}
    pd.DataFrame(columns).to_json(tmp_path / "whole.jsonl", orient="records", lines=True)
    given(crystals, tmp_path / "whole.jsonl", "whole")
    assert held(crystals, "whole") == dict(zip(ids, vectors.tolist(), strict=True))
