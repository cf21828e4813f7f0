"""Expected errors: what the fit finds, what drives them, and that the graph gives the same second opinions."""

import numpy as np
import pytest
from calibrations import calibration_of
from matrices import matrix_of
from numpy.typing import NDArray

import matlake
from matlake.materials.periodic_table import SYMBOLS
from matlake.regress.heads.storage import load_head
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.regressors import MODELS, fit_of
from matlake.regress.targets.target_space import PLAIN, TargetSpace
from matlake.regress.targets.transforms import Transform
from matlake.regress.uncertainty.conformal import signed_quantiles
from matlake.regress.uncertainty.error_model import half_spread
from matlake.regress.uncertainty.fit_error_model import WARNED, KnownErrors, cross_fitted, fit_error_model
from matlake.regress.uncertainty.group_coverage import MIN_ROWS, compound_kinds, worst_groups
from matlake.regress.uncertainty.signals import Signal

RIDGE = fit_of(MODELS["ridge"], {"alpha": 100.0}, seed=0)


def known(rows: int, seed: int) -> KnownErrors:
    """Errors that follow (0.1 + spread) · (score + ½), and nothing else."""
    rng = np.random.default_rng(seed)
    signals = rng.exponential(1.0, size=(rows, len(Signal)))
    signals[:, 4:] = rng.normal(0.0, 0.5, size=(rows, 2))
    expected = (0.1 + signals[:, 1]) * np.exp(signals[:, 4])
    return KnownErrors(signals, np.zeros(rows), rng.laplace(0.0, expected), np.arange(rows))


def test_the_fit_finds_what_errors_come_from() -> None:
    near, far, new = known(3000, 0), known(500, 1), known(3000, 2)
    model = fit_error_model(near, far, PLAIN)
    assert 0.7 < model.parts["spread"] < 1.1  # the smallest errors count as a tenth of the mean
    assert max(model.parts[name] for name in ("residuals", "estimate", "opinions")) < 0.15
    assert model.exponents["score"] == pytest.approx(1.0, abs=0.1)
    assert model.exponents["elements"] < 0.1
    errors = model.errors(new.predicted, model.fitted_errors(new.signals), PLAIN)
    assert errors.mean() == pytest.approx(np.abs(new.errors).mean(), rel=0.1)
    assert np.mean(errors > model.limit) == pytest.approx(WARNED, abs=0.03)
    first = [found[0] for found in model.drivers(new.signals[errors > model.limit])]
    assert np.mean(np.isin(first, [Signal.SPREAD, Signal.SCORE])) > 0.9


def test_intervals_are_calibrated_on_expected_errors_that_do_not_know_the_row() -> None:
    """With forty rows and six signals, errors that a model was fitted to would make intervals too narrow."""
    held = []
    for seed in range(20):
        near, new = known(40, seed), known(400, 100 + seed)
        none = near.take(np.zeros(40, dtype=bool))
        _, below, above = signed_quantiles(near.errors / cross_fitted(near, none))
        expected = fit_error_model(near, none, PLAIN).fitted_errors(new.signals)
        held.append(np.mean((-below * expected <= new.errors) & (new.errors <= above * expected)))
    assert np.mean(held) > 0.88


def test_an_error_of_a_logarithm_is_relative_to_the_value() -> None:
    predicted, errors = np.log([1.0, 100.0]), np.array([0.1, 0.1])
    found = half_spread(predicted, errors, TargetSpace(Transform.LOG))
    assert found == pytest.approx(np.sinh(0.1) * np.array([1.0, 100.0]))


def test_the_graph_gives_the_opinions_that_were_fitted(
    embedded: matlake.Lake, trained: TrainResult, vectors: tuple[NDArray[np.float32], NDArray[np.float64]]
) -> None:
    head = load_head(embedded, trained.card.name)
    assert head.has_opinions
    x = np.concatenate([vectors[0], np.zeros((len(vectors[0]), 32), dtype=np.float32)], axis=1)
    values, _, opinions = head.outputs(x)
    assert opinions.shape == (len(x), 1)  # two layers of one encoder
    assert np.isfinite(opinions).all()
    assert values.tolist() == head.predict(x)[0].tolist()


def test_opinions_on_held_out_rows_are_of_fits_without_them(
    vectors: tuple[NDArray[np.float32], NDArray[np.float64]],
) -> None:
    x, y = vectors
    x = np.concatenate([x, x])  # a copy of each row as another composition would be an easy guess
    formulas = [f"Na{n}Cl{700 - n}" for n in range(1, len(x) + 1)]
    rows = np.arange(len(x))
    rows = rows[rows % len(y) < 60]
    copies = calibration_of(matrix_of(formulas, np.concatenate([y, y]), x), rows, RIDGE)
    alone = calibration_of(matrix_of(formulas, np.concatenate([y, y]), x), rows[:60], RIDGE)
    off = [np.abs(one.opinions.near[:, 0] - one.reference.value).mean() for one in (copies, alone)]
    assert off[0] < off[1]
    assert off[1] > 0.3


def test_groups_are_named_and_counted() -> None:
    fractions = np.zeros((100, len(SYMBOLS)), dtype=np.float32)
    fractions[:, SYMBOLS.index("Fe")] = 0.5
    fractions[:40, SYMBOLS.index("O")] = 0.5
    fractions[40:80, SYMBOLS.index("S")] = 0.5
    fractions[:10, SYMBOLS.index("S")] = 0.1
    assert np.unique(compound_kinds(fractions), return_counts=True)[1].tolist() == [40, 40, 20]
    held = np.ones(100, dtype=bool)
    held[40:60] = False
    found = {one.group: (one.rows, one.coverage) for one in worst_groups(fractions, held, np.full(100, -1))}
    assert found["sulfides"] == (40, 0.5)
    assert found["with Fe"] == (100, 0.8)
    assert "without an anion" not in found  # fewer than MIN_ROWS
    assert MIN_ROWS > 20
