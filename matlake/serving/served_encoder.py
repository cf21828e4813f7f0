"""Encoders that are served: embeddings in micro-batches."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.encoder import Encoder, open_encoder
from matlake.encoders.registry import split_feature
from matlake.errors import EncoderError, FormulaError, NotFiniteError, StructureError
from matlake.materials.crystal import Crystal, CrystalColumns
from matlake.materials.formula import Composition, check_elements, element_fractions, parse_formula
from matlake.materials.overlaps import find_overlaps
from matlake.serving.batching import Batcher, Capacity
from matlake.serving.errors import RequestError
from matlake.serving.metrics import Metrics
from matlake.serving.served_head import LETTERS_OF_A_ROW
from matlake.serving.settings import Limits, threads_of_a_run
from matlake.store.lake import Lake

Vector = NDArray[np.float32] | str
"""A vector, float32 [dim], or why there is none."""


@dataclass(frozen=True)
class _Question:
    """A formula, or a crystal, or why there is none; and the layer asked for."""

    material: Any
    layer: str


class ServedEncoder:
    """An encoder with its queue.

    Args:
        encoder: The encoder.
        limits: What is taken on.
        metrics: Told of each run.
    """

    def __init__(self, encoder: Encoder, limits: Limits, metrics: Metrics) -> None:
        """Start the queue."""
        self.encoder = encoder
        self.card = encoder.card
        capacity = Capacity(limits.batch_rows, limits.queued_rows)
        if encoder.recipe is not None:
            capacity = Capacity(limits.batch_atoms, limits.queued_atoms)
        name = f"encoder {self.card.name}"
        self._queue: Batcher[_Question, Vector] = Batcher(
            name, self._run, self._weigh, capacity, metrics.observer(name)
        )
        metrics.watch(name, lambda: self._queue.weight)

    def check_takes(self, kind: str) -> None:
        """Refuse a kind of input that the encoder cannot use.

        Raises:
            RequestError: Formulas are given to an encoder of crystals (422).
        """
        if self.encoder.recipe is not None and kind == "formulas":
            raise RequestError(
                422,
                f"encoder {self.card.name} takes crystal structures, not formulas",
                'give {"structures": [TEXT, …]}, or name an encoder of compositions',
            )

    def embed(
        self, materials: Sequence[str] | Sequence[Crystal | StructureError], layer: str
    ) -> "asyncio.Future[list[Vector]]":
        """Queue a request; call it in the event loop.

        Raises:
            RequestError: The queue is full (503).
        """
        return self._queue.submit([_Question(material, layer) for material in materials])

    def close(self) -> None:
        """Finish what waits."""
        self._queue.close()

    def _weigh(self, question: _Question) -> int:
        if isinstance(question.material, str):
            return 1 + len(question.material) // LETTERS_OF_A_ROW
        crystal = isinstance(question.material, Crystal) and self.encoder.recipe is not None
        return len(question.material.numbers) if crystal else 1

    def _run(self, questions: list[_Question]) -> list[Vector]:
        """Run the network once for all layers that are asked for."""
        layers = sorted({question.layer for question in questions})
        materials: list[Any] = [question.material for question in questions]
        reasons = self._reasons(materials)
        found: list[Vector] = [reason or "" for reason in reasons]
        while rows := [row for row, reason in enumerate(reasons) if reason is None]:
            try:
                matrices = self._encode([materials[row] for row in rows], layers)
            except NotFiniteError as error:
                for place in error.rows:
                    found[rows[place]] = reasons[rows[place]] = str(error)
                continue
            for place, row in enumerate(rows):
                found[row] = matrices[layers.index(questions[row].layer)][place]
            break
        return found

    def _reasons(self, materials: list[Any]) -> list[str | None]:
        """Put compositions or crystals in place of what came, and say what cannot be encoded."""
        reasons: list[str | None] = [None] * len(materials)
        for row, material in enumerate(materials):
            try:
                if isinstance(material, StructureError):
                    raise material
                if self.encoder.recipe is None:
                    materials[row] = material.composition if isinstance(material, Crystal) else parse_formula(material)
                    check_elements(materials[row])
            except (FormulaError, StructureError) as error:
                reasons[row] = str(error)
        if self.encoder.recipe is not None:
            rows = [row for row, reason in enumerate(reasons) if reason is None]
            columns = CrystalColumns.of([materials[row] for row in rows])
            for row, reason in zip(rows, self.encoder.uncovered(columns), strict=True):
                reasons[row] = reason
            for overlap in find_overlaps(columns):
                reasons[rows[overlap.crystal]] = overlap.describe(columns)
        return reasons

    def _encode(self, materials: list[Any], layers: list[str]) -> list[NDArray[np.float32]]:
        if self.encoder.recipe is None:
            compositions: list[Composition] = materials
            return self.encoder.encode_fractions(element_fractions(compositions), layers)
        return self.encoder.encode_graphs(self.encoder.recipe.build(CrystalColumns.of(materials)), layers)


class EncoderPool:
    """Registered encoders, each opened when it is first asked for. Those of heads have only the heads' layers.

    Args:
        lake: Whose registry it is.
        limits: What is taken on.
        metrics: Told of each run.
    """

    def __init__(self, lake: Lake, limits: Limits, metrics: Metrics) -> None:
        """Open nothing yet."""
        self._lake = lake
        self._limits = limits
        self._metrics = metrics
        self._served: dict[str, ServedEncoder] = {}
        self._opening = asyncio.Lock()

    async def find(self, feature: str) -> tuple[ServedEncoder, str]:
        """Return an encoder and the name of a layer.

        Args:
            feature: ``NAME`` or ``NAME@LAYER``.

        Raises:
            RequestError: There is no such encoder or layer (404).
            EncoderError: Its file is damaged.
        """
        with _missing():
            name, layer = split_feature(feature)
            registered = None if name in self._served else await asyncio.to_thread(self._lake.find_encoder, name)
        if registered is not None:
            async with self._opening:
                if name not in self._served:
                    encoder = await asyncio.to_thread(_open, registered.folder)
                    self._served[name] = ServedEncoder(encoder, self._limits, self._metrics)
        served = self._served[name]
        with _missing():
            return served, served.card.layer(layer).name

    def close(self) -> None:
        """Finish what waits."""
        for served in self._served.values():
            served.close()


def _open(folder: Path) -> Encoder:
    return open_encoder(folder, threads=threads_of_a_run())


@contextmanager
def _missing() -> Iterator[None]:
    """Answer 404 where no such encoder is found."""
    try:
        yield
    except EncoderError as error:
        raise RequestError(404, str(error), error.hint) from error
