"""Base addresses of the databases of the OPTIMADE federation: a table of the largest, and its list for the others."""

from collections.abc import Mapping
from typing import Any, Final

from matlake.errors import SourceError
from matlake.store.sources.http import AnswerError, Client

KNOWN: Final[Mapping[str, str]] = {
    "alexandria-pbe": "https://alexandria.icams.rub.de/pbe",
    "alexandria-pbesol": "https://alexandria.icams.rub.de/pbesol",
    "cod": "https://www.crystallography.net/cod/optimade",
    "jarvis": "https://jarvis.nist.gov/optimade/jarvisdft",
    "mc2d": "https://optimade.materialscloud.org/main/mc2d",
    "mc3d-pbe-v1": "https://optimade.materialscloud.org/main/mc3d-pbe-v1",
    "mc3d-pbesol-v1": "https://optimade.materialscloud.org/main/mc3d-pbesol-v1",
    "mc3d-pbesol-v2": "https://optimade.materialscloud.org/main/mc3d-pbesol-v2",
    "mp": "https://optimade.materialsproject.org",
    "nomad": "https://nomad-lab.eu/prod/v1/optimade",
    "oqmd": "https://oqmd.org/optimade",
    "tcod": "https://www.crystallography.net/tcod/optimade",
}
"""Name -> base address, as the federation's list and the databases' own pages had them on 2026-11-28."""

FEDERATION: Final = "https://providers.optimade.org"
"""The federation's list of providers, an index meta-database."""


def find_base(client: Client, name: str, federation: str = FEDERATION) -> str:
    """Return the base address of a database.

    Args:
        client: Asks the federation for names that are not known.
        name: ``mp``, a provider of the federation; ``PROVIDER/DATABASE`` for one of several that it has.
        federation: Base address of the list of providers.

    Raises:
        SourceError: There is no such database, or the provider has several.
    """
    if name in KNOWN:
        return KNOWN[name]
    provider, _, database = name.partition("/")
    providers = links(client, federation, "external")
    address = providers.get(provider)
    if address is None:
        names = ", ".join(sorted({*KNOWN, *providers}))
        raise SourceError(
            f"the OPTIMADE federation has no provider {provider!r}", f"it has {names}; or give an address"
        )
    databases = links(client, address, "child")
    if database in databases:
        return databases[database]
    if not database and not databases:
        return address  # it lists its only database itself
    if database or len(databases) != 1:
        listed = ", ".join(f"{provider}/{one}" for one in sorted(databases)) or "none"
        problem = f"has no database {database!r}" if database else f"has {len(databases)} databases"
        raise SourceError(f"the OPTIMADE provider {provider!r} {problem}", f"databases: {listed}")
    return next(iter(databases.values()))


def links(client: Client, base: str, kind: str) -> dict[str, str]:
    """Return the links of one kind of an index meta-database: id -> base address.

    Raises:
        SourceError: It cannot be reached, or answers with something else.
    """
    address = base.rstrip("/")
    try:
        document = client.json(f"{address}/v1/links")
    except AnswerError:
        document = client.json(f"{address}/links")
    found: dict[str, str] = {}
    entries = document.get("data") if isinstance(document, Mapping) else None
    for entry in entries if isinstance(entries, list) else []:
        attributes = entry.get("attributes") if isinstance(entry, Mapping) else None
        if isinstance(attributes, Mapping) and attributes.get("link_type") == kind:
            link = href(attributes.get("base_url"))
            if link:
                found[str(entry.get("id"))] = link
    return found


def href(link: Any) -> str:
    """Return the address of a link of JSON:API, which is a text, an object with ``href``, or null; empty for none."""
    if isinstance(link, Mapping):
        link = link.get("href")
    return link.strip() if isinstance(link, str) else ""
