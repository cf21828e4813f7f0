"""Kinds of graphs that other packages add: how crystals become graphs, and these the inputs of an encoder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from numpy.typing import NDArray

from matlake.errors import PluginError
from matlake.materials.crystal import CrystalColumns
from matlake.materials.graphs import Graphs
from matlake.plugins import NAME, check_kind, check_same_name

_FIXED: Final = ("kind", "package")


@dataclass(frozen=True)
class GraphKind:
    """A kind of graphs: what the entry point of its name in ``matlake.graphs`` stands for.

    Cards name the kind, and vectors are bound to the file of an encoder, not to the version of a package: a kind that
    makes other graphs than before needs another name.

    Attributes:
        name: What cards call it.
        build: From a ``GraphRecipe``, n crystals and a resolution in Å to their graphs. Atoms whose surroundings are
            equal within the resolution may be merged; at 0 every atom is kept.
        inputs: From the graphs of some crystals to what the ONNX file takes: names, and arrays as ``axes`` says.
        axes: Input -> names of its axes. Axes of one name have one size; ``crystals`` is the number of crystals; a
            number is a fixed size, and ``3*edges`` three times that of ``edges``.
        options: Names of numbers, besides the fields of a recipe, that each recipe of this kind has to state.
        batch_code: From graphs to what a reference network of an ``Architecture`` takes, as ``package.module:name``;
            ``""`` where no such network is trained.
    """

    name: str
    build: Callable[[Any, CrystalColumns, float], Graphs]
    inputs: Callable[[Any], dict[str, NDArray[Any]]]
    axes: Mapping[str, tuple[str, ...]]
    options: tuple[str, ...] = ()
    batch_code: str = ""


def accept(name: str, found: Any) -> GraphKind:
    """Return what an entry point stands for.

    Raises:
        PluginError: It is not a kind of graphs of this name, or does not say what an encoder takes.
    """
    check_kind(found, GraphKind, "matlake.materials.graph_kinds.GraphKind")
    kind: GraphKind = found
    check_same_name(name, kind.name)
    if not kind.axes:
        raise PluginError("its axes name no input")
    wrong = [option for option in kind.options if not NAME.fullmatch(option.lower()) or option in _FIXED]
    if wrong:
        raise PluginError(f"{wrong[0]!r} cannot be the name of an option")
    return kind
