"""Checkpoint files read without running anything that is in them.

torch's restricted unpickler builds tensors and plain values only. Published checkpoints mention a few classes beside
their weights: what a training framework kept of itself, a NumPy scalar. Their names, and no others, are answered with
classes that do nothing but hold what they are given. Everything else is refused, and no package of a training
framework needs to be there.
"""

import pickle  # for the class of torch's refusal: nothing is unpickled here
import re
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import torch

from matlake.errors import EncoderError

_STOOD_IN_FOR: Final = (
    "argparse.Namespace",
    "builtins.dict",
    "builtins.int",
    "builtins.list",
    "cdvae.common.data_utils.StandardScalerTorch",
    "collections.defaultdict",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray.scalar",
    "numpy.dtype",
    "omegaconf.base.ContainerMetadata",
    "omegaconf.base.Metadata",
    "omegaconf.dictconfig.DictConfig",
    "omegaconf.listconfig.ListConfig",
    "omegaconf.nodes.AnyNode",
    "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "typing.Any",
)

_REFUSED: Final = re.compile(r"GLOBAL (\S+)")
_REASON: Final = re.compile(r"(?:WeightsUnpickler error: |^(?!Weights only))(.+)")

_DAMAGE: Final = (
    OSError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    MemoryError,
    EOFError,
    struct.error,
    pickle.UnpicklingError,
)
"""What torch raises for files that are damaged, or are not checkpoints."""


class StandIn:
    """Holds what a checkpoint says about an object, in place of the object.

    Attributes:
        state: The attributes that the object had; empty where it had none.
    """

    state: Mapping[str, Any]

    def __new__(cls, *_: object) -> Self:
        """Take any arguments, and leave them."""
        instance = super().__new__(cls)
        instance.state = {}
        return instance

    def __setstate__(self, state: object) -> None:
        """Keep the attributes."""
        if isinstance(state, Mapping):
            self.state = state


def read_checkpoint(path: Path) -> Any:
    """Read what a checkpoint holds: tensors, plain values, and a ``StandIn`` for each known object beside them.

    Raises:
        EncoderError: There is no such file, or it is damaged, or holds more than that.
    """
    if not path.is_file():
        raise EncoderError(f"no checkpoint {path}", "name the file, or the folder of a pretraining run")
    stand_ins: list[Any] = [(type(name, (StandIn,), {}), name) for name in _STOOD_IN_FOR]
    try:
        # a file that is not a checkpoint may look like one of an unusual protocol: the refusal says enough
        with torch.serialization.safe_globals(stand_ins), warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGE as error:
        refused = _REFUSED.search(str(error))
        if refused:
            raise EncoderError(
                f"{path} mentions {refused.group(1).rstrip('.')}, which weights do not need: nothing of it was run",
                "save the state dict alone, with torch.save(network.state_dict(), FILE)",
            ) from error
        # torch's own advice, to load such a file without restrictions, is not passed on
        reason = _REASON.search(str(error))
        raise EncoderError(
            f"{path} is not a checkpoint, or a damaged one: {reason.group(1) if reason else 'not in its format'}",
            "fetch it again, or name another file",
        ) from error
