"""How crystals become the graphs of an encoder: stated on its card, never guessed."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Final, Self

from matlake.errors import EncoderError, PluginError
from matlake.materials.crystal import CrystalColumns
from matlake.materials.graph_kinds import GraphKind, accept
from matlake.materials.graphs import Graphs
from matlake.plugins import NAME, PluginKind

SYMMETRY_RESOLUTION_A: Final = 1e-5
"""Atoms are told apart when their surroundings differ by more than this: near rounding, a hundredth of what relaxed
positions are worth, and below what most encoders in float32 can see."""

_COARSEST_A: Final = 0.01
_LARGEST_CUTOFF_A: Final = 20.0  # a sphere of this radius holds 2,000 neighbours
_MOST: Final = 1_000  # blocks and polynomials: each costs a round, or memory


@dataclass(frozen=True)
class GraphRecipe:
    """The graph parameters of an encoder. Encoders with equal recipes share their graphs.

    Attributes:
        kind: ``pairs`` (distances), ``angles`` (and angles), ``bonds`` (short bonds, which have features, and angles
            between them), ``triplets`` (angles between short bonds alone) or ``vectors`` (distances and directions); or
            a kind of another package.
        cutoff_A: Largest distance of a neighbour in Å.
        max_neighbours: Nearest neighbours kept, whole shells with weights; 0 for all.
        blocks: Interaction blocks of the network.
        degrees: Legendre polynomials, where the kind is ``angles``.
        keep_images: Whether angles between different images of one atom count; see ``build_angular_graphs``.
        bond_cutoff_A: Largest length in Å of the bonds between which there are angles; 0 where that is ``cutoff_A``.
        resolution_A: See ``SYMMETRY_RESOLUTION_A``; finer for a network that sees more.
        package: The package that adds the kind, as pip knows it; ``""`` for a kind of matlake.
        options: Further numbers, by name, that a kind of another package asks for.
    """

    kind: str
    cutoff_A: float  # noqa: N815 - the unit
    max_neighbours: int
    blocks: int
    degrees: int = 0
    keep_images: bool = True
    bond_cutoff_A: float = 0.0  # noqa: N815 - the unit
    resolution_A: float = SYMMETRY_RESOLUTION_A  # noqa: N815 - the unit
    package: str = ""
    options: tuple[tuple[str, float], ...] = ()

    @property
    def plugin(self) -> GraphKind | None:
        """The kind, where it is one of another package.

        Raises:
            PluginError: That package is not installed or cannot be used, or the options are not those of the kind.
        """
        if not self.package:
            return None
        kind = _plugin(self.kind, self.package)
        named = tuple(name for name, _ in self.options)
        if sorted(named) != sorted(kind.options):
            raise PluginError(
                f"graphs of kind {self.kind} have the options {', '.join(kind.options) or 'none'}, and the card states "
                f"{', '.join(named) or 'none'}"
            )
        return kind

    def build(self, crystals: CrystalColumns, *, resolution: float | None = None) -> Graphs:
        """Return the graphs of crystals, of the class of this kind.

        Args:
            crystals: The crystals.
            resolution: Another one than the encoder's, in Å; 0 keeps every atom and every edge.
        """
        build = _BUILDERS[self.kind] if self.plugin is None else self.plugin.build
        return build(self, crystals, self.resolution_A if resolution is None else resolution)

    def option(self, name: str) -> float:
        """Return one of the ``options``."""
        return dict(self.options)[name]

    def to_card(self) -> dict[str, Any]:
        """Return the recipe as a card states it: cards say of younger parameters only what is not their default."""
        younger = {"bond_cutoff_A": 0.0, "resolution_A": SYMMETRY_RESOLUTION_A, "package": "", "options": {}}
        entries = {**asdict(self), "options": dict(self.options)}
        return {name: value for name, value in entries.items() if name not in younger or value != younger[name]}

    @classmethod
    def from_card(cls, fields: dict[str, Any]) -> Self:
        """Read what ``to_card`` wrote.

        Raises:
            EncoderError: A parameter is missing, unknown or out of range.
        """
        try:
            options = {name: float(value) for name, value in fields.get("options", {}).items()}
            recipe = cls(**fields | {"options": tuple(sorted(options.items()))})
        except (TypeError, ValueError, AttributeError) as error:
            raise EncoderError(f"graph parameters {fields} on the card: {error}", "update matlake") from error
        if recipe.package and not NAME.fullmatch(str(recipe.kind)):
            raise EncoderError(f"graphs of kind {recipe.kind!r} on the card: not a name of a plug-in")
        if not recipe.package and recipe.kind not in _BUILDERS:
            raise EncoderError(
                f"graphs of kind {recipe.kind!r} on the card are not known",
                "update matlake; of a kind that a package adds, the card names the package as well",
            )
        if recipe.options and not recipe.package:
            raise EncoderError(f"graphs of kind {recipe.kind!r} have no options, and the card states some")
        in_range = 0 < recipe.cutoff_A <= _LARGEST_CUTOFF_A and 0 <= recipe.bond_cutoff_A <= recipe.cutoff_A
        counts = recipe.max_neighbours >= 0 and 0 <= recipe.blocks <= _MOST and 0 <= recipe.degrees <= _MOST
        if not in_range or not counts or not 0 <= recipe.resolution_A <= _COARSEST_A:
            raise EncoderError(f"graph parameters {fields} on the card are out of range", "update matlake")
        return recipe


# Builders import when they are called: numba takes a second, and reading a card needs none of it.


def _build_pairs(recipe: GraphRecipe, crystals: CrystalColumns, resolution: float) -> Graphs:
    from matlake.materials.pair_graphs import build_pair_graphs

    return build_pair_graphs(
        crystals, recipe.cutoff_A, recipe.max_neighbours, resolution=resolution, rounds=recipe.blocks
    )


def _build_angles(recipe: GraphRecipe, crystals: CrystalColumns, resolution: float) -> Graphs:
    from matlake.materials.angular_graphs import build_angular_graphs

    return build_angular_graphs(
        crystals,
        recipe.cutoff_A,
        recipe.max_neighbours,
        degrees=recipe.degrees,
        resolution=resolution,
        rounds=recipe.blocks,
        keep_images=recipe.keep_images,
    )


def _build_bonds(recipe: GraphRecipe, crystals: CrystalColumns, resolution: float) -> Graphs:
    from matlake.materials.bond_graphs import build_bond_graphs

    return build_bond_graphs(
        crystals, recipe.cutoff_A, recipe.bond_cutoff_A, resolution=resolution, rounds=recipe.blocks
    )


def _build_triplets(recipe: GraphRecipe, crystals: CrystalColumns, resolution: float) -> Graphs:
    from matlake.materials.triplet_graphs import build_triplet_graphs

    return build_triplet_graphs(
        crystals,
        recipe.cutoff_A,
        recipe.bond_cutoff_A,
        degrees=recipe.degrees,
        resolution=resolution,
        rounds=recipe.blocks,
    )


def _build_vectors(recipe: GraphRecipe, crystals: CrystalColumns, resolution: float) -> Graphs:
    from matlake.materials.vector_graphs import build_vector_graphs

    return build_vector_graphs(crystals, recipe.cutoff_A, resolution=resolution)


def _describe_geometry(recipe: GraphRecipe, crystals: CrystalColumns, _: float) -> Graphs:
    from matlake.materials.geometry.attributes import describe_geometry

    return describe_geometry(crystals, recipe.cutoff_A)


_BUILDERS: Final[dict[str, Callable[[GraphRecipe, CrystalColumns, float], Graphs]]] = {
    "pairs": _build_pairs,
    "angles": _build_angles,
    "bonds": _build_bonds,
    "triplets": _build_triplets,
    "vectors": _build_vectors,
    "geometry": _describe_geometry,
}

GRAPH_PLUGINS: Final = PluginKind("matlake.graphs", "kind of graphs", accept, lambda: _BUILDERS)
"""Kinds of graphs of other packages."""


@lru_cache(maxsize=64)
def _plugin(name: str, package: str) -> GraphKind:
    """Return a kind of graphs of another package; entry points are looked up once.

    Raises:
        PluginError: The package is not installed, or what it adds cannot be used.
    """
    found = GRAPH_PLUGINS.find(name)
    owner = GRAPH_PLUGINS.package(name)
    if found is None or owner is None:
        raise PluginError(
            f"graphs of kind {name!r} are made by the package {package}: no installed package has the entry point "
            f"{name!r} in the group {GRAPH_PLUGINS.group}",
            f"pip install {package}",
        )
    if owner != package:
        raise PluginError(
            f"graphs of kind {name!r} are made by the package {package}, and here {owner} has the entry point "
            f"{name!r} in the group {GRAPH_PLUGINS.group}",
            f"install {package} in place of {owner}",
        )
    return found
