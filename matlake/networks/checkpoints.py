"""Checkpoints of a training in a folder: it can be killed at any time and resumed.

After every epoch the whole state goes to ``checkpoint.pt`` (written beside and renamed), the best weights so far to
``best.pt``, and the learning curve to ``history.json``.
"""

import io
import json
import pickle  # for the class of torch's refusal: nothing is unpickled
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from matlake.errors import TrainingError
from matlake.files import write_whole
from matlake.networks.training_history import EpochReport

BEST_FILE: Final = "best.pt"
_STATE_FILE: Final = "checkpoint.pt"
_HISTORY_FILE: Final = "history.json"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training on disk.

    Attributes:
        folder: Holds the files.
        settings: Must equal those that the training in the folder was started with.
        parts: What is trained and with what: the network, its averaged weights (None for none) and the optimizer.
    """

    folder: Path
    settings: dict[str, Any]
    parts: Mapping[str, nn.Module | torch.optim.Optimizer | None]

    def save(self, history: list[EpochReport]) -> None:
        """Write the state after an epoch."""
        documents = [report.document() for report in history]
        states = {name: None if part is None else part.state_dict() for name, part in self.parts.items()}
        _save(self.folder / _STATE_FILE, {**states, "history": documents, "settings": self.settings})
        write_whole(self.folder / _HISTORY_FILE, json.dumps(documents, indent=1).encode())

    def save_best(self, weights: dict[str, Any]) -> None:
        """Write what ``load_checkpoint`` will read: the best weights and what is needed to use them."""
        _save(self.folder / BEST_FILE, weights)

    def resume(self) -> list[EpochReport]:
        """Set the parts to the state in the folder; return the reports so far, none where there is no checkpoint.

        Raises:
            TrainingError: The training in the folder has other settings, or its checkpoint is damaged.
        """
        path = self.folder / _STATE_FILE
        if not path.exists():
            return []
        state = load_checkpoint(path)
        known = state.get("settings", {})
        if known != self.settings:
            changed = [name for name in {**self.settings, **known} if known.get(name) != self.settings.get(name)]
            raise TrainingError(
                f"{self.folder} holds a run with other settings ({', '.join(changed)} differ)",
                "name another folder, or repeat the settings of the first call",
            )
        for name, part in self.parts.items():
            if part is not None:
                part.load_state_dict(state[name])
        return [EpochReport.from_document(document) for document in state["history"]]


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint: tensors and plain values only, and only in torch's zip format.

    Raises:
        TrainingError: There is none, or it is damaged, or holds more than that.
    """
    if not path.exists():
        raise TrainingError(f"no checkpoint {path}", "name the folder of a pretraining run, or its best.pt")
    remedy = "restore it, or delete the folder to start again"
    if not zipfile.is_zipfile(path):
        raise TrainingError(f"{path} is not a checkpoint, or a damaged one: not in torch's zip format", remedy)
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise TrainingError(f"{path} is not a checkpoint, or a damaged one: {error}", remedy) from error
    return state


def last_weights(folder: Path) -> dict[str, Any]:
    """Return the weights behind the last epoch of a training: their moving average where there is one.

    Raises:
        TrainingError: There is no checkpoint, or it is damaged.
    """
    state = load_checkpoint(folder / _STATE_FILE)
    if state["average"] is None:
        weights: dict[str, Any] = state["network"]
        return weights
    prefix = "module."  # torch's AveragedModel holds the network so, beside a counter
    return {name.removeprefix(prefix): value for name, value in state["average"].items() if name.startswith(prefix)}


def load_best(network: nn.Module, state: dict[str, Any]) -> nn.Module:
    """Give a network the weights of a ``best.pt``, so that it predicts in the targets' own units; return it."""
    network.load_state_dict(state["network"])
    mean, std = (torch.tensor(state[name], dtype=torch.float32) for name in ("target_mean", "target_std"))
    network.fold_target_scaling(mean, std)  # type: ignore[operator]
    return network.eval()


def _save(path: Path, state: dict[str, Any]) -> None:
    content = io.BytesIO()
    torch.save(state, content)
    write_whole(path, content.getvalue())
