"""Adversarial learning as a part of a model's fits."""

from typing import TYPE_CHECKING

from matlake.regress.regressors.adversarial.settings import USUAL, AdversarialSettings, check_method, settings_of
from matlake.regress.regressors.ir_net import AdversaryOf
from matlake.regress.regressors.regressor import Parameters

if TYPE_CHECKING:
    import torch

    from matlake.regress.regressors.adversarial.training import Learner
    from matlake.regress.regressors.ir_net_torch import TorchNetwork
    from matlake.regress.regressors.ir_net_training import MakeAdversary

ADVERSARIAL = "adversarial"
"""Parameter that names the method."""


def adversary_of(method: str, settings: AdversarialSettings | None = None) -> AdversaryOf:
    """Return the adversary of a method for ``ir_net_model``.

    Args:
        method: ``cal`` or ``sal``.
        settings: Its constants, where they are not the usual ones.

    Raises:
        TrainingError: Unknown method.
    """
    check_method(method)
    return AdversaryOf({ADVERSARIAL: method, **(settings or USUAL[method]).document()}, _make)


def _make(parameters: Parameters, seed: int) -> "MakeAdversary":
    from matlake.regress.regressors.adversarial.training import Learner

    def make(network: "TorchNetwork", x: "torch.Tensor", y: "torch.Tensor") -> "Learner":
        return Learner(network, x, y, settings_of(parameters), seed)

    return make
