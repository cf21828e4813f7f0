"""Fine-tuning of a fitted IR-net on rows of a target domain, plain or with adversarial samples.

Source: Li, Miklaucic and Hu, arXiv 2408.09297 (targeted adversarial fine-tuning).
"""

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.regress.regressors import Fitted
from matlake.regress.regressors.adversarial.settings import CAL, AdversarialSettings
from matlake.regress.regressors.fitting import split_off
from matlake.regress.regressors.ir_net_numpy import ResidualNetwork
from matlake.regress.regressors.regressor import Rows
from matlake.regress.regressors.training_settings import TrainingSettings, require_torch

PLAIN: Final = "plain"
CAL_INPUTS: Final = "cal-inputs"
TUNINGS: Final = (PLAIN, CAL, CAL_INPUTS)

TUNED: Final = TrainingSettings(learning_rate=3e-4, epochs=40, steps=800, patience=15)
TARGETED: Final = AdversarialSettings(warm_up=0, share=1.0)
"""All target rows make adversarial samples, from the first epoch on."""

Labelled = tuple[NDArray[np.float32], NDArray[np.float64]]


@dataclass(frozen=True)
class Tuning:
    """How to fine-tune.

    Attributes:
        method: ``plain``: on the target's rows. ``cal``: also on adversarial samples of them, with their labels.
            ``cal-inputs``: labels of the target are not used; samples of its rows are to be predicted as the rows are,
            while the network goes on learning from rows of its own.
        training: Of the network.
        adversarial: Constants of the adversary.
        dropout: Share of values that a block drops.
    """

    method: str
    training: TrainingSettings = TUNED
    adversarial: AdversarialSettings = TARGETED
    dropout: float = 0.5

    def document(self) -> dict[str, Any]:
        """Return it as parameters of a model."""
        adversarial = asdict(self.adversarial) if self.method != PLAIN else {}
        return {"method": self.method, **vars(self.training), "dropout": self.dropout, **adversarial}


@dataclass(frozen=True)
class Tuned:
    """What a fine-tuning gives.

    Attributes:
        best: The network of the epoch that does best on a tenth of the rows.
        last: The network of the last epoch.
        kept: The best, where at least ``CHOOSING_ROWS`` rows of the target have chosen it; otherwise the last, as
            always of ``cal-inputs``: the rows that could choose there have been fitted to before.
    """

    best: Fitted
    last: Fitted
    kept: Fitted


def check_tuning(method: str) -> None:
    """Raise TrainingError unless a method of fine-tuning is known."""
    if method not in TUNINGS:
        raise TrainingError(f"unknown method of fine-tuning {method!r}", f"methods: {', '.join(TUNINGS)}")


def tune(start: Fitted, tuning: Tuning, target: Labelled, own: Labelled | None, seed: int) -> Tuned:
    """Train a fitted network on. Scaler and standardisation of the target stay as they are.

    Args:
        start: An IR-net.
        tuning: How.
        target: Features float32 [n, d] and target float64 [n] of the rows of the target domain.
        own: The same of rows that the network was fitted to; only ``cal-inputs`` uses them, and needs them.
        seed: Of order, dropout and draws.

    Raises:
        TrainingError: Unknown method, or no rows that ``cal-inputs`` could go on learning from.
        MissingExtraError: torch is not installed.
    """
    check_tuning(tuning.method)
    require_torch()
    if not isinstance(start.regressor, ResidualNetwork):
        raise TrainingError(
            f"{type(start.regressor).__name__} is not an IR-net", "fit one of the models ir-net, ir-net-17"
        )
    import torch

    from matlake.regress.regressors.adversarial.training import Learner, Samples
    from matlake.regress.regressors.ir_net_torch import from_arrays
    from matlake.regress.regressors.ir_net_training import train_ir_net

    settings, samples, fitted_rows = tuning.training, None, target
    network = from_arrays(start.regressor, tuning.dropout)
    if tuning.method == CAL_INPUTS:
        if own is None:
            raise TrainingError(
                f"{CAL_INPUTS} needs rows with labels that the head was trained on, and none are known",
                "give the lake the dataset back that the head was trained on, or use another method",
            )
        settings, fitted_rows = replace(settings, patience=settings.epochs), own
        rows = torch.from_numpy(_standard(start, target)[0].astype(np.float32))
        samples = Samples(network, rows, None, tuning.adversarial.attack_rate, seed)
    adversary = partial(Learner, settings=tuning.adversarial, seed=seed, samples=samples)
    fit, validation = split_off(fitted_rows[0], seed)
    x, y = _standard(start, fitted_rows)
    trained = train_ir_net(
        network,
        (x[fit], y[fit]),
        (x[validation], y[validation]),
        settings,
        seed,
        None if tuning.method == PLAIN else adversary,
    )
    best, last = (replace(start, regressor=network) for network in (trained.best, trained.last))
    return Tuned(best, last, best if trained.kept is trained.best and tuning.method != CAL_INPUTS else last)


def _standard(start: Fitted, rows: Labelled) -> Rows:
    x, y = rows
    return (start.scaler.transform(x) if start.scaler else x), (start.space.to_fit(y) - start.mean) / start.std
