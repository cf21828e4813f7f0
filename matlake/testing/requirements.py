"""What all checks share: a requirement, what is not to be changed, and a machine without a network."""

import copy
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import numpy as np

from matlake.plugins import NAME

_NO_NETWORK: Final = "it opens a connection to a network"


def require(holds: object, message: str) -> None:
    """Raise AssertionError, also where Python runs without assertions, unless something holds."""
    if not holds:
        raise AssertionError(message)


def require_name(name: str) -> None:
    """Require a name that an entry point may have."""
    require(NAME.fullmatch(name), f"its name {name!r} is not of lower-case letters, digits, '.', '_', '+' and '-'")


@contextmanager
def unchanged(**arguments: Any) -> Iterator[None]:
    """Require that arrays and other objects are afterwards as they were."""
    before = copy.deepcopy(arguments)
    yield
    for name, value in arguments.items():
        require(_same(before[name], value), f"it changes {name}, which belongs to who calls it")


@contextmanager
def no_network() -> Iterator[None]:
    """Require that no connection is opened inside."""
    tried: list[str] = []

    def refuse(*_arguments: Any, **_settings: Any) -> NoReturn:
        tried.append(_NO_NETWORK)
        raise OSError(_NO_NETWORK)

    replaced: dict[str, Callable[..., Any]] = {name: getattr(socket, name) for name in ("socket", "getaddrinfo")}
    for name in replaced:
        setattr(socket, name, refuse)
    try:
        yield
    finally:
        for name, original in replaced.items():
            setattr(socket, name, original)
        require(not tried, _NO_NETWORK)


def _same(before: Any, now: Any) -> bool:
    if isinstance(before, np.ndarray):
        equal_nan = before.dtype.kind == "f"
        return bool(np.array_equal(before, now, equal_nan=equal_nan))
    if isinstance(before, dict):
        return before.keys() == now.keys() and all(_same(before[key], now[key]) for key in before)
    return bool(before == now)
