"""The loop that trains every network: clipped steps in one cycle of the rate, validation, best epoch, early end."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

from matlake.networks.training_history import Attack, EpochReport, best_epoch


@dataclass(frozen=True)
class OneCycle:
    """The learning rate over a training: linear warm-up, then a half cosine to zero.

    Sources: Smith, arXiv:1803.09820; Loshchilov and Hutter, ICLR 2017 (the cosine).

    Attributes:
        peak: Largest rate.
        epochs: Length of the cycle.
        steps_per_epoch: Steps of an epoch.
        warmup: Part of all steps in which the rate rises.
    """

    peak: float
    epochs: int
    steps_per_epoch: int
    warmup: float

    def factor(self, step: int) -> float:
        """Return the part of the peak rate at a step, counted from 0 over the whole training."""
        steps = self.epochs * self.steps_per_epoch
        warm = max(1, round(self.warmup * steps))
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (step - warm) / max(1, steps - warm))))


@dataclass(frozen=True)
class Training:
    """What one training does differently from another.

    Attributes:
        parameters: The weights that are trained.
        batches: Returns the rows of each step of an epoch, and prepares for the epoch.
        loss: Returns the mean loss of some rows.
        validate: Returns the error on the validation rows.
        keep: Called after the best epoch so far: keeps its weights.
        after_step: Called after each step.
        after_steps: Called between the steps of an epoch and its validation, with the epoch, the part of the peak rate
            and the mean loss; returns what an adversary found.
        after_epoch: Called with all reports so far.
        unit: What losses are multiplied by for the reports.
        clip_norm: Largest norm of the gradient.
    """

    parameters: Sequence[torch.Tensor]
    batches: Callable[[int], Iterable[torch.Tensor]]
    loss: Callable[[torch.Tensor], torch.Tensor]
    validate: Callable[[], float]
    keep: Callable[[], None]
    after_step: Callable[[], None] = lambda: None
    after_steps: Callable[[int, float, float | None], Attack | None] = lambda *_: None
    after_epoch: Callable[[list[EpochReport]], None] = lambda _: None
    unit: float = 1.0
    clip_norm: float = 1.0


def run_epochs(
    training: Training,
    optimizer: torch.optim.Optimizer,
    cycle: OneCycle,
    patience: int,
    history: list[EpochReport],
    start_error: float = math.inf,
) -> int:
    """Train until the cycle ends, or until no epoch has been better than the best for a while.

    Args:
        training: What is trained, and how.
        optimizer: Takes the steps.
        cycle: Sets its rate.
        patience: Epochs without a better validation error after which training stops.
        history: Reports of earlier epochs, from which the training goes on; receives one for each further epoch.
        start_error: Validation error of the start, where the start counts as an epoch that can be the best.

    Returns:
        Number of the best epoch, from 1; 0 for the start.
    """
    best = best_epoch(history, start_error)
    while len(history) < cycle.epochs and (not history or len(history) - best < patience):
        history.append(_run_epoch(training, optimizer, cycle, len(history) + 1))
        if best_epoch(history, start_error) != best:
            best = len(history)
            training.keep()
        training.after_epoch(history)
    return best


def _run_epoch(training: Training, optimizer: torch.optim.Optimizer, cycle: OneCycle, epoch: int) -> EpochReport:
    started, worked = time.monotonic(), time.process_time()
    total: torch.Tensor | float = 0.0
    count = 0
    first, end = (number * cycle.steps_per_epoch for number in (epoch - 1, epoch))
    for step, rows in enumerate(training.batches(epoch), start=first):
        rate = cycle.factor(step) * cycle.peak
        loss = descend(training.parameters, training.loss(rows), optimizer, rate, training.clip_norm)
        training.after_step()
        total = total + loss * len(rows)
        count += len(rows)
    train_loss = float(total) / count * training.unit if count else None
    attack = training.after_steps(epoch, cycle.factor(end - 1), train_loss)
    error = training.validate()
    seconds, processor = round(time.monotonic() - started, 3), round(time.process_time() - worked, 3)
    return EpochReport(epoch, train_loss, error, cycle.factor(end) * cycle.peak, seconds, attack, processor)


def descend(
    parameters: Sequence[torch.Tensor],
    loss: torch.Tensor,
    optimizer: torch.optim.Optimizer,
    rate: float,
    clip_norm: float = 1.0,
) -> torch.Tensor:
    """Take one step down a loss, with clipped gradients, unless one is not finite; return the loss, detached."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    if torch.isfinite(torch.nn.utils.clip_grad_norm_(parameters, clip_norm)):
        optimizer.step()
    return loss.detach()
