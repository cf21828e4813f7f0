"""Cards as files: JSON under a digest, and frozen dataclasses made of the JSON that ``dataclasses.asdict`` makes."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, is_dataclass
from dataclasses import fields as dataclass_fields
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

DIGEST: Final = "digest"
MAX_BYTES: Final = 16 << 20
"""Of a card; those that ship have up to 20 kB."""


class EditedError(ValueError):
    """A document is not the one that its digest was made of."""


def read_json(path: Path) -> Any:
    """Read a JSON file of bounded size.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not JSON, too large, or too deep.
    """
    with path.open("rb") as file:
        return parse_json(file.read(MAX_BYTES + 1))


def parse_json(content: bytes) -> Any:
    """Read a JSON document of bounded size.

    Raises:
        ValueError: It is not JSON, too large, or too deep.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES:,} bytes")
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("JSON that is too deep") from error


def sealed_json(document: Mapping[str, Any]) -> bytes:
    """Return a document as JSON with its digest, for people to read and for ``opened`` to check."""
    return (json.dumps({**document, DIGEST: _digest(document)}, indent=2, ensure_ascii=False) + "\n").encode()


def opened(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``sealed_json`` was given.

    The digest finds damage and edits by hand, in whatever layout. It does not tell who wrote the document.

    Raises:
        EditedError: The digest is missing or another one.
    """
    rest = {key: value for key, value in document.items() if key != DIGEST}
    if document.get(DIGEST) != _digest(rest):
        raise EditedError("its content does not match its digest: it was edited or damaged")
    return rest


def _digest(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of canonical JSON, hexadecimal: keys in order, without blanks."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def from_document(kind: type[T], document: object) -> T:
    """Build a value from JSON, nested dataclasses, tuples and enumerations among it.

    Args:
        kind: The type wanted.
        document: What ``json.loads`` gave.

    Raises:
        TypeError: A value has another type than its field, a field is missing, or one is unknown.
        ValueError: A value is not one of an enumeration.
    """
    value: T = _build(kind, document, kind.__name__)
    return value


def _build(kind: Any, value: Any, place: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        (inner,) = (argument for argument in arguments if argument is not NoneType)
        return None if value is None else _build(inner, value, place)
    if origin in (tuple, list):
        items = _checked(list, value, place)
        return origin(_build(arguments[0], item, f"{place}[{number}]") for number, item in enumerate(items))
    if origin is dict:
        return {key: _build(arguments[1], item, f"{place}.{key}") for key, item in _checked(dict, value, place).items()}
    if is_dataclass(kind):
        return _build_dataclass(kind, _checked(dict, value, place), place)
    if kind is float and isinstance(value, int):
        return float(value)
    return value if kind is Any else kind(value) if issubclass(kind, Enum) else _checked(kind, value, place)


def _build_dataclass(kind: Any, fields: dict[str, Any], place: str) -> Any:
    hints = get_type_hints(kind)
    if unknown := fields.keys() - hints:
        raise TypeError(f"{place} has the unknown fields {', '.join(sorted(unknown))}")
    required = {f.name for f in dataclass_fields(kind) if f.default is MISSING and f.default_factory is MISSING}
    if missing := required - fields.keys():
        raise TypeError(f"{place} lacks the fields {', '.join(sorted(missing))}")
    return kind(**{name: _build(hints[name], value, f"{place}.{name}") for name, value in fields.items()})


def _checked(kind: Any, value: Any, place: str) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{place} is {type(value).__name__}, not {kind.__name__}")
    return value
