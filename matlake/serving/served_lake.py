"""The lake of a server: its datasets, rows by conditions, SQL, single materials; nothing is ever written."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any, Final, TypeVar

from matlake.encoders.layer_ref import LayerRef
from matlake.errors import LakeError, QueryError
from matlake.serving.errors import RequestError, not_found, overloaded
from matlake.serving.fast_routes import Reply
from matlake.serving.lake_schema import MaterialRequest, RowsRequest, SqlRequest
from matlake.serving.row_json import dumps
from matlake.serving.settings import Limits
from matlake.store.browsing.browse import QueryLimits, browse_columns, browse_material, browse_rows, plain_rows
from matlake.store.browsing.conditions import OPERATORS, Condition, Order
from matlake.store.lake import Lake
from matlake.store.limits import default_memory
from matlake.store.sql import MORE_MEMORY, MORE_TIME
from matlake.store.status import embedded_layers

CHECK_S: Final = 2.0
"""The list of datasets is read anew no more often than this."""

_RUNNING: Final = 2
_WAITING: Final = 16
"""Queries that run at the same time, and those that may wait."""

_TOO_LARGE: Final = "select fewer rows or columns, or use `matlake sql` on the machine that has the lake"

Result = TypeVar("Result")


class ServedLake:
    """The datasets of a lake over HTTP. Methods raise a RequestError for what cannot be answered.

    Args:
        lake: The lake.
        limits: Of a query.
        is_open: Whether its datasets are served; otherwise heads alone are.

    Attributes:
        lake: The lake.
        is_open: Whether its datasets are served.
    """

    def __init__(self, lake: Lake, limits: Limits, *, is_open: bool) -> None:
        """Read nothing yet."""
        self.lake = lake
        self._limits = limits
        self.is_open = is_open
        self._query = QueryLimits(min(default_memory(), limits.query_bytes), min(limits.query_s, limits.request_s))
        self._workers = ThreadPoolExecutor(_RUNNING, thread_name_prefix="queries")
        self._unanswered = 0
        self._listed: tuple[dict[str, Any], float] | None = None
        self._columns: dict[str, tuple[int | None, list[dict[str, Any]]]] = {}

    def check_open(self) -> None:
        """Refuse what would show more of the lake than its heads.

        Raises:
            RequestError: Heads alone are served (404).
        """
        if not self.is_open:
            raise RequestError(404, "this server answers for its heads alone", "start it without --heads-only")

    async def datasets(self) -> dict[str, Any]:
        """Return what the lake holds: datasets, embedded layers, limits of a query."""
        if not self.is_open:
            return self._listing([], [])
        if self._listed is None or time.monotonic() - self._listed[1] > CHECK_S:
            self._listed = await self._in_thread(self._read), time.monotonic()
        return self._listed[0]

    async def dataset(self, name: str) -> dict[str, Any]:
        """Return the columns of a dataset, with ranges."""
        self.check_open()
        listed = {one["name"]: one for one in (await self.datasets())["datasets"]}
        version = listed[name]["table_version"] if name in listed else None
        if version is None or self._columns.get(name, (None,))[0] != version:
            columns = await self._in_thread(browse_columns, self.lake, name, self._query)
            documents = [vars(column) | {"operators": OPERATORS[column.kind]} for column in columns]
            self._columns[name] = version, documents
        return {"name": name, "columns": self._columns[name][1]}

    async def rows(self, request: RowsRequest) -> Reply:
        """Return rows of a dataset."""
        self.check_open()
        if request.limit > self._limits.query_rows:
            raise RequestError(
                422, f"a limit of {request.limit:,} rows", f"request no more than {self._limits.query_rows:,} at a time"
            )
        return await self._in_thread(self._rows, request)

    async def sql(self, request: SqlRequest) -> Reply:
        """Run a read-only statement."""
        self.check_open()
        return await self._in_thread(self._sql, request.statement)

    async def material(self, request: MaterialRequest) -> Reply:
        """Return a material with its properties and its crystal."""
        self.check_open()
        found = await self._in_thread(browse_material, self.lake, request.dataset, request.material_id, self._query)
        return Reply(dumps(found.document()).encode(), {"rows": 1})

    def close(self) -> None:
        """Finish the queries that run."""
        self._workers.shutdown()

    def _read(self) -> dict[str, Any]:
        datasets = [
            {**one.document(), "properties": len(one.properties), "source": _without_folder(one.source)}
            for one in self.lake.list_datasets()
        ]
        return self._listing(datasets, self._layers() if datasets else [])

    def _layers(self) -> list[dict[str, Any]]:
        cards = {registered.card.name: registered.card for registered in self.lake.registered_encoders()}
        return [
            {
                "feature": str(LayerRef(one["name"], one["layer"])),
                "input": cards[one["name"]].input,
                "vectors": one["vectors"],
                "external": cards[one["name"]].is_external,
            }
            for one in embedded_layers(self.lake)
        ]

    def _listing(self, datasets: list[dict[str, Any]], layers: list[dict[str, Any]]) -> dict[str, Any]:
        limits = {
            "rows": self._limits.query_rows,
            "seconds": self._query.seconds,
            "memory_bytes": self._query.memory,
        }
        return {"datasets": datasets, "layers": layers, "limits": limits}

    def _rows(self, request: RowsRequest) -> Reply:
        found = browse_rows(
            self.lake,
            request.dataset,
            self._query,
            columns=request.columns or (),
            where=[Condition(one.column, one.operator, one.value) for one in request.where],
            order=[Order(one.column, one.descending) for one in request.sort],
            limit=request.limit,
            offset=request.offset,
            count=request.count,
            most_bytes=self._limits.body_bytes,
        )
        return Reply(dumps(found.document()).encode(), {"rows": len(found.rows)})

    def _sql(self, statement: str) -> Reply:
        table = self.lake.query(statement, **self._query.options())
        limits = self._limits
        found = plain_rows(table, statement, most_rows=limits.query_rows, most_bytes=limits.body_bytes)
        return Reply(dumps(found.document()).encode(), {"rows": len(found.rows)})

    async def _in_thread(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Run a query beside others.

        Raises:
            RequestError: Too many wait (503); there is no such dataset or material (404); the query is wrong, or takes
                too much (422).
        """
        if self._unanswered >= _RUNNING + _WAITING:
            raise overloaded(f"{self._unanswered} queries are waiting")
        self._unanswered += 1
        running = asyncio.get_running_loop().run_in_executor(self._workers, function, *arguments)
        running.add_done_callback(self._answered)  # a client that has gone leaves its query, which has limits
        with _explained():
            return await asyncio.shield(running)

    def _answered(self, running: "asyncio.Future[Any]") -> None:
        self._unanswered -= 1
        if not running.cancelled():
            running.exception()  # nobody else may ask for it


def _without_folder(source: str | None) -> str | None:
    """Return where a dataset came from; of a file on this machine its name alone."""
    if source is None or not PurePath(source).is_absolute():
        return source
    return PurePath(source).name


@contextmanager
def _explained() -> Iterator[None]:
    """Turn errors of the lake into those of a request."""
    try:
        with not_found(LakeError):
            yield
    except QueryError as error:
        limited = error.cli_hint in (MORE_MEMORY.cli, MORE_TIME.cli)
        raise RequestError(422, str(error), _TOO_LARGE if limited else error.cli_hint or "see /docs") from error
