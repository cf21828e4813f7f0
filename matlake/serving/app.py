"""The application: routes, their documentation, and what their errors look like."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from matlake.errors import MatlakeError
from matlake.regress.features.own_columns import with_unit
from matlake.serving.errors import RequestError, error_body, internal_error, overloaded
from matlake.serving.examples import RUTILE, SQL, example, material_example, prediction_example, rows_example
from matlake.serving.fast_routes import FastRoute, Reply
from matlake.serving.lake_schema import (
    DatasetResponse,
    DatasetsResponse,
    MaterialRequest,
    MaterialResponse,
    ReportResponse,
    RowsRequest,
    RowsResponse,
    SqlRequest,
)
from matlake.serving.metrics import CONTENT_TYPE
from matlake.serving.pages import add_pages
from matlake.serving.row_json import dumps
from matlake.serving.schema import (
    CrystalRequest,
    EmbedRequest,
    EmbedResponse,
    HeadsResponse,
    MapResponse,
    PredictRequest,
    PredictResponse,
    Problem,
    SearchRequest,
    SearchResponse,
)
from matlake.serving.served_report import answer_plot
from matlake.serving.service import Service

_DESCRIPTION = """\
Heads of a matlake: a property of materials, with an interval, a score of how far from the training materials each one
is, and the nearest of those.

Every error is `{"error", "hint"}`. Requests that come at the same time share a run of the encoder.
"""
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body is not valid JSON."},
    401: {"model": Problem, "description": "No API key, or a wrong one."},
    404: {"model": Problem, "description": "No such head, encoder, dataset or material."},
    408: {"model": Problem, "description": "The body did not arrive in time."},
    413: {"model": Problem, "description": "The body is too large."},
    415: {"model": Problem, "description": "The content type is not `application/json`."},
    421: {"model": Problem, "description": "The `Host` is not a host of this server."},
    422: {"model": Problem, "description": "The request is not valid, or is too large."},
    503: {"model": Problem, "description": "Too busy, or no answer in time; try again later."},
}


def make_app(service: Service) -> FastAPI:
    """Return the application, without the middleware before it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.close)

    app = FastAPI(
        title="matlake",
        version=version("matlake"),
        description=_DESCRIPTION,
        docs_url=None,  # FastAPI's page loads its scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        exception_handlers={HTTPException: _answer_error, MatlakeError: _answer_error, Exception: _answer_error},
    )
    _add_posts(app, service)
    _add_gets(app, service)
    _add_reports(app, service)
    add_pages(app)
    return app


def fast_handlers(app: FastAPI) -> dict[str, ASGIApp]:
    """Return the handlers of POST requests by path: they answer in half the time without the application's layers."""
    return {route.path: route.app for route in app.router.routes if isinstance(route, FastRoute)}


def _add_posts(app: FastAPI, service: Service) -> None:
    async def predict(request: PredictRequest) -> Reply:
        """Predict a property of materials."""
        return await service.predict(request)

    async def embed(request: EmbedRequest) -> Reply:
        """Return the embeddings of materials."""
        return await service.embed(request)

    async def search(request: SearchRequest) -> Reply:
        """Find the materials of the lake that are nearest to others."""
        return await service.search(request)

    async def rows(request: RowsRequest) -> Reply:
        """Return rows of a dataset that fulfil conditions, and the SQL for them."""
        return await service.lake.rows(request)

    async def material(request: MaterialRequest) -> Reply:
        """Return one material of a dataset: its properties and its crystal."""
        return await service.lake.material(request)

    async def sql(request: SqlRequest) -> Reply:
        """Run a read-only query on the lake, as `matlake sql` does, with limits of time, memory and rows."""
        return await service.lake.sql(request)

    async def crystal(request: CrystalRequest) -> Reply:
        """Read a structure and return what is drawn of it: atoms, bonds, cell."""
        return await service.draw(request)

    head = next(iter(service.heads.values()))
    about = material_example(crystals=service.default_takes_crystals, encoder=service.default_feature)
    for path, endpoint, answer, shown in (
        ("/v1/predict", predict, PredictResponse, prediction_example(head)),
        ("/v1/embed", embed, EmbedResponse, about),
        ("/v1/search", search, SearchResponse, about),
        ("/v1/crystal", crystal, None, example({"structure": RUTILE})),
        ("/v1/rows", rows, RowsResponse, rows_example(service.lake.lake if service.lake.is_open else None)),
        ("/v1/material", material, MaterialResponse, example({"dataset": "gaps", "material_id": "mp-804"})),
        ("/v1/sql", sql, RowsResponse, example({"statement": SQL})),
    ):
        app.router.routes.append(
            FastRoute(
                path,
                endpoint,
                methods=["POST"],
                response_model=answer,
                responses=_PROBLEMS,
                openapi_extra=shown,
                description=_with_columns(endpoint.__doc__ or "", service) if endpoint is predict else None,
                operation_id=path.rpartition("/")[2],
            )
        )


