"""An approximate index: the vectors in clusters, of which a query looks at the nearest few (faiss's IVF).

Measured on 200,000 embeddings of 128 numbers, one core: built in 4 s, 0.08 ms a query at a recall of 0.998, where an
exact query takes 11 ms; usearch's HNSW takes 0.07 ms a query and 32 s to build. So it is worth its time from some
hundred queries on. A predicate may select what is in any cluster: with one, all that it selects is searched exactly.
Distances of what it finds are measured like all others, and rows that came after it are searched exactly.

It is kept beside the segments of its layer, under the same rules: it names its parts, and can be deleted at any time.
"""

import json
import shutil
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.extras import require_extra
from matlake.files import sha256_of
from matlake.platforms import rename
from matlake.store.searching.content_rows import ContentRows, OneLayer
from matlake.store.searching.content_words import ContentSet
from matlake.store.searching.k_nearest import KNearest, squares_of
from matlake.store.searching.stored_rows import CARD, INDEX, UNFINISHED, check_room

PAYS: Final = 100_000
"""With fewer rows an exact query takes less than 5 ms."""

RECALL: Final = 0.99
NEIGHBOURS: Final = 10
"""The recall is that of so many neighbours: the share of them, or of others as near, that is found."""

_VERSION: Final = 1
_QUERIES: Final = 200
_TRAINED: Final = 64
"""Vectors a cluster that its centre is learned from."""

_ITERATIONS: Final = 10
_FRESH: Final = 0.2
"""Where a larger share of the rows came later, or of its own rows are gone, it is made anew."""

_FILE, _WORDS = "clusters.faiss", "hashes.u64"


@dataclass(frozen=True, eq=False)
class Approximate:
    """An approximate index of the rows of a layer.

    Attributes:
        clusters: faiss's index, whose entries are numbered from 0.
        rows: int64 [e], the row of each entry; -1 where the lake no longer has it.
        later: int64 [r], rows that it does not hold.
        probes: Clusters that a query looks at.
        recall: What was measured when it was made.
    """

    clusters: Any
    rows: NDArray[np.int64]
    later: NDArray[np.int64]
    probes: int
    recall: float
    _settings: tuple[Any, NDArray[np.uint8]] = field(init=False)

    def __post_init__(self) -> None:
        """Leave out entries that the lake no longer has."""
        faiss = _faiss()
        kept = self.rows >= 0
        bits = np.packbits(kept, bitorder="little")
        selected = None if kept.all() else faiss.IDSelectorBitmap(bits)
        settings = faiss.SearchParametersIVF(nprobe=self.probes, sel=selected)
        object.__setattr__(self, "_settings", (settings, bits))  # faiss does not keep the bits alive

    def search(self, nearest: KNearest, rows: ContentRows) -> None:
        """Show rows that are probably near to what looks for the nearest, and all that came later."""
        settings, _ = self._settings
        _, entries = self.clusters.search(nearest.points, min(nearest.k, self.clusters.ntotal), params=settings)
        which, place = np.nonzero(entries >= 0)
        found = self.rows[entries[which, place]]
        nearest.add_measured(which, found, rows.take(found))
        for some in _slices(self.later):
            vectors = rows.take(some)
            nearest.add(some, vectors, squares_of(vectors))


