"""The training of a network on examples, with checkpoints: killed at any time, it resumes.

An epoch's order of rows depends on the seed and the epoch only, so an interrupted training and an uninterrupted one see
the same batches.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from matlake.errors import USE_CPU, Hint, MissingExtraError, TrainingError
from matlake.metrics import mean_errors
from matlake.networks.checkpoints import Checkpoint
from matlake.networks.examples import Examples
from matlake.networks.training_config import TrainingConfig
from matlake.networks.training_history import EpochReport
from matlake.networks.training_loop import OneCycle, Training, run_epochs


def check_device(device: str) -> None:
    """Raise MissingExtraError when torch cannot use a device."""
    if device == "cuda" and not torch.cuda.is_available():
        remedy = "install a CUDA build of torch (https://pytorch.org), check nvidia-smi, or"
        hint = Hint(f"{remedy} {USE_CPU}", cli=f"{remedy} {USE_CPU.cli}")
        raise MissingExtraError("device cuda was requested, but this torch sees no CUDA device", hint)


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
        parts: Rows to fit, and validation rows, which choose the best epoch.
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
    mean, std = _scaling(train.targets, identity.get("targets", ()))
    network = network.to(device)
    average = _averaged(network, config.averaging)
    validated = network if average is None else average.module
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    settings = {**asdict(config), **identity}
    checkpoint = Checkpoint(folder, settings, {"network": network, "average": average, "optimizer": optimizer})
    history = checkpoint.resume()
    on_start()
    unit = float(std[0]) if len(std) == 1 else 1.0  # errors of one target are reported in its unit
    wanted = torch.from_numpy(((train.targets - mean) / std).astype(np.float32)).to(device)

    def batches(epoch: int) -> tuple[torch.Tensor, ...]:
        network.train()
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(config.seed + epoch))
        return torch.split(order, config.batch_size)

    def loss(rows: torch.Tensor) -> torch.Tensor:
        inputs = train.inputs(rows.numpy(), device)
        with torch.autocast(device, torch.bfloat16, enabled=config.mixed_precision):
            predicted = network.predict(inputs)  # type: ignore[operator]
        labels = wanted[rows.to(device)]
        known = torch.isfinite(labels)
        errors = (predicted.float().view(len(rows), -1) - labels)[known]
        found: torch.Tensor = errors.abs().sum() / known.sum().clamp(min=1)  # a batch may have no label
        return found

    known_in_val = np.isfinite(val.targets).any(axis=0)

    def error_on_val() -> float:
        """Return the mean over targets; not finite where a prediction is not."""
        errors = mean_absolute_errors(validated, val, mean, std, device) / std
        return unit * float(errors[known_in_val].mean())

    def refuse_infinite(epoch: int, factor: float, train_loss: float | None) -> None:  # noqa: ARG001 - a hook's
        if train_loss is not None and not math.isfinite(train_loss):
            raise _not_finite(f"loss of epoch {epoch}")

    def keep() -> None:
        scaling = {"target_mean": mean.tolist(), "target_std": std.tolist()}
        weights = {"network": validated.state_dict(), **scaling, "identity": identity, "epoch": history[-1].epoch}
        checkpoint.save_best(weights)

    def after_epoch(history: list[EpochReport]) -> None:
        if not math.isfinite(history[-1].val_mae):
            raise _not_finite(f"error of epoch {history[-1].epoch} on validation rows")
        checkpoint.save(history)
        on_epoch(history)

    training = Training(
        parameters=list(network.parameters()),
        batches=batches,
        loss=loss,
        validate=error_on_val,
        keep=keep,
        after_step=(lambda: None) if average is None else (lambda: average.update_parameters(network)),
        after_steps=refuse_infinite,
        after_epoch=after_epoch,
        unit=unit,
        clip_norm=config.clip_norm,
    )
    steps = math.ceil(len(train) / config.batch_size)
    cycle = OneCycle(config.learning_rate, config.epochs, steps, config.warmup)
    with _denormals_flushed():
        run_epochs(training, optimizer, cycle, config.patience, history)
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
    network: nn.Module,
    examples: Examples,
    mean: NDArray[np.float64] | float = 0.0,
    std: NDArray[np.float64] | float = 1.0,
    device: str = "cpu",
) -> NDArray[np.float64]:
    """Return the error of a network that predicts ``(y - mean) / std`` for each target, in its unit, float64 [t].

    A target that no example has a value of has the error NaN; it is not finite where a prediction is not, either.
    """
    return mean_errors(predictions(network, examples, device) * std + mean, examples.targets)


def _scaling(targets: NDArray[np.float64], names: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of each target in the training rows, float64 [t] each.

    Raises:
        TrainingError: A target is constant, or has no value.
    """
    if unlabelled := np.flatnonzero(~np.isfinite(targets).any(axis=0)).tolist():
        first = dict(enumerate(names)).get(unlabelled[0], "a target")
        raise TrainingError(f"no training row has a value of {first}", "leave that target out")
    mean, std = np.nanmean(targets, axis=0), np.nanstd(targets, axis=0)
    if not (std > 0).all():
        raise TrainingError("a target is constant in the training rows", "choose another target")
    return mean, std


def _not_finite(what: str) -> TrainingError:
    return TrainingError(f"the {what} is not finite", "look for wrong targets; or pretrain with a lower learning rate")


@contextmanager
def _denormals_flushed() -> Iterator[None]:
    """Take numbers below 1e-38 for zero: gradients behind closed gates and faded filters are, and slow processors."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _averaged(network: nn.Module, decay: float) -> torch.optim.swa_utils.AveragedModel | None:
    if not decay:
        return None
    averaging = torch.optim.swa_utils.get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    # buffers too: running statistics of batch normalisation belong to the weights they were taken with
    return torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=averaging, use_buffers=True)
