"""IR-nets as regressors: dense layers with a shortcut around each, on any features.

Sources: Jha et al., Proc. 25th ACM SIGKDD, 2385 (2019), the network of 17 layers with batch normalisation; Li,
Miklaucic and Hu, arXiv 2408.09297, the short and wide one with layer normalisation and dropout, which adversarial
learning is done with.
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from matlake.errors import TrainingError
from matlake.regress.regressors.adversarial.settings import settings_of
from matlake.regress.regressors.elemnet import HIDDEN_WIDTHS as WIDTHS_17
from matlake.regress.regressors.fitting import deep_model
from matlake.regress.regressors.regressor import Model, Parameters, Regressor, Rows
from matlake.regress.regressors.training_settings import TrainingSettings, require_torch

if TYPE_CHECKING:
    from matlake.regress.regressors.ir_net_torch import TorchNetwork

WIDTHS: Final = (2048, 1024, 512)
"""Of the blocks of the paper's network."""

_MOST_WIDE: Final = 8192


@dataclass(frozen=True)
class IrNet:
    """A kind of IR-net.

    Attributes:
        name: What ``--model`` takes.
        widths: Of its blocks, unless others are given.
        norm: ``layer`` or ``batch``.
        dropout: Share of values that a block drops in training.
        projected: Whether every shortcut is a linear map; otherwise only where the width changes.
        training: How it is trained, unless said otherwise.
    """

    name: str
    widths: tuple[int, ...]
    norm: str
    dropout: float
    projected: bool
    training: Parameters


def ir_net_model(kind: IrNet, widths: tuple[int, ...] | None = None, adversary: Parameters | None = None) -> Model:
    """Return an IR-net as a model.

    Args:
        kind: Which.
        widths: Of its blocks; by default those of the kind.
        adversary: The ``adversarial_parameters``, to learn from adversarial samples too.
    """
    usual = {"widths": list(widths or kind.widths), "dropout": kind.dropout, **kind.training, **(adversary or {})}

    def fit_validated(chosen: Parameters, fit: Rows, validation: Rows, seed: int) -> Regressor:
        require_torch()
        from matlake.regress.regressors.ir_net_training import train_ir_net

        make = None
        if adversary:
            from matlake.regress.regressors.adversarial.training import Learner

            make = partial(Learner, settings=settings_of(chosen), seed=seed)
        start = start_of(kind, chosen, fit[0].shape[1], seed)
        return train_ir_net(start, fit, validation, TrainingSettings.among(chosen), seed, make).kept

    return deep_model(kind.name, usual, fit_validated, compared=np.float32)


def start_of(kind: IrNet, parameters: Parameters, inputs: int, seed: int) -> "TorchNetwork":
    """Return the network that a training from scratch begins with."""
    from matlake.regress.regressors.ir_net_torch import fresh_network

    return fresh_network(
        inputs, parameters["widths"], kind.norm, parameters["dropout"], projected=kind.projected, seed=seed
    )


def parse_widths(text: str) -> tuple[int, ...]:
    """Return the widths that ``512-256-128`` means.

    Raises:
        TrainingError: The text is not valid.
    """
    parts = text.split("-")
    if not all(part.isascii() and part.isdigit() and 1 <= int(part) <= _MOST_WIDE for part in parts):
        raise TrainingError(
            f"{text!r} are not valid widths of layers",
            f"write such as ir-net:512-256-128, each from 1 to {_MOST_WIDE:,}",
        )
    return tuple(int(part) for part in parts)


# on a hundred rows an epoch has three steps: fewer epochs would end the training before it has begun
_LAYERED: Final[Parameters] = {"learning_rate": 1e-3, "epochs": 200, "steps": 800, "patience": 40}
_DEEP: Final[Parameters] = {"learning_rate": 1e-3, "epochs": 200, "steps": 1200, "patience": 40}

IR_NET_KIND: Final = IrNet("ir-net", WIDTHS, "layer", 0.5, projected=True, training=_LAYERED)
IR_NET_17_KIND: Final = IrNet("ir-net-17", WIDTHS_17, "batch", 0.0, projected=False, training=_DEEP)
IR_NETS: Final = {kind.name: kind for kind in (IR_NET_KIND, IR_NET_17_KIND)}

IR_NET: Final = ir_net_model(IR_NET_KIND)
IR_NET_17: Final = ir_net_model(IR_NET_17_KIND)
