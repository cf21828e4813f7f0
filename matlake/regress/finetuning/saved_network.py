"""The network of a saved head, read back from its audited ONNX file to be trained on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from matlake.encoders.session import read_audited
from matlake.errors import HeadError, Hint
from matlake.regress.heads.card import CARD_FILE, HeadCard, read_card
from matlake.regress.heads.storage import MODEL_FILE, find_head
from matlake.regress.onnx.ir_net import read_network
from matlake.regress.regressors import Fitted
from matlake.regress.regressors.ir_net import IR_NETS
from matlake.regress.regressors.ir_net_numpy import ResidualNetwork
from matlake.regress.regressors.scaling import Scaler


@dataclass(frozen=True)
class SavedNetwork:
    """A head that is an IR-net, as it was fitted.

    Attributes:
        card: Of the head.
        fitted: Scaler, network, and the way to the target's unit.
        network: The network by itself.
    """

    card: HeadCard
    fitted: Fitted
    network: ResidualNetwork

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the network's blocks."""
        return tuple(len(block.dense[1]) for block in self.network.blocks)

    @property
    def dropout(self) -> float:
        """Share of values that a block drops in training."""
        return float(self.card.parameters.get("dropout", IR_NETS[self.card.model].dropout))


def read_saved_network(lake: Path, name: str) -> SavedNetwork:
    """Read a head's network.

    Args:
        lake: Folder of the lake.
        name: Name of the head.

    Raises:
        HeadError: No such head; its file is damaged, changed or refused; or it is no IR-net.
    """
    import onnx
    from onnx import numpy_helper

    folder = find_head(lake, name)
    card = read_card(folder / CARD_FILE)
    if card.model not in IR_NETS:
        raise HeadError(
            f"head {name} is {card.model}, not an IR-net: it has no weights that could be trained on",
            Hint(
                f"train one first, with the model {' or '.join(IR_NETS)}",
                cli=f"train one first: matlake train --model {' or '.join(IR_NETS)}",
            ),
        )
    content = read_audited(folder / MODEL_FILE, card.sha256, HeadError)
    graph = onnx.load_model_from_string(content).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    network = read_network(constants)
    if network is None or not {"mean", "scale", "head_mean", "head_std"} <= set(constants):
        raise HeadError(f"{folder / MODEL_FILE} is not the graph of an IR-net", "train the head again")
    scaler = Scaler(np.array(constants["mean"]), np.array(constants["scale"]))
    fitted = Fitted(scaler, network, float(constants["head_mean"]), float(constants["head_std"]))
    return SavedNetwork(card, fitted, network)
