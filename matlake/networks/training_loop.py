"""Pretraining of encoders: a loop that can be killed at any time and resumed.

After every epoch the whole state goes to ``checkpoint.pt`` (written beside and renamed), the best weights so
far to ``best.pt``, and the learning curve to ``history.json``. An epoch's order of rows depends on the seed
and the epoch only, so an interrupted run and an uninterrupted one see the same batches.
"""

import io
import json
import math
import pickle  # for the class of torch's refusal: nothing is unpickled
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from matlake.errors import TrainingError
from matlake.files import write_whole


@dataclass(frozen=True)
class TrainingConfig:
    """What determines a pretraining run, apart from its data and its network.

    Attributes:
        epochs: Length of the one-cycle schedule.
        batch_size: Rows a step.
        learning_rate: Peak of the schedule: linear warm-up, then a half cosine to zero.
        warmup: Part of all steps that the warm-up takes.
        weight_decay: Decoupled weight decay (AdamW); 0 is Adam.
        patience: Epochs without a better validation error after which training stops.
        clip_norm: Largest norm of the gradient.
        averaging: Decay of the moving average of the weights that is validated and kept; 0 for none.
        mixed_precision: bfloat16 where it is safe; on CUDA only.
        seed: Seeds the initial weights and the order of rows.
    """

    epochs: int = 80
    batch_size: int = 256
    learning_rate: float = 1e-3
    warmup: float = 0.05
    weight_decay: float = 0.0
    patience: int = 200
    clip_norm: float = 1.0
    averaging: float = 0.0
    mixed_precision: bool = False
    seed: int = 1234567


@dataclass(frozen=True)
class EpochReport:
    """What is known after an epoch.

    Errors are mean absolute ones in the target's unit; of several targets, the mean of each error over the standard
    deviation of its target in the training rows.
    """

    epoch: int
    train_mae: float
    val_mae: float
    learning_rate: float
    seconds: float


class Examples(Protocol):
    """Rows that a network can be trained on."""

    @property
    def targets(self) -> NDArray[np.float64]:
        """float64 [n, t], in the targets' own units; NaN where a value is missing."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def inputs(self, rows: NDArray[np.int64], device: str) -> Any:
        """Return what the network's ``predict`` takes for some rows."""

    def chunks(self) -> Iterator[NDArray[np.int64]]:
        """Yield all rows in an order and in batches that suit inference."""


def train_network(
    network: nn.Module,
    identity: dict[str, Any],
    parts: tuple[Examples, Examples],
    config: TrainingConfig,
    folder: Path,
    on_epoch: Callable[[list[EpochReport]], None],
    device: str = "cpu",
    on_start: Callable[[], None] = lambda: None,
) -> list[EpochReport]:
    """Train a network on the mean absolute error, or go on with a run found in ``folder``.

    Args:
        network: Fresh weights; its method ``predict`` turns the inputs of the examples into [rows, t].
        identity: What is needed to build the network again; kept in ``best.pt``, and compared on resuming.
        parts: Rows to fit, and rows that choose the best epoch.
        config: Must equal the one that the run in ``folder`` was started with.
        folder: Receives ``checkpoint.pt``, ``best.pt`` and ``history.json``.
        on_epoch: Called with all reports so far after each epoch, once its checkpoint is on disk.
        device: A torch device.
        on_start: Called once the run is known to be new, or to have been started with the same settings.

    Returns:
        One report an epoch, those of earlier sessions included.

    Raises:
        TrainingError: A part is empty, ``folder`` holds a run with other settings, or the loss is not finite.
    """
    train, val = parts
    if not len(train) or not len(val):
        raise TrainingError(
            f"{len(train)} training and {len(val)} validation rows: both are needed",
            "check the split column, or leave it out for a random split",
        )
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    mean, std = np.nanmean(train.targets, axis=0), np.nanstd(train.targets, axis=0)
    if not (std > 0).all():
        raise TrainingError("a target is constant in the training rows", "choose another target")
    network = network.to(device)
    average = _averaged(network, config.averaging)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    steps_per_epoch = math.ceil(len(train) / config.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _one_cycle(config, steps_per_epoch))
    unit = float(std[0]) if len(std) == 1 else 1.0  # errors of one target are told in its unit
    settings = {**asdict(config), **identity}
    history = _resume(folder, settings, network, average, optimizer, schedule)
    on_start()

    wanted = torch.from_numpy(((train.targets - mean) / std).astype(np.float32)).to(device)
    while len(history) < config.epochs and not _stale(history, config.patience):
        epoch = len(history) + 1
        started = time.monotonic()
        network.train()
        total = torch.zeros((), device=device)
        for rows in _batches(len(train), config, epoch):
            inputs = train.inputs(rows.numpy(), device)
            with torch.autocast(device, torch.bfloat16, enabled=config.mixed_precision):
                predicted = network.predict(inputs)  # type: ignore[operator]
            error = predicted.float().view(len(rows), -1) - wanted[rows.to(device)]
            known = torch.isfinite(error)
            loss = error[known].abs().mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
            optimizer.step()
            schedule.step()
            if average is not None:
                average.update_parameters(network)
            total += loss.detach() * len(rows)
        train_mae = total.item() / len(train) * unit
        if not math.isfinite(train_mae):
            raise TrainingError(
                f"the loss of epoch {epoch} is not finite", "lower --learning-rate, or look for wrong targets"
            )
        judged = network if average is None else average.module
        val_mae = unit * float(np.mean(mean_absolute_errors(judged, val, mean, std, device) / std))
        rate = float(schedule.get_last_lr()[0])
        history.append(EpochReport(epoch, train_mae, val_mae, rate, round(time.monotonic() - started, 2)))
        if val_mae == min(r.val_mae for r in history):
            best = {"network": judged.state_dict(), "target_mean": mean.tolist(), "target_std": std.tolist()}
            _save(folder / "best.pt", {**best, "identity": identity, "epoch": epoch})
        _checkpoint(folder, settings, network, average, optimizer, schedule, history)
        on_epoch(history)
    return history


