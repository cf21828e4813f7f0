"""How crystals become the graphs of an encoder: stated on its card, never guessed."""

from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from matlake.errors import EncoderError
from matlake.materials.crystal import CrystalColumns

SYMMETRY_RESOLUTION_A: Final = 1e-5
"""Atoms are told apart when their surroundings differ by more than this: near rounding, a hundredth of what relaxed
positions are worth, and below what an encoder in float32 can see."""


@dataclass(frozen=True)
class GraphRecipe:
    """The graph parameters of an encoder. Encoders with equal recipes share their graphs.

    Attributes:
        kind: ``pairs`` (distances) or ``angles`` (distances and angles).
        cutoff_A: Largest distance of a neighbour in Å.
        max_neighbours: Nearest neighbours kept, whole shells with weights; 0 for all.
        blocks: Interaction blocks of the network.
        degrees: Legendre polynomials, where the kind is ``angles``.
        keep_images: Whether angles between different images of one atom count; see ``build_angular_graphs``.
    """

    kind: str
    cutoff_A: float  # noqa: N815 - the unit
    max_neighbours: int
    blocks: int
    degrees: int = 0
    keep_images: bool = True

    def build(self, crystals: CrystalColumns, *, resolution: float = SYMMETRY_RESOLUTION_A) -> Any:
        """Return ``PairGraphs`` or ``AngularGraphs`` of crystals.

        Args:
            crystals: The crystals.
            resolution: See ``SYMMETRY_RESOLUTION_A``; 0 keeps every atom and every edge.
        """
        # numba takes a second to import, and reading a card needs none of it
        from matlake.materials.angular_graphs import build_angular_graphs
        from matlake.materials.pair_graphs import build_pair_graphs

        if self.kind == "pairs":
            return build_pair_graphs(
                crystals, self.cutoff_A, self.max_neighbours, resolution=resolution, rounds=self.blocks
            )
        return build_angular_graphs(
            crystals,
            self.cutoff_A,
            self.max_neighbours,
            degrees=self.degrees,
            resolution=resolution,
            rounds=self.blocks,
            keep_images=self.keep_images,
        )

    def to_card(self) -> dict[str, Any]:
        """Return the recipe as a card states it."""
        return asdict(self)

    @classmethod
    def from_card(cls, fields: dict[str, Any]) -> Self:
        """Read what ``to_card`` wrote.

        Raises:
            EncoderError: A parameter is missing, unknown or out of range.
        """
        try:
            recipe = cls(**fields)
        except TypeError as error:
            raise EncoderError(f"graph parameters {fields} on the card: {error}", "update matlake") from error
        if recipe.kind not in ("pairs", "angles") or not 0 < recipe.cutoff_A <= 20 or recipe.max_neighbours < 0:  # noqa: PLR2004 - 20 Å hold 2,000 neighbours
            raise EncoderError(f"graph parameters {fields} on the card are out of range", "update matlake")
        return recipe
