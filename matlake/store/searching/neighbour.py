"""A material that a search has found."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Neighbour:
    """A material near to the one searched for.

    Attributes:
        dataset: Its dataset.
        material_id: Its id.
        formula: Its formula.
        distance: Euclidean, between the embeddings.
        properties: The property columns that were asked for.
    """

    dataset: str
    material_id: str
    formula: str
    distance: float
    properties: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the contract."""
        plain = {name: value for name, value in vars(self).items() if name != "properties"}
        return plain | ({"properties": self.properties} if self.properties else {})
