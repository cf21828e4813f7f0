"""A damaged part costs its own rows: everything else is read on, and the damage is named."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from damaged_lakes import FEATURE, LOUD, OXIDES, ROWS, SILENT, part_of, parts, write_oxides
from samples import Cli

import matlake
from matlake.errors import LakeError
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import read_matrix
from matlake.store.tables.parts import forget_comparisons

pytestmark = pytest.mark.filterwarnings("ignore::matlake.DamageWarning")

KINDS = ("dataset", "embeddings", "failures")
VECTORS = "SELECT dataset, material_id, vector FROM embeddings ORDER BY ALL"
GAPS = "SELECT dataset, material_id, formula, band_gap_eV FROM materials ORDER BY ALL"
FAILURES = "SELECT dataset, material_id, encoder FROM failures ORDER BY ALL"


def rows(lake: matlake.Lake, statement: str) -> set[tuple[object, ...]]:
    found = lake.query(statement).to_pylist()
    answer = {tuple(map(str, row.values())) for row in found}
    assert len(answer) == len(found)
    return answer


def expected(whole: Path, part: Path, kind: str, statement: str) -> set[tuple[object, ...]]:
    """What a query answers without the rows of a part."""
    everything = rows(matlake.open_lake(whole), statement)
    if kind == "dataset":
        return {row for row in everything if row[0] != "a"}
    contents = pq.read_table(part, columns=["content_hash"], partitioning=None)
    with matlake.open_lake(whole).connect() as connection:
        connection.register("lost", contents)
        lost = connection.execute(
            "SELECT dataset, material_id FROM internal.compositions JOIN lost ON composition_hash = content_hash"
        ).fetchall()
    assert lost
    kept = {row for row in everything if (row[0], row[1]) not in lost}
    if (kind, statement) in {("embeddings", VECTORS), ("failures", FAILURES)}:
        assert len(kept) < len(everything)
        return kept
    return everything


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", [*LOUD, *SILENT])
def test_sql_goes_on_without_a_damaged_part(whole: Path, copied: matlake.Lake, kind: str, damage: str) -> None:
    part = part_of(copied, kind)
    (LOUD | SILENT)[damage](part)
    lake = matlake.open_lake(copied.path, verify=damage in SILENT)
    reading = FAILURES if kind == "failures" else VECTORS  # a query warns of the parts that it reads
    with pytest.warns(matlake.DamageWarning, match=part.name):
        answer = rows(lake, reading)
    original = whole / part.relative_to(copied.path)
    assert answer == expected(whole, original, kind, reading)
    for statement in {GAPS, FAILURES, VECTORS} - {reading}:
        assert rows(lake, statement) == expected(whole, original, kind, statement)


@pytest.mark.parametrize("kind", ["dataset", "embeddings"])
@pytest.mark.parametrize("damage", [*LOUD, *SILENT])
def test_training_and_search_take_nothing_from_a_damaged_part(copied: matlake.Lake, kind: str, damage: str) -> None:
    part = part_of(copied, kind)
    (LOUD | SILENT)[damage](part)
    with pytest.warns(matlake.DamageWarning, match=part.name):
        matrix = read_matrix(copied, "band_gap_eV", resolve_features(copied, [FEATURE]))
    assert len(matrix.y) == ROWS
    forget_comparisons()
    with pytest.warns(matlake.DamageWarning, match=part.name):
        index = matlake.open_index(copied, FEATURE)
    assert len(index.materials) == ROWS
    assert [damaged["path"] for damaged in matlake.status(copied).damaged] == [str(part)]
    if kind == "dataset":
        with pytest.raises(LakeError, match="no part of the table"):
            copied.read_dataset("a")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", ["cut", "deleted", "zeros"])
def test_status_counts_without_a_damaged_part(copied: matlake.Lake, kind: str, damage: str) -> None:
    LOUD[damage](part_of(copied, kind))
    report = matlake.status(copied)
    vectors = {"dataset": 2 * ROWS, "embeddings": ROWS, "failures": 2 * ROWS}[kind]
    if report.damaged:  # its size may be right, and status does not read it
        assert report.encoders[0]["vectors"] == vectors
    assert matlake.check(copied).damaged
    assert [damaged["path"] for damaged in matlake.status(copied).damaged] == [str(part_of(copied, kind))]


@pytest.mark.parametrize("damage", ["cut", "deleted", "zeros", "another file", "no end"])
@pytest.mark.parametrize("kind", ["embeddings", "failures"])
def test_embed_makes_again_what_a_damaged_part_held(whole: Path, copied: matlake.Lake, kind: str, damage: str) -> None:
    part = part_of(copied, kind)
    lost = pq.read_metadata(part).num_rows
    LOUD[damage](part)
    with pytest.warns(matlake.DamageWarning, match=part.name):
        report = matlake.embed(copied, [FEATURE])
    assert report.embedded == (lost if kind == "embeddings" else 0)
    assert rows(copied, VECTORS) == rows(matlake.open_lake(whole), VECTORS)
    assert rows(copied, FAILURES) == rows(matlake.open_lake(whole), FAILURES)
    assert matlake.check(copied).sound


@pytest.mark.parametrize("damage", ["cut", "zeros", *SILENT])
def test_embed_takes_nothing_from_a_damaged_dataset(copied: matlake.Lake, damage: str) -> None:
    part = part_of(copied, "dataset")
    (LOUD | SILENT)[damage](part)
    layer = FEATURE.replace("@15", "@16")
    with pytest.warns(matlake.DamageWarning, match=part.name):
        report = matlake.embed(copied, [layer])
    assert report.embedded == ROWS
    assert {row["dataset"] for row in copied.query('SELECT dataset FROM embed."' + layer + '"').to_pylist()} == {"b"}


@pytest.mark.parametrize("damage", ["cut", "zeros", "emptied", "deleted"])
def test_a_damaged_log_of_one_dataset_leaves_the_others_readable(copied: matlake.Lake, damage: str) -> None:
    (entry,) = (copied.dataset("a") / "_delta_log").glob("*.json")
    LOUD[damage](entry)
    if damage == "deleted":
        (entry.parent / "00000000000000000001.json").write_bytes(b"")
    with pytest.warns(matlake.DamageWarning, match="cannot read the log"):
        answer = rows(copied, GAPS)
    assert {row[0] for row in answer} == {"b"}
    report = matlake.status(copied)
    assert [dataset["name"] for dataset in report.datasets] == ["b"]
    assert str(copied.dataset("a")) in report.damaged[0]["path"]
    assert not matlake.check(copied).sound


@pytest.mark.parametrize("name", ["embeddings", "failures"])
def test_a_missing_table_is_named(copied: matlake.Lake, name: str) -> None:
    missing = copied.path / name
    shutil.rmtree(missing)
    with pytest.warns(matlake.DamageWarning, match=f"{missing} is missing"):
        assert rows(copied, f"SELECT * FROM {name} WHERE stage = 'embed'" if name == "failures" else VECTORS) == set()
    assert matlake.status(copied).damaged == [{"path": str(missing), "problem": f"{missing} is missing"}]


def test_search_says_that_an_encoder_has_lost_all_its_vectors(copied: matlake.Lake) -> None:
    for part in parts(copied.embeddings):
        part.path.unlink()
    with pytest.raises(LakeError, match="nothing is embedded") as caught:
        matlake.search(copied, matlake.SearchRequest(FEATURE, formula="Fe2O3"))
    assert "embed" in caught.value.hint


def test_a_part_whose_rows_the_log_has_not_recorded_is_read(whole: Path, copied: matlake.Lake) -> None:
    (entry,) = (copied.dataset("a") / "_delta_log").glob("*.json")
    # nor has it the digest of its parts, as entries of 0.1.0 and of other tools
    entry.write_text(entry.read_text().replace("numRecords", "numRecorde").replace("matlake.commit", "other"))
    assert rows(copied, GAPS) == rows(matlake.open_lake(whole), GAPS)
    assert parts(copied.dataset("a"))[0].rows == ROWS + 1
    assert matlake.check(copied).sound


def test_importing_onto_a_damaged_log_says_what_to_do(whole: Path, copied: matlake.Lake) -> None:
    (entry,) = (copied.dataset("a") / "_delta_log").glob("*.json")
    LOUD["cut"](entry)
    with pytest.raises(LakeError, match="cannot read the log") as caught:
        matlake.import_table(copied, whole.parent / "a.csv", "a")
    assert "check" in caught.value.hint
    matlake.check(copied, repair=True)
    assert matlake.import_table(copied, whole.parent / "a.csv", "a").rows == ROWS + 1


def test_commands_say_what_they_left_out(copied: matlake.Lake) -> None:
    part = part_of(copied, "embeddings")
    SILENT["flip in the middle"](part)
    run = Cli(copied.path)
    assert run.json("check", code=1)["damaged"][0]["path"] == str(part)  # type: ignore[index]
    counted = "SELECT count(*) AS n FROM embeddings"
    assert run("sql", counted, "--format", "csv").split() == ['"n"', str(2 * ROWS)]
    assert run("--verify", "sql", counted, "--format", "csv").split() == ['"n"', str(ROWS)]
    LOUD["cut"](part)
    assert run.json("status")["damaged"][0]["path"] == str(part)  # type: ignore[index]
    assert "left out" in run.stderr("sql", counted)


def test_a_damaged_part_of_one_dataset_costs_its_rows_only(tmp_path: Path) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    write_oxides(lake, 3)
    live = parts(lake.dataset("oxides"))
    assert len(live) == 3
    shutil.copyfile(live[1].path, live[0].path)
    found = rows(matlake.open_lake(lake.path, verify=True), "SELECT material_id FROM oxides")
    assert len(found) == OXIDES - live[0].rows
