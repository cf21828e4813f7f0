"""``optimade:PROVIDER_OR_URL?filter=…``: structures of any database of the OPTIMADE federation, versions 1.0 to 1.2.

The specification is that of C. W. Andersen et al., Sci. Data 8, 217 (2021), and https://github.com/Materials-Consortia.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_plus, urljoin, urlsplit, urlunsplit

from matlake.errors import SourceError
from matlake.files import sha256_of
from matlake.store.importing.readers import open_source
from matlake.store.importing.readers.error_answers import said_in
from matlake.store.importing.readers.streams import plain_name
from matlake.store.sources.http import AnswerError, Client, check_address, shown, with_query
from matlake.store.sources.optimade_database import Database, open_database
from matlake.store.sources.optimade_providers import find_base, href
from matlake.store.sources.protocol import Fetch, Fetched, NamedSource, Remembered
from matlake.store.sources.spool import Page, Spool

_PARAMETERS: Final = ("filter", "response_fields", "page_limit")
_OTHERS: Final = ("response_format", "email_address", "sort", "include", "page_offset", "page_number", "page_cursor")
"""Parameters of the standard that addresses from a browser may have; a filter may hold ``&``."""

_PARAMETER: Final = re.compile(rf"(?:^|&)({'|'.join((*_PARAMETERS, *_OTHERS))})=")
_NOT_IN_ADDRESSES: Final = re.compile(r'[\s"<>]')
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?")
_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")

_PAGE_LIMITS: Final = ("500", "100", "10")
"""Rows a page; the next where a database refuses one as too large."""

_HEAD: Final = json.dumps({"x-optimade": {"meta": {"api_version": "1.1.0"}}})
"""First line of a dump, by which readers recognise one."""

_TOO_MANY_ROWS: Final = frozenset(
    {HTTPStatus.FORBIDDEN, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.GATEWAY_TIMEOUT}
)
_NOT_UNDERSTOOD: Final = frozenset({400, 422, 500, 501})
_SECOND: Final = timedelta(seconds=1)
_LONGEST_DELAY_S: Final = 60.0  # between two requests, as a database may ask for
_WARNINGS_SHOWN: Final = 3
_STAMP, _NEWEST, _FILTER = "time_stamp", "newest", "filter"
_LAST_MODIFIED: Final = "last_modified"
"""The property, and the mark of the condition on it."""


def open_optimade(rest: str) -> NamedSource:
    """Return the database, or the dump on this machine, that stands behind ``optimade:``.

    Args:
        rest: Name of a provider, base address, or path of a JSONL dump; then perhaps ``?filter=…``, ``response_fields``
            and ``page_limit``, percent-encoded as in an address or as they are.

    Raises:
        SourceError: It is none of these, or has other parameters.
    """
    place, _, query = rest.partition("?")
    if Path(place).expanduser().is_file():
        return OptimadeDump(Path(place).expanduser())
    if place.startswith((".", "~", "/")) or plain_name(place).endswith((".json", ".jsonl")):
        raise SourceError(f"no file at {place}", "name a dump of an OPTIMADE database, or a database")
    parameters = _parameters(query)
    if "://" in place:
        check_address(place)
        place = place.rstrip("/").removesuffix("/structures").rstrip("/")
    elif _NAME.fullmatch(place):
        provider, slash, database = place.partition("/")
        place = f"{provider.lower()}{slash}{database}"
    else:
        raise SourceError(
            f"{place!r} is neither a provider nor an address nor a file",
            "write optimade:mp?filter=…, optimade:https://host/optimade?filter=…, or the path of a JSONL dump",
        )
    fields = tuple(filter(None, (name.strip() for name in parameters.get("response_fields", "").split(","))))
    wrong = next((name for name in fields if not _FIELD.fullmatch(name)), None)
    if wrong is not None:
        raise SourceError(f"{wrong!r} in response_fields cannot be a property", "name properties, separated by commas")
    limit = parameters.get("page_limit", "")
    if limit and not (limit.isdecimal() and int(limit)):
        raise SourceError(f"page_limit={limit} is not a number of rows", "give a number such as 100, or leave it out")
    return OptimadeSource(place, parameters.get("filter", "").strip(), fields, limit)


def _parameters(query: str) -> dict[str, str]:
    """Split a query; what holds a blank, a quote or a comparison is taken as written, the rest is percent-decoded."""
    pieces = _PARAMETER.split(query)
    wrong = pieces[0] or next((name for name in pieces[1::2] if name in _OTHERS), "")
    if wrong:
        raise SourceError(
            f"{wrong[:40]!r} is not a parameter of an OPTIMADE import", f"parameters: {', '.join(_PARAMETERS)}"
        )
    values = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    return {name: value if _NOT_IN_ADDRESSES.search(value) else unquote_plus(value) for name, value in values.items()}


@dataclass(frozen=True)
class OptimadeDump:
    """A JSONL dump on this machine.

    Attributes:
        path: Where it is.
    """

    path: Path

    @property
    def origin(self) -> str:
        """The dump as the log keeps it."""
        return f"optimade:{self.path}"

    def fetch(self, fetch: Fetch) -> Fetched | None:
        """Open it, unless it is the one that was imported before."""
        digest = sha256_of(self.path)
        if fetch.before is not None and fetch.before.marks.get("sha256") == digest:
            return None
        changed = datetime.fromtimestamp(self.path.stat().st_mtime, UTC)
        known = Remembered(self.origin, f"{changed:%Y-%m-%d}", marks={"sha256": digest})
        return Fetched(open_source(self.path, max_atoms=fetch.max_atoms), known, version_column=_LAST_MODIFIED)


@dataclass(frozen=True)
class OptimadeSource:
    """The structures of a database that satisfy a filter.

    Attributes:
        place: Provider, or base address.
        filter: In the filter language of OPTIMADE; empty for all.
        fields: Properties besides what makes a crystal; all of the database's own by default.
        page_limit: Rows a page; empty for as many as the database allows.
    """

    place: str
    filter: str = ""
    fields: tuple[str, ...] = ()
    page_limit: str = ""

    @property
    def origin(self) -> str:
        """The source as the log keeps it."""
        asked = {"filter": self.filter, "response_fields": ",".join(self.fields)}
        query = "&".join(f"{name}={value}" for name, value in asked.items() if value)
        return f"optimade:{self.place}{'?' if query else ''}{query}"

    def fetch(self, fetch: Fetch) -> Fetched | None:
        """Bring the structures, or those whose ``last_modified`` is later than at the last import."""
        client = fetch.client(None, fetch.progress.note)
        base = self.place if "://" in self.place else find_base(client, self.place)
        database = open_database(client, base, self.fields)
        since = "" if fetch.before is None else fetch.before.marks.get(_LAST_MODIFIED, "")
        spool = Spool(fetch.folder, head=_HEAD)
        reading = _Reading(client, database, self.page_limit, spool)
        narrowed = f"({self.filter}) AND {since}" if self.filter and since else since or self.filter
        try:
            reading.fill(spool.kept.get(_FILTER, narrowed), fetch)
        except AnswerError as error:
            if not since or spool.rows or error.status not in _NOT_UNDERSTOOD:
                raise
            reading.notes.append(f"the database does not select by last_modified: all rows were asked for ({error})")
            reading.fill(self.filter, fetch)
        complete = spool.kept.get(_FILTER, "") == self.filter
        if not spool.rows and fetch.before is None:
            raise SourceError(f"{self.origin} has no structures", "check the filter")
        if not spool.rows:
            return None
        source = open_source(spool.path, max_atoms=fetch.max_atoms)
        source.notes.extend([*reading.notes, *spool.remarks(), *_missing(spool, reading.total if complete else None)])
        return Fetched(
            source,
            Remembered(self.origin, reading.date, database.licence, _marks(spool.kept)),
            version_column=_LAST_MODIFIED,
            complete=complete,
            total=spool.rows if complete else reading.count(self.filter),
        )


@dataclass
class _Reading:
    """Receives pages of one database.

    Attributes:
        client: Asks.
        database: Whom.
        page_limit: Rows a page; empty for as many as the database allows.
        spool: Takes the pages.
        notes: Warnings of the database, and what else is worth a remark.
        total: Number of structures for the filter, as far as the last page has said.
    """

    client: Client
    database: Database
    page_limit: str
    spool: Spool
    notes: list[str] = field(default_factory=list)
    total: int | None = None

    @property
    def date(self) -> str:
        """The day on which the first page came, by the clock of the database."""
        return self.spool.kept.get(_STAMP, "")[:10] or f"{datetime.now(UTC):%Y-%m-%d}"

    def fill(self, condition: str, fetch: Fetch) -> None:
        """Receive all pages for a filter."""

        def read(cursor: str) -> Page:
            document = self._first(cursor, condition) if cursor == first else self._document(cursor)
            self.spool.kept[_FILTER] = condition
            return self._page(document, cursor)

        first = f"{self.database.base}/structures"
        self.spool.fill(first, read, fetch.progress)

    def count(self, condition: str) -> int | None:
        """Ask how many structures satisfy a filter; None where the database does not say, or counts those of a page."""
        query = {"filter": condition, "page_limit": "1", "response_fields": "id"}
        try:
            document = self._document(
                with_query(f"{self.database.base}/structures", {name: value for name, value in query.items() if value})
            )
        except SourceError:
            return None
        found = _total(document.get("meta"), ("data_returned",))
        return None if found == len(document["data"]) else found

    def _first(self, address: str, condition: str) -> Mapping[str, Any]:
        """Ask for the first page: with fewer rows where the database refuses so many, then without a list of fields."""
        limits = [self.page_limit] if self.page_limit else list(_PAGE_LIMITS)
        fields = ",".join(self.database.fields)
        while True:
            query = {"filter": condition, "response_fields": fields, "page_limit": limits[0]}
            try:
                return self._document(with_query(address, {name: value for name, value in query.items() if value}))
            except AnswerError as error:
                if error.status in _TOO_MANY_ROWS and len(limits) > 1:
                    limits.pop(0)
                elif error.status in _NOT_UNDERSTOOD and fields and not self.database.named:
                    fields = ""
                else:
                    raise

    def _document(self, address: str) -> Mapping[str, Any]:
        document = self.client.json(address)
        if not isinstance(document, Mapping) or not isinstance(document.get("data"), list):
            said = said_in(document)
            raise SourceError(
                f"{shown(address)} answers with {f'an error: {said}' if said else 'something that is not OPTIMADE'}",
                "check the address and the filter",
            )
        meta = document.get("meta")
        if isinstance(meta, Mapping):
            self._listen(meta)
        return document

    def _listen(self, meta: Mapping[str, Any]) -> None:
        delay = meta.get("request_delay")
        if isinstance(delay, int | float) and 0 < delay < _LONGEST_DELAY_S:
            self.client.interval_s = max(self.client.interval_s, float(delay))
        warnings = meta.get("warnings")
        for warning in warnings if isinstance(warnings, list) else []:
            text = f"the database warns: {said_in({'errors': [warning]})}"
            if text not in self.notes and len(self.notes) < _WARNINGS_SHOWN:
                self.notes.append(text)

    def _page(self, document: Mapping[str, Any], address: str) -> Page:
        found = document.get("meta")
        meta: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
        kept = self.spool.kept
        if _STAMP not in kept and isinstance(meta.get(_STAMP), str):
            kept[_STAMP] = meta[_STAMP]
        records = list(_records(document["data"]))
        for record in records:
            changed = _moment(record["attributes"].get(_LAST_MODIFIED))
            newest = _moment(kept.get(_NEWEST))
            if changed is not None and (newest is None or changed > newest):
                kept[_NEWEST] = record["attributes"][_LAST_MODIFIED]
        self.total = _total(meta, ("data_returned",)) or self.total
        return Page(records, _next(document, meta, address), _total(meta))


def _records(entries: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield entries without what is not read of them; anything else becomes a failure in its place."""
    for entry in entries:
        found = entry if isinstance(entry, Mapping) else {}
        attributes = found.get("attributes")
        yield {
            "type": "structures",
            "id": found.get("id"),
            "attributes": attributes if isinstance(attributes, Mapping) else {},
        }


