"""Documents that are always the same, as browsers like to get them."""

import gzip
import hashlib
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

_POLICIES: Final = {"Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin"}
_SMALL: Final = 1000  # bytes; not worth compressing


@dataclass(frozen=True)
class Asset:
    """A document that is always the same; ``compressed`` with gzip unless that saves nothing."""

    content: bytes
    compressed: bytes | None
    media_type: str
    etag: str

    @staticmethod
    def of(content: bytes, media_type: str) -> "Asset":
        """Compress a document."""
        compressed = gzip.compress(content, 6, mtime=0) if len(content) > _SMALL else None
        return Asset(content, compressed, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')

    def answer(self, request: Request) -> Response:
        """Return it, or say that the browser's copy is right."""
        # the browser asks each time whether its copy is still right
        headers = {"ETag": self.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding", **_POLICIES}
        if request.headers.get("if-none-match") == self.etag:
            return Response(status_code=304, headers=headers)
        if self.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(self.compressed, headers=headers, media_type=self.media_type)
        return Response(self.content, headers=headers, media_type=self.media_type)
