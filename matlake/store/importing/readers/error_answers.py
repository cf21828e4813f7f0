"""What a server says where it refuses: the errors of JSON:API, or a message."""

from collections.abc import Mapping
from typing import Any, Final

_SHOWN: Final = 200
_SAYS: Final = frozenset({"errors", "error", "message", "detail"})
_BESIDE: Final = frozenset({"meta", "links", "jsonapi", "status", "code", "title", "type", "data"})


def refusal_in(document: Any) -> str:
    """Return what a document says that is the answer of a server that refused, and nothing else; empty for others."""
    if not isinstance(document, Mapping) or not _SAYS & document.keys() or document.keys() - _SAYS - _BESIDE:
        return ""
    return "" if document.get("data") else said_in(document)


def said_in(document: Any) -> str:
    """Return the first errors of a JSON document, in one line; empty where it has none."""
    if not isinstance(document, Mapping):
        return ""
    errors = document.get("errors")
    found = [_error_text(one) for one in errors] if isinstance(errors, list) else []
    found += [str(document[key]) for key in ("error", "message", "detail") if isinstance(document.get(key), str)]
    text = "; ".join(dict.fromkeys(one for one in found if one))
    return " ".join(text.split())[:_SHOWN]


def _error_text(error: Any) -> str:
    if not isinstance(error, Mapping):
        return str(error)
    return ": ".join(str(error[key]) for key in ("title", "detail") if isinstance(error.get(key), str | int))
