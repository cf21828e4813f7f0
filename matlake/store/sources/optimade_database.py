"""What an OPTIMADE database says of itself: its version, licence, and the properties that its structures have."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from matlake.errors import SourceError
from matlake.store.sources.http import AnswerError, Client, shown
from matlake.store.sources.optimade_providers import href, links

STRUCTURE_FIELDS: Final = (
    "id",
    "last_modified",
    "chemical_formula_reduced",
    "dimension_types",
    "nperiodic_dimensions",
    "lattice_vectors",
    "cartesian_site_positions",
    "nsites",
    "species",
    "species_at_sites",
    "structure_features",
)
"""Properties of the specification that make a crystal."""

_VERSIONED: Final = re.compile(r"/v(\d+)(\.\d+){0,2}$")
_OWN: Final = re.compile(r"_[A-Za-z_0-9]+")
_LONGEST_LIST: Final = 4000
"""Characters of a list of properties: servers take addresses of 8,000."""

_UNREADABLE: Final = frozenset({"list", "array"})
_OTHER_VERSION: Final = "matlake reads OPTIMADE 1.0 to 1.2"


@dataclass(frozen=True)
class Database:
    """A database.

    Attributes:
        base: Base address of version 1.
        licence: SPDX names, or the address of the licence; empty where it states none.
        fields: Properties to ask for; empty for those that the database answers with by itself.
        named: Whether the user named some.
    """

    base: str
    licence: str
    fields: tuple[str, ...]
    named: bool


def open_database(client: Client, base: str, named: Sequence[str]) -> Database:
    """Ask a database for what it is.

    Args:
        client: Asks.
        base: Base address, with or without version.
        named: Properties that the user wants; all of the database's own if none.

    Raises:
        SourceError: It does not speak OPTIMADE 1, holds no structures, or cannot be reached.
    """
    base, info = _info(client, base.rstrip("/"))
    version = str(info.get("api_version", ""))
    if not version.removeprefix("v").startswith("1."):
        raise SourceError(f"{shown(base)} speaks OPTIMADE {version or 'of an unknown version'}", _OTHER_VERSION)
    if info.get("is_index"):
        raise SourceError(f"{shown(base)} is an index of databases", _children(client, base.rpartition("/")[0]))
    endpoints = info.get("available_endpoints")
    if isinstance(endpoints, list) and "structures" not in endpoints:
        raise SourceError(f"{shown(base)} has no structures", f"it has {', '.join(map(str, endpoints))}")
    fields = (*STRUCTURE_FIELDS, *named) if named else _all_fields(client, base)
    return Database(base, _licence(info), tuple(dict.fromkeys(fields)), bool(named))


def _info(client: Client, base: str) -> tuple[str, Mapping[str, Any]]:
    """Return the versioned base address and the attributes of its ``/info``."""
    found = _VERSIONED.search(base)
    if found is not None and found.group(1) != "1":
        raise SourceError(f"{shown(base)} is of OPTIMADE version {found.group(1)}", _OTHER_VERSION)
    versioned = base if found is not None else f"{base}/v1"
    try:
        document = client.json(f"{versioned}/info")
    except AnswerError as error:
        versions = [] if found is not None else _versions(client, base)
        if not versions or "1" in versions:
            raise
        raise SourceError(f"{shown(base)} speaks OPTIMADE {', '.join(versions)}", _OTHER_VERSION) from error
    data = document.get("data") if isinstance(document, Mapping) else None
    attributes = data.get("attributes") if isinstance(data, Mapping) else None
    if not isinstance(attributes, Mapping):
        raise SourceError(
            f"{shown(versioned)}/info is not that of an OPTIMADE database", "check the base address: it ends before /v1"
        )
    return versioned, attributes


def _children(client: Client, base: str) -> str:
    try:
        return f"give the address of one of them: {', '.join(links(client, base, 'child').values())}"
    except SourceError:
        return "give the address of one of them"


def _versions(client: Client, base: str) -> list[str]:
    """Return the major versions that ``/versions`` lists, a CSV with one column; none where there is no such page."""
    try:
        lines = client.text(f"{base}/versions").split()
    except SourceError:
        return []
    return [line for line in lines[1:] if line.isdecimal()] if lines[:1] == ["version"] else []


def _licence(info: Mapping[str, Any]) -> str:
    for name in ("available_licenses", "available_licenses_for_entries"):
        listed = info.get(name)
        if isinstance(listed, list) and listed:
            return " or ".join(map(str, listed))
    return href(info.get("license"))


def _all_fields(client: Client, base: str) -> tuple[str, ...]:
    """Return what makes a crystal and the database's own properties, without lists, which a table cannot hold.

    Own properties are those that it lists, and those of a structure, because lists are not always complete. The result
    is empty, which asks for all that there is, where an address could not name them.
    """
    listed = _own(_attributes(client, f"{base}/info/structures", "properties"), _is_list)
    shown_by_one = _own(_attributes(client, f"{base}/structures?page_limit=1", "attributes"), _is_list_value)
    fields = (*STRUCTURE_FIELDS, *dict.fromkeys([*listed, *shown_by_one]))
    return fields if len(",".join(fields)) <= _LONGEST_LIST else ()


def _attributes(client: Client, address: str, name: str) -> Mapping[str, Any]:
    try:
        document = client.json(address)
    except AnswerError:
        return {}
    data = document.get("data") if isinstance(document, Mapping) else None
    first = data[0] if isinstance(data, list) and data else data
    found = first.get(name) if isinstance(first, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _own(properties: Mapping[str, Any], is_list: Callable[[Any], bool]) -> list[str]:
    return [name for name, stated in properties.items() if _OWN.fullmatch(name) and not is_list(stated)]


def _is_list_value(value: Any) -> bool:
    return isinstance(value, list)


def _is_list(stated: Any) -> bool:
    """Tell whether a property is a list, as versions 1.0 and 1.1 (``type``) or 1.2 (``x-optimade-type``) say."""
    kinds = [stated.get("x-optimade-type"), stated.get("type")] if isinstance(stated, Mapping) else []
    flat = [one for kind in kinds for one in (kind if isinstance(kind, list) else [kind])]
    return any(kind in _UNREADABLE for kind in flat)