def _next(document: Mapping[str, Any], meta: Mapping[str, Any], address: str) -> str | None:
    """Return the address of the page that comes next, always on the same host.

    Servers behind a proxy name ``http://`` or a host of their own; the query is what counts.
    """
    links = document.get("links")
    link = href(links.get("next")) if isinstance(links, Mapping) else ""
    more = meta.get("more_data_available")
    if more is False or (more is not True and not (link and document["data"])):
        return None
    if not link:
        raise SourceError(f"{shown(address)} has more rows and does not say where", "tell the owners of the database")
    here, there = urlsplit(address), urlsplit(urljoin(address, link))
    path = there.path if there.hostname == here.hostname else here.path
    return urlunsplit((here.scheme, here.netloc, path, there.query, ""))


def _total(meta: Any, names: Sequence[str] = ("data_returned", "data_available")) -> int | None:
    """Return the number of structures for the filter, or else of all, which is a bound."""
    counts = [meta.get(name) for name in names] if isinstance(meta, Mapping) else []
    return next((count for count in counts if isinstance(count, int) and not isinstance(count, bool)), None)


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _marks(kept: Mapping[str, str]) -> dict[str, str]:
    """Return the condition for what is new or changed: later than the newest row, or since the import began.

    A row may have changed after its page came, so that the beginning counts where the newest row is not older.
    """
    newest, began = _moment(kept.get(_NEWEST)), _moment(kept.get(_STAMP))
    if newest is None:
        return {}
    if began is not None and newest + _SECOND < began:
        return {_LAST_MODIFIED: f'{_LAST_MODIFIED} > "{_text(newest)}"'}
    return {_LAST_MODIFIED: f'{_LAST_MODIFIED} >= "{_text(min(newest, began or newest))}"'}


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


def _missing(spool: Spool, total: int | None) -> list[str]:
    """Return a remark on rows that did not come."""
    if total is None or total <= spool.rows + spool.repeated:
        return []
    lost = f"the database counts {total:,} rows, {spool.rows:,} came: it may have changed meanwhile"
    return [f"{lost}; delete the dataset and import again to have all"]
