"""What the API answers, apart from HTTP."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from matlake.encoders.card import JOINED_BY, InputKind
from matlake.errors import StructureError
from matlake.maps.crystal_drawing import draw
from matlake.materials.crystal import Crystal
from matlake.regress.features.feature import layers_of
from matlake.regress.heads.storage import member_names
from matlake.regress.prediction.opened_head import open_head
from matlake.serving.assets import Asset
from matlake.serving.errors import RequestError
from matlake.serving.fast_routes import Reply
from matlake.serving.inputs import Materials, choose, read_crystals
from matlake.serving.lake_schema import MaterialName
from matlake.serving.logs import log
from matlake.serving.metrics import Metrics
from matlake.serving.row_json import RowJson, dumps, join_rows
from matlake.serving.schema import CrystalRequest, EmbedRequest, PredictRequest, SearchRequest
from matlake.serving.served_encoder import EncoderPool, Vector
from matlake.serving.served_head import ServedHead
from matlake.serving.served_index import IndexPool, search, search_by_id
from matlake.serving.served_lake import ServedLake
from matlake.serving.served_report import ServedReport
from matlake.serving.settings import Settings, threads_of_a_run
from matlake.serving.training_map import training_map
from matlake.store.lake import Lake

_FRACTIONS: Final = "fractions"
"""Encoder of a request that names none, where all heads take columns alone."""

READERS: Final = 2
"""Threads that read structures and look into indexes."""

Result = TypeVar("Result")


class Service:
    """The heads, encoders and indexes of one server. Methods raise a RequestError for what cannot be answered.

    Raises:
        HeadError: A head is missing or damaged.
        EncoderError: Likewise an encoder.
    """

    def __init__(self, lake: Lake, settings: Settings) -> None:
        """Open the heads."""
        self.limits = settings.limits
        self.metrics = Metrics()
        self.is_stopping = False
        members = [member for name in settings.heads for member in member_names(lake, name)]
        predictors = [open_head(lake, name, threads=threads_of_a_run()) for name in dict.fromkeys(members)]
        self.heads = {
            predictor.head.card.name: ServedHead(predictor, self.limits, self.metrics) for predictor in predictors
        }
        for predictor in predictors:
            for note in predictor.head.card.notes:
                log(logging.INFO, "note", head=predictor.head.card.name, note=note)
        self.encoders = EncoderPool(lake, self.limits, self.metrics)
        self.indexes = IndexPool(lake)
        self.lake = ServedLake(lake, self.limits, is_open=not settings.heads_only)
        used = [layer for predictor in predictors for layer in layers_of(predictor.head.card.features)]
        layers = [layer for layer in used if not layer.is_external]
        first = layers[0] if layers else None
        self.default_feature = first.feature if first else _FRACTIONS
        if first and first.carried_by:  # the lake has no vectors of that network, but of the encoder that it was
            self.default_feature = self.heads[first.carried_by].card.network_source
        self.default_takes_crystals = first is not None and first.input is InputKind.CRYSTAL
        self._workers = ThreadPoolExecutor(READERS, thread_name_prefix="structures")
        self._maps: dict[str, Asset] = {}
        self._reports: dict[str, ServedReport] = {}

    def head(self, name: str | None) -> ServedHead:
        """Return a head that is served.

        Raises:
            RequestError: There is none of that name (404), or none is named and there are several (422).
        """
        names = ", ".join(self.heads)
        if name is None:
            if len(self.heads) > 1:
                raise RequestError(422, "no head is named", f"heads: {names}")
            return next(iter(self.heads.values()))
        if name not in self.heads:
            raise RequestError(404, f"no head {name[:100]!r} is served", f"heads: {names}")
        return self.heads[name]

    async def predict(self, request: PredictRequest) -> Reply:
        """Answer a request for predictions."""
        kind, texts = choose(request.formulas, request.structures, self.limits)
        head = self.head(request.head)
        head.check_takes(kind)
        materials, names = await self._read(kind, texts)
        rows = await head.predict(kind, materials, names, request.columns, coordinates=request.coordinates)
        return self._reply("/v1/predict", head.start_json, "predictions", names, rows)

    async def embed(self, request: EmbedRequest) -> Reply:
        """Answer a request for embeddings."""
        kind, texts = choose(request.formulas, request.structures, self.limits)
        encoder, layer = await self.encoders.find(request.encoder or self.default_feature)
        encoder.check_takes(kind)
        dim = encoder.card.layer(layer).dim
        if len(texts) * dim > self.limits.numbers:
            raise RequestError(
                422,
                f"{len(texts):,} vectors of {dim:,} numbers, more than {self.limits.numbers:,} numbers",
                f"send {self.limits.numbers // dim:,} at a time, or use `matlake embed`",
            )
        materials, names = await self._read(kind, texts)
        vectors = await encoder.embed(materials, layer)
        rows = await self._in_thread(_embeddings, names, vectors)
        start = {"encoder": encoder.card.name, "layer": layer, "sha256": encoder.card.sha256, "dim": dim}
        return self._reply("/v1/embed", dumps(start), "embeddings", names, rows)

    async def search(self, request: SearchRequest) -> Reply:
        """Answer a request for neighbours."""
        self.lake.check_open()
        if request.k > self.limits.neighbours:
            raise RequestError(422, f"k is {request.k:,}", f"request no more than {self.limits.neighbours:,}")
        if request.materials is not None:
            return await self._search_by_id(request, request.materials)
        kind, texts = choose(request.formulas, request.structures, self.limits)
        encoder, layer = await self.encoders.find(request.encoder or self.default_feature)
        encoder.check_takes(kind)
        index = await self.indexes.find(str(encoder.card.ref(layer)))
        materials, names = await self._read(kind, texts)
        vectors = await encoder.embed(materials, layer)
        rows = await self._in_thread(search, index, names, vectors, request.k, request.dataset)
        start = {"encoder": encoder.card.name, "layer": layer}
        return self._reply("/v1/search", dumps(start), "results", names, rows)

    async def _search_by_id(self, request: SearchRequest, materials: list[MaterialName]) -> Reply:
        """Search with vectors that the lake has, of any encoder."""
        if request.formulas is not None or request.structures is not None:
            raise RequestError(422, "both materials and formulas or structures", "give one of them")
        index = await self.indexes.find(request.encoder or self.default_feature)
        rows = await self._in_thread(search_by_id, index, materials, request.k, request.dataset)
        start = {"encoder": index.card.name, "layer": JOINED_BY.join(index.layers)}
        names = [one.material_id for one in materials]
        return self._reply("/v1/search", dumps(start), "results", names, rows)

    async def draw(self, request: CrystalRequest) -> Reply:
        """Answer a request for what is drawn of a crystal.

        Raises:
            RequestError: It is not a valid crystal (422).
        """
        (found,) = await self._read_crystals([request.structure])
        if isinstance(found, StructureError):
            raise RequestError(422, str(found), found.cli_hint or "give the text of a CIF or POSCAR file")
        return Reply(dumps(await self._in_thread(draw, found)).encode(), {"rows": 1})

    async def map(self, name: str) -> Asset:
        """Return the map of a head's training materials.

        Raises:
            RequestError: There is no such head, or it remembers no training materials (404).
        """
        head = self.head(name)
        reference = head.predictor.head.reference
        if reference is None:
            raise RequestError(
                404, f"head {name} remembers no training materials: it is older than that", "train the head again"
            )
        if name not in self._maps:
            self._maps[name] = await self._in_thread(training_map, head.card, reference)
        return self._maps[name]

    async def report(self, name: str) -> ServedReport:
        """Return all that is known of a head.

        Raises:
            RequestError: There is no such head (404).
        """
        head = self.head(name)
        if name not in self._reports:
            self._reports[name] = await self._in_thread(ServedReport, self.lake.lake, head.card)
        return self._reports[name]

    def close(self) -> None:
        """Finish what waits."""
        self.is_stopping = True
        self.lake.close()
        for head in self.heads.values():
            head.close()
        self.encoders.close()
        self._workers.shutdown()

    async def _read(self, kind: str, texts: list[str]) -> tuple[Materials, list[str | None]]:
        """Return materials, and what they are called."""
        if kind == "formulas":
            return texts, list(texts)
        crystals = await self._read_crystals(texts)
        return crystals, [one.composition.reduced_formula if isinstance(one, Crystal) else None for one in crystals]

    async def _read_crystals(self, texts: list[str]) -> list[Crystal | StructureError]:
        unwanted = threading.Event()
        try:
            return await self._in_thread(read_crystals, texts, self.limits, unwanted)
        finally:
            unwanted.set()  # if the client has gone or the time is up, the thread stops as well

    async def _in_thread(self, function: Callable[..., Result], *arguments: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._workers, function, *arguments)

    def _reply(self, path: str, start: str, name: str, names: Sequence[str | None], rows: Sequence[RowJson]) -> Reply:
        body, failed = join_rows(start, name, names, rows)
        self.metrics.rows(path, len(rows) - failed, failed)
        return Reply(body, {"rows": len(rows), "failed": failed})


def _embeddings(names: list[str | None], vectors: list[Vector]) -> list[RowJson]:
    return [
        RowJson("", vector)
        if isinstance(vector, str)
        # numpy writes float32 with the digits that it takes, half of those of the double next to it
        else RowJson(f'{{"input": {dumps(name)}, "vector": [{", ".join(vector.astype("U").tolist())}]}}')
        for name, vector in zip(names, vectors, strict=True)
    ]