def open_approximate(roots: Sequence[Path], rows: OneLayer, held: NDArray[np.int64]) -> Approximate:
    """Return the approximate index of the rows of a layer; it is made where there is none, or too old a one.

    Args:
        roots: Folders of the layer's segments.
        rows: Its rows.
        held: int64 [h], rows that some material has.

    Raises:
        MissingExtraError: faiss is not installed.
    """
    faiss = _faiss()
    for folder in (folder for root in roots for folder in sorted(root.glob(f"{INDEX}*"))):
        card = _read_card(folder, rows.dim)
        if card is None or len(frozenset(card["parts"]) & rows.parts) < (1.0 - _FRESH) * len(card["parts"]):
            continue
        words = np.fromfile(folder / _WORDS, dtype=np.uint64).reshape(-1, 2)
        entries = _entries(words, rows, held)
        if (entries >= 0).sum() >= (1.0 - _FRESH) * max(len(entries), len(held)):
            clusters = faiss.read_index(str(folder / _FILE), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
            return Approximate(clusters, entries, np.setdiff1d(held, entries), card["probes"], card["recall"])
    clusters = _cluster(faiss, rows, held)
    probes, recall = _measured(faiss, clusters, rows, held)
    _keep(faiss, roots, clusters, rows, held, {"probes": probes, "recall": recall})
    return Approximate(clusters, held, held[:0], probes, recall)


def _faiss() -> Any:
    require_extra("index", "an approximate search")
    import faiss

    return faiss


def _entries(words: NDArray[np.uint64], rows: OneLayer, held: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the row of each entry of an index, -1 where no material has it any more."""
    places = ContentSet(rows.words[held]).places(words)
    return np.where(places >= 0, held[places] if len(held) else -1, -1)


def _cluster(faiss: Any, rows: OneLayer, held: NDArray[np.int64]) -> Any:
    """Learn the centres of about √n clusters from some vectors, and put all of them into clusters."""
    count = max(1, round(np.sqrt(len(held))))
    clusters = faiss.IndexIVFFlat(faiss.IndexFlatL2(rows.dim), rows.dim, count)
    clusters.cp.niter, clusters.cp.max_points_per_centroid = _ITERATIONS, _TRAINED
    clusters.cp.min_points_per_centroid = 1  # few rows are not worth a warning
    clusters.train(rows.take(held[:: max(1, len(held) // (_TRAINED * count))]))
    for some in _slices(held):
        clusters.add(rows.take(some))
    return clusters


def _slices(held: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    yield from (held[start : start + PAYS] for start in range(0, len(held), PAYS))


def _measured(faiss: Any, clusters: Any, rows: OneLayer, held: NDArray[np.int64]) -> tuple[int, float]:
    """Return how many clusters to look at for the recall that is promised, and the recall that was measured with them.

    Queries are some of the rows themselves, which do not count as their own neighbours.
    """
    sample = held[:: max(1, len(held) // _QUERIES)]
    points = rows.take(sample)
    exact = KNearest(points, NEIGHBOURS + 1)
    counted = np.zeros(len(rows), dtype=bool)
    counted[held] = True
    for start, vectors, squares in rows.blocks():
        numbers = np.arange(start, start + len(vectors))
        exact.add(numbers, vectors, squares, counted[numbers])
    last = np.array([distances[min(NEIGHBOURS, len(distances) - 1)] for _, distances in exact.result()])
    probes = 1
    while True:
        settings = faiss.SearchParametersIVF(nprobe=probes)
        _, entries = clusters.search(points, NEIGHBOURS + 1, params=settings)
        which, place = np.nonzero(entries >= 0)
        found = KNearest(points, NEIGHBOURS + 1)
        found.add_measured(which, entries[which, place], rows.take(held[entries[which, place]]))
        near = [
            (distances[: NEIGHBOURS + 1] <= bound).sum() - 1  # one of them is the row itself
            for (_, distances), bound in zip(found.result(), last, strict=True)
        ]
        recall = float(np.mean(near)) / min(NEIGHBOURS, max(1, len(held) - 1))
        if recall >= RECALL or probes >= clusters.nlist:
            return probes, recall
        probes = min(2 * probes, clusters.nlist)


def _keep(
    faiss: Any, roots: Sequence[Path], clusters: Any, rows: OneLayer, held: NDArray[np.int64], measured: dict[str, Any]
) -> None:
    """Write an index to the first folder where that works; a search does not need it."""
    size = 4 * len(held) * (rows.dim + 6)
    for root in roots:
        name = uuid.uuid4().hex
        folder = root / f"{UNFINISHED}{name}"
        try:
            folder.mkdir(parents=True)
            check_room(root, size)
            faiss.write_index(clusters, str(folder / _FILE))
            rows.words[held].tofile(folder / _WORDS)
            card = {
                "version": _VERSION,
                "dim": rows.dim,
                "parts": sorted(rows.parts),
                "sha256": {name: sha256_of(folder / name) for name in (_FILE, _WORDS)},
                **measured,
            }
            (folder / CARD).write_text(json.dumps(card), "ascii")
            rename(folder, root / f"{INDEX}{name}")
        except (OSError, RuntimeError):  # faiss raises the latter where it cannot write
            shutil.rmtree(folder, ignore_errors=True)
        else:
            return


def _read_card(folder: Path, dim: int) -> dict[str, Any] | None:
    """Return what an index says of itself; None where it is damaged, or was made by another version."""
    try:
        card: dict[str, Any] = json.loads((folder / CARD).read_bytes())
        fits = (card["version"], card["dim"]) == (_VERSION, dim) and all(
            sha256_of(folder / name) == card["sha256"][name] for name in (_FILE, _WORDS)
        )
        _ = card["probes"] + card["recall"], frozenset(card["parts"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return card if fits else None
