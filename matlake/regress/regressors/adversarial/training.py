"""Rounds of adversarial learning beside the ordinary training of a network. Imported only to train.

Sources: Liu et al., AAAI 2021 (SAL); Li, Miklaucic and Hu, arXiv 2408.09297 (CAL).
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from matlake.regress.regressors.adversarial.attack import Attacked, attack
from matlake.regress.regressors.adversarial.environments import cut_environments
from matlake.regress.regressors.adversarial.settings import AdversarialSettings
from matlake.regress.regressors.adversarial.transport import Parameters, Weights, risk_slope, weight_slope
from matlake.regress.regressors.ir_net_torch import TorchNetwork
from matlake.regress.regressors.row_training import predicted
from matlake.regress.regressors.training_settings import steps_an_epoch

if TYPE_CHECKING:
    from matlake.networks.training_history import Attack

RISK_ROWS = 1024
"""Rows that the risk over environments is taken on: all, or so many drawn once."""

_FEWEST = 2


def losses_of(network: TorchNetwork, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the loss of each row [n], without dropout."""
    return torch.nn.functional.smooth_l1_loss(predicted(network, x), y, reduction="none")


class Samples:
    """Rows that adversarial samples are made of."""

    def __init__(self, network: TorchNetwork, x: torch.Tensor, y: torch.Tensor | None, rate: float, seed: int) -> None:
        """Take the rows.

        Args:
            network: What they are to be hard for.
            x: [n, d], standardised features.
            y: [n], standardised target; None where it is not known: the network's own prediction then stands for it,
                and the attack begins ``rate`` away, for at the row itself it has no slope (Miyato et al., IEEE Trans.
                Pattern Anal. Mach. Intell. 41, 1979, 2019, virtual adversarial training).
            rate: Size of that start.
            seed: Of it, and of which rows are drawn.
        """
        self.network, self.x, self.y, self.rate = network, x, y, rate
        self.draws = torch.Generator().manual_seed(seed)

    def targets(self) -> torch.Tensor:
        """Return what the samples are to be predicted as [n]."""
        return predicted(self.network, self.x) if self.y is None else self.y

    def start(self, x: torch.Tensor) -> torch.Tensor:
        """Return where an attack on rows [n, d] begins."""
        if self.y is not None:
            return x
        return x + self.rate * torch.randn(x.shape, generator=self.draws)

    def worst(self, share: float) -> torch.Tensor:
        """Return the share of the rows with the largest loss; all in the same order where no target is known."""
        if self.y is None:
            return torch.arange(len(self.x))
        count = min(len(self.x), max(_FEWEST, round(share * len(self.x))))
        return torch.topk(losses_of(self.network, self.x, self.y), count).indices

    def batches(self, rows: torch.Tensor, size: int, most: int) -> Iterator[torch.Tensor]:
        """Draw at most so many batches from rows."""
        drawn = rows[torch.randperm(len(rows), generator=self.draws)][: size * most]
        yield from torch.tensor_split(drawn, max(1, math.ceil(len(drawn) / size)))


class Learner:
    """An ``Adversary`` with transport costs that follow the risk over environments."""

    def __init__(
        self,
        network: TorchNetwork,
        x: torch.Tensor,
        y: torch.Tensor,
        settings: AdversarialSettings,
        seed: int,
        samples: Samples | None = None,
    ) -> None:
        """Begin with equal costs.

        Args:
            network: To be trained.
            x: [n, d], the rows fitted, standardised.
            y: [n], their standardised target.
            settings: Constants.
            seed: Of environments, and of which rows are drawn.
            samples: What adversarial samples are made of, where that is not the rows fitted.
        """
        self.network, self.settings, self.x, self.y = network, settings, x, y
        self.samples = samples or Samples(network, x, y, settings.attack_rate, seed)
        self.optimizer = torch.optim.Adam(network.parameters(), lr=settings.theta_rate, fused=True)
        self.every = max(1, round(settings.apart / steps_an_epoch(len(x))))
        self.costs = Weights(x.shape[1], settings.first_weight, settings.weight_step)
        self.costs_by_round = [self._current_costs()]
        drawn = np.sort(np.random.default_rng(seed).permutation(len(x))[:RISK_ROWS])
        found = cut_environments(x.numpy()[drawn], settings.environments, settings.cut, seed)
        self.risk_rows = torch.from_numpy(drawn)
        self.environments = torch.from_numpy(found)

    @property
    def weights(self) -> NDArray[np.float32]:
        """The transport costs so far, float32 [rounds + 1, d]."""
        return np.array(self.costs_by_round)

    def rows(self, epoch: int) -> torch.Tensor | None:
        """Return the rows that an epoch trains on as they are; None for all of them."""
        if epoch <= self.settings.warm_up or self.settings.clean == "all":
            return None
        if self.settings.clean == "worst":
            return self.samples.worst(self.settings.share)
        return torch.empty(0, dtype=torch.long)

    def turn(self, epoch: int, factor: float) -> "Attack | None":
        """Play a round when it is time: attack, train on what came of it, move the transport costs."""
        from matlake.networks.training_history import Attack

        since = epoch - self.settings.warm_up - 1
        if since < 0 or since % self.every:
            return None
        settings, rate = self.settings, factor * self.settings.theta_rate
        gamma, targets, losses = self.costs.gamma, self.samples.targets(), []
        worst = self.samples.worst(settings.share)
        for batch in self.samples.batches(worst, settings.batch, settings.batches):
            x, y = self.samples.x[batch], targets[batch]
            start = self.samples.start(x)
            moved = attack(self.network, x, y, self.costs.values, settings.attack_rate, settings.attack_steps, start)
            passed = [self._step(moved, y, rate) for _ in range(settings.theta_steps)]
            losses.append((moved.losses[0], moved.losses[-1]))
        alpha = settings.alpha / math.sqrt(len(self.costs_by_round))
        at = self.risk_rows
        slope = risk_slope(self.network, self.x[at], self.y[at], self.environments, alpha)
        self.costs.update(weight_slope(self.network, passed, moved.x, y, moved.sensitivity, slope, settings.theta_rate))
        self.costs_by_round.append(self._current_costs())
        clean, attacked = np.mean(losses, axis=0)
        return Attack(float(clean), float(attacked), gamma)

    def _step(self, moved: Attacked, y: torch.Tensor, rate: float) -> Parameters:
        """Take one step on the samples, and return the parameters before it."""
        from matlake.networks.training_loop import descend

        before = {name: value.detach().clone() for name, value in self.network.named_parameters()}
        self.network.train()
        self.network.keep_statistics()  # adversarial samples are not what new rows are normalised by
        loss = torch.nn.functional.smooth_l1_loss(self.network(moved.x), y)
        descend(list(self.network.parameters()), loss, self.optimizer, rate)
        return before

    def _current_costs(self) -> NDArray[np.float32]:
        return np.asarray(self.costs.values.numpy(), dtype=np.float32).copy()
