"""The contract of a kind of graphs: the same arrays, whatever the cell, the order of atoms and the batch."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.graph_inputs import runs
from matlake.encoders.reference import reference_crystals
from matlake.materials.crystal import Crystal, CrystalColumns
from matlake.materials.graph_kinds import GraphKind
from matlake.materials.graph_recipe import GraphRecipe
from matlake.materials.graphs import Graphs
from matlake.testing.requirements import no_network, require, require_name, unchanged

CUTOFF_A: Final = 5.0
"""Of the recipe that a kind is tried with by default."""

_CRYSTALS: Final = 30  # of the reference crystals the last ones, which are hardest
_TYPES: Final = ("float32", "float64", "int64", "int32", "bool")
_PACKAGE: Final = "tested"
_BASIS: Final = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]])


def check_graphs(kind: GraphKind, recipe: GraphRecipe | None = None) -> None:
    """Check a kind of graphs, on thirty crystals with single atoms, isolated atoms and dense cells among them.

    Arrays are those that its axes name, of one dtype whatever the crystals, without NaN, and axes of one name have one
    size. Building again gives the same; crystals in another order, some of them, or one alone give what taking their
    graphs from those of all gives. The order of atoms, the origin, the lattice vectors and images of atoms in other
    cells change neither the number of edges of a crystal nor its widest row, where equal atoms are merged and where all
    are kept. The crystals are left as they are, and no connection is opened.

    Args:
        kind: What the entry point in ``matlake.graphs`` stands for.
        recipe: Graph parameters as on a card; by default all neighbours within 5 Å, and 1 for each option.

    Raises:
        AssertionError: One of these does not hold.
    """
    require(isinstance(kind, GraphKind), f"it is of type {type(kind).__name__}, not a GraphKind")
    require_name(kind.name)
    options = tuple((name, 1.0) for name in sorted(kind.options))
    recipe = recipe or GraphRecipe(kind.name, CUTOFF_A, 0, 2, package=_PACKAGE, options=options)
    every = reference_crystals()
    crystals = every.take(np.arange(len(every) - _CRYSTALS, len(every)))
    with no_network():
        for resolution in (recipe.resolution_A, 0.0):
            _check_batches(kind, recipe, crystals, resolution)
            _check_descriptions(kind, recipe, crystals, resolution)


def _check_batches(kind: GraphKind, recipe: GraphRecipe, crystals: CrystalColumns, resolution: float) -> None:
    with unchanged(crystals=vars(crystals)):
        graphs = kind.build(recipe, crystals, resolution)
    again = kind.build(recipe, crystals, resolution)
    _check_graphs(graphs, len(crystals))
    whole = _arrays(kind, graphs, len(crystals))
    require(_equal(whole, kind.inputs(again)), "the same crystals have other graphs each time")
    random = np.random.default_rng(0)
    for rows in (
        np.arange(len(crystals))[::-1],
        random.permutation(len(crystals))[:7],
        *np.arange(len(crystals))[:, None],
    ):
        taken = _arrays(kind, graphs.take(rows), len(rows))
        built = _arrays(kind, kind.build(recipe, crystals.take(rows), resolution), len(rows))
        what = "a crystal alone has" if len(rows) == 1 else "crystals in another order have"
        require(_equal(taken, built), f"{what} another graph than taken from those of all")
        other = next((name for name in whole if taken[name].dtype != whole[name].dtype), None)
        require(other is None, f"input {other!r} is of another dtype for other crystals")


def _check_graphs(graphs: Graphs, count: int) -> None:
    require(len(graphs) == count, f"{count} crystals have {len(graphs)} graphs")
    for name in ("edges", "widest"):
        values = np.asarray(getattr(graphs, name))
        whole = values.dtype.kind in "iu" and values.shape == (count,) and bool((values >= 0).all())
        require(whole, f"its {name} are not a number for each crystal, by which batches are filled")
    rows = np.sort(np.concatenate(list(runs(graphs, 1_000))))
    require(np.array_equal(rows, np.arange(count)), "its edges do not let crystals be put into batches")


def _arrays(kind: GraphKind, graphs: Graphs, count: int) -> dict[str, NDArray[Any]]:
    """Return the inputs of some graphs, after holding them against the axes."""
    made = kind.inputs(graphs)
    require(made.keys() == kind.axes.keys(), f"it makes {', '.join(made)}, and its axes are of {', '.join(kind.axes)}")
    sizes: dict[str, int] = {"crystals": count}
    for name, array in made.items():
        axes = kind.axes[name]
        require(str(array.dtype) in _TYPES, f"input {name!r} is {array.dtype}, not one of {', '.join(_TYPES)}")
        require(array.ndim == len(axes), f"input {name!r} has {array.ndim} axes, not {', '.join(axes)}")
        finite = array.dtype.kind != "f" or np.isfinite(array).all()
        require(finite, f"input {name!r} has values that are not finite")
        for axis, size in zip(axes, array.shape, strict=True):
            _check_size(name, axis, size, sizes)
    require(
        any("crystals" in axes for axes in kind.axes.values()), "no input has the axis 'crystals': none can be pooled"
    )
    return made


def _check_size(name: str, axis: str, size: int, sizes: dict[str, int]) -> None:
    factor, _, bare = axis.rpartition("*")
    times = int(factor) if factor else 1
    expected = int(axis) if axis.isdigit() else times * sizes.setdefault(bare, size // times)
    require(size == expected, f"axis {axis!r} of input {name!r} is {size}, and {expected} elsewhere")
    require(size > 0, f"axis {axis!r} of input {name!r} is empty: keep one entry that belongs to nobody")


def _check_descriptions(kind: GraphKind, recipe: GraphRecipe, crystals: CrystalColumns, resolution: float) -> None:
    """Describe each crystal in other ways, and compare how large its graph is."""
    random = np.random.default_rng(1)

    def shuffled(crystal: Crystal) -> Crystal:
        order = random.permutation(len(crystal.numbers))
        return Crystal(crystal.numbers[order], crystal.lattice, crystal.positions[order])

    def moved(crystal: Crystal) -> Crystal:
        return Crystal(crystal.numbers, crystal.lattice, (crystal.positions + random.random(3)) % 1.0)

    def in_other_cells(crystal: Crystal) -> Crystal:
        cells = random.integers(-2, 3, crystal.positions.shape)
        return Crystal(crystal.numbers, crystal.lattice, crystal.positions + cells)

    def of_other_vectors(crystal: Crystal) -> Crystal:
        return Crystal(crystal.numbers, _BASIS @ crystal.lattice, crystal.positions @ np.linalg.inv(_BASIS))

    changes = {
        "the order of the atoms": shuffled,
        "the origin of the cell": moved,
        "images of the atoms in other cells": in_other_cells,
        "the choice of the lattice vectors": of_other_vectors,
    }
    before = kind.build(recipe, crystals, resolution)
    for what, change in changes.items():
        other = CrystalColumns.of([change(crystals[row]) for row in range(len(crystals))])
        found = kind.build(recipe, other, resolution)
        _arrays(kind, found, len(crystals))
        for name in ("edges", "widest"):
            one, two = getattr(before, name), getattr(found, name)
            if (differing := np.flatnonzero(one != two)).size:
                row = int(differing[0])
                formula = crystals[row].composition.reduced_formula
                require(False, f"{what} changes {name} of {formula} from {one[row]:,} to {two[row]:,}")


def _equal(one: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]]) -> bool:
    return all(np.array_equal(array, other[name]) for name, array in one.items())
