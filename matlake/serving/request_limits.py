"""One request within its limits of size and time."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

from starlette.types import Message, Receive, Send

from matlake.serving.errors import RequestError, answer_error, overloaded
from matlake.serving.settings import Limits

_SAFE: Final = (b"x-content-type-options", b"nosniff")


@dataclass
class BodyBytes:
    """Counts the bytes of all bodies that are in memory."""

    bytes: int = 0


class LimitedRequest:
    """Reads a request and sends its answer, within the limits.

    Args:
        request_id: Identifies the request in logs and in the header of the answer.
        limits: Of size and time; reading a body, if ``is_reading``, has its own limit of time.
        held: Counts the bodies of all requests.
        receive: The connection's, as is ``send``.
    """

    def __init__(
        self, request_id: str, limits: Limits, held: BodyBytes, receive: Receive, send: Send, *, is_reading: bool
    ) -> None:
        """Start the clock."""
        self.id = request_id
        self.log_fields: dict[str, Any] = {}
        self.status = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.started = time.perf_counter()
        self.is_reading = is_reading
        self.is_abandoned = False
        self._task = asyncio.current_task()
        self.deadline = asyncio.timeout(limits.read_s if is_reading else limits.request_s)
        self._limits = limits
        self._held = held
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        """Return the next part of the body, as long as it is not too large.

        Raises:
            RequestError: It is (413), or there are too many large ones (503).
        """
        limits = self._limits
        message = await self._receive()
        size = len(message.get("body", b""))
        self.bytes_in += size
        self._held.bytes += size
        if self.bytes_in > limits.body_bytes:
            raise too_large(limits, close=True)
        if self._held.bytes > limits.held_bytes:
            raise overloaded("too many large bodies are being read")
        if not message.get("more_body", False):
            self.is_reading = False
            left = limits.request_s - (time.perf_counter() - self.started)
            self.deadline.reschedule(asyncio.get_running_loop().time() + left)
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer, with the headers that all have."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message["headers"], _SAFE, (b"x-request-id", self.id.encode())]}
        else:
            self.bytes_out += len(message.get("body", b""))
        await self._send(message)

    async def refuse(self, error: RequestError) -> None:
        """Answer with an error, unless another answer has begun; then the connection is cut off in its middle."""
        if not self.status:
            await answer_error(error, self.send)

    def abandon(self) -> None:
        """Stop working on it: the client has gone."""
        self.is_abandoned = True
        if self._task is not None:
            self._task.cancel()

    def timeout_error(self) -> RequestError:
        """Return the error for a request that took too long."""
        if self.is_reading:
            return RequestError(
                408,
                f"the body did not arrive within {self._limits.read_s:g} s",
                "send it faster",
                {"Connection": "close"},
            )
        return RequestError(503, f"no answer within {self._limits.request_s:g} s", "send fewer rows at a time")

    def close(self) -> None:
        """Let go of the body."""
        self._held.bytes -= self.bytes_in


def too_large(limits: Limits, *, close: bool) -> RequestError:
    """Return the error for a body that is too large; ``close`` ends the connection instead of reading all of it."""
    return RequestError(
        413,
        f"a body of more than {limits.body_bytes:,} bytes",
        "send fewer rows at a time, or start the server with a larger --max-body",
        {"Connection": "close"} if close else None,
    )
