"""Neighbour lists and graphs of crystals: agreement with pymatgen on every crystal, and speed on one core.

    python -m benchmarks.speed.graphs

Each recipe is timed to its graphs, with symmetry-equal atoms and edges kept once and with all of them, and on to the
padded tables that an encoder takes. In the same run: the bare neighbour list, and ``find_points_in_spheres`` of
pymatgen, which neither sorts nor caps nor makes tables.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.helpers.common import STRUCTURES, in_child, report
from matlake.materials.crystal import Crystal, CrystalColumns
from matlake.materials.graph_recipe import GraphRecipe

RECIPES: Final = {
    "pairs, 8 Å, 12 nearest": GraphRecipe("pairs", 8.0, 12, blocks=4),
    "pairs, 6 Å, 24 nearest": GraphRecipe("pairs", 6.0, 24, blocks=4),
    "angles, 6 Å, 16 nearest": GraphRecipe("angles", 6.0, 16, blocks=3, degrees=7),
    "angles, 5 Å, all": GraphRecipe("angles", 5.0, 0, blocks=4, degrees=7),
}
BARE: Final = "neighbour list, 6 Å"
PEER: Final = "pymatgen's find_points_in_spheres, 6 Å"
CUTOFF_A: Final = 6.0
REPEATS: Final = 3
ROWS: Final = 128  # crystals at once
SAMPLE: Final = 2_000  # crystals for what is slow without symmetry
DISTANCE_A: Final = 1e-10  # distances that differ by less are equal

Pairs = tuple[NDArray[np.int64], NDArray[np.float64]]


def crystals() -> CrystalColumns:
    """Return all crystals."""
    from matlake.materials.structure_files import parse_structure

    texts = pq.read_table(STRUCTURES, columns=["cif"])["cif"].to_pylist()
    return CrystalColumns.of([parse_structure(text) for text in texts])


def peer(crystal: Crystal) -> Any:
    """Return what pymatgen finds: the atom, its neighbour, the neighbour's shift, the distance, of each pair."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    points = crystal.positions @ crystal.lattice
    periodic = np.ones(3, dtype=np.int64)
    return find_points_in_spheres(points, points, r=CUTOFF_A, pbc=periodic, lattice=crystal.lattice)


def agreement() -> dict[str, Any]:
    """Compare all pairs, shifts and distances of all crystals."""
    from matlake.materials.neighbours import neighbour_list

    columns = crystals()
    agreed = pairs = at_cutoff = 0
    worst = 0.0
    for row in range(len(columns)):
        crystal = columns[row]
        first, second, shifts, lengths = peer(crystal)
        others = (first != second) | (shifts != 0).any(axis=1)  # an atom is not its own neighbour
        theirs = _sorted(first[others], second[others], shifts[others], lengths[others])
        found = neighbour_list(crystal, CUTOFF_A)
        owners = np.repeat(np.arange(len(crystal.numbers)), np.diff(found.first))
        ours = _sorted(owners, found.neighbours, found.shifts, found.distances)
        pairs += len(theirs[1])
        at_cutoff += int((np.abs(theirs[1] - CUTOFF_A) < DISTANCE_A).sum())
        if np.array_equal(ours[0], theirs[0]):
            difference = float(np.abs(ours[1] - theirs[1]).max(initial=0.0))
            worst = max(worst, difference)
            agreed += difference < DISTANCE_A
    return {
        "crystals": len(columns),
        "agreed": agreed,
        "pairs": pairs,
        "pairs_at_the_cutoff": at_cutoff,
        "largest_difference_A": worst,
    }


def _sorted(first: Any, second: Any, shifts: Any, lengths: Any) -> Pairs:
    rows = np.column_stack([first, second, shifts]).astype(np.int64)
    order = np.lexsort(rows.T)
    return rows[order], np.asarray(lengths)[order]


def parts(columns: CrystalColumns) -> Iterator[CrystalColumns]:
    """Yield some crystals at a time, as an import or embedding does."""
    for start in range(0, len(columns), ROWS):
        yield columns.take(np.arange(start, min(len(columns), start + ROWS)))


def build(columns: CrystalColumns, recipe: GraphRecipe, **options: float) -> None:
    """Build graphs."""
    for part in parts(columns):
        recipe.build(part, **options)


