"""OPTIMADE: paging, versions, fields, errors of databases, dumps, and what a second import brings."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optimade_server import Database, NextLink, entry, failure
from structures import ids, reasons, rows
from web_server import Asked, Reply, Waits, WebServer

from matlake import Lake
from matlake.errors import SourceError
from matlake.store.importing.importer import ImportReport
from matlake.store.sources.catalogue import is_named, named_source
from matlake.store.sources.importing import import_from, import_named, remembered
from matlake.store.sources.optimade_providers import KNOWN, find_base
from matlake.store.sources.protocol import Fetch, Fetched

Import = Callable[..., ImportReport]
Fetching = Callable[..., Fetched]
DATA = Path(__file__).parents[2] / "data"


def asked_for(server: WebServer) -> list[Asked]:
    return [asked for asked in server.asked if asked.path == "/v1/structures"]


def test_all_pages_arrive_with_properties_and_where_they_are_from(
    bring: Import, server: WebServer, empty: Lake
) -> None:
    report = bring('?filter=elements HAS "O"')
    assert (report.rows, report.failed, report.notes) == (25, 0, [])
    found = rows(empty, "SELECT * FROM d ORDER BY material_id LIMIT 1")[0]
    assert found["formula"] == "MgO"
    assert found["_db_gap_eV"] == 1.0
    assert found["source"] == f"optimade:{server.url}"
    assert (found["source_id"], found["source_version"]) == ("db-0", "2026-01-01T00:00:00Z")
    assert found["source_licence"] == "CC-BY-4.0"
    known = remembered(empty, "d")
    assert known is not None
    assert known.origin == f'optimade:{server.url}?filter=elements HAS "O"'
    assert known.version == "2026-03-01"
    assert not list(empty.unfinished.iterdir())
    shown = empty.show_dataset("d")
    assert f'from optimade:{server.url}?filter=elements HAS "O"' in str(shown.lines()[1])
    assert shown.lines()[2] == "version: 2026-03-01, licence: CC-BY-4.0"
    assert shown.document()["licence"] == "CC-BY-4.0"


@pytest.mark.parametrize("next_link", ["text", "object", "relative", "other host", "http"])
def test_links_of_all_kinds_lead_to_the_next_page_of_the_same_host(
    fetch: Fetching, database: Database, next_link: NextLink
) -> None:
    database.next_link = next_link
    assert fetch().source.rows == 25


def test_a_page_limit_that_is_refused_is_lowered(fetch: Fetching, server: WebServer) -> None:
    fetch()
    limits = [asked.query["page_limit"] for asked in asked_for(server)]
    assert limits == ["1", "500", "100", "10", "10", "10"]


def test_only_what_a_crystal_needs_and_single_values_are_asked_for(fetch: Fetching, server: WebServer) -> None:
    fetch()
    fields = asked_for(server)[-1].query["response_fields"].split(",")
    assert "_db_gap_eV" in fields
    assert "_db_list" not in fields
    assert "lattice_vectors" in fields
    assert "assemblies" not in fields


def test_properties_can_be_named(fetch: Fetching, server: WebServer) -> None:
    found = fetch("?response_fields=nelements, _db_gap_eV&page_limit=7")
    assert {asked.query["page_limit"] for asked in asked_for(server)} == {"7"}
    assert asked_for(server)[0].query["response_fields"].endswith(",nelements,_db_gap_eV")
    assert "_db_gap_eV" in found.source.schema.names


@pytest.mark.parametrize(
    ("written", "understood"),
    [
        ('filter=elements HAS "O" AND nsites<5', 'elements HAS "O" AND nsites<5'),
        ("filter=elements%20HAS%20%22O%22", 'elements HAS "O"'),
        ("filter=elements+HAS+%22O%22", 'elements HAS "O"'),
        ("filter=nelements=2", "nelements=2"),
        ('filter=_db_name = "a&b+c%20"', '_db_name = "a&b+c%20"'),
        (
            'response_fields=nsites&filter=nsites > 1 OR chemical_formula_reduced="A&B"',
            'nsites > 1 OR chemical_formula_reduced="A&B"',
        ),
    ],
)
def test_filters_arrive_as_they_are_meant(fetch: Fetching, server: WebServer, written: str, understood: str) -> None:
    fetch(f"?{written}")
    assert asked_for(server)[-1].query["filter"] == understood


def test_a_wrong_filter_is_answered_with_the_databases_own_words(fetch: Fetching) -> None:
    with pytest.raises(SourceError, match="Unable to parse filter elements HAZ"):
        fetch("?filter=elements HAZ")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("optimade:", "neither a provider nor an address"),
        ("optimade:Not A Name", "neither a provider nor an address"),
        ("optimade:ftp://host/x", "not a valid address"),
        ("optimade:mp?filtre=x", "'filtre=x' is not a parameter"),
        ("optimade:mp?filter=nsites=2&response_format=json", "'response_format' is not a parameter"),
        ("optimade:mp?page_limit=3&page_offset=5", "'page_offset' is not a parameter"),
        ("optimade:dumps.jsonl.gz", "no file at dumps.jsonl.gz"),
        ("optimade:../dump", "no file at ../dump"),
        ("optimade:mp?response_fields=a-b", "'a-b' in response_fields"),
        ("optimade:mp?page_limit=many", "page_limit=many is not a number"),
        ("optimade:https://me:hush@host/", "holds a name or password"),
        ("nobody:mp", "there is no source 'nobody'"),
        ("https://host/table.csv", "an address, https:…, is not imported by itself"),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_is_asked(spec: str, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        named_source(spec)


def test_providers_are_named_in_any_case() -> None:
    assert named_source("optimade:MP").origin == "optimade:mp"
    assert named_source("optimade:MCloud/MC3D").origin == "optimade:mcloud/MC3D"


def test_addresses_end_before_the_endpoint() -> None:
    assert named_source("optimade:https://host/optimade/v1/structures/").origin == "optimade:https://host/optimade/v1"
    assert not is_named("C:\\data.csv")
    assert not is_named("data.csv")
    assert is_named(f"mp:?material_ids={','.join(f'mp-{number}' for number in range(200))}")
    assert not is_named("archive::structures")


@pytest.mark.parametrize("prefix", ["/v1", "/optimade/v1.1"])
def test_addresses_have_a_version_or_not(
    tmp_path: Path, server: WebServer, database: Database, waits: Waits, prefix: str
) -> None:
    database.prefix = prefix
    address = prefix.removesuffix("/v1")
    source = named_source(f"optimade:{server.url}{address}")
    found = source.fetch(Fetch(tmp_path, client=waits.client))
    assert found is not None
    assert found.source.rows == 25


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({"api_version": "0.10.1"}, "speaks OPTIMADE 0.10.1"),
        ({"is_index": True}, "is an index of databases"),
        ({"available_endpoints": ["info", "references"]}, "has no structures"),
    ],
)
def test_what_is_no_database_of_structures_is_named(
    fetch: Fetching, database: Database, info: dict[str, Any], said: str
) -> None:
    database.info = info
    with pytest.raises(SourceError, match=said):
        fetch()


def test_a_server_of_another_version_is_named(fetch: Fetching, server: WebServer) -> None:
    server.answers = lambda asked: (
        Reply(b"version\n0\n", headers={"Content-Type": "text/csv"}) if asked.path == "/versions" else failure(404, "")
    )
    with pytest.raises(SourceError, match="speaks OPTIMADE 0"):
        fetch()


def test_a_site_that_is_no_database_is_named(fetch: Fetching, server: WebServer) -> None:
    server.answers = lambda _: Reply(b"<html>", headers={"Content-Type": "text/html"})
    with pytest.raises(SourceError, match="answers with a web page"):
        fetch()
    server.answers = lambda _: Reply({"hello": 1})
    with pytest.raises(SourceError, match="is not that of an OPTIMADE database"):
        fetch()


def test_licences_are_taken_as_stated(fetch: Fetching, database: Database) -> None:
    database.info = {"available_licenses": None, "license": {"href": "https://host/licence"}}
    assert fetch().remembered.licence == "https://host/licence"


def test_rows_that_are_no_ordered_crystals_are_told_with_the_reason(
    bring: Import, database: Database, empty: Lake
) -> None:
    mixed = [
        {"name": "Mg", "chemical_symbols": ["Mg", "Ca"], "concentration": [0.5, 0.5]},
        {"name": "O", "chemical_symbols": ["O"], "concentration": [1.0]},
    ]
    database.entries = [
        entry(0),
        entry(10, species=mixed, structure_features=["disorder"]),
        entry(2, lattice_vectors=None),
        entry(3, nperiodic_dimensions=2, dimension_types=[1, 1, 0]),
        {"type": "structures", "id": "db-4"},
        entry(5, cartesian_site_positions=[[0.0, 0.0, 0.0]] * 2),
    ]
    report = bring()
    assert report.rows + report.failed == 6
    assert ids(empty) == ["db-0", "db-10"]
    assert rows(empty, "SELECT formula FROM d WHERE material_id = 'db-10'") == [{"formula": "CaMgO2"}]
    found = reasons(empty)
    assert set(found) == {"db-2", "db-3", "db-4", "db-5"}
    assert all(found.values())


def test_a_huge_cell_is_a_failure(empty: Lake, server: WebServer, database: Database, waits: Waits) -> None:
    database.entries = [entry(0), entry(1)]
    database.entries[1]["attributes"] |= {"species_at_sites": ["Ca"] * 50, "cartesian_site_positions": [[0, 0, 0]] * 50}
    report = import_named(empty, f"optimade:{server.url}", "d", max_atoms=10, client=waits.client)
    assert (report.rows, report.failed) == (1, 1)


def test_warnings_and_rows_that_came_twice_are_noted(fetch: Fetching, database: Database) -> None:
    database.entries = [entry(number % 12) for number in range(15)]
    database.meta = {"warnings": [{"type": "warning", "title": "slow", "detail": "be patient"}]}
    source = fetch().source
    assert source.rows == 12
    assert source.notes == ["the database warns: slow: be patient", "3 rows came more than once and were left out"]


def test_the_pause_that_a_database_asks_for_is_kept(fetch: Fetching, database: Database, waits: Waits) -> None:
    database.meta = {"request_delay": 5.0}
    fetch()
    assert round(waits.seconds[-1]) == 5


def test_links_that_lead_in_a_circle_end(fetch: Fetching, server: WebServer, database: Database) -> None:
    def circle(asked: Asked) -> Reply:
        reply = database(replace(asked, query={**asked.query, "page_offset": "0"}))
        if asked.path.endswith("/structures") and "meta" in reply.body:
            reply.body["links"] = {"next": "/v1/structures?page_limit=10&page_offset=0"}
        return reply

    server.answers = circle
    with pytest.raises(SourceError, match="was there before"):
        fetch()


def test_pages_without_end_and_without_news_end(fetch: Fetching, server: WebServer, database: Database) -> None:
    def endless(asked: Asked) -> Reply:
        reply = database(replace(asked, query={**asked.query, "page_offset": "0"}))
        if asked.path.endswith("/structures") and "meta" in reply.body:
            number = int(asked.query.get("page_number", 0)) + 1
            reply.body["links"] = {"next": f"/v1/structures?page_limit=10&page_number={number}"}
            reply.body["meta"]["data_returned"] = 1000 + number
        return reply

    server.answers = endless
    with pytest.raises(SourceError, match="5 pages in a row bring nothing new"):
        fetch()


def test_an_empty_page_is_the_last_unless_more_is_stated(
    fetch: Fetching, server: WebServer, database: Database
) -> None:
    def odd(asked: Asked) -> Reply:
        reply = database(asked)
        if asked.path == "/v1/structures" and "data" in reply.body:
            del reply.body["meta"]["more_data_available"]
            offset = int(asked.query.get("page_offset", 0)) + 10
            reply.body["links"] = {"next": f"/v1/structures?page_limit=10&page_offset={offset}"}
        return reply

    server.answers = odd
    assert fetch().source.rows == 25
    assert server.asked[-1].query["page_offset"] == "30"


def test_rows_that_did_not_come_are_counted(fetch: Fetching, database: Database) -> None:
    database.meta = {"data_returned": 30}
    assert fetch().source.notes[0].startswith("the database counts 30 rows, 25 came")


def test_a_database_that_is_too_slow_for_large_pages_is_asked_for_small_ones(
    fetch: Fetching, server: WebServer, database: Database
) -> None:
    def slow(asked: Asked) -> Reply:
        return Reply(b"", 504) if int(asked.query.get("page_limit", 0)) > 10 else database(asked)

    server.answers = slow
    assert fetch().source.rows == 25


def test_more_rows_without_a_link_are_an_error(fetch: Fetching, database: Database, server: WebServer) -> None:
    def lost(asked: Asked) -> Reply:
        reply = database(asked)
        if isinstance(reply.body, dict) and "links" in reply.body:
            reply.body["links"] = None
        return reply

    server.answers = lost
    with pytest.raises(SourceError, match="has more rows and does not say where"):
        fetch()


def test_errors_in_an_answer_that_looks_good_are_shown(fetch: Fetching, database: Database, server: WebServer) -> None:
    def lying(asked: Asked) -> Reply:
        reply = database(asked)
        if "page_offset" in asked.query:
            return Reply({"errors": [{"title": "Oh", "detail": "the disk is full"}]})
        return reply

    server.answers = lying
    with pytest.raises(SourceError, match="answers with an error: Oh: the disk is full"):
        fetch()


def test_a_filter_without_matches_is_named(fetch: Fetching, database: Database) -> None:
    database.entries = []
    with pytest.raises(SourceError, match="has no structures"):
        fetch()


def test_providers_are_known_or_asked_for(server: WebServer, waits: Waits) -> None:
    client = waits.client()
    assert find_base(client, "mp", server.url) == KNOWN["mp"]
    assert not server.asked

    def link(name: str, base: str | None, kind: str) -> dict[str, Any]:
        return {"id": name, "type": "links", "attributes": {"base_url": base, "link_type": kind}}

    answers = {
        "/v1/links": [
            link("one", f"{server.url}/one", "external"),
            link("two", f"{server.url}/two", "external"),
            link("three", f"{server.url}/three", "external"),
            link("nobody", None, "external"),
        ],
        "/one/v1/links": [link("a", "https://a/optimade", "child"), link("up", "https://b", "providers")],
        "/three/links": [],
        "/two/links": [
            link("a", "https://a", "child"),
            {**link("b", None, "child"), "attributes": {"base_url": {"href": "https://b"}, "link_type": "child"}},
        ],
    }
    server.answers = lambda asked: Reply({"data": answers[asked.path]}) if asked.path in answers else failure(404, "")
    assert find_base(client, "one", server.url) == "https://a/optimade"
    assert find_base(client, "two/b", server.url) == "https://b"
    assert find_base(client, "three", server.url) == f"{server.url}/three"
    with pytest.raises(SourceError, match="has 2 databases") as caught:
        find_base(client, "two", server.url)
    assert caught.value.hint == "databases: two/a, two/b"
    with pytest.raises(SourceError, match="has no database 'c'"):
        find_base(client, "two/c", server.url)
    with pytest.raises(SourceError, match="has no provider 'nobody'") as caught:
        find_base(client, "nobody", server.url)
    assert "alexandria-pbe" in caught.value.hint
    assert "two" in caught.value.hint


def test_a_dump_on_this_machine_is_read_once(empty: Lake, tmp_path: Path) -> None:
    path = tmp_path / "dump.jsonl"
    lines = [{"x-optimade": {"meta": {"api_version": "1.1.0"}}}, *(entry(number) for number in range(3))]
    path.write_text("\n".join(map(json.dumps, lines)))
    assert import_from(empty, f"optimade:{path}", "d").rows == 3
    assert rows(empty, "SELECT DISTINCT source_version AS v FROM d") == [{"v": "2026-01-01T00:00:00Z"}]
    again = import_from(empty, f"optimade:{path}", "d")
    assert again.update is not None
    assert (again.rows, again.update.others) == (0, 3)
    path.write_text("\n".join(map(json.dumps, [*lines, entry(7)])))
    changed = import_from(empty, f"optimade:{path}", "d").update
    assert changed is not None
    assert (changed.new, changed.changed, changed.unchanged) == (1, 0, 3)


def test_a_file_needs_no_name(empty: Lake, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("formula,gap_eV\nMgO,7.8\n")
    assert import_from(empty, str(path), "d").rows == 1
    with pytest.raises(SourceError, match="has its structures in columns of its own"):
        import_from(empty, "optimade:mp", "d", structure_column="x")


def test_the_answers_of_the_consortiums_own_server_are_read(empty: Lake, server: WebServer, waits: Waits) -> None:
    """They were recorded with optimade-python-tools 1.5.0, by what tests/installed/check_optimade.py runs."""
    recorded = json.loads((DATA / "optimade_server_1_5.json").read_text("utf-8").replace("SERVER", server.url))
    answers = {(one["path"], json.dumps(one["query"])): Reply(one["body"], one["status"]) for one in recorded}
    server.answers = lambda asked: answers[asked.path, json.dumps(asked.query)]
    report = import_named(empty, f"optimade:{server.url}?page_limit=2", "d", client=waits.client)
    assert (report.rows, report.failed) == (4, 0)
    assert ids(empty) == ["db-0", "db-1", "db-10", "db-2"]
    assert rows(empty, "SELECT _rs_gap FROM d ORDER BY material_id LIMIT 2") == [{"_rs_gap": 1.0}, {"_rs_gap": 2.0}]
    with pytest.raises(SourceError, match="Unable to parse filter elements HAZ"):
        import_named(empty, f"optimade:{server.url}?filter=elements HAZ", "e", client=waits.client)