@torch.no_grad()
def predictions(network: nn.Module, examples: Examples, device: str = "cpu") -> NDArray[np.float64]:
    """Return what a network predicts, float64 [n, t], in the order of the examples."""
    network.eval()
    found = np.empty_like(examples.targets)
    for rows in examples.chunks():
        predicted = network.predict(examples.inputs(rows, device))  # type: ignore[operator]
        found[rows] = predicted.view(len(rows), -1).cpu().double().numpy()
    return found


def mean_absolute_errors(
    network: nn.Module, examples: Examples, mean: NDArray[np.float64], std: NDArray[np.float64], device: str = "cpu"
) -> NDArray[np.float64]:
    """Return the error of a network that predicts ``(y - mean) / std`` for each target, in its unit, float64 [t]."""
    errors = np.abs(predictions(network, examples, device) * std + mean - examples.targets)
    found: NDArray[np.float64] = np.nanmean(errors, axis=0)
    return found


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint: tensors and plain values only, and only in torch's zip format.

    Raises:
        TrainingError: There is none, or it is damaged, or holds more than that.
    """
    if not path.exists():
        raise TrainingError(f"no checkpoint {path}", "name the folder that `encoders pretrain` wrote, or its best.pt")
    remedy = "restore it, or delete the folder to start again"
    if not zipfile.is_zipfile(path):
        raise TrainingError(f"{path} is not a checkpoint, or a damaged one: not in torch's zip format", remedy)
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise TrainingError(f"{path} is not a checkpoint, or a damaged one: {error}", remedy) from error
    return state


def _averaged(network: nn.Module, decay: float) -> torch.optim.swa_utils.AveragedModel | None:
    if not decay:
        return None
    averaging = torch.optim.swa_utils.get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    # buffers too: running statistics of batch normalisation belong to the weights they were taken with
    return torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=averaging, use_buffers=True)


def _one_cycle(config: TrainingConfig, steps_per_epoch: int) -> Callable[[int], float]:
    steps = config.epochs * steps_per_epoch
    warm = max(1, round(config.warmup * steps))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, steps - warm))))

    return factor


def _stale(history: list[EpochReport], patience: int) -> bool:
    if not history:
        return False
    best = min(range(len(history)), key=lambda i: history[i].val_mae)
    return len(history) - 1 - best >= patience


def _batches(rows: int, config: TrainingConfig, epoch: int) -> tuple[torch.Tensor, ...]:
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(config.seed + epoch))
    return torch.split(order, config.batch_size)


def _checkpoint(
    folder: Path,
    settings: dict[str, Any],
    network: nn.Module,
    average: torch.optim.swa_utils.AveragedModel | None,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    history: list[EpochReport],
) -> None:
    _save(
        folder / "checkpoint.pt",
        {
            "network": network.state_dict(),
            "average": None if average is None else average.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": {"last_epoch": schedule.last_epoch},
            "history": [asdict(r) for r in history],
            "settings": settings,
        },
    )
    write_whole(folder / "history.json", json.dumps([asdict(r) for r in history], indent=1).encode())


def _resume(
    folder: Path,
    settings: dict[str, Any],
    network: nn.Module,
    average: torch.optim.swa_utils.AveragedModel | None,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
) -> list[EpochReport]:
    path = folder / "checkpoint.pt"
    if not path.exists():
        return []
    state = load_checkpoint(path)
    if state.get("settings") != settings:
        known = state.get("settings", {})
        changed = [k for k in {**settings, **known} if known.get(k) != settings.get(k)]
        raise TrainingError(
            f"{folder} holds a run with other settings ({', '.join(changed)} differ)",
            "name another folder, or repeat the settings of the first call",
        )
    network.load_state_dict(state["network"])
    if average is not None:
        average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    schedule.last_epoch = state["schedule"]["last_epoch"]
    return [EpochReport(**r) for r in state["history"]]


def _save(path: Path, state: dict[str, Any]) -> None:
    content = io.BytesIO()
    torch.save(state, content)
    write_whole(path, content.getvalue())
