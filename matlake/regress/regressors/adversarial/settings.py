"""What determines an adversarial learning."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal

from matlake.errors import TrainingError

CAL: Final = "cal"
SAL: Final = "sal"
METHODS: Final = (CAL, SAL)

Cut = Literal["clusters", "random"]


@dataclass(frozen=True)
class AdversarialSettings:
    """Constants of an adversarial learning; see docs/science/adversarial.md for where each is from.

    Attributes:
        warm_up: Epochs on all rows as they are, before the first attack.
        share: Share of the rows, those with the largest loss, that adversarial samples are made of.
        clean: Whether epochs after the warm-up train on rows as they are too: ``all``, only the ``worst``, or ``none``.
        apart: Steps of the ordinary training, about, from one round to the next; at least an epoch. An epoch of a
            hundred rows has three: a round after each would train on the attacked rows as much as on all others.
        batches: Batches attacked in a round at most; drawn anew in each.
        batch: Rows attacked at a time.
        attack_rate: Step of the ascent, in standard deviations of a feature.
        attack_steps: Number of such steps.
        theta_rate: Peak rate of the network's steps on adversarial samples.
        theta_steps: Steps on each adversarial batch.
        environments: Parts that the risk is taken over.
        cut: How they are cut: by ``clusters`` of the features, or at ``random``.
        alpha: Of max - min of the environments' losses in the first round; falls as 1/√t.
        first_weight: Transport cost of each feature at the start.
        weight_step: Largest change of a weight in a round.
    """

    warm_up: int = 5
    share: float = 0.2
    clean: Literal["all", "worst", "none"] = "all"
    apart: int = 16
    batches: int = 1
    batch: int = 256
    attack_rate: float = 3e-4
    attack_steps: int = 10
    theta_rate: float = 3e-4
    theta_steps: int = 3
    environments: int = 5
    cut: Cut = "clusters"
    alpha: float = 0.5
    first_weight: float = 100.0
    weight_step: float = 20.0


USUAL: Final = {
    CAL: AdversarialSettings(),
    SAL: AdversarialSettings(warm_up=0, share=1.0, clean="none", apart=0, batches=4, theta_steps=5),
}
"""By method. SAL learns from adversarial samples alone."""


def adversarial_parameters(method: str, settings: AdversarialSettings | None = None) -> dict[str, Any]:
    """Return the parameters that a model has for learning from adversarial samples.

    Args:
        method: ``cal`` or ``sal``.
        settings: Its constants; by default the usual ones.

    Raises:
        TrainingError: Unknown method.
    """
    if method not in METHODS:
        raise TrainingError(f"unknown adversarial method {method!r}", f"methods: {', '.join(METHODS)}")
    return {"adversarial": method, **asdict(settings or USUAL[method])}


def settings_of(parameters: dict[str, Any]) -> AdversarialSettings:
    """Return those of a model's parameters that are about the adversary."""
    known = {field.name for field in fields(AdversarialSettings)}
    return AdversarialSettings(**{name: value for name, value in parameters.items() if name in known})
