"""Indexes of the lake's embeddings, read once and again when the lake has changed."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import numpy as np

from matlake.errors import EncoderError, LakeError
from matlake.serving.errors import not_found
from matlake.serving.lake_schema import MaterialName
from matlake.serving.row_json import RowJson, dumps
from matlake.serving.served_encoder import Vector
from matlake.store.lake import Lake
from matlake.store.searching.index import Index, open_index

CHECK_S: Final = 2.0
"""The lake is looked at for changes no more often than this."""

MOST: Final = 4
"""Indexes held in memory; the one that was not used for longest makes room."""


class IndexPool:
    """Indexes of a lake by feature."""

    def __init__(self, lake: Lake) -> None:
        """Read nothing yet."""
        self._lake = lake
        self._held: OrderedDict[str, tuple[Index, float]] = OrderedDict()
        self._reading = asyncio.Lock()

    async def find(self, feature: str) -> Index:
        """Return the index of ``NAME@LAYER`` as the lake holds it, or held it ``CHECK_S`` ago.

        Raises:
            RequestError: There is no such layer, or nothing is embedded with it (404).
        """
        async with self._reading:
            held = self._held.get(feature)
            if held is None or time.monotonic() - held[1] > CHECK_S:
                index = await asyncio.to_thread(self._current, feature, held[0] if held else None)
                self._held[feature] = index, time.monotonic()
            self._held.move_to_end(feature)
            if len(self._held) > MOST:
                self._held.popitem(last=False)
            return self._held[feature][0]

    def _current(self, feature: str, held: Index | None) -> Index:
        if held is not None and held.is_current():
            return held
        with not_found(LakeError), not_found(EncoderError):
            return open_index(self._lake, feature)


def search(
    index: Index, names: Sequence[str | None], vectors: Sequence[Vector], k: int, dataset: str | None
) -> list[RowJson]:
    """Search for the k nearest neighbours of n vectors, in all datasets or one; ``names`` are what they are called.

    Raises:
        RequestError: There is no such dataset (404).
    """
    rows = [row for row, vector in enumerate(vectors) if not isinstance(vector, str)]
    with not_found(LakeError):
        among = None if dataset is None else index.select(dataset=dataset)
    found_rows = [RowJson("", vector if isinstance(vector, str) else None) for vector in vectors]
    if rows:
        found = index.search(np.stack([vectors[row] for row in rows]), k, among=among)
        for row, neighbours in zip(rows, found, strict=True):
            document = {"input": names[row], "neighbours": [neighbour.document() for neighbour in neighbours]}
            found_rows[row] = RowJson(dumps(document))
    return found_rows


def search_by_id(index: Index, materials: Sequence[MaterialName], k: int, dataset: str | None) -> list[RowJson]:
    """Search for the k nearest neighbours of n materials of the lake, in all datasets or one; not for themselves.

    Raises:
        RequestError: There is no such dataset (404).
    """
    with not_found(LakeError):
        among = None if dataset is None else index.select(dataset=dataset)
    rows = []
    for named in materials:
        places = index.find(named.material_id, named.dataset)
        contents = np.unique(index.contents[places])
        if len(contents) != 1:
            rows.append(RowJson("", _not_one(named, len(contents), index.feature)))
            continue
        ((found, distances),) = index.nearest(index.vectors_of(places[:1]), k, among=among, exclude=[places.tolist()])
        neighbours = [neighbour.document() for neighbour in index.neighbours(found, distances)]
        rows.append(RowJson(dumps({"input": named.material_id, "neighbours": neighbours})))
    return rows


def _not_one(named: MaterialName, contents: int, feature: str) -> str:
    if contents:
        return f"{named.material_id!r} is another material in each of {contents} datasets: name its dataset"
    where = "" if named.dataset is None else f" in dataset {named.dataset!r}"
    return f"{named.material_id!r} is not a material{where} that is embedded with {feature}"
