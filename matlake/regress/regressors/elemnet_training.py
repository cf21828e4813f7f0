"""Training of ReLU networks with torch, economical on a CPU.

The loss is the mean absolute error of the standardised target, as in Jha et al., Sci. Rep. 8, 17593 (2018) and Gupta
et al., Nat. Commun. 12, 6595 (2021). The latter train for at most 4,000 epochs with a patience of 200, in batches of 32
with a constant rate of 1e-4 (Adam); a network of ElemNet's size then takes hours on a processor. Here the number of
steps is bounded, batches grow with the number of rows, and the rate follows one cycle, so that a short training ends
with small steps.
"""

import importlib.util
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import MissingExtraError
from matlake.regress.regressors.elemnet_numpy import Layers, Standard, activations
from matlake.regress.regressors.regressor import Rows

if TYPE_CHECKING:
    import torch

BATCHES: Final = ((2_000, 32), (5_000, 64), (10_000, 128))
"""Most rows, and the batch size up to them."""

LARGEST_BATCH: Final = 256
"""Beyond: the update of 4.6 million weights then takes less time than their gradient."""

_WARMUP: Final = 0.1
"""Part of the steps in which the rate rises."""

_CLIP_NORM: Final = 1.0
_JUDGED_AT_ONCE: Final = 2048


@dataclass(frozen=True)
class TrainingSettings:
    """What determines a training, apart from data, start and seed.

    Attributes:
        learning_rate: Peak of the cycle: linear warm-up, then a half cosine to zero.
        epochs: Most epochs.
        steps: Steps after which no epoch is begun: bounds the time for many rows.
        patience: Epochs without a better validation error after which training stops.
        weight_decay: Decoupled (Loshchilov and Hutter, ICLR 2019); 0 is Adam.
    """

    learning_rate: float
    epochs: int
    steps: int
    patience: int
    weight_decay: float = 0.0

    def epochs_for(self, n_rows: int) -> int:
        """Return how many epochs a training on a number of rows has, at least one."""
        return max(1, min(self.epochs, round(self.steps / steps_an_epoch(n_rows))))


def batch_rows(n_rows: int) -> int:
    """Return the batch size for a number of rows: the paper's 32 where they are few, more where steps would be many."""
    return next((size for most, size in BATCHES if n_rows <= most), LARGEST_BATCH)


def steps_an_epoch(n_rows: int) -> int:
    """Return how many batches a number of rows makes."""
    return math.ceil(n_rows / batch_rows(n_rows))


def train_layers(
    start: Layers,
    fit: Rows,
    judge: Rows,
    settings: TrainingSettings,
    seed: int,
    frozen: int = 0,
    device: str = "cpu",
) -> Layers:
    """Train a network, and keep the weights of the epoch with the smallest validation error.

    The result depends on seed, settings and data, and in its last digits on the number of threads that torch is set to.

    Args:
        start: Where the weights begin; the last layer has one output.
        fit: Features [n, d] of the rows to fit, and their standardised target float64 [n].
        judge: The same of rows that choose the epoch and end the training.
        settings: How to train.
        seed: Of the order of rows.
        frozen: Leading layers that keep their weights. Rows go through them once, before the training, and the layers
            behind them are trained on standardised activations.
        device: A torch device.

    Raises:
        MissingExtraError: torch is not installed.
    """
    require_torch()
    if not frozen:
        return _Training(start, settings, seed, device).run(fit, judge)
    kept, trained = start[:frozen], start[frozen:]
    seen, seen_by_judge = (np.maximum(activations(kept, x), 0.0) for x, _ in (fit, judge))
    standard = Standard.of(seen)
    training = _Training(standard.into(trained), settings, seed, device)
    found = training.run((standard.apply(seen), fit[1]), (standard.apply(seen_by_judge), judge[1]))
    return (*kept, *standard.out_of(found))


def require_torch() -> None:
    """Raise MissingExtraError unless torch is installed."""
    if not _has_torch():
        raise MissingExtraError(
            "training a deep network needs torch, which this installation lacks", "pip install 'matlake[train]'"
        )


def _has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


class _Training:
    """One training: parameters, and what is done with them."""

    def __init__(self, start: Layers, settings: TrainingSettings, seed: int, device: str) -> None:
        import torch

        self.settings, self.device = settings, device
        self.parameters = [
            torch.tensor(values.T if values.ndim == 2 else values, device=device).contiguous().requires_grad_()  # noqa: PLR2004 - torch's linear layers are [outputs, inputs]
            for layer in start
            for values in layer
        ]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.order = torch.Generator().manual_seed(seed)

    def run(self, fit: Rows, judge: Rows) -> Layers:
        import torch

        (x, y), (x_judge, y_judge) = (self._tensors(*rows) for rows in (fit, judge))
        size, steps, epochs = batch_rows(len(x)), steps_an_epoch(len(x)), self.settings.epochs_for(len(x))
        best, best_error, best_epoch = self._layers(), self._error(x_judge, y_judge), 0
        for epoch in range(1, epochs + 1):
            order = torch.randperm(len(x), generator=self.order).to(self.device)
            for step, rows in enumerate(torch.split(order, size), start=(epoch - 1) * steps):
                self._step(x[rows], y[rows], one_cycle(step, epochs * steps))
            error = self._error(x_judge, y_judge)
            if error < best_error:
                best, best_error, best_epoch = self._layers(), error, epoch
            elif epoch - best_epoch >= self.settings.patience:
                break
        return best

    def _step(self, x: "torch.Tensor", y: "torch.Tensor", factor: float) -> None:
        import torch

        for group in self.optimizer.param_groups:
            group["lr"] = factor * self.settings.learning_rate
        loss = torch.nn.functional.l1_loss(self._forward(x), y)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.parameters, _CLIP_NORM)
        self.optimizer.step()

    def _forward(self, x: "torch.Tensor") -> "torch.Tensor":
        import torch

        last = len(self.parameters) - 2
        for number in range(0, last + 1, 2):
            x = torch.nn.functional.linear(x, self.parameters[number], self.parameters[number + 1])
            if number < last:
                x = torch.relu(x)
        return x.squeeze(1)

    def _error(self, x: "torch.Tensor", y: "torch.Tensor") -> float:
        import torch

        with torch.inference_mode():
            parts = [self._forward(rows) for rows in torch.split(x, _JUDGED_AT_ONCE)]
            return float((torch.cat(parts) - y).abs().mean())

    def _tensors(self, x: NDArray[Any], y: NDArray[np.float64]) -> "tuple[torch.Tensor, torch.Tensor]":
        import torch

        return (
            torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)).to(self.device),
            torch.from_numpy(y.astype(np.float32)).to(self.device),
        )

    def _layers(self) -> Layers:
        """Return a copy: the parameters go on changing."""
        arrays = [parameter.detach().cpu().numpy() for parameter in self.parameters]
        return tuple(
            (weights.T.copy(order="C"), biases.copy())
            for weights, biases in zip(arrays[::2], arrays[1::2], strict=True)
        )


def one_cycle(step: int, steps: int) -> float:
    """Return the part of the peak rate at a step: linear warm-up, then a half cosine.

    Sources: Smith, arXiv:1803.09820; Loshchilov and Hutter, ICLR 2017 (the cosine).
    """
    warm = max(1, round(_WARMUP * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
