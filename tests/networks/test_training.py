"""Training on several targets, of which rows may lack some; and what it cost."""

import math

import numpy as np
import pytest

from matlake.errors import TrainingError
from matlake.metrics import mean_errors
from matlake.networks.training_history import EpochReport, training_cost

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from matlake.networks.examples import FractionExamples  # noqa: E402
from matlake.networks.training import mean_absolute_errors, train_network  # noqa: E402
from matlake.networks.training_config import TrainingConfig  # noqa: E402

TARGETS = ["a_eV", "b_GPa"]


class _Linear(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)

    def predict(self, x: "torch.Tensor") -> "torch.Tensor":
        return self.layer(x)


def examples(rows: int, *, without: tuple[int, ...] = ()) -> FractionExamples:
    x = np.random.default_rng(rows).random((rows, 3)).astype(np.float32)
    y = np.stack([x[:, 0] - x[:, 1], 100.0 * x[:, 2]], axis=1).astype(np.float64)
    y[:, list(without)] = np.nan
    return FractionExamples(x, y)


def train(train: FractionExamples, val: FractionExamples, folder) -> list[EpochReport]:
    config = TrainingConfig(epochs=12, batch_size=8, learning_rate=0.05)
    torch.manual_seed(1)
    return train_network(_Linear(), {"targets": TARGETS}, (train, val), config, folder, lambda _: None)


def test_a_target_without_validation_rows_has_no_say_in_the_best_epoch(tmp_path) -> None:
    holes = examples(40)
    holes.targets[::2, 1] = np.nan
    history = train(holes, examples(10, without=(1,)), tmp_path)
    assert all(math.isfinite(report.val_mae) and math.isfinite(report.train_loss or 0.0) for report in history)
    assert history[-1].val_mae < history[0].val_mae
    state = torch.load(tmp_path / "best.pt", weights_only=True)
    assert state["target_mean"][1] == pytest.approx(np.nanmean(holes.targets[:, 1]))


def test_a_target_without_training_rows_is_refused_by_name(tmp_path) -> None:
    with pytest.raises(TrainingError, match="no training row has a value of b_GPa"):
        train(examples(20, without=(1,)), examples(10), tmp_path)


def test_errors_are_means_over_the_rows_that_have_a_value() -> None:
    y = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, np.nan]])
    found = mean_errors(np.zeros((3, 2)), y)
    assert found[0] == 1.5
    assert math.isnan(found[1])
    assert math.isnan(mean_absolute_errors(_Linear(), examples(4, without=(0,)))[0])


def test_the_cost_is_that_of_all_sessions() -> None:
    reports = [EpochReport(k, 0.5, 0.5, 1e-3, 2.0, processor_seconds=3.0) for k in (1, 2)]
    assert training_cost(reports) == {"seconds": 4.0, "processor_seconds": 6.0, "cores": 1.5}
    read = [EpochReport.from_document(report.document()) for report in reports]
    assert read == reports
    old = {name: value for name, value in reports[0].document().items() if name != "processor_seconds"}
    assert training_cost([EpochReport.from_document(old), reports[1]]) == {"seconds": 4.0}
    assert training_cost([]) == {"seconds": 0, "processor_seconds": 0}
