"""Settings of a server: heads, address, limits, key."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from matlake.errors import SourceError
from matlake.serving.hosts import is_loopback

KEY_VARIABLE: Final = "MATLAKE_API_KEY"
_SHORTEST_KEY: Final = 16


@dataclass(frozen=True)
class Capacity:
    """How much a queue takes on.

    Attributes:
        batch: Weight of one run; an item that is heavier goes alone.
        queue: Weight that may wait.
    """

    batch: int
    queue: int


@dataclass(frozen=True)
class Limits:
    """Limits of one request, and of all of them together.

    Attributes:
        body_bytes: Largest body; larger ones are refused before they are read.
        rows: Formulas or structures of a request.
        atoms: Atoms of all structures of a request together.
        numbers: Numbers in the answer of a request for embeddings.
        neighbours: Largest ``k`` of a search.
        query_rows: Rows of the lake in the answer to one query.
        query_s: Seconds of a query.
        query_bytes: Memory of a query, and no more than a quarter of the machine's.
        request_s: Seconds from the first byte of a body to the answer.
        read_s: Seconds that a client may take to send headers, and again for the body.
        idle_s: Seconds that a connection without a request is kept.
        connections: Open at once.
        requests: Taken on at once.
        held_bytes: Bodies held at once.
        row_capacity: Rows of a run of an encoder or head, and rows that wait for one.
        atom_capacity: The same in atoms.
        stop_s: Seconds that requests get to finish when the server stops.
    """

    body_bytes: int = 8 << 20
    rows: int = 1000
    atoms: int = 5000
    numbers: int = 1 << 20
    neighbours: int = 1000
    query_rows: int = 10_000
    query_s: float = 10.0
    query_bytes: int = 1 << 30
    request_s: float = 30.0
    read_s: float = 10.0
    idle_s: float = 30.0
    connections: int = 1000
    requests: int = 500
    held_bytes: int = 64 << 20
    row_capacity: Capacity = Capacity(batch=512, queue=10_000)
    atom_capacity: Capacity = Capacity(batch=4096, queue=50_000)
    stop_s: float = 40.0


@dataclass(frozen=True)
class Settings:
    """How to serve.

    Attributes:
        heads: Names of the heads, the first one being that of the page when it opens.
        host: Address to listen at.
        port: Port; 0 for any that is free.
        allowed_hosts: Names beside those of loopback that the ``Host`` header of a request may give. Without them any
            may be given if ``host`` is not on loopback.
        api_key: Required of each request but those for the page and for health; None requires none.
        limits: Limits of requests.
        log_level: ``info`` logs each request, ``warning`` what went wrong.
        heads_only: Answer for heads and encoders alone: no datasets, no SQL, no search among materials of the lake.
    """

    heads: tuple[str, ...]
    host: str = "127.0.0.1"
    port: int = 8080
    allowed_hosts: tuple[str, ...] = ()
    api_key: str | None = field(default=None, repr=False)
    limits: Limits = field(default_factory=Limits)
    log_level: str = "info"
    heads_only: bool = False

    @property
    def is_open(self) -> bool:
        """Whether other machines can send requests without a key."""
        return self.api_key is None and not is_loopback(self.host)


def threads_of_a_run() -> int:
    """Return the threads inside one operator.

    Half of the cores: the others read requests and write answers, and a thread of an operator that has to wait for a
    core holds up all of them.
    """
    return max(1, (os.cpu_count() or 1) // 2)


def read_api_key(path: Path | None) -> str | None:
    """Return the key in a file, or in ``$MATLAKE_API_KEY``; None where neither is given.

    Raises:
        SourceError: The file cannot be read, or the key is too short or holds other than printable ASCII characters.
    """
    if path is None:
        key, place = os.environ.get(KEY_VARIABLE), f"${KEY_VARIABLE}"
        if key is None:
            return None
    else:
        place = str(path)
        try:
            key = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError(
                f"cannot read the API key in {place}: {error}", "name a text file with the key"
            ) from error
    key = key.strip()
    if len(key) < _SHORTEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise SourceError(
            f"the API key in {place} is not {_SHORTEST_KEY} or more printable ASCII characters without spaces",
            "make one with: python -c 'import secrets; print(secrets.token_urlsafe())'",
        )
    return key
