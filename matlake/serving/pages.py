"""The page, its files, and the documentation for people. Everything comes from this machine."""

from functools import lru_cache
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from matlake.extras import require_extra
from matlake.maps import page_files
from matlake.maps.page_files import PLOTLY
from matlake.serving.api_docs import render_docs
from matlake.serving.assets import Asset

FOLDER: Final = Path(__file__).with_name("page")
_EMPTY: Final = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
"""Of nothing: plotly adds an empty style sheet and fills it with rules from its script, which scripts from here may."""

CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-hashes' {_EMPTY}; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def add_pages(app: FastAPI) -> None:
    """Add the page, its files and the documentation to an application."""
    names = {path.name for path in FOLDER.iterdir() if path.suffix in _TYPES} | {PLOTLY, *page_files.SHARED}

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return _guarded((await run_in_threadpool(load_asset, "index.html")).answer(request))

    @app.get("/page/{name}", include_in_schema=False)
    async def file(name: str, request: Request) -> Response:
        if name not in names:
            raise HTTPException(404)
        return (await run_in_threadpool(load_asset, name)).answer(request)

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        return _guarded(Asset.of(render_docs(app.openapi()).encode(), _TYPES[".html"]).answer(request))


@lru_cache
def load_asset(name: str) -> Asset:
    """Read a file of the page, one that it shares with maps, or plotly's script."""
    if name == PLOTLY:
        require_extra("serve", "the page", "plotly")
        path = page_files.plotly_script()
    else:
        path = (page_files.FOLDER if name in page_files.SHARED else FOLDER) / name
    return Asset.of(path.read_bytes(), _TYPES[path.suffix])


def _guarded(response: Response) -> Response:
    """Tell the browser to load and run nothing that does not come from here."""
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response