def build_tables(columns: CrystalColumns, recipe: GraphRecipe) -> None:
    """Build graphs and the inputs of an encoder."""
    from matlake.encoders.graph_inputs import EDGES_A_RUN, collate

    for part in parts(columns):
        collate(recipe.build(part), EDGES_A_RUN["cpu"])


def each(columns: CrystalColumns, function: Callable[[Crystal], Any]) -> None:
    """Call a function for every crystal."""
    for row in range(len(columns)):
        function(columns[row])


def timings(job: Callable[[], None]) -> tuple[float, float]:
    """Return wall and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    job()
    return time.perf_counter() - wall, time.process_time() - processor


def speed() -> dict[str, Any]:
    """Time everything in turn, several times, on one core.

    Processor time is what counts: on a machine that is not idle, wall time tells of the others.
    """
    from matlake.materials.neighbours import neighbour_list

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    every = crystals()
    some = every.take(np.linspace(0, len(every) - 1, SAMPLE).astype(np.int64))
    jobs: dict[str, tuple[int, Callable[[], None]]] = {
        PEER: (len(every), partial(each, every, peer)),
        BARE: (len(every), partial(each, every, partial(neighbour_list, cutoff=CUTOFF_A))),
    }
    for name, recipe in RECIPES.items():
        jobs[name] = len(every), partial(build, every, recipe)
        jobs[f"{name}, and tables"] = len(every), partial(build_tables, every, recipe)
        jobs[f"{name}, all atoms"] = len(some), partial(build, some, recipe, resolution=0.0)
        build_tables(some, recipe)  # compiles
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
    for _ in range(REPEATS):
        for name, (_, job) in jobs.items():
            seconds[name].append(timings(job))
            print(f"{name}: wall and processor {seconds[name][-1]}", file=sys.stderr)
    return {
        name: {
            "crystals": count,
            "crystals_per_processor_s": count / statistics.median(processor for _, processor in seconds[name]),
            "crystals_per_wall_s": count / statistics.median(wall for wall, _ in seconds[name]),
            "runs_wall_and_processor_s": seconds[name],
        }
        for name, (count, _) in jobs.items()
    }


def reduction() -> dict[str, Any]:
    """Count atoms and edges, before and after symmetry."""
    every = crystals()
    found: dict[str, Any] = {}
    for name, recipe in RECIPES.items():
        counts = np.zeros(4, dtype=np.int64)
        for part in parts(every):
            full: Any = recipe.build(part, resolution=0.0)
            reduced: Any = recipe.build(part)
            counts += [len(full.numbers), len(reduced.numbers), len(full.distances), len(reduced.distances)]
        keys = ("atoms", "distinct_atoms", "edges", "distinct_edges")
        found[name] = dict(zip(keys, counts.tolist(), strict=True))
    return found


PARTS: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    "agreement": agreement,
    "speed": speed,
    "reduction": reduction,
}


def main() -> None:
    """Run all parts and report."""
    if not STRUCTURES.exists():
        sys.exit(f"this benchmark needs the crystals at {STRUCTURES}")
    found = {name: in_child(Path(__file__), name) for name in PARTS}

    def rate(name: str) -> str:
        return f"{found['speed'][name]['crystals_per_processor_s']:,.0f}"

    rows = [[name, rate(name), "", "", "", ""] for name in (PEER, BARE)]
    for name in RECIPES:
        counts = found["reduction"][name]
        rows.append(
            [
                name,
                rate(name),
                rate(f"{name}, and tables"),
                rate(f"{name}, all atoms"),
                f"{counts['atoms']:,} → {counts['distinct_atoms']:,}",
                f"{counts['edges']:,} → {counts['distinct_edges']:,}",
            ]
        )
    header = ["what", "crystals a second of processor time", "with tables", "without symmetry", "atoms", "edges"]
    report(Path(__file__), found, header, rows)
    checked = found["agreement"]
    print(
        f"\nsame pairs, shifts and distances as pymatgen: {checked['agreed']:,} of {checked['crystals']:,} crystals, "
        f"{checked['pairs']:,} pairs, {checked['pairs_at_the_cutoff']} of them at the cutoff; distances within "
        f"{checked['largest_difference_A']:.1e} Å"
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(PARTS[sys.argv[1]]()))
    else:
        main()
