"""The head that is fine-tuned: its network."""

from dataclasses import dataclass, replace

from matlake.encoders.session import read_audited
from matlake.errors import HeadError, Hint
from matlake.regress.heads.card import HeadCard
from matlake.regress.heads.card_files import CARD_FILE, read_card
from matlake.regress.heads.storage import MODEL_FILE, find_head
from matlake.regress.onnx.read_back import read_ir_net
from matlake.regress.regressors import Fitted
from matlake.regress.regressors.ir_net import IR_NETS
from matlake.regress.regressors.ir_net_numpy import ResidualNetwork
from matlake.regress.targets.kinds import Kind
from matlake.store.folders import LakeFolders


@dataclass(frozen=True)
class SavedNetwork:
    """A head that is an IR-net, as it was fitted.

    Attributes:
        card: Of the head.
        fitted: Scaler, network, and scaling of the target.
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
        return float(self.card.model.parameters.get("dropout", IR_NETS[self.card.model.kind].dropout))


def read_saved_network(lake: LakeFolders, name: str) -> SavedNetwork:
    """Read the network of a head.

    Raises:
        HeadError: No such head; its file is damaged, changed or refused; or it is not an IR-net.
    """
    folder = find_head(lake, name)
    card = read_card(folder / CARD_FILE, name)
    if card.kind is Kind.YES_NO:
        raise HeadError(
            f"head {name} predicts yes or no, and only heads of numbers can be fine-tuned", "train a new head"
        )
    if card.model.kind not in IR_NETS:
        raise HeadError(
            f"head {name} is {card.model.kind}, not an IR-net: it has no weights that could be trained on",
            Hint(
                f"train one first, with the model {' or '.join(IR_NETS)}",
                cli=f"train one first: matlake train --model {' or '.join(IR_NETS)}",
            ),
        )
    found = read_ir_net(read_audited(folder / MODEL_FILE, card.sha256, HeadError))
    if found is None:
        raise HeadError(f"{folder / MODEL_FILE} is not the graph of an IR-net", "train the head again")
    fitted, network = found
    return SavedNetwork(card, replace(fitted, space=card.space), network)
