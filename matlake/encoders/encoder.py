"""An encoder that runs: its card, an ONNX session, and the way from materials to vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.card import MODEL_FILE, EncoderCard, read_card
from matlake.encoders.session import open_session
from matlake.errors import EncoderError, NotFiniteError
from matlake.materials.crystal import CrystalColumns
from matlake.materials.graph_recipe import GraphRecipe
from matlake.materials.oxidation_states import OxidationStates
from matlake.materials.periodic_table import ATOMIC_NUMBER, ELEMNET_ELEMENTS, SYMBOLS

if TYPE_CHECKING:
    from matlake.encoders.graph_batches import Batch
    from matlake.materials.angular_graphs import AngularGraphs
    from matlake.materials.pair_graphs import PairGraphs

BATCH_ROWS: Final = 1024
"""Compositions a run: matrix products reach their peak from 512 on, and activations stay in the cache."""

FRACTIONS: Final = "fractions"
CHARGE_NEUTRAL: Final = "charge_neutral"
"""Inputs of the graphs of encoders of compositions."""

_OUT_OF_MEMORY: Final = ("out of memory", "failed to allocate", "bad_alloc", "is smaller than requested bytes")


@dataclass(frozen=True)
class Encoder:
    """An opened encoder. Safe to call from several threads at once.

    Attributes:
        card: What it is.
        session: The ONNX Runtime session.
        device: ``cpu`` or ``cuda``.
        recipe: How crystals become graphs; None for an encoder of compositions.
        oxidation_states: Those by which an encoder of compositions is told whether one can be neutral; None where it
            is not told.
    """

    card: EncoderCard
    session: Any
    device: str
    recipe: GraphRecipe | None
    oxidation_states: OxidationStates | None = None

    def encode(self, materials: NDArray[np.float32] | CrystalColumns, layer: str | None = None) -> NDArray[np.float32]:
        """Return one layer's vectors.

        Args:
            materials: For an encoder of compositions float32 [n, 86], in the order of the card's
                ``input_parameters["elements"]``; for one of crystals n crystals of those elements.
            layer: Name of a layer; None for the default.

        Returns:
            float32 [n, dim].

        Raises:
            EncoderError: Unknown layer, materials of the other kind, or a vector that is not finite.
        """
        name = self.card.layer(layer).name
        if isinstance(materials, CrystalColumns):
            if self.recipe is None:
                raise EncoderError(f"encoder {self.card.name} takes compositions, not crystals")
            return self.encode_graphs(self.recipe.build(materials), [name])[0]
        return self.encode_fractions(materials, [name])[0]

    def encode_fractions(self, fractions: NDArray[np.float32], layers: Sequence[str]) -> list[NDArray[np.float32]]:
        """Return the vectors of several layers for compositions.

        Args:
            fractions: float32 [n, 86].
            layers: Names of layers.

        Returns:
            float32 [n, dim] for each layer.

        Raises:
            EncoderError: Unknown layer, an encoder of crystals, or a vector that is not finite.
        """
        if self.recipe is not None:
            raise EncoderError(
                f"encoder {self.card.name} takes crystals, not compositions", "name an encoder of compositions"
            )
        vectors = self._empty(len(fractions), layers)
        for start in range(0, len(fractions), BATCH_ROWS):
            rows = slice(start, start + BATCH_ROWS)
            self._run(self.composition_inputs(fractions[rows]), layers, vectors, rows)
        return self._checked(vectors)

    def composition_inputs(self, fractions: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Return what the graph of an encoder of compositions takes.

        Args:
            fractions: float32 [n, 86].

        Returns:
            ``fractions``; and where the card lists oxidation states, ``charge_neutral`` float32 [n, 1]: 1 where they
            can add up to zero, else 0.
        """
        inputs = {FRACTIONS: fractions}
        if self.oxidation_states is not None:
            inputs[CHARGE_NEUTRAL] = self.oxidation_states.can_be_neutral(fractions)[:, None].astype(np.float32)
        return inputs

    def encode_graphs(
        self, graphs: "PairGraphs | AngularGraphs", layers: Sequence[str], batches: "Sequence[Batch] | None" = None
    ) -> list[NDArray[np.float32]]:
        """Return the vectors of several layers for crystals.

        Runs hold a bounded number of edges; one that does not fit into memory is halved.

        Args:
            graphs: Graphs of n crystals, built by the encoder's recipe.
            layers: Names of layers.
            batches: All of the graphs in batches, where ``graph_batches.collate`` has been called before.

        Returns:
            float32 [n, dim] for each layer.

        Raises:
            EncoderError: Unknown layer, a crystal too large for the memory, or a vector that is not finite.
        """
        from matlake.encoders.graph_batches import EDGES_A_RUN, runs
        from matlake.encoders.graph_inputs import graph_inputs

        vectors = self._empty(len(graphs), layers)
        waiting: list[tuple[NDArray[np.int64], dict[str, NDArray[Any]] | None]]
        waiting = [(rows, None) for rows in runs(graphs, EDGES_A_RUN[self.device])] if batches is None else [*batches]
        while waiting:
            rows, inputs = waiting.pop()
            try:
                self._run(inputs or graph_inputs(graphs.take(rows)), layers, vectors, rows)
            except Exception as error:  # onnxruntime's exceptions share no public base class
                if not _is_out_of_memory(error):
                    raise
                if len(rows) == 1:
                    raise EncoderError(
                        f"a crystal with {graphs.edges[rows[0]]:,} distinct edges does not fit into the memory of "
                        f"device {self.device}",
                        "use --device cpu, or leave the crystal out with --where",
                    ) from error
                waiting += [(half, None) for half in np.array_split(rows, 2)]
        return self._checked(vectors)

    def uncovered(self, crystals: CrystalColumns) -> list[str | None]:
        """Say for each crystal which element the encoder cannot take; None where there is none."""
        known = np.zeros(len(SYMBOLS) + 1, dtype=bool)
        known[[ATOMIC_NUMBER[symbol] for symbol in self.card.input_parameters["elements"]]] = True
        reasons: list[str | None] = [None] * len(crystals)
        for atom in np.flatnonzero(~known[crystals.numbers]):
            row = int(np.searchsorted(crystals.offsets, atom, side="right")) - 1
            symbol = SYMBOLS[crystals.numbers[atom] - 1]
            reasons[row] = f"element {symbol} is not among the {known.sum()} of this encoder"
        return reasons

    def _empty(self, rows: int, layers: Sequence[str]) -> list[NDArray[np.float32]]:
        return [np.empty((rows, self.card.layer(layer).dim), dtype=np.float32) for layer in layers]

    def _run(
        self,
        inputs: dict[str, NDArray[Any]],
        layers: Sequence[str],
        vectors: list[NDArray[np.float32]],
        rows: slice | NDArray[np.int64],
    ) -> None:
        outputs = self.session.run([self.card.layer(layer).output for layer in layers], inputs)
        for target, output in zip(vectors, outputs, strict=True):
            target[rows] = output.reshape(len(output), target.shape[1])

    def _checked(self, vectors: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        if not all(np.isfinite(v).all() for v in vectors):
            finite = np.logical_and.reduce([np.isfinite(v).all(axis=1) for v in vectors])
            raise NotFiniteError(
                f"encoder {self.card.name} returned values that are not finite", np.flatnonzero(~finite).tolist()
            )
        return vectors


def open_encoder(
    folder: Path, *, device: str = "cpu", threads: int = 1, layers: Sequence[str] | None = None
) -> Encoder:
    """Open the encoder in a folder that holds ``card.json`` and ``encoder.onnx``.

    Args:
        folder: The encoder's folder.
        device: ``cpu`` or ``cuda``.
        threads: Threads inside one operator on the CPU.
        layers: The only layers that will be asked for: what lies behind them is not computed. All where not given.

    Raises:
        EncoderError: The card or the file is missing, changed or refused, or needs another matlake.
        MissingExtraError: ONNX Runtime or the device is not there.
    """
    card = read_card(folder)
    recipe = _recipe(card)
    states = _oxidation_states(card)
    outputs = None if layers is None else {card.layer(layer).output for layer in layers}
    session = open_session(
        folder / MODEL_FILE, card.sha256, error=EncoderError, device=device, threads=threads, outputs=outputs
    )
    if recipe is None:
        made = {FRACTIONS} if states is None else {FRACTIONS, CHARGE_NEUTRAL}
        taken = {node.name for node in session.get_inputs()}
        if taken != made:
            raise EncoderError(
                f"the graph of encoder {card.name} takes {', '.join(sorted(taken))}, but by its card it should take "
                f"{', '.join(sorted(made))}"
            )
    return Encoder(card, session, device, recipe, states)


def _recipe(card: EncoderCard) -> GraphRecipe | None:
    elements = tuple(card.input_parameters.get("elements", ()))
    if card.input == "composition":
        if elements != ELEMNET_ELEMENTS:
            raise EncoderError(f"encoder {card.name} orders elements in a way that this version cannot make")
        return None
    if card.input != "crystal":
        raise EncoderError(f"encoder {card.name} takes {card.input} input, which this version cannot make")
    if not elements or not set(elements) <= set(SYMBOLS):
        raise EncoderError(f"the card of encoder {card.name} does not say which elements it takes")
    return GraphRecipe.from_card(card.input_parameters.get("graph", {}))


def _oxidation_states(card: EncoderCard) -> OxidationStates | None:
    states = card.input_parameters.get("oxidation_states")
    return None if states is None else OxidationStates.from_card(states, card.input_parameters["elements"])


def _is_out_of_memory(error: Exception) -> bool:
    message = str(error).lower()
    return isinstance(error, MemoryError) or any(words in message for words in _OUT_OF_MEMORY)
