"""Tests of the Materials Project's interface, against documents of our own behind a server of our own."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from web_server import Answers, Asked, Reply, Waits, WebServer, web_server

from matlake.errors import SourceError
from matlake.progress import Progress
from matlake.store.sources.catalogue import named_source
from matlake.store.sources.materials_project import MaterialsProject
from matlake.store.sources.protocol import Fetch, Fetched, Remembered

KEY = "secret0123456789"


def rock_salt(metal: str, a: float) -> dict[str, Any]:
    return {
        "@module": "pymatgen.core.structure",
        "@class": "Structure",
        "lattice": {"matrix": [[0, a / 2, a / 2], [a / 2, 0, a / 2], [a / 2, a / 2, 0]]},
        "sites": [
            {"species": [{"element": element, "occu": 1}], "abc": [place] * 3}
            for element, place in ((metal, 0.0), ("O", 0.5))
        ],
    }


def document(number: int, licence: str = "BY-C", updated: str = "2026-01-01T00:00:00") -> dict[str, Any]:
    metal, a = [("Mg", 4.21), ("Ca", 4.81), ("Ni", 4.19)][number % 3]
    return {
        "material_id": f"mp-{number}",
        "formula_pretty": f"{metal}O",
        "structure": rock_salt(metal, a + number / 1000),
        "band_gap": 4.0,
        "energy_above_hull": 0.0,
        "builder_meta": {"license": licence, "database_version": "2026.1.1", "build_date": updated},
        "last_updated": updated,
    }


def interface(documents: list[dict[str, Any]]) -> Answers:
    """Answer as the interface does: with a key, in pages, with the fields asked for."""

    def answer(asked: Asked) -> Reply:
        if asked.headers.get("x-api-key") != KEY:
            return Reply({"message": f"Invalid authentication credentials: {asked.headers.get('x-api-key')}"}, 401)
        ids = asked.query.get("material_ids", "").split(",") if "material_ids" in asked.query else None
        found = [one for one in documents if ids is None or one["material_id"] in ids]
        skip, limit = int(asked.query.get("_skip", 0)), int(asked.query.get("_limit", 100))
        fields = asked.query.get("_fields", "").split(",")
        page = [{name: one[name] for name in one if name in fields} for one in found[skip : skip + limit]]
        return Reply({"data": page, "meta": {"total_doc": len(found)}})

    return answer


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    with web_server(interface([])) as running:
        yield running


@pytest.fixture(autouse=True)
def _environment(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MP_API_ENDPOINT", server.url)
    monkeypatch.setenv("MP_API_KEY", KEY)
    monkeypatch.setattr("matlake.store.sources.materials_project._PAGE", 4)
    server.asked.clear()


def fetch(
    folder: Path, spec: str = "mp:", before: Remembered | None = None, notes: list[str] | None = None
) -> Fetched | None:
    folder.mkdir(exist_ok=True)
    work = Fetch(folder, before, client=Waits().client)
    if notes is not None:
        work = replace(work, progress=Progress(notes.append))
    return named_source(spec).fetch(work)


def rows(fetched: Fetched | None) -> pa.Table:
    assert fetched is not None
    return pa.Table.from_batches([batch.columns for batch in fetched.source.batches()])


def test_a_query_goes_on_as_it_is_and_its_pages_come_together(server: WebServer, tmp_path: Path) -> None:
    server.answers = interface([document(number) for number in range(10)])
    fetched = fetch(tmp_path, "mp:?elements=Ga,N&band_gap_min=1")
    table = rows(fetched)
    assert table["material_id"].to_pylist() == [f"mp-{number}" for number in range(10)]
    assert [asked.query["_skip"] for asked in server.asked] == ["0", "4", "8"]
    assert {asked.path for asked in server.asked} == {"/materials/summary/"}
    assert server.asked[0].query["elements"] == "Ga,N"
    assert server.asked[0].query["band_gap_min"] == "1"
    assert "structure" in server.asked[0].query["_fields"].split(",")
    assert fetched is not None
    assert fetched.remembered.origin == "mp:summary?band_gap_min=1&elements=Ga,N"
    assert fetched.id_column == "material_id"


def test_columns_carry_units_and_rows_carry_version_and_licence(server: WebServer, tmp_path: Path) -> None:
    server.answers = interface([document(0)])
    row = rows(fetch(tmp_path)).to_pylist()[0]
    assert row["band_gap_eV"] == 4.0
    assert row["energy_above_hull_eV_per_atom"] == 0.0
    assert row["source_version"] == "2026.1.1"
    assert row["source_licence"] == "CC BY 4.0"
    assert not [name for name in row if name.startswith("builder_meta")]


def test_documents_of_licence_by_nc_are_left_out_and_counted(server: WebServer, tmp_path: Path) -> None:
    server.answers = interface([document(number, "BY-NC" if number % 2 else "BY-C") for number in range(6)])
    fetched = fetch(tmp_path)
    assert rows(fetched)["material_id"].to_pylist() == ["mp-0", "mp-2", "mp-4"]
    assert fetched is not None
    assert "documents with licence BY-NC left out: 3 (mp-1, mp-3, mp-5); include_by_nc=true keeps them" in (
        fetched.source.notes
    )


def test_documents_of_licence_by_nc_are_kept_and_marked_on_request(server: WebServer, tmp_path: Path) -> None:
    server.answers = interface([document(0), document(1, "BY-NC")])
    table = rows(fetch(tmp_path, "mp:summary?include_by_nc=true"))
    assert table["source_licence"].to_pylist() == ["CC BY 4.0", "CC BY-NC 4.0"]
    assert "include_by_nc" not in server.asked[0].query


def test_the_first_of_many_are_taken(server: WebServer, tmp_path: Path) -> None:
    server.answers = interface([document(number) for number in range(20)])
    table = rows(fetch(tmp_path, "mp:?_limit=6&_skip=3"))
    assert table["material_id"].to_pylist() == [f"mp-{number}" for number in range(3, 9)]


def test_fields_that_are_named_come_with_what_is_needed(server: WebServer, tmp_path: Path) -> None:
    server.answers = interface([document(0)])
    fetched = fetch(tmp_path, "mp:?_fields=band_gap")
    assert rows(fetched)["formula_pretty"].to_pylist() == ["MgO"]
    assert "structure" not in server.asked[0].query["_fields"].split(",")


def test_an_interrupted_import_goes_on_after_the_last_page(server: WebServer, tmp_path: Path) -> None:
    good = interface([document(number) for number in range(10)])
    server.answers = lambda asked: good(asked) if asked.query["_skip"] != "8" else Reply(b"", 500)
    with pytest.raises(SourceError, match="answers 500"):
        fetch(tmp_path)
    server.answers = good
    server.asked.clear()
    notes: list[str] = []
    assert rows(fetch(tmp_path, notes=notes)).num_rows == 10
    assert [asked.query["_skip"] for asked in server.asked] == ["8"]
    assert any("8 rows are there from before" in note for note in notes)


def test_a_database_that_changes_meanwhile_is_read_anew(server: WebServer, tmp_path: Path) -> None:
    old, new = (interface([document(number) for number in range(count)]) for count in (10, 11))
    server.answers = lambda asked: (old if asked.query["_skip"] == "0" else new)(asked)
    with pytest.raises(SourceError, match="changed while it was read"):
        fetch(tmp_path)
    server.answers = new
    assert rows(fetch(tmp_path)).num_rows == 11


def test_a_second_import_asks_for_what_was_updated_since(server: WebServer, tmp_path: Path) -> None:
    documents = [document(number) for number in range(6)]
    server.answers = interface(documents)
    first = fetch(tmp_path / "first")
    assert first is not None
    assert fetch(tmp_path / "second", before=first.remembered) is None
    documents[2] = {**document(2, updated="2026-02-02T00:00:00"), "band_gap": 5.0}
    documents.append(document(6, updated="2026-02-03T00:00:00"))
    server.asked.clear()
    second = fetch(tmp_path / "third", before=first.remembered)
    assert rows(second)["material_id"].to_pylist() == ["mp-2", "mp-6"]
    assert second is not None
    assert not second.complete
    assert second.remembered.marks == {"last_updated": "2026-02-03T00:00:00"}
    assert [asked.query.get("material_ids") for asked in server.asked] == [None, "mp-2,mp-6"]


def test_without_a_key_one_line_says_where_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MP_API_KEY")
    with pytest.raises(SourceError, match=r"\$MP_API_KEY holds none") as caught:
        fetch(tmp_path)
    assert "https://materialsproject.org/api" in caught.value.hint


@pytest.mark.parametrize("key", ["secret\nsecret", "secr\u00e9t"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("MP_API_KEY", key)
    with pytest.raises(SourceError, match="holds more than a key") as caught:
        fetch(tmp_path)
    assert "secr" not in f"{caught.value!r} {caught.value.hint}"


def test_an_interface_that_anybody_can_listen_to_gets_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MP_API_ENDPOINT", "http://example.org")
    with pytest.raises(SourceError, match="is not an https address: the key is not sent there"):
        fetch(tmp_path)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_said_and_not_shown(
    server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("MP_API_KEY", "wrong-key-987")
    server.answers = lambda asked: Reply({"message": f"bad key {asked.headers['x-api-key']}"}, status)
    with pytest.raises(SourceError, match=rf"refuses the key in \$MP_API_KEY \({status}\)") as caught:
        fetch(tmp_path)
    assert "wrong-key-987" not in f"{caught.value!r} {caught.value.hint} {caught.value.__cause__}"


def test_the_key_is_nowhere(server: WebServer, tmp_path: Path) -> None:
    server.answers = lambda asked: Reply({"message": f"do not like {asked.headers['x-api-key']}"}, 400)
    with pytest.raises(SourceError, match="do not like …"):
        fetch(tmp_path)
    server.answers = interface([document(number) for number in range(6)])
    notes: list[str] = []
    fetched = fetch(tmp_path, notes=notes)
    kept = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert fetched is not None
    assert KEY not in kept + json.dumps([*notes, *fetched.source.notes, str(fetched.remembered)])


def test_the_key_does_not_follow_to_another_host(server: WebServer, tmp_path: Path) -> None:
    with web_server(interface([document(0)])) as other:
        elsewhere = f"http://localhost:{other.port}/materials/summary/"
        server.answers = lambda _: Reply(b"", 302, {"Location": elsewhere})
        with pytest.raises(SourceError, match="refuses the key"):
            fetch(tmp_path)
        assert [asked.headers.get("x-api-key") for asked in other.asked] == [None]


def test_too_many_requests_are_waited_out(server: WebServer, tmp_path: Path) -> None:
    good, left = interface([document(0)]), [Reply(b"", 429, {"Retry-After": "7"})]
    server.answers = lambda asked: left.pop() if left else good(asked)
    waits = Waits()
    fetched = MaterialsProject("summary", {}).fetch(Fetch(tmp_path, client=waits.client))
    assert rows(fetched).num_rows == 1
    assert 7 in waits.seconds


@pytest.mark.parametrize(
    "answer",
    [{"data": [], "meta": {}}, [1, 2], {"data": [1], "meta": {"total_doc": 1}}, {"detail": "maintenance"}],
)
def test_an_answer_of_another_form_is_one_line(server: WebServer, tmp_path: Path, answer: Any) -> None:
    server.answers = lambda _: Reply(answer)
    with pytest.raises(SourceError, match="does not hold the documents"):
        fetch(tmp_path)


def test_fewer_documents_than_announced_are_said(server: WebServer, tmp_path: Path) -> None:
    server.answers = lambda _: Reply({"data": [], "meta": {"total_doc": 3}})
    with pytest.raises(SourceError, match="3 documents were announced and 0 were sent"):
        fetch(tmp_path)


def test_a_query_that_finds_nothing_is_said(server: WebServer, tmp_path: Path) -> None:
    server.answers = interface([])
    with pytest.raises(SourceError, match="has no documents for mp:summary"):
        fetch(tmp_path)


@pytest.mark.parametrize(
    ("rest", "message", "hint"),
    [
        ("sumary", "no endpoint 'sumary'", "did you mean mp:summary"),
        ("?api_key=abc", "no parameter 'api_key'", "MP_API_KEY"),
        ("?_limit=all", "numbers of documents", "_limit=100"),
        ("delta?collection=sumary", "no collection 'sumary'", "summary"),
        ("delta?elements=Ga", "no parameter 'elements'", "include_by_nc"),
        ("./nothing-here", "no file of mp", ""),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_is_asked(
    server: WebServer, rest: str, message: str, hint: str
) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        named_source(f"mp:{rest}")
    assert hint in caught.value.hint
    assert not server.asked
