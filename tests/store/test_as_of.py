"""A lake as it was: by time, by versions, and as a head saw it."""

import json
import os
import shutil
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import FEATURE

import matlake
from matlake.documents import opened, sealed_json
from matlake.errors import LakeError
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import Matrix, read_matrix
from matlake.regress.heads.card import FORMAT_VERSION, HeadCard
from matlake.regress.heads.card_files import read_card
from matlake.regress.heads.listing import card_lines
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.storage import delete_head
from matlake.regress.heads.train import train
from matlake.store.tables import delta

TARGET = "band_gap_eV"


def _now() -> datetime:
    """Return a time between commits, whose stamps are in milliseconds."""
    time.sleep(0.002)
    found = datetime.now(UTC)
    time.sleep(0.002)
    return found


def _hurry(patch: pytest.MonkeyPatch) -> None:
    """Leave out of training what takes most of its time, and nobody looks at here."""
    patch.setattr("matlake.regress.heads.train.draw_plots", lambda *_: {})
    patch.setattr("matlake.regress.heads.train.more_baselines", lambda *_: ())


def _gaps(lake: matlake.Lake, dataset: str = "gaps") -> list[tuple[str, float]]:
    rows = lake.query(f"SELECT material_id, {TARGET} FROM {dataset} ORDER BY ALL")
    return list(zip(*rows.to_pydict().values(), strict=True))


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory, band_gaps: Path) -> SimpleNamespace:
    """A lake whose dataset was imported, embedded, learned from, imported again, embedded further and compacted."""
    folder = tmp_path_factory.mktemp("past")
    first, second = folder / "first.parquet", folder / "second.parquet"
    table = pq.read_table(band_gaps)
    pq.write_table(table.slice(0, 120), first)
    changed = _raised(table.slice(60, 200))
    pq.write_table(changed, second)
    before = _now()
    lake = matlake.open_lake(folder / "lake", create=True)
    empty = _now()
    matlake.import_table(lake, first, "gaps")
    imported = _now()
    matlake.embed(lake, FEATURE)
    embedded = _now()
    with pytest.MonkeyPatch.context() as patch:
        _hurry(patch)
        result = train(lake, TrainRequest(TARGET, [FEATURE], "ridge", name="gap", transform="none"))
    matrix = _matrix(lake)
    matlake.import_table(lake, second, "gaps")
    matlake.embed(lake, FEATURE)
    matlake.import_table(lake, first, "other")
    matlake.compact(lake, retention_hours=0, drop_unused=True)
    return SimpleNamespace(
        lake=lake, first=first, before=before, empty=empty, imported=imported, embedded=embedded, card=result.card,
        matrix=matrix,
    )  # fmt: skip


def _raised(table: pa.Table) -> pa.Table:
    """Return the table with other values of the target."""
    values = pa.array(table[TARGET].to_numpy() + 1.0)
    return table.set_column(table.column_names.index(TARGET), TARGET, values)


def _matrix(lake: matlake.Lake) -> Matrix:
    return read_matrix(lake, TARGET, resolve_features(lake, [FEATURE]))


