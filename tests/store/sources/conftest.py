"""A lake, a database that speaks OPTIMADE, and an import that does not wait."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from optimade_server import Database, entry
from web_server import Waits, WebServer, web_server

from matlake import Lake, open_lake
from matlake.store.importing.importer import ImportReport
from matlake.store.sources.catalogue import named_source
from matlake.store.sources.importing import import_named
from matlake.store.sources.protocol import Fetch, Fetched


@pytest.fixture
def database() -> Database:
    """25 rock salts, ten a page."""
    return Database([entry(number) for number in range(25)])


@pytest.fixture(scope="module")
def _server() -> Iterator[WebServer]:
    with web_server(Database([])) as running:
        yield running


@pytest.fixture
def server(_server: WebServer, database: Database) -> WebServer:
    """The database behind a port."""
    _server.answers = database
    _server.asked.clear()
    return _server


@pytest.fixture
def empty(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


@pytest.fixture
def waits() -> Waits:
    return Waits()


Import = Callable[..., ImportReport]


@pytest.fixture
def bring(empty: Lake, server: WebServer, waits: Waits) -> Import:
    """Import from the server, ``?…`` being what is asked, into the dataset ``d``."""

    def bring(query: str = "", lake: Lake = empty) -> ImportReport:
        return import_named(lake, f"optimade:{server.url}{query}", "d", client=waits.client)

    return bring


@pytest.fixture
def fetch(tmp_path: Path, server: WebServer, waits: Waits) -> Callable[..., Fetched]:
    """Fetch from the server, ``?…`` being what is asked, and import nothing."""

    def fetch(query: str = "") -> Fetched:
        found = named_source(f"optimade:{server.url}{query}").fetch(Fetch(tmp_path, client=waits.client))
        assert found is not None
        return found

    return fetch
