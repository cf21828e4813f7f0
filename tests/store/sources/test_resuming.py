"""An interrupted import goes on, a second one brings what is new or changed, and two at once do no harm."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optimade_server import Database, entry, failure
from structures import ids, reasons, rows
from web_server import Asked, Reply, Waits, WebServer

from matlake import Lake, compact, import_table, open_lake
from matlake.errors import LakeError, SourceError
from matlake.progress import Progress
from matlake.store.importing.importer import ImportReport
from matlake.store.importing.merging import Update
from matlake.store.sources.http import AnswerError
from matlake.store.sources.importing import import_named, remembered
from matlake.store.sources.spool import Page, Spool

Import = Callable[..., ImportReport]
EVERYTHING = "SELECT * FROM d ORDER BY material_id"


def stops_at(database: Database, offset: str) -> Callable[[Asked], Reply]:
    """Return a server that has a fault at one page."""

    def answers(asked: Asked) -> Reply:
        return failure(404, "gone") if asked.query.get("page_offset") == offset else database(asked)

    return answers


def leftover(lake: Lake) -> Path:
    (folder,) = lake.unfinished.iterdir()
    return folder


@pytest.fixture(scope="module")
def clean(_server: WebServer, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What an import that was not interrupted brings."""
    _server.answers = Database([entry(number) for number in range(25)])
    lake = open_lake(tmp_path_factory.mktemp("clean") / "lake", create=True)
    import_named(lake, f"optimade:{_server.url}", "d", client=Waits().client)
    return rows(lake, EVERYTHING)


@pytest.mark.parametrize("cut", ["half a record", "cursor", "records"])
def test_an_interrupted_import_goes_on_and_equals_one_that_was_not(
    clean: list[dict[str, Any]], bring: Import, server: WebServer, database: Database, empty: Lake, cut: str
) -> None:
    server.answers = stops_at(database, "20")
    with pytest.raises(AnswerError, match="gone"):
        bring()
    folder = leftover(empty)
    if cut == "half a record":
        for name in ("records.jsonl", "ids.jsonl"):
            with (folder / name).open("a") as file:
                file.write('{"type": "struc')
    elif cut == "cursor":
        (folder / "cursor.json").write_text("{")
    elif cut == "records":
        (folder / "records.jsonl").write_text("")
    server.answers = database
    server.asked.clear()
    report = bring()
    assert (report.rows, report.failed) == (25, 0)
    offsets = [asked.query.get("page_offset") for asked in server.asked if asked.path == "/v1/structures"]
    assert offsets[-1] == "20"
    assert ("10" in offsets) == (cut in ("cursor", "records"))
    assert rows(empty, EVERYTHING) == clean
    assert not list(empty.unfinished.iterdir())


def test_an_import_begins_anew_where_the_server_gives_fewer_rows_at_once(
    clean: list[dict[str, Any]], bring: Import, server: WebServer, database: Database, empty: Lake
) -> None:
    server.answers = stops_at(database, "20")
    with pytest.raises(AnswerError, match="gone"):
        bring()
    server.answers = lambda _: failure(403, "you are banned")
    with pytest.raises(AnswerError, match="banned"):
        bring()
    assert (leftover(empty) / "ids.jsonl").read_text().count("\n") == 20
    server.answers, database.page = database, 7
    report = bring("?page_limit=7")
    assert report.rows == 25
    assert any("began anew" in note for note in report.notes)
    assert rows(empty, EVERYTHING) == clean


def test_a_killed_import_goes_on_and_equals_one_that_was_not(
    clean: list[dict[str, Any]], server: WebServer, database: Database, empty: Lake, waits: Waits
) -> None:
    code = (
        "import sys; from matlake import open_lake\n"
        "from matlake.store.sources.importing import import_named\n"
        "import_named(open_lake(sys.argv[1]), sys.argv[2], 'd')"
    )
    arguments = [sys.executable, "-c", code, str(empty.path), f"optimade:{server.url}"]
    with subprocess.Popen(arguments, stderr=subprocess.DEVNULL) as process:

        def kills(asked: Asked) -> Reply:
            if asked.query.get("page_offset") == "20":
                process.kill()
            return database(asked)

        server.answers = kills
        assert process.wait(60) == -9
    server.answers = database
    server.asked.clear()
    notes: list[str] = []
    report = import_named(
        empty, f"optimade:{server.url}", "d", progress=Progress(note=notes.append), client=waits.client
    )
    assert (report.rows, report.failed) == (25, 0)
    assert notes == ["20 rows are there from before; the import goes on after them"]
    assert "10" not in {asked.query.get("page_offset") for asked in server.asked}
    assert rows(empty, EVERYTHING) == clean


