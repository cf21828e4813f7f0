"""Clients in a closed loop: each sends its next request when it has the answer to the last one.

    python -m benchmarks.helpers.server_load PORT REQUESTS CLIENTS SECONDS

``REQUESTS`` is a JSON file: a list of ``{"body", "value"}``, the body of a request about one material and the value
that the answer must hold, null where it is not compared.
"""

import asyncio
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import uvloop

TOLERANCE: Final = 1e-4
"""Allowed difference of a value, relative; batches round differently."""

_HEAD: Final = (
    b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
)


class Tally:
    """What came back."""

    def __init__(self) -> None:
        """Start from nothing."""
        self.latencies: list[float] = []
        self.sent = 0
        self.refused = 0
        self.wrong = 0


async def client(port: int, requests: Any, end: float, tally: Tally) -> None:
    """Send one request after another until the time is over."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for body, value in requests:
        started = time.perf_counter()
        if started >= end:
            break
        tally.sent += 1
        writer.write(_HEAD % len(body) + body)
        head = await reader.readuntil(b"\r\n\r\n")
        place = head.lower().index(b"content-length:") + len(b"content-length:")
        answer = await reader.readexactly(int(head[place : head.index(b"\r", place)]))
        tally.latencies.append(time.perf_counter() - started)
        if not head.startswith(b"HTTP/1.1 200"):
            tally.refused += 1
        elif value is not None and not _holds(answer, value):
            tally.wrong += 1
    writer.close()


def _holds(answer: bytes, value: float) -> bool:
    mark = b'"value":'
    place = answer.index(mark) + len(mark)
    found = float(answer[place : answer.index(b",", place)])
    return abs(found - value) <= TOLERANCE * max(1.0, abs(value))


async def load(port: int, requests: list[dict[str, Any]], clients: int, seconds: float) -> dict[str, Any]:
    """Run the clients, each with the requests in an order of its own."""
    pairs = [(request["body"].encode(), request["value"]) for request in requests]
    tally = Tally()
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            own = itertools.islice(itertools.cycle(pairs), number * len(pairs) // clients, None)
            group.create_task(client(port, own, started + seconds, tally))
    elapsed = time.perf_counter() - started
    ordered = sorted(tally.latencies)
    return {
        "requests_per_s": len(ordered) / elapsed,
        **{f"p{q}_ms": 1000 * ordered[min(len(ordered) - 1, len(ordered) * q // 100)] for q in (50, 95, 99)},
        "sent": tally.sent,
        "answered": len(ordered),
        "refused": tally.refused,
        "wrong": tally.wrong,
    }


if __name__ == "__main__":
    port, file, clients, seconds = sys.argv[1:]
    print(json.dumps(uvloop.run(load(int(port), json.loads(Path(file).read_text()), int(clients), float(seconds)))))
