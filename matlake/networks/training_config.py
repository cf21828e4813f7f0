"""The settings of a network's training."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingConfig:
    """What determines a training, apart from its data and its network.

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
