"""What ``check`` finds and ``check --repair`` sets right, for every kind of file in a lake."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from damaged_lakes import FEATURE, LOUD, ROWS, SILENT, part_of, parts, write_oxides
from samples import Cli

import matlake
from matlake.documents import sealed_json
from matlake.errors import LakeError
from matlake.files import sha256_of
from matlake.store.tables import delta, log_entries
from matlake.store.tables.parts import digest_in, digest_of

OLD = Path(__file__).parents[2] / "data" / "lake_0_1_0" / "lake"
VECTORS = "SELECT dataset, material_id, vector FROM embeddings ORDER BY ALL"
GAPS = "SELECT dataset, material_id, formula, band_gap_eV FROM materials ORDER BY ALL"
FAILURES = "SELECT dataset, material_id, encoder, reason FROM failures ORDER BY ALL"


@pytest.fixture
def old(tmp_path: Path) -> matlake.Lake:
    """A copy of the lake that 0.1.0 made."""
    shutil.copytree(OLD, tmp_path / "old")
    return matlake.open_lake(tmp_path / "old")


def digests(folder: Path) -> dict[Path, str]:
    return {path.relative_to(folder): sha256_of(path) for path in folder.rglob("*") if path.is_file()}


def paths(report: object) -> list[Path]:
    return [problem.path for problem in report.damaged]  # type: ignore[attr-defined]


def test_a_sound_lake_is_found_sound_and_is_not_written_to(copied: matlake.Lake) -> None:
    before = digests(copied.path)
    report = matlake.check(copied)
    assert report.sound
    assert (report.parts, report.repaired, report.notes) == (6, [], [])
    assert digests(copied.path) == before


def test_every_part_has_its_digest_in_its_name(copied: matlake.Lake) -> None:
    for root in (copied.embeddings, copied.failures_table, copied.dataset("a")):
        for part in parts(root):
            assert digest_in(part.path.name) == digest_of(part.path) == sha256_of(part.path)[:32]


@pytest.mark.parametrize("damage", ["cut", "deleted", "zeros", "flip in the middle"])
@pytest.mark.parametrize("kind", ["dataset", "embeddings", "failures"])
def test_a_damaged_part_is_found_and_repaired_as_far_as_it_can_be(
    whole: Path, copied: matlake.Lake, kind: str, damage: str
) -> None:
    part = part_of(copied, kind)
    (LOUD | SILENT)[damage](part)
    assert paths(matlake.check(copied)) == [part]
    report = matlake.check(copied, repair=True)
    if kind == "dataset":
        assert paths(report) == [part]
        assert "import the dataset a again; 0 of its 91 rows" in report.damaged[0].remedy
        assert part.exists() or damage == "deleted"
        matlake.import_table(copied, whole.parent / "a.csv", "a")
    else:
        assert report.sound
        assert FEATURE.split("@")[0] in report.repaired[0]
        assert matlake.check(copied).sound
    matlake.embed(copied, [FEATURE])
    assert matlake.check(copied).sound
    for statement in (VECTORS, GAPS, FAILURES):
        assert copied.query(statement) == matlake.open_lake(whole).query(statement)


def test_parts_of_0_1_0_have_no_digest_until_repair_gives_them_one(old: matlake.Lake) -> None:
    statements = (VECTORS, FAILURES, "SELECT * FROM gaps ORDER BY ALL", "SELECT * FROM moduli ORDER BY ALL")
    before = [old.query(statement) for statement in statements]
    report = matlake.check(old)
    assert report.sound
    assert sum("no digest" in note for note in report.notes) == 7
    report = matlake.check(old, repair=True)
    assert report.sound
    assert sum("digests given" in line for line in report.repaired) == 7
    again = matlake.check(old)
    assert again.sound
    assert not any("digest" in note for note in again.notes)
    assert [old.query(statement) for statement in statements] == before
    part = min(part.path for part in parts(old.embeddings))
    SILENT["flip in the middle"](part)
    assert paths(matlake.check(old)) == [part]


def test_a_damaged_part_of_0_1_0_is_found_where_it_cannot_be_decoded(old: matlake.Lake) -> None:
    part = min(part.path for part in parts(old.dataset("gaps")))
    LOUD["noise"](part)
    assert paths(matlake.check(old)) == [part]
    assert paths(matlake.check(old, repair=True)) == [part]


def test_digests_are_given_in_one_commit_whatever_kills_it(old: matlake.Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    before = old.query(VECTORS)
    for module, name in ((log_entries, "fsync_names"), (delta, "sync_log")):
        with monkeypatch.context() as patched:
            patched.setattr(module, name, lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                matlake.check(old, repair=True)
        assert old.query(VECTORS) == before
        assert matlake.check(old).sound
    assert matlake.check(old, repair=True).sound
    assert old.query(VECTORS) == before


def test_a_part_with_another_number_of_rows_than_recorded_is_damaged(copied: matlake.Lake) -> None:
    (entry,) = (copied.dataset("a") / "_delta_log").glob("*.json")
    entry.write_text(entry.read_text().replace('\\"numRecords\\": 91', '\\"numRecords\\": 81'))
    report = matlake.check(copied, repair=True)
    assert paths(report) == [entry, part_of(copied, "dataset")]
    assert "names other parts" in report.damaged[0].problem
    assert "holds 91 rows, not the 81" in report.damaged[1].problem


def test_a_part_that_cannot_be_taken_out_has_its_table_moved_away(whole: Path, copied: matlake.Lake) -> None:
    entry = last_entry(copied.failures_table)  # delta-rs takes `, which no path of ours has, for %60
    entry.write_text(entry.read_text().replace('"path":"encoder=elem', '"path":"encoder=ele`'))
    assert not matlake.check(copied).sound
    assert matlake.check(copied, repair=True).sound
    assert matlake.check(copied).sound
    matlake.embed(copied, [FEATURE])
    assert copied.query(FAILURES) == matlake.open_lake(whole).query(FAILURES)


def last_entry(root: Path) -> Path:
    return max((root / "_delta_log").glob("*.json"))


@pytest.mark.parametrize("damage", ["cut", "zeros", "emptied"])
def test_a_damaged_last_entry_of_the_log_of_embeddings_costs_its_commit(
    whole: Path, copied: matlake.Lake, damage: str
) -> None:
    LOUD[damage](last_entry(copied.embeddings))
    assert not matlake.check(copied).sound
    report = matlake.check(copied, repair=True)
    assert report.sound
    assert any(str(ROWS) + " materials are not embedded" in note for note in report.notes)
    assert matlake.check(copied).sound
    assert matlake.embed(copied, [FEATURE]).embedded == ROWS
    assert copied.query(VECTORS) == matlake.open_lake(whole).query(VECTORS)


def test_a_damaged_last_entry_of_a_dataset_that_was_imported_again_leaves_the_import_before(tmp_path: Path) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    write_oxides(lake, 2)  # replaces what it imports
    before = lake.query("SELECT * FROM oxides ORDER BY material_id")
    LOUD["cut"](last_entry(lake.dataset("oxides")))
    report = matlake.check(lake, repair=True)
    assert report.sound
    assert "what it was before that commit" in report.repaired[0]
    assert lake.query("SELECT * FROM oxides ORDER BY material_id") == before


@pytest.mark.parametrize("damage", ["cut", "zeros", "deleted"])
@pytest.mark.parametrize("table", ["embeddings", "failures"])
def test_a_table_whose_log_cannot_be_read_is_moved_away_and_filled_again(
    whole: Path, copied: matlake.Lake, table: str, damage: str
) -> None:
    LOUD[damage](min((copied.path / table / "_delta_log").glob("*.json")))
    assert paths(matlake.check(copied)) == [copied.path / table]
    report = matlake.check(copied, repair=True)
    assert report.sound
    (moved,) = (copied.path / "damaged").iterdir()
    assert list(moved.rglob("*.parquet"))
    matlake.embed(copied, [FEATURE])
    assert copied.query(VECTORS) == matlake.open_lake(whole).query(VECTORS)
    assert copied.query(FAILURES) == matlake.open_lake(whole).query(FAILURES)


def test_a_dataset_whose_log_cannot_be_read_is_moved_away_and_can_be_imported_again(
    whole: Path, copied: matlake.Lake
) -> None:
    LOUD["cut"](last_entry(copied.dataset("a")))
    report = matlake.check(copied, repair=True)
    assert paths(report) == [copied.dataset("a")]
    assert "import the dataset a again" in report.damaged[0].remedy
    (moved,) = (copied.path / "damaged").iterdir()
    assert list(moved.glob("*.parquet"))
    matlake.import_table(copied, whole.parent / "a.csv", "a")
    assert copied.query(VECTORS) == matlake.open_lake(whole).query(VECTORS)
    assert matlake.check(copied).sound


@pytest.mark.parametrize("damage", ["cut", "zeros", "emptied"])
@pytest.mark.parametrize("name", ["_last_checkpoint", "00000000000000000002.checkpoint.parquet"])
def test_a_damaged_checkpoint_costs_nothing(whole: Path, copied: matlake.Lake, name: str, damage: str) -> None:
    table = delta.open_table(copied.embeddings)
    assert table is not None
    table.create_checkpoint()
    LOUD[damage](copied.embeddings / "_delta_log" / name)
    matlake.check(copied, repair=True)
    assert matlake.check(copied).sound
    assert copied.query(VECTORS) == matlake.open_lake(whole).query(VECTORS)


@pytest.mark.parametrize("name", ["encoder.onnx", "card.json"])
@pytest.mark.parametrize("damage", ["cut", "noise", "emptied"])
def test_a_damaged_encoder_is_copied_again_from_the_package(
    whole: Path, copied: matlake.Lake, name: str, damage: str
) -> None:
    path = copied.encoders_folder / FEATURE.split("@")[0] / name
    content = path.read_bytes()
    LOUD[damage](path)
    if name == "card.json":
        with pytest.warns(matlake.DamageWarning, match="is not an encoder card"):
            assert copied.query(VECTORS) == matlake.open_lake(whole).query(VECTORS)
    assert paths(matlake.check(copied)) == [path]
    assert matlake.check(copied, repair=True).sound
    assert path.read_bytes() == content


def test_a_damaged_encoder_that_did_not_come_with_the_package_is_named(copied: matlake.Lake) -> None:
    card = copied.encoders_folder / FEATURE.split("@")[0] / "card.json"
    SILENT["flip in the middle"](card.with_name("encoder.onnx"))
    LOUD["cut"](card)
    assert paths(matlake.check(copied, repair=True)) == [card]


@pytest.mark.parametrize("name", ["head.onnx", "reference.parquet", "card.json"])
@pytest.mark.parametrize("damage", [LOUD["cut"], LOUD["deleted"], LOUD["zeros"]])
def test_a_damaged_head_is_named(old: matlake.Lake, name: str, damage: Callable[[Path], None]) -> None:
    path = old.heads_folder / "gap-ridge" / name
    damage(path)
    report = matlake.check(old)
    assert paths(report) == [path]
    assert "train the head gap-ridge again" in report.damaged[0].remedy


def test_a_card_of_a_head_that_was_edited_is_named(old: matlake.Lake) -> None:
    path = old.heads_folder / "gap-ridge" / "card.json"
    entries = {**json.loads(path.read_bytes()), "format_version": 4}
    path.write_bytes(sealed_json(entries))
    assert matlake.check(old).sound
    path.write_text(path.read_text().replace('"unit": "eV"', '"unit": "meV"'))
    assert paths(matlake.check(old)) == [path]
    path.write_text(json.dumps(entries))  # without its digest
    assert paths(matlake.check(old)) == [path]


@pytest.mark.parametrize("path", ["old", "./old", "old/../old", "link"])
def test_parts_get_digests_wherever_the_lake_is_named_from(
    old: matlake.Lake, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(old.path.parent)
    Path("link").symlink_to("old")
    lake = matlake.open_lake(Path(path))
    assert matlake.check(lake, repair=True).sound
    assert not any("no digest" in note for note in matlake.check(lake).notes)
    assert lake.query("SELECT * FROM embeddings").num_rows


def test_what_is_wrong_with_a_head_or_a_log_is_said_in_words(old: matlake.Lake) -> None:
    network, log = (
        old.heads_folder / "gap-ridge" / "head.onnx",
        old.embeddings / "_delta_log" / "00000000000000000000.json",
    )
    network.unlink()
    log.write_text("no JSON")
    said = [str(problem) for problem in matlake.check(old).damaged]
    assert any(line.startswith(f"{old.embeddings} has a log that cannot be read: ") for line in said)
    assert f"{network} is missing: train the head gap-ridge again" in said


@pytest.mark.parametrize("name", ["embeddings", "failures"])
def test_a_table_that_was_deleted_is_made_again(whole: Path, copied: matlake.Lake, name: str) -> None:
    shutil.rmtree(copied.path / name)
    assert paths(matlake.check(copied)) == [copied.path / name]
    assert matlake.check(copied, repair=True).sound
    matlake.embed(copied, [FEATURE])
    assert copied.query(VECTORS) == matlake.open_lake(whole).query(VECTORS)


def test_a_damaged_marker_is_an_error_in_one_line(copied: matlake.Lake) -> None:
    (copied.path / "lake.json").write_bytes(b"{")
    with pytest.raises(LakeError, match="does not say which format"):
        matlake.open_lake(copied.path)
    assert "does not say which format" in Cli(copied.path).stderr("check", code=1)


def test_materials_without_vectors_are_counted(copied: matlake.Lake, tmp_path: Path) -> None:
    pacsv.write_csv(pa.table({"formula": ["Fe7O3"]}), tmp_path / "new.csv")
    matlake.import_table(copied, tmp_path / "new.csv", "new")
    report = matlake.check(copied)
    assert report.sound
    assert report.notes == [f"1 materials are not embedded with {FEATURE}"]


def test_the_command_exits_with_1_when_something_is_damaged(copied: matlake.Lake) -> None:
    run = Cli(copied.path)
    assert run.json("check")["sound"]
    part = part_of(copied, "embeddings")
    SILENT["flip in the footer"](part)
    lines = run("check", code=1).splitlines()
    assert [str(part) in line for line in lines] == [True, *[False] * (len(lines) - 1)]
    document = run.json("check", "--repair")
    assert document["sound"]
    assert json.loads(run("check", "--json"))["damaged"] == []
    run("compact", "--retention-hours", "0")
    assert not part.exists()
