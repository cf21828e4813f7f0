"""The training loop: its rate, its best epoch, its end, and steps that are left out."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from matlake.networks.training_history import Attack, EpochReport, best_epoch  # noqa: E402 - after the skip
from matlake.networks.training_loop import OneCycle, Training, descend, run_epochs  # noqa: E402

CYCLE = OneCycle(peak=0.5, epochs=10, steps_per_epoch=4, warmup=0.1)


class Recorded:
    """One weight, whose validation errors are given."""

    def __init__(self, errors: list[float]) -> None:
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.optimizer = torch.optim.SGD([self.weight], lr=0.0)
        self.kept: list[int] = []
        self.epochs: list[int] = []
        self.history: list[EpochReport] = []
        self.training = Training(
            parameters=[self.weight],
            batches=self.batches,
            loss=lambda rows: self.weight * len(rows),
            validate=lambda: errors[len(self.history)],
            keep=lambda: self.kept.append(len(self.history)),
        )

    def batches(self, epoch: int) -> tuple[torch.Tensor, ...]:
        self.epochs.append(epoch)
        return torch.split(torch.arange(8), 2)

    def run(self, patience: int = 100, cycle: OneCycle = CYCLE, **more: float) -> int:
        return run_epochs(self.training, self.optimizer, cycle, patience, self.history, **more)


def test_the_rate_rises_and_falls_to_zero() -> None:
    factors = [CYCLE.factor(step) for step in range(41)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors[4:] == sorted(factors[4:], reverse=True)
    assert factors[-1] == 0.0


def test_weights_are_kept_whenever_an_epoch_is_the_best_so_far() -> None:
    found = Recorded([3.0, 2.0, 2.0, 4.0, 1.0, *[5.0] * 5])
    assert found.run() == 5
    assert found.kept == [1, 2, 5]
    assert [report.epoch for report in found.history] == list(range(1, 11))
    assert found.history[-1].learning_rate == 0.0
    assert found.history[0].train_loss > found.history[1].train_loss


def test_a_training_ends_when_no_epoch_has_been_better_for_a_while() -> None:
    found = Recorded([3.0, 2.0, 2.5, 2.5, 1.0])
    assert found.run(patience=2) == 2
    assert len(found.history) == 4


def test_the_start_can_be_the_best() -> None:
    found = Recorded([3.0, 2.0, float("nan"), *[5.0] * 7])
    assert found.run(start_error=1.5) == 0
    assert found.kept == []


def test_a_training_goes_on_from_its_history() -> None:
    found = Recorded([3.0, 2.0, 4.0, 1.0])
    found.run(cycle=replace(CYCLE, epochs=2))
    assert found.run(cycle=replace(CYCLE, epochs=4)) == 4
    assert found.epochs == [1, 2, 3, 4]
    assert found.kept == [1, 2, 4]


def test_an_epoch_without_steps_has_no_loss_and_keeps_what_an_adversary_found() -> None:
    found = Recorded([1.0])
    attack = Attack(1.0, 2.0, 0.1)
    found.training = replace(found.training, batches=lambda _: (), after_steps=lambda *_: attack)
    found.run(cycle=replace(CYCLE, epochs=1))
    assert (found.history[0].train_loss, found.history[0].attack) == (None, attack)


def test_a_step_that_is_not_finite_is_left_out() -> None:
    weight = torch.nn.Parameter(torch.ones(()))
    optimizer = torch.optim.SGD([weight], lr=0.0)
    assert torch.isnan(descend([weight], weight * float("nan"), optimizer, 0.1))
    assert weight == 1.0
    descend([weight], weight * 100.0, optimizer, 0.1, clip_norm=2.0)
    assert weight.item() == pytest.approx(0.8)


def test_reports_survive_their_file() -> None:
    report = EpochReport(1, 0.5, 0.25, 1e-3, 2.0)
    assert EpochReport.from_document(report.document()) == report
    assert best_epoch([]) == 0
