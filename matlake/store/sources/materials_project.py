"""``mp:ENDPOINT?QUERY``: the Materials Project's REST interface, with the key in ``$MP_API_KEY``.

Parameters are the interface's own; https://api.materialsproject.org/docs lists them.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from matlake.errors import SourceError
from matlake.store.importing.readers import open_source
from matlake.store.sources.columns import with_units
from matlake.store.sources.http import RUN_AGAIN, AnswerError, Client, Credential, is_private
from matlake.store.sources.materials_project_documents import CITATION, ID, KEEP, UNITS, by_licence
from matlake.store.sources.materials_project_tables import TABLES, keeps_by_nc, open_tables
from matlake.store.sources.protocol import Fetch, Fetched, NamedSource, Remembered
from matlake.store.sources.published import CC_BY
from matlake.store.sources.published_files import is_path
from matlake.store.sources.spool import Page, Spool

_INTERFACE: Final = "https://api.materialsproject.org"
_INTERFACE_VARIABLE: Final = "MP_API_ENDPOINT"
_KEY_VARIABLE: Final = "MP_API_KEY"
_KEY_PAGE: Final = "https://materialsproject.org/api"
_ENDPOINTS: Final = ("summary", "core", "elasticity", "dielectric", "piezoelectric", "magnetism")
_SORTABLE: Final = "summary"
_DAY: Final = len("2026-01-01")
_PAGE, _PAGE_OF_IDS, _IDS_AT_ONCE = 500, 1000, 200
_UPDATED: Final = "last_updated"
_ALWAYS: Final = (ID, "formula_pretty", "builder_meta", _UPDATED)
_FIELDS: Final = (
    *_ALWAYS,
    *("structure", "symmetry", "volume", "density", "density_atomic", "theoretical", "deprecated"),
    *("energy_per_atom", "uncorrected_energy_per_atom", "formation_energy_per_atom", "energy_above_hull", "is_stable"),
    *("equilibrium_reaction_energy_per_atom", "band_gap", "cbm", "vbm", "efermi", "is_gap_direct", "is_metal"),
    *("is_magnetic", "ordering", "total_magnetization", "total_magnetization_normalized_vol", "num_magnetic_sites"),
    *("bulk_modulus", "shear_modulus", "universal_anisotropy", "homogeneous_poisson", "e_total", "e_ionic"),
    *("e_electronic", "n", "e_ij_max", "weighted_surface_energy", "weighted_work_function"),
)
"""Fields of a summary that are single values or groups of them, with the structure."""


@dataclass(frozen=True)
class MaterialsProject:
    """Documents of the interface.

    Attributes:
        endpoint: ``summary``, ``elasticity``, … .
        parameters: What selects documents, as the interface calls it.
        first: How many documents to skip.
        most: How many to take; None for all.
        keep_by_nc: Whether documents of the licence BY-NC are kept.
    """

    endpoint: str
    parameters: Mapping[str, str]
    first: int = 0
    most: int | None = None
    keep_by_nc: bool = False

    @property
    def origin(self) -> str:
        """The query, in the order of its names."""
        extra = {"_skip": str(self.first) if self.first else "", "_limit": "" if self.most is None else str(self.most)}
        extra[KEEP] = "true" if self.keep_by_nc else ""
        query = {**self.parameters, **{name: value for name, value in extra.items() if value}}
        return f"mp:{self.endpoint}{'?' if query else ''}{urlencode(sorted(query.items()), safe=',*', quote_via=quote)}"

    def fetch(self, work: Fetch) -> Fetched | None:
        """Ask for the documents, or those that were updated since.

        Raises:
            SourceError: There is no key, the interface refuses it or cannot be reached, or it has no such documents.
        """
        interface = os.environ.get(_INTERFACE_VARIABLE) or _INTERFACE
        if not is_private(interface):
            raise SourceError(
                f"${_INTERFACE_VARIABLE} is not an https address: the key is not sent there",
                "let it begin with https://",
            )
        key = _key()
        client = work.client(Credential(urlsplit(interface).hostname or "", "X-API-KEY", key), work.progress.note)
        address = f"{interface.rstrip('/')}/materials/{self.endpoint}/"
        since = work.before.marks.get(_UPDATED, "") if work.before and self.most is None else ""
        with _hiding(key):
            spool = Spool(work.folder, ID)
            read = self._reader(client, address, spool)
            if since:
                wanted = self._updated(client, address, since)
                if not wanted:
                    return None
                read = self._reader_of(client, address, wanted, spool)
            spool.fill("0", read, work.progress)
        if not spool.rows:
            raise SourceError(f"the Materials Project has no documents for {self.origin}", "check the query")
        source = with_units(open_source(spool.path, max_atoms=work.max_atoms), UNITS)
        source = by_licence(source, keep=self.keep_by_nc)
        source.notes.extend((*spool.remarks(), f"{self.origin}: cite {CITATION}"))
        newest = max(since, spool.kept.get(_UPDATED, ""))
        remembered = Remembered(self.origin, newest[:_DAY], CC_BY, {_UPDATED: newest} if newest else {})
        return Fetched(source, remembered, ID, complete=not since)

    @property
    def _fields(self) -> dict[str, str]:
        named = self.parameters.get("_fields")
        if named:
            return {"_fields": ",".join(dict.fromkeys((*named.split(","), *_ALWAYS)))}
        return {"_fields": ",".join(_FIELDS)} if self.endpoint == "summary" else {"_all_fields": "true"}

    @property
    def _order(self) -> dict[str, str]:
        """Pages of a query that is sorted do not overlap; only summaries can be sorted."""
        return {"_sort_fields": ID} if self.endpoint == _SORTABLE and "_sort_fields" not in self.parameters else {}

    def _reader(self, client: Client, address: str, spool: Spool) -> Callable[[str], Page]:
        """Return the function that receives the page of a cursor: documents to skip, and how many were announced."""
        query = {**self.parameters, **self._fields, **self._order}

        def read(cursor: str) -> Page:
            place, _, announced = cursor.partition("/")
            skip = int(place)
            limit = _PAGE if self.most is None else min(_PAGE, self.most - skip)
            documents, total = _parts(client.json(address, {**query, **_window(self.first + skip, limit)}))
            total = max(total - self.first, 0)
            total = total if self.most is None else min(total, self.most)
            if announced and int(announced) != total:
                raise _changed()
            if not documents and skip < total:
                raise SourceError(f"{total:,} documents were announced and {skip:,} were sent", RUN_AGAIN)
            return _page(documents, skip + len(documents), total, spool)

        return read

    def _reader_of(self, client: Client, address: str, ids: Sequence[str], spool: Spool) -> Callable[[str], Page]:
        """Return the function that receives the page of a cursor: materials with some of these ids."""

        def read(cursor: str) -> Page:
            place, _, announced = cursor.partition("/")
            if announced and int(announced) != len(ids):
                raise _changed()
            start = int(place)
            some = ids[start : start + _IDS_AT_ONCE]
            query = {"material_ids": ",".join(some), **self._fields, "_limit": str(len(some))}
            documents, _ = _parts(client.json(address, query))
            return _page(documents, start + len(some), len(ids), spool)

        return read

    def _updated(self, client: Client, address: str, newest: str) -> list[str]:
        """Return the ids of documents that were updated after a date."""
        query = {**self.parameters, **self._order, "_fields": f"{ID},{_UPDATED}"}
        wanted, met, total = [], self.first, -1
        while total < 0 or met < total:
            documents, total = _parts(client.json(address, {**query, **_window(met, _PAGE_OF_IDS)}))
            if not documents:
                break
            wanted += [str(one[ID]) for one in documents if ID in one and _date(one) > newest]
            met += len(documents)
        return wanted


def _changed() -> AnswerError:
    """Return the error that lets the reading begin again."""
    return AnswerError("the database has changed while it was read", RUN_AGAIN, HTTPStatus.GONE)


def _window(skip: int, limit: int) -> dict[str, str]:
    return {"_skip": str(skip), "_limit": str(limit)}


def _page(documents: Sequence[Mapping[str, Any]], after: int, total: int, spool: Spool) -> Page:
    spool.kept[_UPDATED] = max([spool.kept.get(_UPDATED, ""), *map(_date, documents)])
    return Page(documents, f"{after}/{total}" if after < total else None, total)


def _parts(answer: Any) -> tuple[list[Mapping[str, Any]], int]:
    """Return the documents of an answer, ``{"data": […], "meta": {"total_doc": N}}``, and how many there are in all.

    Raises:
        SourceError: It is another document.
    """
    meta = answer.get("meta") if isinstance(answer, dict) else None
    documents = answer.get("data") if isinstance(answer, dict) else None
    total = meta.get("total_doc") if isinstance(meta, dict) else None
    if not isinstance(documents, list) or not isinstance(total, int) or not all(isinstance(d, dict) for d in documents):
        raise SourceError("the answer does not hold the documents that the interface promises", RUN_AGAIN)
    return documents, total


def _date(document: Mapping[str, Any]) -> str:
    """Return when a document was updated, as it is written; ``""`` where it does not say."""
    value = document.get(_UPDATED)
    if isinstance(value, Mapping):
        value = value.get("$date")
    return value if isinstance(value, str) else ""


def open_materials_project(rest: str) -> NamedSource:
    """Return a query of the interface, or tables: ``delta``, or a folder or file of documents.

    Raises:
        SourceError: There is no such endpoint, or the query cannot be right.
    """
    if is_path(rest) or rest.partition("?")[0] == TABLES:
        return open_tables(rest)
    endpoint, _, query = rest.partition("?")
    endpoint = endpoint.removeprefix("materials/").strip("/") or "summary"
    if endpoint not in _ENDPOINTS:
        near = get_close_matches(endpoint, (*_ENDPOINTS, TABLES), n=1)
        meant = f"did you mean mp:{near[0]}? " if near else ""
        raise SourceError(
            f"mp: has no endpoint {endpoint!r}",
            f"{meant}Endpoints: {', '.join(_ENDPOINTS)}; tables: mp:{TABLES}, mp:./FOLDER",
        )
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    if secret := [name for name in parameters if "key" in name.lower()]:
        raise SourceError(f"mp: takes no parameter {secret[0]!r}", f"put the key into ${_KEY_VARIABLE}")
    keep = keeps_by_nc(parameters)
    first, most = parameters.pop("_skip", "0"), parameters.pop("_limit", None)
    if not first.isdecimal() or not (most is None or (most.isdecimal() and int(most))):
        raise SourceError("mp: _skip and _limit are numbers of documents", "write _limit=100 for the first hundred")
    return MaterialsProject(endpoint, parameters, int(first), None if most is None else int(most), keep)


def _key() -> str:
    key = os.environ.get(_KEY_VARIABLE, "").strip()
    if not key:
        raise SourceError(
            f"the Materials Project asks for a key, and ${_KEY_VARIABLE} holds none",
            f"get one, free of charge, at {_KEY_PAGE} and set {_KEY_VARIABLE} to it",
        )
    if not (key.isascii() and key.isprintable()):  # what refuses such a header would show it
        raise SourceError(
            f"${_KEY_VARIABLE} holds more than a key: a line break, or a letter that keys do not have",
            f"copy the key again from {_KEY_PAGE}",
        )
    return key


@contextmanager
def _hiding(key: str) -> Iterator[None]:
    """Say it when the key is refused, and keep the key out of every message, whatever the server says."""
    try:
        yield
    except AnswerError as error:
        if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise SourceError(
                f"the Materials Project refuses the key in ${_KEY_VARIABLE} ({error.status})",
                f"check it at {_KEY_PAGE}; a key of the former interface is not valid here",
            ) from None
        raise AnswerError(str(error).replace(key, "…"), error.hint.replace(key, "…"), error.status) from None
    except SourceError as error:
        raise SourceError(str(error).replace(key, "…"), error.hint.replace(key, "…")) from None
