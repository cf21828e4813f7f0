"""A database of rock salts that speaks OPTIMADE, with the habits of the federation's servers."""

import re
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode

from web_server import Asked, Reply

NextLink = Literal["text", "object", "relative", "other host", "http"]

_SINCE = re.compile(r'last_modified (>=|>) "([^"]+)"')
METALS = ("Mg", "Ca", "Ni", "Mn", "Co", "Fe", "Cd", "Sr", "Ba", "Ti")


def entry(number: int, edge: float = 4.2, modified: str = "2026-01-01T00:00:00Z", **attributes: Any) -> dict[str, Any]:
    """Return a rock salt with two atoms."""
    half, metal = edge / 2, METALS[number % len(METALS)]
    return {
        "type": "structures",
        "id": f"db-{number}",
        "attributes": {
            "last_modified": modified,
            "chemical_formula_reduced": f"{metal}O",
            "dimension_types": [1, 1, 1],
            "nperiodic_dimensions": 3,
            "lattice_vectors": [[0.0, half, half], [half, 0.0, half], [half, half, 0.0]],
            "cartesian_site_positions": [[0.0, 0.0, 0.0], [half, half, half]],
            "nsites": 2,
            "species": [{"name": name, "chemical_symbols": [name], "concentration": [1.0]} for name in (metal, "O")],
            "species_at_sites": [metal, "O"],
            "structure_features": [],
            "_db_gap_eV": 1.0 + number,
            "_db_list": [1, 2],
            **attributes,
        },
    }


@dataclass
class Database:
    """What the server holds, and how it behaves.

    Attributes:
        entries: The structures.
        page: Largest number of rows a page; more is refused with 403.
        next_link: How it names the next page.
        info: Attributes of ``/info`` besides the usual.
        meta: Members of ``meta`` besides the usual.
        prefix: Path below which it answers.
        filters: Whether it selects by ``last_modified``, or refuses.
    """

    entries: list[dict[str, Any]]
    page: int = 10
    next_link: NextLink = "text"
    info: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    prefix: str = "/v1"
    filters: bool = True

    def __call__(self, asked: Asked) -> Reply:
        """Answer a request."""
        endpoint = asked.path.removeprefix(self.prefix)
        if endpoint == "/info":
            attributes = {
                "api_version": "1.2.0",
                "available_endpoints": ["info", "structures"],
                "available_licenses": ["CC-BY-4.0"],
                "is_index": False,
                **self.info,
            }
            return Reply({"data": {"id": "/", "type": "info", "attributes": attributes}})
        if endpoint == "/info/structures":
            own = {key: value for one in self.entries for key, value in one.get("attributes", {}).items()}
            kinds = {key: "list" if isinstance(value, list) else "float" for key, value in own.items()}
            properties = {key: {"x-optimade-type": kind, "type": [kind, "null"]} for key, kind in kinds.items()}
            return Reply({"data": {"properties": properties}})
        return self.structures(asked) if endpoint == "/structures" else failure(404, "no such page")

    def structures(self, asked: Asked) -> Reply:
        limit, start = int(asked.query.get("page_limit", 5)), int(asked.query.get("page_offset", 0))
        if limit > self.page:
            return failure(403, f"Max allowed page_limit is {self.page}, you requested {limit}")
        condition = asked.query.get("filter", "")
        since = _SINCE.search(condition)
        if "HAZ" in condition or (since and not self.filters):
            return failure(400, f"Unable to parse filter {condition}")
        found = [one for one in self.entries if not since or _is_since(one, *since.groups())]
        rows = found[start : start + limit]
        if fields := asked.query.get("response_fields"):
            wanted = {"last_modified", *fields.split(",")}
            rows = [
                {**row, "attributes": {key: value for key, value in row["attributes"].items() if key in wanted}}
                if "attributes" in row
                else row
                for row in rows
            ]
        more = start + limit < len(found)
        meta = {
            "api_version": "1.2.0",
            "data_returned": len(found),
            "data_available": len(self.entries),
            "more_data_available": more,
            "time_stamp": "2026-03-01T00:00:00Z",
            **self.meta,
        }
        following = self.link(asked, start + limit) if more else None
        return Reply({"data": rows, "meta": meta, "links": {"next": following}})

    def link(self, asked: Asked, offset: int) -> Any:
        query = urlencode({**asked.query, "page_offset": offset})
        whole = f"http://{asked.headers['host']}{asked.path}?{query}"
        return {
            "text": whole,
            "object": {"href": whole, "meta": {}},
            "relative": f"{asked.path}?{query}",
            "other host": f"http://inner.invalid:5000/structures?{query}",
            "http": whole,
        }[self.next_link]


def failure(status: int, detail: str) -> Reply:
    """Answer with an error of JSON:API."""
    return Reply({"errors": [{"status": str(status), "title": "Sorry", "detail": detail}], "meta": {}}, status)


def _is_since(one: dict[str, Any], relation: str, moment: str) -> bool:
    modified = one["attributes"]["last_modified"]
    return bool(modified) and (modified > moment or (relation == ">=" and modified == moment))
