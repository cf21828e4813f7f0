"""Encoders that are served: embeddings in micro-batches."""

import asyncio
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.card import InputKind
from matlake.encoders.encoder import Encoder, open_encoder
from matlake.encoders.layer_ref import LayerRef
from matlake.errors import EncoderError, FormulaError, StructureError
from matlake.materials.crystal import Crystal
from matlake.materials.formula import Composition, parse_formula
from matlake.serving.batching import Batcher
from matlake.serving.errors import RequestError, not_found
from matlake.serving.inputs import Materials, weight_of
from matlake.serving.metrics import Metrics
from matlake.serving.settings import Limits, threads_of_a_run
from matlake.store.lake import Lake

Vector = NDArray[np.float32] | str
"""A vector, float32 [dim], or why there is none."""


@dataclass(frozen=True)
class _Item:
    """A formula, or a crystal, or why there is none; and the layer wanted."""

    material: str | Crystal | StructureError
    layer: str


class ServedEncoder:
    """An encoder with its queue."""

    def __init__(self, encoder: Encoder, limits: Limits, metrics: Metrics) -> None:
        """Start the queue."""
        self.encoder = encoder
        self.card = encoder.card
        self._takes_crystals = encoder.input is InputKind.CRYSTAL
        capacity = limits.atom_capacity if self._takes_crystals else limits.row_capacity
        self._queue: Batcher[_Item, Vector] = Batcher(
            f"encoder {self.card.name}", self._run, self._weigh, capacity, metrics
        )

    def check_takes(self, kind: str) -> None:
        """Refuse a kind of input that the encoder cannot use.

        Raises:
            RequestError: Formulas are given to an encoder of crystals (422).
        """
        if self._takes_crystals and kind == "formulas":
            raise RequestError(
                422,
                f"encoder {self.card.name} takes crystal structures, not formulas",
                'give {"structures": [TEXT, …]}, or name an encoder of compositions',
            )

    def embed(self, materials: Materials, layer: str) -> "asyncio.Future[list[Vector]]":
        """Queue a request; call it in the event loop.

        Raises:
            RequestError: The queue is full (503).
        """
        return self._queue.submit([_Item(material, layer) for material in materials])

    def close(self) -> None:
        """Finish what waits."""
        self._queue.close()

    def _weigh(self, item: _Item) -> int:
        """Return the weight of an item; an encoder of compositions takes a crystal for its formula alone."""
        if isinstance(item.material, Crystal) and not self._takes_crystals:
            return 1
        return weight_of(item.material)

    def _run(self, items: list[_Item]) -> list[Vector]:
        """Run the network once for all layers that are wanted."""
        layers = sorted({item.layer for item in items})
        found: list[Vector] = [""] * len(items)
        read: dict[int, Composition | Crystal] = {}
        for row, item in enumerate(items):
            try:
                read[row] = _read(item.material)
            except (FormulaError, StructureError) as error:
                found[row] = str(error)
        columns = self.encoder.columns([*read.values()])
        rows = [*read]
        taken = _enter(self.encoder.rejections(columns, overlaps=True), rows, found)
        rows = [rows[place] for place in taken]
        matrices, reasons = self.encoder.encode_finite(self.encoder.inputs(columns.take(taken)), layers)
        for vector, place in enumerate(_enter(reasons, rows, found)):
            row = rows[place]
            found[row] = matrices[layers.index(items[row].layer)][vector]
        return found


def _enter(reasons: list[str | None], rows: list[int], found: list[Vector]) -> list[int]:
    """Enter the reasons against some rows, and return the places without one."""
    for row, reason in zip(rows, reasons, strict=True):
        found[row] = reason or ""
    return [place for place, reason in enumerate(reasons) if reason is None]


def _read(material: str | Crystal | StructureError) -> Composition | Crystal:
    if isinstance(material, StructureError):
        raise material
    return parse_formula(material) if isinstance(material, str) else material


class EncoderPool:
    """The encoders registered in a lake, each opened when it is first requested."""

    def __init__(self, lake: Lake, limits: Limits, metrics: Metrics) -> None:
        """Open nothing yet."""
        self._lake = lake
        self._limits = limits
        self._metrics = metrics
        self._served: dict[str, ServedEncoder] = {}
        self._opening = asyncio.Lock()

    async def find(self, feature: str) -> tuple[ServedEncoder, str]:
        """Return the encoder and the name of the layer that ``NAME`` or ``NAME@LAYER`` means.

        Raises:
            RequestError: There is no such encoder or layer (404); or it is external (422).
            EncoderError: Its file is damaged.
        """
        with not_found(EncoderError):
            ref = LayerRef.parse(feature)
            name = ref.encoder
            registered = None if name in self._served else await asyncio.to_thread(self._lake.find_encoder, name)
        if registered is not None:
            if registered.card.is_external:
                said = f"encoder {name} is external: another program makes its vectors"
                raise RequestError(422, said, "name an encoder that makes its own")
            async with self._opening:
                if name not in self._served:
                    encoder = await asyncio.to_thread(open_encoder, registered.folder, threads=threads_of_a_run())
                    self._served[name] = ServedEncoder(encoder, self._limits, self._metrics)
        served = self._served[name]
        with not_found(EncoderError):
            return served, served.card.layer(ref.layer).name

    def close(self) -> None:
        """Finish what waits."""
        for served in self._served.values():
            served.close()
