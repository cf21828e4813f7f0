"""Frozen dataclasses read back from the JSON that ``dataclasses.asdict`` makes of them."""

from dataclasses import is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


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
    return kind(**{name: _build(hints[name], value, f"{place}.{name}") for name, value in fields.items()})


def _checked(kind: Any, value: Any, place: str) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{place} is {type(value).__name__}, not {kind.__name__}")
    return value
