"""The head that is fine-tuned: its network, and the rows that it was trained and tested on."""

from dataclasses import dataclass, replace
from pathlib import Path

from matlake.encoders.session import read_audited
from matlake.errors import HeadError, Hint, MatlakeError
from matlake.materials.formula import readings
from matlake.regress.features.matrix import Matrix, read_matrix
from matlake.regress.heads.card import HeadCard
from matlake.regress.heads.card_files import CARD_FILE, read_card
from matlake.regress.heads.storage import MODEL_FILE, find_head, load_head
from matlake.regress.onnx.read_back import read_ir_net
from matlake.regress.regressors import Fitted
from matlake.regress.regressors.ir_net import IR_NETS
from matlake.regress.regressors.ir_net_numpy import ResidualNetwork
from matlake.regress.splits import HeldOut, parse_split
from matlake.regress.uncertainty.reference_set import Reference
from matlake.store.lake import Lake


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


def read_saved_network(lake: Path, name: str) -> SavedNetwork:
    """Read the network of a head; ``lake`` is the folder of the lake.

    Raises:
        HeadError: No such head; its file is damaged, changed or refused; or it is not an IR-net.
    """
    folder = find_head(lake, name)
    card = read_card(folder / CARD_FILE)
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


@dataclass(frozen=True)
class SourceRows:
    """Rows of a head.

    Attributes:
        matrix: All rows that were selected for it.
        held_out: Which of them it was trained on, and which it was tested on.
    """

    matrix: Matrix
    held_out: HeldOut


@dataclass(frozen=True)
class Past:
    """What is known of the rows that a head was trained on.

    Attributes:
        rows: The rows; None if the lake has changed since, so that they cannot be found.
        compositions: Hashes of the compositions trained on; if the rows are not known, those of its reference rows.
    """

    rows: SourceRows | None
    compositions: frozenset[str]


def find_past(lake: Lake, card: HeadCard) -> Past:
    """Find a head's rows by its query, split and seed.

    Raises:
        HeadError: The head cannot be loaded.
    """
    reference = load_head(lake.path, card.name).reference
    rows = _find_rows(lake, card, reference)
    if rows is not None:
        return Past(rows, frozenset(rows.matrix.groups[rows.held_out.train].tolist()))
    formulas = reference.formula.tolist() if reference else []
    return Past(None, frozenset(one.content_hash for formula in formulas for one in readings(formula)))


def _find_rows(lake: Lake, card: HeadCard, reference: Reference | None) -> SourceRows | None:
    """Select and split again; None unless that gives as many rows, and the head's reference rows are among them."""
    try:
        split = parse_split(card.training.split)
        matrix = read_matrix(
            lake,
            card.target,
            card.features,
            where=f"(dataset, material_id) IN (SELECT (s.dataset, s.material_id) FROM ({card.training.sql}) AS s)",
            columns=split.columns,
            crystals=split.needs_crystals,
        )
        held = split.hold_out(matrix, card.training.seed)
    except MatlakeError:
        return None
    if (len(held.train), len(held.test)) != (card.evaluation.n_train, card.evaluation.n_test) or reference is None:
        return None
    trained = set(zip(matrix.dataset[held.train].tolist(), matrix.material_id[held.train].tolist(), strict=True))
    kept = zip(reference.dataset.tolist(), reference.material_id.tolist(), strict=True)
    return SourceRows(matrix, held) if trained.issuperset(kept) else None