def test_an_import_that_fails_at_the_commit_asks_for_nothing_again(
    bring: Import, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("matlake.store.tables.delta.replace_all", full)
        with pytest.raises(OSError, match="No space"):
            bring()
    server.asked.clear()
    assert bring().rows == 25
    assert not [asked for asked in server.asked if asked.query.get("page_limit") == "10"]


def test_a_server_that_forgot_the_page_is_asked_from_the_beginning(
    bring: Import, server: WebServer, database: Database, empty: Lake
) -> None:
    server.answers = stops_at(database, "20")
    with pytest.raises(AnswerError):
        bring()
    cursor = leftover(empty) / "cursor.json"
    state = json.loads(cursor.read_bytes())
    cursor.write_text(json.dumps(state | {"cursor": f"{server.url}/v1/forgotten"}))
    server.answers = database
    report = bring()
    assert report.rows == 25
    assert "the import began anew" in report.notes[0]


def test_two_imports_of_the_same_at_once_do_no_harm(bring: Import, server: WebServer, database: Database) -> None:
    refused: list[str] = []

    def answers(asked: Asked) -> Reply:
        if asked.query.get("page_offset") == "10":
            with pytest.raises(LakeError) as caught:
                bring()
            refused.append(str(caught.value))
        return database(asked)

    server.answers = answers
    assert bring().rows == 25
    assert refused == [f"another process is importing optimade:{server.url} into d"]


def test_a_second_import_brings_what_is_new_or_changed_only(
    bring: Import, server: WebServer, database: Database, empty: Lake
) -> None:
    bring()
    database.entries[3] = entry(3, edge=4.4, modified="2026-02-01T00:00:00Z")
    database.entries[5] = entry(5, modified="2026-02-02T00:00:00Z", _db_gap_eV=0.5, _db_note="soft")
    database.entries[6] = entry(6, lattice_vectors=None, modified="2026-02-02T00:00:00Z")
    database.entries[7] = entry(7, modified="2026-02-02T00:00:00Z")
    database.entries += [entry(40, modified="2026-02-03T00:00:00Z"), entry(41, modified="2026-02-03T00:00:00Z")]
    server.asked.clear()
    report = bring()
    assert report.update == Update(new=2, changed=4, unchanged=0, others=21)
    assert 'last_modified > "2026-01-01T00:00:00Z"' in {asked.query.get("filter") for asked in server.asked}
    assert "2 rows new, 4 changed, 0 unchanged; 21 others of the dataset stay" in report.lines()
    assert report.document()["update"] == {"new": 2, "changed": 4, "unchanged": 0, "others": 21}
    assert not report.notes
    found = {row["material_id"]: row for row in rows(empty, "SELECT * FROM d")}
    assert len(found) == 26
    assert set(reasons(empty)) == {"db-6"}
    assert (found["db-5"]["_db_gap_eV"], found["db-5"]["_db_note"], found["db-4"]["_db_note"]) == (0.5, "soft", None)
    assert found["db-3"]["source_version"] == "2026-02-01T00:00:00Z"
    places = empty.read_dataset("d")[1].select(["material_id", "source_row"]).to_pydict()
    assert places["source_row"] == sorted(places["source_row"])
    assert places["material_id"][3] == "db-3"
    assert places["material_id"][-2:] == ["db-40", "db-41"]
    cell = empty.read_dataset("d")[1].filter(places_of(places, "db-3"))["lattice_A"][0].as_py()
    assert max(cell) == pytest.approx(2.2)


def places_of(places: dict[str, list[object]], name: str) -> list[bool]:
    return [one == name for one in places["material_id"]]


def test_the_next_import_begins_where_this_one_ended_even_after_compaction(
    bring: Import, database: Database, empty: Lake
) -> None:
    bring()
    database.entries.append(entry(30, modified="2026-02-03T00:00:00Z"))
    bring()
    compact(empty, part_bytes=1 << 30)
    known = remembered(empty, "d")
    assert known is not None
    assert known.marks == {"last_modified": 'last_modified > "2026-02-03T00:00:00Z"'}
    report = bring()
    assert report.update == Update(0, 0, 0, 26)
    assert len(ids(empty)) == 26


def test_rows_that_changed_while_they_were_received_come_next_time(
    bring: Import, database: Database, empty: Lake
) -> None:
    database.meta = {"time_stamp": "2026-01-15T00:00:00"}
    database.entries[-1] = entry(24, modified="2026-01-20T00:00:00Z")
    bring()
    known = remembered(empty, "d")
    assert known is not None
    assert known.marks == {"last_modified": 'last_modified >= "2026-01-15T00:00:00Z"'}
    assert bring("").update == Update(0, 0, 1, 24)


@pytest.mark.parametrize("why", ["refuses", "no dates"])
def test_a_database_without_dates_is_compared_row_by_row(bring: Import, database: Database, why: str) -> None:
    if why == "refuses":
        database.filters = False
    else:
        database.entries = [entry(number, modified=None) for number in range(25)]
    bring()
    database.entries[3] = entry(3, edge=4.4, modified=None)
    database.entries.append(entry(30, modified=None))
    report = bring()
    assert report.update == Update(1, 1, 24, 0)
    assert bool(report.notes) == (why == "refuses")


def test_rows_that_were_withdrawn_are_counted(bring: Import, database: Database) -> None:
    bring()
    database.entries = [*database.entries[2:], entry(30, modified="2026-02-03T00:00:00Z")]
    report = bring()
    assert report.update == Update(1, 0, 0, 25)
    assert report.notes[0].startswith("the source has 24 rows, the dataset 26")


def test_another_filter_or_a_file_in_between_replaces_the_dataset(bring: Import, empty: Lake, tmp_path: Path) -> None:
    bring()
    report = bring("?filter=nelements=2")
    assert (report.update, report.replaced) == (None, True)
    path = tmp_path / "table.csv"
    path.write_text("formula\nMgO\n")
    import_table(empty, path, "d")
    assert remembered(empty, "d") is None
    assert bring("?filter=nelements=2").update is None
    assert len(ids(empty)) == 25


def test_a_merge_fails_if_somebody_else_wrote_meanwhile(
    bring: Import, database: Database, empty: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matlake.store.importing import merging

    bring()
    database.entries.append(entry(30, modified="2026-02-03T00:00:00Z"))
    path = tmp_path / "table.csv"
    path.write_text("formula\nMgO\n")
    real = merging.commit_whole

    def late(*arguments: object) -> None:
        import_table(empty, path, "d")
        real(*arguments)

    monkeypatch.setattr(merging, "commit_whole", late)
    with pytest.raises(LakeError, match="another process wrote"):
        bring()
    assert len(ids(empty)) == 1
    table = {part.name for part in empty.dataset("d").glob("*.parquet")}
    assert len(table) == 2  # of the import and of the table: the merge has removed its own


def test_a_spool_is_left_alone_for_a_month(empty: Lake, bring: Import, server: WebServer, database: Database) -> None:
    server.answers = stops_at(database, "20")
    with pytest.raises(AnswerError):
        bring()
    compact(empty, retention_hours=0)
    folder = leftover(empty)
    for path in (folder, *folder.iterdir()):
        os.utime(path, (0, 0))
    compact(empty, retention_hours=0)
    assert not list(empty.unfinished.iterdir())


def test_ids_that_are_no_text_and_odd_characters_survive(tmp_path: Path) -> None:
    pages = {
        "a": Page([{"id": 1, "x": "\ud800 \u2028"}, {"id": None}], "b", 3),
        "b": Page([{"id": 1}, {"id": None}, {"id": "ü\n"}], None),
    }
    spool = Spool(tmp_path)
    spool.fill("a", pages.__getitem__, Progress())
    again = Spool(tmp_path)
    again.fill("a", lambda _: pytest.fail("all is there"), Progress())
    assert (again.rows, again.repeated, again.resumed) == (4, 1, True)
    lines = filter(None, again.path.read_text("utf-8").split("\n"))
    assert [json.loads(line).get("id") for line in lines] == [1, None, None, "ü\n"]


def test_a_page_that_is_no_page_stops_before_the_cursor_moves(
    bring: Import, server: WebServer, database: Database
) -> None:
    def odd(asked: Asked) -> Reply:
        return Reply({"data": {"id": 1}}) if asked.query.get("page_offset") == "10" else database(asked)

    server.answers = odd
    with pytest.raises(SourceError, match="something that is not OPTIMADE"):
        bring()
    server.answers = database
    assert bring().rows == 25
