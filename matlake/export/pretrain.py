"""Pretraining of composition encoders: a loop that can be killed at any time and resumed.

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
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from matlake.errors import TrainingError
from matlake.export.elemnet import ElemNet
from matlake.export.training_data import Rows
from matlake.files import write_whole


@dataclass(frozen=True)
class TrainingConfig:
    """What determines a pretraining run, apart from its data.

    Attributes:
        epochs: Length of the one-cycle schedule.
        batch_size: Rows a step.
        learning_rate: Peak of the schedule: linear warm-up, then a half cosine to zero.
        warmup: Part of all steps that the warm-up takes.
        weight_decay: Decoupled weight decay (AdamW); 0 is Adam.
        patience: Epochs without a better validation error after which training stops.
        clip_norm: Largest norm of the gradient.
        seed: Seeds the initial weights and the order of rows.
    """

    epochs: int = 80
    batch_size: int = 256
    learning_rate: float = 1e-3
    warmup: float = 0.05
    weight_decay: float = 0.0
    patience: int = 200
    clip_norm: float = 1.0
    seed: int = 1234567


@dataclass(frozen=True)
class EpochReport:
    """What is known after an epoch; errors are mean absolute errors in the target's unit."""

    epoch: int
    train_mae: float
    val_mae: float
    learning_rate: float
    seconds: float


def pretrain_elemnet(
    train: Rows,
    val: Rows,
    config: TrainingConfig,
    folder: Path,
    on_epoch: Callable[[list[EpochReport]], None],
    device: str = "cpu",
    on_start: Callable[[], None] = lambda: None,
) -> list[EpochReport]:
    """Train an ElemNet on the mean absolute error, or go on with a run found in ``folder``.

    Args:
        train: Rows to fit.
        val: Rows that choose the best epoch.
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
    if not len(train) or not len(val):
        raise TrainingError(
            f"{len(train)} training and {len(val)} validation rows: both are needed",
            "check the split column, or leave it out for a random split",
        )
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    mean, std = float(train.target.mean()), float(train.target.std())
    if not std > 0:
        raise TrainingError("the target is constant in the training rows", "choose another target")
    network = ElemNet().to(device)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    steps_per_epoch = math.ceil(len(train) / config.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _one_cycle(config, steps_per_epoch))
    history = _resume(folder, config, network, optimizer, schedule)
    on_start()

    x = torch.from_numpy(train.fractions).to(device)
    y = torch.from_numpy(((train.target - mean) / std).astype(np.float32)).to(device)
    while len(history) < config.epochs and not _stale(history, config.patience):
        epoch = len(history) + 1
        started = time.monotonic()
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(config.seed + epoch)).to(device)
        network.train()
        total = torch.zeros((), device=device)
        for rows in torch.split(order, config.batch_size):
            loss = (network.predict(x[rows]) - y[rows]).abs().mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
            optimizer.step()
            schedule.step()
            total += loss.detach() * len(rows)
        train_mae = total.item() / len(x) * std
        if not math.isfinite(train_mae):
            raise TrainingError(
                f"the loss of epoch {epoch} is not finite", "lower --learning-rate, or look for wrong targets"
            )
        val_mae = mean_absolute_error(network, val, mean, std, device)
        rate = float(schedule.get_last_lr()[0])
        report = EpochReport(epoch, train_mae, val_mae, rate, round(time.monotonic() - started, 2))
        history.append(report)
        if val_mae == min(r.val_mae for r in history):
            _save(
                folder / "best.pt",
                {"network": network.state_dict(), "target_mean": mean, "target_std": std, "epoch": epoch},
            )
        _save(
            folder / "checkpoint.pt",
            {
                "network": network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": {"last_epoch": schedule.last_epoch},
                "history": [asdict(r) for r in history],
                "config": asdict(config),
            },
        )
        write_whole(folder / "history.json", json.dumps([asdict(r) for r in history], indent=1).encode())
        on_epoch(history)
    return history


def load_trained(path: Path) -> ElemNet:
    """Load ``best.pt`` of a run as a network that predicts in the target's own unit.

    Raises:
        TrainingError: The file is missing, or no such checkpoint.
    """
    state = _load(path)
    network = ElemNet()
    try:
        network.load_state_dict(state["network"])
        network.fold_target_scaling(state["target_mean"], state["target_std"])
    except (RuntimeError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError(
            f"{path} is not an ElemNet checkpoint: {error}", "name the best.pt that `encoders pretrain` wrote"
        ) from error
    return network.eval()


@torch.no_grad()
def mean_absolute_error(network: ElemNet, rows: Rows, mean: float, std: float, device: str) -> float:
    """Return the error of a network that predicts ``(y - mean) / std``, in the target's unit."""
    network.eval()
    total = 0.0
    for start in range(0, len(rows), 4096):
        x = torch.from_numpy(rows.fractions[start : start + 4096]).to(device)
        predicted = network.predict(x).cpu().double().numpy() * std + mean
        total += float(np.abs(predicted - rows.target[start : start + 4096]).sum())
    return total / len(rows)


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


def _resume(
    folder: Path,
    config: TrainingConfig,
    network: ElemNet,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
) -> list[EpochReport]:
    path = folder / "checkpoint.pt"
    if not path.exists():
        return []
    state = _load(path)
    if state["config"] != asdict(config):
        changed = [k for k, v in asdict(config).items() if state["config"].get(k) != v]
        raise TrainingError(
            f"{folder} holds a run with other settings ({', '.join(changed)} differ)",
            "name another folder, or repeat the settings of the first call",
        )
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    schedule.last_epoch = state["schedule"]["last_epoch"]
    return [EpochReport(**r) for r in state["history"]]


def _load(path: Path) -> dict[str, Any]:
    """Read a checkpoint: tensors and plain values only, and only in torch's zip format."""
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


def _save(path: Path, state: dict[str, Any]) -> None:
    content = io.BytesIO()
    torch.save(state, content)
    write_whole(path, content.getvalue())
