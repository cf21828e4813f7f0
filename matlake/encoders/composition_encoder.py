"""An encoder of compositions."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.encoders.base import Arrays, Batch, Encoder
from matlake.encoders.card import EncoderCard, InputKind
from matlake.encoders.rejections import Materials
from matlake.errors import EncoderError
from matlake.materials.compositions import CompositionColumns
from matlake.materials.crystal import Crystal, CrystalColumns
from matlake.materials.formula import Composition
from matlake.materials.oxidation_states import OxidationStates
from matlake.materials.periodic_table import ELEMNET_ELEMENTS

BATCH_ROWS: Final = 1024
"""Compositions a run: matrix products reach their peak from 512 on, and activations stay in the cache."""

FRACTIONS: Final = "fractions"
CHARGE_NEUTRAL: Final = "charge_neutral"
"""Inputs of the ONNX graphs of encoders of compositions."""


@dataclass(frozen=True)
class CompositionEncoder(Encoder):
    """An opened encoder of compositions. Its inputs are float32 [n, 86], the element fractions.

    Attributes:
        oxidation_states: They say whether a composition can be neutral, where the encoder takes that as well.
    """

    oxidation_states: OxidationStates | None = None

    @classmethod
    def open(cls, card: EncoderCard, session: Any, device: str) -> Self:
        """Check that the card and the ONNX graph fit together.

        Raises:
            EncoderError: The order of the elements, or an input of the graph, is not one that this version makes.
        """
        parameters = card.input_parameters
        if parameters.elements != ELEMNET_ELEMENTS:
            raise EncoderError(f"encoder {card.name} orders elements in a way that this version cannot make")
        states = None
        if parameters.oxidation_states is not None:
            states = OxidationStates.from_card(parameters.oxidation_states, parameters.elements)
        made = {FRACTIONS} if states is None else {FRACTIONS, CHARGE_NEUTRAL}
        taken = {node.name for node in session.get_inputs()}
        if taken != made:
            raise EncoderError(
                f"the graph of encoder {card.name} takes {', '.join(sorted(taken))}, but by its card it should take "
                f"{', '.join(sorted(made))}"
            )
        return cls(card, session, device, states)

    @property
    def inputs_key(self) -> Hashable:
        """Equal for encoders that take the same inputs: all that take compositions do."""
        return InputKind.COMPOSITION

    @property
    def bytes_a_site(self) -> float:
        """Size of the inputs of a composition: a composition has at least one element."""
        return 4.0 * len(ELEMNET_ELEMENTS)

    def columns(self, materials: Sequence[Composition | Crystal]) -> CompositionColumns:
        """Put materials into columns: crystals as their compositions."""
        return CompositionColumns.of([one.composition if isinstance(one, Crystal) else one for one in materials])

    def read_columns(self, table: pa.Table) -> CompositionColumns:
        """Read ``atomic_numbers`` and ``fractions`` as a dataset holds them."""
        return CompositionColumns.from_arrow(table)

    def inputs(self, materials: Materials, *, ahead: bool = False) -> NDArray[np.float32]:  # noqa: ARG002 - nothing is worth making ahead
        """Return the element fractions of materials that are not rejected, float32 [n, 86]."""
        if isinstance(materials, CrystalColumns):
            materials = self.columns([materials[row] for row in range(len(materials))])
        return materials.matrix(ELEMNET_ELEMENTS)

    def take(self, inputs: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return some rows of the fractions."""
        return inputs[rows]

    def batches(self, inputs: NDArray[np.float32]) -> Iterator[Batch]:
        """Yield rows in order."""
        for start in range(0, len(inputs), BATCH_ROWS):
            yield np.arange(start, min(len(inputs), start + BATCH_ROWS)), None

    def describe(self, inputs: NDArray[np.float32], row: int) -> str:
        """Say how many elements a composition has."""
        return f"a composition of {np.count_nonzero(inputs[row])} elements"

    def feed(self, inputs: NDArray[np.float32]) -> Arrays:
        """Return ``fractions``; and where the card lists oxidation states, ``charge_neutral``.

        The latter is float32 [n, 1]: 1 where the states can add up to zero, else 0.
        """
        arrays = {FRACTIONS: inputs}
        if self.oxidation_states is not None:
            arrays[CHARGE_NEUTRAL] = self.oxidation_states.can_be_neutral(inputs)[:, None].astype(np.float32)
        return arrays

    def encode(self, materials: NDArray[np.float32] | Materials, layer: str | None = None) -> NDArray[np.float32]:
        """Return one layer's vectors; who gives crystals has to give their compositions instead."""
        if isinstance(materials, CrystalColumns):
            raise EncoderError(f"encoder {self.card.name} takes compositions, not crystals")
        return super().encode(materials, layer)
