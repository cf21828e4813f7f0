"""Near-duplicates: materials whose embeddings are no farther apart than a distance.

Two vectors within a distance are within it on any axis. So vectors are sorted along the axis on which they differ most,
and each is compared with those alone that are near it there. The pairs are not kept: sets are joined as pairs come by.
Such sets may be long chains, so each is then cut into groups around materials that stay.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.errors import LakeError
from matlake.progress import SILENT, Progress
from matlake.reports import TableReport
from matlake.store.lake import Lake
from matlake.store.searching.content_rows import ContentRows
from matlake.store.searching.index import Index, open_index
from matlake.store.searching.k_nearest import squares_of, within
from matlake.text_tables import Column, Line, TextTable

_SHARE: Final = 1e-4
_POINTS: Final = 1024
"""Vectors that are compared with those near them at once."""

_LARGEST: Final = 1 << 12
"""Vectors that they are compared with at once."""

_SAMPLE: Final = 20_000
_STEPS: Final = 20
_ROUNDING: Final = 1e-9
"""More than the share of its size by which a coordinate may be off."""


@dataclass(frozen=True)
class DedupeRequest:
    """What to look for near-duplicates in.

    Attributes:
        feature: ``NAME@LAYER``; several layers have equal weight, see ``Index``.
        distance: Largest distance of two near-duplicates, in the unit of the layer; by default a ten-thousandth of the
            root mean square distance of two materials.
        dataset: Only materials of this dataset.
        where: Only materials that this SQL predicate over ``materials`` selects.
    """

    feature: str
    distance: float | None = None
    dataset: str | None = None
    where: str | None = None


@dataclass(frozen=True)
class Duplicate:
    """A material that has near-duplicates.

    Attributes:
        group: Number of its group, from 1.
        dataset: Its dataset.
        material_id: Its id.
        formula: Its formula.
        distance: From the first of the group, which stays.
    """

    group: int
    dataset: str
    material_id: str
    formula: str
    distance: float


@dataclass(frozen=True, repr=False)
class Duplicates(TableReport):
    """Groups of near-duplicates.

    Attributes:
        feature: The layer.
        distance: Largest distance of two near-duplicates.
        materials: Number of materials that were compared.
        pairs: Number of pairs of near-duplicates.
        duplicates: The members of the groups; groups in order of their first member, members in that of dataset and id.
            All of a group are within the distance of its first, and no two firsts are within it of each other.
    """

    feature: str
    distance: float
    materials: int
    pairs: int
    duplicates: list[Duplicate]

    @property
    def groups(self) -> list[list[Duplicate]]:
        """The groups, each with the material that stays first."""
        found: dict[int, list[Duplicate]] = {}
        for one in self.duplicates:
            found.setdefault(one.group, []).append(one)
        return list(found.values())

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        groups = [
            [{key: value for key, value in vars(one).items() if key != "group"} for one in group]
            for group in self.groups
        ]
        return {
            "encoder": self.feature,
            "distance": self.distance,
            "materials": self.materials,
            "pairs": self.pairs,
            "redundant": len(self.duplicates) - len(groups),
            "groups": groups,
        }

    def lines(self) -> list[Line]:
        """Return the text for people."""
        groups = len(self.groups)
        rows = [(one.group, one.distance, one.formula, f"{one.dataset}/{one.material_id}") for one in self.duplicates]
        columns = (Column("group", "right"), Column("distance", "right", ".4g"), Column("formula"), Column("material"))
        return [
            f"{self.materials:,} materials, {self.pairs:,} pairs within {self.distance:.4g} by {self.feature}",
            f"{groups:,} groups; the first of each stands for {len(self.duplicates) - groups:,} others",
            *([TextTable(columns, rows)] if rows else []),
        ]

    def to_arrow(self) -> pa.Table:
        """Return the members of the groups: ``group``, ``dataset``, ``material_id``, ``formula``, ``distance``."""
        columns = {name: [getattr(one, name) for one in self.duplicates] for name in Duplicate.__dataclass_fields__}
        kinds = (pa.int64(), pa.string(), pa.string(), pa.string(), pa.float64())
        return pa.table(
            {name: pa.array(values, kind) for (name, values), kind in zip(columns.items(), kinds, strict=True)}
        )


def dedupe(lake: Lake, request: DedupeRequest, progress: Progress = SILENT) -> Duplicates:
    """Find near-duplicates: materials whose embeddings are no farther apart than a distance.

    Distances are measured in float64, and no pair is missed. Memory does not grow with the number of pairs.

    Args:
        lake: The lake.
        request: What to look for.
        progress: Receives the number of vectors compared.

    Raises:
        EncoderError: No such encoder or layer.
        LakeError: Nothing is embedded with it, there is no such dataset, or the distance is below zero.
        QueryError: ``where`` is not a predicate over ``materials``.
    """
    if request.distance is not None and not 0 <= request.distance < np.inf:
        raise LakeError(f"{request.distance} is not a distance of near-duplicates", "give zero or a positive number")
    index = open_index(lake, request.feature)
    places = np.flatnonzero(index.select(request.dataset, request.where))
    rows, content, counts = np.unique(index.contents[places], return_inverse=True, return_counts=True)
    centre, axis, spread = principal_axis(index.rows, rows)
    distance = _SHARE * spread if request.distance is None else request.distance
    groups = _Groups(len(rows))
    pairs = int((counts * (counts - 1) // 2).sum())
    coordinates = _coordinates(index.rows, rows, centre, axis)
    for first, second in _pairs(index.rows, rows, coordinates, distance, progress):
        groups.join(first, second)
        pairs += int((counts[first] * counts[second]).sum())
    chains = _members(groups.roots()[content], places)
    found = sorted(
        (group for chain in chains for group in _around_firsts(index, chain, distance)), key=lambda one: int(one[0])
    )
    return Duplicates(index.feature, distance, len(places), pairs, _named(index, found))


def principal_axis(
    rows: ContentRows, chosen: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return the mean of some rows, the axis of their largest variance, and the root mean square distance of two.

    They are those of a sample, evenly spaced.
    """
    vectors = rows.take(chosen[:: max(1, len(chosen) // _SAMPLE)]).astype(np.float64)
    centre = vectors.mean(axis=0) if len(vectors) else np.zeros(rows.dim)
    vectors -= centre
    axis = np.ones(rows.dim)
    for _ in range(_STEPS):  # power iteration; any axis will do, a better one leaves less to compare
        axis = vectors.T @ (vectors @ axis)
        norm = float(np.linalg.norm(axis))
        axis = axis / norm if norm > 0 else np.eye(rows.dim)[0]
    return centre, axis, float(np.sqrt(2.0 * vectors.var(axis=0).sum())) if len(vectors) else 0.0


def _coordinates(
    rows: ContentRows, chosen: NDArray[np.int64], centre: NDArray[np.float64], axis: NDArray[np.float64]
) -> NDArray[np.float64]:
    found = np.empty(len(chosen))
    for start in range(0, len(chosen), _LARGEST):
        part = slice(start, start + _LARGEST)
        found[part] = (rows.take(chosen[part]).astype(np.float64) - centre) @ axis
    return found


def _pairs(
    rows: ContentRows,
    chosen: NDArray[np.int64],
    coordinates: NDArray[np.float64],
    distance: float,
    progress: Progress,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield pairs of places among the chosen rows that are within the distance, each once."""
    order = np.argsort(coordinates, kind="stable")
    sorted_coordinates = coordinates[order]
    reach = distance + _ROUNDING * (distance + float(np.abs(coordinates).max(initial=0.0)))
    for start in range(0, len(order), _POINTS):
        here = order[start : start + _POINTS]
        points = rows.take(chosen[here])
        end = int(np.searchsorted(sorted_coordinates, sorted_coordinates[start + len(here) - 1] + reach, side="right"))
        for other in range(start, end, _LARGEST):
            there = order[other : min(other + _LARGEST, end)]
            vectors = points if other == start and len(there) == len(here) else rows.take(chosen[there])
            which, found = within(points, vectors, squares_of(vectors), distance)
            later = other + found > start + which
            if later.any():
                yield here[which[later]], there[found[later]]
        progress.track(start + len(here), len(order))


class _Groups:
    """Sets that are joined pair by pair."""

    def __init__(self, size: int) -> None:
        self._parents = np.arange(size)

    def join(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> None:
        """Join the sets of pairs: the smaller root becomes that of both, until nothing changes."""
        while len(first):
            one, other = self._root(first), self._root(second)
            apart = one != other
            first, second, one, other = first[apart], second[apart], one[apart], other[apart]
            low, high = np.minimum(one, other), np.maximum(one, other)
            np.minimum.at(self._parents, high, low)

    def roots(self) -> NDArray[np.int64]:
        """Return the smallest member of the set of each."""
        return self._root(np.arange(len(self._parents)))

    def _root(self, members: NDArray[np.int64]) -> NDArray[np.int64]:
        found = self._parents[members]
        while (found != (above := self._parents[found])).any():
            found = above
        self._parents[members] = found
        return found


def _members(roots: NDArray[np.int64], places: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the members of each set of two or more, in order."""
    order = np.argsort(roots, kind="stable")
    starts = np.flatnonzero(np.diff(roots[order], prepend=-1))
    return [places[group] for group in np.split(order, starts[1:]) if len(group) > 1]


def _around_firsts(index: Index, chain: NDArray[np.int64], distance: float) -> Iterator[NDArray[np.int64]]:
    """Cut a chain into groups: a material joins the first one before it that stays and is near, or stays itself."""
    vectors = index.vectors_of(chain)
    squares = squares_of(vectors)
    first = np.full(len(chain), -1, dtype=np.int64)
    stay = np.empty(0, dtype=np.int64)
    for start in range(0, len(chain), _POINTS):
        here = np.arange(start, min(start + _POINTS, len(chain)))
        for earlier in range(0, len(stay), _LARGEST):
            some = stay[earlier : earlier + _LARGEST]
            left = here[first[here] < 0]
            which, found = within(vectors[left], vectors[some], squares[some], distance)
            which, nearest = np.unique(which, return_index=True)
            first[left[which]] = some[found[nearest]]
        left = here[first[here] < 0]
        which, found = within(vectors[left], vectors[left], squares[left], distance)
        ends = np.searchsorted(which, np.arange(len(left) + 1))
        for place in range(len(left)):
            if first[left[place]] < 0:
                near = left[found[ends[place] : ends[place + 1]]]
                first[near[(first[near] < 0) & (near >= left[place])]] = left[place]
        stay = np.concatenate([stay, left[first[left] == left]])
    yield from _members(first, chain)


def _named(index: Index, groups: list[NDArray[np.int64]]) -> list[Duplicate]:
    found = []
    for number, group in enumerate(groups, start=1):
        vectors = index.vectors_of(group).astype(np.float64)
        distances = np.linalg.norm(vectors - vectors[0], axis=1)
        found += [
            Duplicate(number, one.dataset, one.material_id, one.formula, one.distance)
            for one in index.neighbours(group, distances)
        ]
    return found
