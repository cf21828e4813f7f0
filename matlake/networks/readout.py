"""The output of a network, as what fits it for another target sees it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Readout:
    """The last, linear step of a network.

    Attributes:
        features: Returns what it takes of a batch, [crystals, features]; the prediction is
            ``features @ weight.T + bias``.
        set: Takes the weight [targets, features] and the bias [targets].
    """

    features: Callable[[Any], torch.Tensor]
    set: Callable[[torch.Tensor, torch.Tensor], None]
