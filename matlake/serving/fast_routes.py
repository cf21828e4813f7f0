"""POST routes without FastAPI's machinery of dependencies, which takes longer than a small prediction.

The body is checked by the model that the endpoint's signature names, as FastAPI would do, and FastAPI documents it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, get_type_hints

from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.types import Message, Receive, Scope, Send

from matlake.errors import MatlakeError
from matlake.serving.errors import RequestError, answer_error, send_json
from matlake.serving.schema import parse

JSON: Final = b"application/json"


@dataclass(frozen=True)
class Reply:
    """What an endpoint returns.

    Attributes:
        body: A JSON document.
        log_fields: Counts and names for the log; never inputs, which may be confidential.
    """

    body: bytes
    log_fields: dict[str, Any]


Endpoint = Callable[[Any], Awaitable[Reply]]
"""Takes the model of a body."""


class FastRoute(APIRoute):
    """A route whose endpoint takes one model and returns a ``Reply``."""

    def __init__(self, path: str, endpoint: Endpoint, **options: Any) -> None:
        """Keep FastAPI's documentation, and take the place of its handler."""
        super().__init__(path, endpoint, **options)
        (model,) = [hint for name, hint in get_type_hints(endpoint).items() if name != "return"]
        self.app = _handler(endpoint, model)


def _handler(endpoint: Endpoint, model: type[BaseModel]) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            _check_content_type(scope)
            reply = await endpoint(parse(model, await _read(receive)))
        except MatlakeError as error:
            await answer_error(error, send)
            return
        scope["matlake.log_fields"] |= reply.log_fields
        await send_json(200, reply.body, send)

    return handle


def _check_content_type(scope: Scope) -> None:
    given = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    if given.partition(b";")[0].strip().lower() != JSON:
        raise RequestError(
            415,
            f"content type {given.decode('latin-1')[:80] or 'not given'!r}, not application/json",
            "send JSON with the header Content-Type: application/json",
        )


async def _read(receive: Receive) -> bytes:
    parts = []
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestError(400, "the client disconnected", "send the whole body")
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)
