"""The hosts that requests may name: a website must not reach a server on loopback under a name of its own.

A page of ``evil.example`` may let that name point to 127.0.0.1 once it is loaded (DNS rebinding); for the browser the
server is then of the same origin. The header ``Host`` still says ``evil.example``.
"""

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from matlake.serving.errors import RequestError

_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]{1,255})(?::[0-9]{0,5})?")


def is_loopback(name: str) -> bool:
    """Return whether a name or address always means this machine, whatever a name server says."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def host_name(given: str) -> str | None:
    """Return the name or address in a ``Host`` header, in lower case without port; None if it is not valid."""
    matched = _AUTHORITY.fullmatch(given)
    if matched is None:
        return None
    return matched[1].strip("[]").lower().removesuffix(".") or None


class AllowedHosts:
    """Which hosts requests may name.

    Args:
        listening: The address that the server listens at.
        names: Further names that it is reached under, such as that of a proxy.
    """

    def __init__(self, listening: str, names: Sequence[str]) -> None:
        """Any name is allowed at an address that other machines can reach, unless names are given."""
        self._is_open = not names and not is_loopback(listening)
        self._names = {name.lower().removesuffix(".") for name in (listening, *names)}
        self._refusal = lru_cache(256)(self._find_refusal)

    def check(self, given: bytes) -> None:
        """Check a ``Host`` header.

        Raises:
            RequestError: It is not valid (400), or not allowed (421).
        """
        refusal = self._refusal(given)
        if refusal is not None:
            raise RequestError(*refusal)

    def _find_refusal(self, given: bytes) -> tuple[int, str, str] | None:
        name = host_name(given.decode("latin-1"))
        if name is None:
            return 400, "the header Host is not a host with an optional port", "send the host of the URL"
        if self._is_open or is_loopback(name) or name in self._names:
            return None
        hint = "use the host 127.0.0.1 or localhost, or start the server with --allowed-host NAME"
        return 421, f"{name[:100]!r} is not a host of this server", hint