def _with_columns(text: str, service: Service) -> str:
    """Return a description with the columns that heads take."""
    taken = [
        f"Head `{name}` needs values of the columns {', '.join(map(with_unit, head.predictor.columns))}."
        for name, head in service.heads.items()
        if head.predictor.columns
    ]
    return "\n\n".join([text, *taken])


def _add_gets(app: FastAPI, service: Service) -> None:
    @app.get("/v1/heads", response_model=HeadsResponse)
    async def heads() -> Response:
        """List the heads that are served."""
        limits = {name: getattr(service.limits, name) for name in ("rows", "atoms", "body_bytes", "neighbours")}
        return _json({"heads": [head.describe() for head in service.heads.values()], "limits": limits})

    @app.get("/v1/heads/{head}/map", response_model=MapResponse, responses={404: _PROBLEMS[404]})
    async def training_map(head: str, request: Request) -> Response:
        """Return where the training materials of a head lie, in the plane of their two widest directions."""
        return (await service.map(head)).answer(request)

    @app.get("/healthz")
    async def healthz() -> Response:
        """Say that the process lives."""
        return _json({"status": "ok"})

    @app.get("/readyz", responses={503: _PROBLEMS[503]})
    async def readyz() -> Response:
        """Say whether requests will be answered without delay."""
        if not service.is_stopping:
            return _json({"status": "ready"})
        raise overloaded("the server is stopping")

    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Return counters in Prometheus' format."""
        return Response(service.metrics.render(), media_type=CONTENT_TYPE)


def _add_reports(app: FastAPI, service: Service) -> None:
    @app.get("/v1/heads/{head}/report", response_model=ReportResponse, responses={404: _PROBLEMS[404]})
    async def report(head: str, request: Request) -> Response:
        """Return all that is known of a head: errors beside baselines, data, features, model, intervals, licences."""
        return (await service.report(head)).document.answer(request)

    @app.get("/v1/heads/{head}/plots/{plot}", response_class=Response, responses={404: _PROBLEMS[404]})
    async def plot(head: str, plot: str, request: Request) -> Response:
        """Return a plot that the report of a head names, as SVG or PNG."""
        found = (await service.report(head)).plot(plot)
        if found is None:
            raise HTTPException(404, "no such plot")
        return answer_plot(found, request)

    @app.get("/v1/datasets", response_model=DatasetsResponse)
    async def datasets() -> Response:
        """List the datasets of the lake, and the layers that they are embedded with."""
        return _json(await service.lake.datasets())

    @app.get("/v1/datasets/{dataset}", response_model=DatasetResponse, responses={404: _PROBLEMS[404]})
    async def dataset(dataset: str) -> Response:
        """Return the columns of a dataset: what they hold, their units, their ranges."""
        return _json(await service.lake.dataset(dataset))


def _json(document: Any) -> Response:
    return Response(dumps(document), media_type="application/json")


async def _answer_error(request: Request, error: Exception) -> Response:
    """Answer every error in the same form."""
    if isinstance(error, HTTPException):
        headers = dict(error.headers or {})
        hint = f"methods: {headers['Allow']}" if "Allow" in headers else "paths are in /docs"
        error = RequestError(error.status_code, f"{request.method} {request.url.path}: {error.detail}", hint, headers)
    if not isinstance(error, MatlakeError):
        error = internal_error(request.scope["matlake.id"])
    status, headers = (error.status, error.headers) if isinstance(error, RequestError) else (500, {})
    return Response(error_body(error), status, headers, "application/json")
