"""Errors that a request is answered with, and how."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import Send

from matlake.errors import MatlakeError


class RequestError(MatlakeError):
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        message: What was wrong, and where.
        hint: What the client can do about it.
        headers: Further headers of the answer.
    """

    def __init__(self, status: int, message: str, hint: str, headers: dict[str, str] | None = None) -> None:
        """Keep what the answer is made of."""
        super().__init__(message, hint)
        self.status = status
        self.headers = headers or {}


def overloaded(what: str) -> RequestError:
    """Return the error for a request that there is no room for at the moment."""
    return RequestError(503, f"too busy: {what}", "try again after the seconds in Retry-After", {"Retry-After": "1"})


@contextmanager
def not_found(kind: type[MatlakeError]) -> Iterator[None]:
    """Turn an error of some kind into a 404: the lake lacks what a request names."""
    try:
        yield
    except kind as error:
        raise RequestError(404, str(error), error.hint) from error


def internal_error(request_id: str) -> RequestError:
    """Return the answer to an unexpected error; the log has the details, under the id of the request."""
    return RequestError(500, "an error inside the server", f"look for request {request_id} in its log")


def error_body(error: MatlakeError) -> bytes:
    """Return the body of the answer: what was wrong and what to do, never where in the code."""
    document = {"error": str(error), "hint": error.cli_hint or "see /docs"}
    return json.dumps(document, ensure_ascii=False).encode(errors="replace")


async def answer_error(error: MatlakeError, send: Send) -> None:
    """Answer with an error; one that is not the request's fault is a 500."""
    status, headers = (error.status, error.headers) if isinstance(error, RequestError) else (500, {})
    await send_json(status, error_body(error), send, headers)


async def send_json(status: int, body: bytes, send: Send, headers: dict[str, str] | None = None) -> None:
    """Answer with a JSON document."""
    listed = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    listed += [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": listed})
    await send({"type": "http.response.body", "body": body})