def _same(found: Matrix, expected: Matrix) -> None:
    for name in ("x", "y", "material_id", "dataset", "formula", "groups", "fractions"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("text", ["head:gap", "time"])
def test_a_training_set_is_read_back_row_for_row_after_import_embed_and_compact(
    past: SimpleNamespace, text: str
) -> None:
    then = matlake.open_lake(past.lake.path, as_of=past.embedded if text == "time" else text)
    _same(_matrix(then), past.matrix)
    rows = then.query(past.card.training.sql)
    assert rows["material_id"].to_pylist() == past.matrix.material_id.tolist()
    assert rows[TARGET].to_numpy() == pytest.approx(past.matrix.y, rel=0)
    assert _matrix(past.lake).y.shape != past.matrix.y.shape


def test_a_head_trained_as_of_another_is_the_same_and_is_saved_in_the_present(
    past: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    _hurry(monkeypatch)
    then = matlake.open_lake(past.lake.path, as_of="head:gap")
    again = train(then, TrainRequest(TARGET, [FEATURE], "ridge", name="again", transform="none"))
    assert again.card.sha256 == past.card.sha256
    assert again.card.evaluation == past.card.evaluation
    assert again.card.training == past.card.training
    assert "again" in past.lake.head_names()


def test_the_card_names_versions_and_ids(past: SimpleNamespace) -> None:
    dataset, embeddings = past.card.training.tables
    assert (dataset.table, dataset.version, embeddings.table) == ("datasets/gaps", 0, "embeddings")
    assert dataset.id == delta.open_table(past.lake.dataset("gaps"), 0).metadata().id
    stored = json.loads((past.lake.path / "heads" / "gap" / "card.json").read_text())
    assert stored["format_version"] == FORMAT_VERSION
    assert read_card(past.lake.path / "heads" / "gap" / "card.json").training.tables == past.card.training.tables


def test_a_time_means_what_was_committed_before_it(past: SimpleNamespace) -> None:
    then = matlake.open_lake(past.lake.path, as_of=past.imported)
    assert then.dataset_names() == ["gaps"]
    assert then.query("SELECT count(*) AS n FROM embeddings")["n"].to_pylist() == [0]
    assert _gaps(then) == _gaps(matlake.open_lake(past.lake.path, as_of="gaps=0"))
    assert matlake.open_lake(past.lake.path, as_of=past.empty).dataset_names() == []
    now = matlake.open_lake(past.lake.path, as_of=datetime.now(UTC))
    assert now.dataset_names() == ["gaps", "other"]
    assert _gaps(now) == _gaps(past.lake) != _gaps(then)


def test_a_time_without_a_zone_is_in_utc(past: SimpleNamespace) -> None:
    naive = past.imported.replace(tzinfo=None)
    same = [past.imported, naive, naive.isoformat(), past.imported.astimezone().isoformat(), f"{naive.isoformat()}Z"]
    found = [matlake.open_lake(past.lake.path, as_of=one).moment for one in same]
    assert all(one == found[0] for one in found)
    assert found[0].name.endswith(" UTC")


@pytest.mark.parametrize(
    ("as_of", "message"),
    [
        ("yesterday", "'yesterday' is not a moment of a lake"),
        ("", "is not a moment"),
        ("2999-01-01", "2999-01-01 00:00:00 UTC is in the future"),
        ("1999-01-01T00:00+02:00", "was not there on 1998-12-31 22:00:00 UTC: its first version is of"),
        ("head:nothing", "there is no head 'nothing'"),
        ("gaps=99", "gaps has no version 99: its log has versions 0 to"),
        ("gaps=one", "'gaps=one' is not a version of a dataset"),
        ("nothing=1", "there is no dataset 'nothing'"),
        ("predictions=1", "the lake has no table of predictions yet"),
        (datetime.max.replace(tzinfo=UTC), "is in the future"),
        (date(9999, 12, 31), "is in the future"),
        (5, "is not a moment"),
        ("gaps=0,gaps=1", "names gaps more than once"),
    ],
)
def test_what_is_no_moment_is_one_line(past: SimpleNamespace, as_of: str | datetime, message: str) -> None:
    with pytest.raises(LakeError, match=message) as caught:
        matlake.open_lake(past.lake.path, as_of=as_of)
    assert "\n" not in f"{caught.value}{caught.value.hint}"
    assert caught.value.hint


def test_a_lake_of_the_past_is_not_written_to(past: SimpleNamespace) -> None:
    then = matlake.open_lake(past.lake.path, as_of=past.embedded)
    for write in (
        lambda: matlake.import_table(then, past.first, "more"),
        lambda: matlake.embed(then, FEATURE),
        lambda: then.delete_dataset("gaps"),
        lambda: then.rename_dataset("gaps", "more"),
        lambda: matlake.compact(then),
        lambda: matlake.check(then, repair=True),
        lambda: then.add(past.first, "more", progress=False),
        lambda: matlake.predict_dataset(then, "gap", dataset="gaps", save=True),
        lambda: then.heads.delete("gap"),
    ):
        with pytest.raises(LakeError, match=r"open as of .* UTC, to be read only"):
            write()
    assert past.lake.dataset_names() == ["gaps", "other"]


def test_predictions_are_for_the_materials_of_then(past: SimpleNamespace) -> None:
    then = matlake.open_lake(past.lake.path, as_of="head:gap")
    found = matlake.predict_dataset(then, "gap", dataset="gaps")
    assert [one.input for one in found.predictions] == sorted(past.matrix.material_id.tolist())


@pytest.fixture
def copied(past: SimpleNamespace, tmp_path: Path) -> matlake.Lake:
    shutil.copytree(past.lake.path, tmp_path / "lake")
    return matlake.open_lake(tmp_path / "lake")


def test_versions_of_heads_stay_until_the_head_is_deleted(copied: matlake.Lake, past: SimpleNamespace) -> None:
    for head in set(copied.head_names()) - {"gap"}:
        delete_head(copied, head)
    matlake.compact(copied, retention_hours=0)
    _same(_matrix(matlake.open_lake(copied.path, as_of="head:gap")), past.matrix)
    delete_head(copied, "gap")
    assert matlake.compact(copied, retention_hours=0).removed
    with pytest.raises(LakeError, match=r"cannot be read any more: .* of its files were removed"):
        matlake.open_lake(copied.path, as_of=past.embedded)
    with pytest.raises(LakeError, match=r"cannot be read any more: .* of its files were removed"):
        matlake.open_lake(copied.path, as_of="gaps=0")


def test_nothing_is_removed_while_a_card_cannot_be_read(copied: matlake.Lake, past: SimpleNamespace) -> None:
    path = copied.path / "heads" / "gap" / "card.json"
    content = path.read_bytes()
    path.write_bytes(content[:-9])
    report = matlake.compact(copied, retention_hours=0)
    assert not report.removed
    assert any("no files were removed" in note for note in report.notes)
    path.write_bytes(content)
    _same(_matrix(matlake.open_lake(copied.path, as_of="head:gap")), past.matrix)


def test_a_renamed_dataset_is_found_and_a_deleted_one_is_not(copied: matlake.Lake, past: SimpleNamespace) -> None:
    copied.rename_dataset("gaps", "gaps_of_2018")
    then = matlake.open_lake(copied.path, as_of="head:gap")
    assert then.dataset_names() == ["gaps"]
    _same(_matrix(then), past.matrix)
    copied.delete_dataset("gaps_of_2018")
    matlake.import_table(copied, past.first, "gaps")  # another table of the same name
    with pytest.raises(LakeError, match=r"gaps version 0, .* what is deleted cannot be read back"):
        matlake.open_lake(copied.path, as_of="head:gap")


def test_log_entries_that_a_head_needs_outlive_checkpoints_and_compaction(
    copied: matlake.Lake, past: SimpleNamespace
) -> None:
    for _ in range(3):
        matlake.import_table(copied, past.first, "gaps")
    table = delta.open_table(copied.dataset("gaps"))
    table.create_checkpoint()
    log = copied.dataset("gaps") / "_delta_log"
    old = (datetime.now(UTC) - timedelta(days=40)).timestamp()
    for path in log.iterdir():
        os.utime(path, (old, old))
    matlake.import_table(copied, past.first, "gaps")
    matlake.compact(copied, retention_hours=0)
    assert (log / f"{0:020}.json").exists()
    _same(_matrix(matlake.open_lake(copied.path, as_of="head:gap")), past.matrix)
    for head in copied.head_names():
        delete_head(copied, head)
    matlake.compact(copied, retention_hours=0)
    assert not (log / f"{0:020}.json").exists()
    assert len(_gaps(copied)) == 120
    with pytest.raises(LakeError, match="its log has versions"):
        matlake.open_lake(copied.path, as_of="gaps=0")
    with pytest.raises(LakeError, match="the log of datasets/gaps goes back to"):
        matlake.open_lake(copied.path, as_of=past.imported)


def test_a_head_of_an_older_version_names_no_moment(copied: matlake.Lake) -> None:
    shutil.copytree(Path(__file__).parent.parent / "data" / "head_v1" / "gap-v1", copied.path / "heads" / "old")
    with pytest.raises(LakeError, match="an older version trained it"):
        matlake.open_lake(copied.path, as_of="head:old")


def test_a_card_of_format_6_reads_on_and_keeps_nothing(copied: matlake.Lake) -> None:
    path = copied.path / "heads" / "gap" / "card.json"
    fields = opened(json.loads(path.read_text()))
    del fields["training"]["tables"]
    path.write_bytes(sealed_json(fields | {"format_version": 6}))
    card = read_card(path)
    assert (card.format_version, card.training.tables) == (6, ())
    assert not _lines_of_versions(card, path.parent)
    with pytest.raises(LakeError, match="an older version trained it"):
        matlake.open_lake(copied.path, as_of="head:gap")


def _lines_of_versions(card: HeadCard, folder: Path) -> list[str]:
    return [line for line in card_lines(card, folder) if "read from" in line]
