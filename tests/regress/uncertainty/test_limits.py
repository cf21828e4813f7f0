"""Scores and intervals have limits, on features that hardly vary in training: five real sets where they had none."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from calibrations import calibration_of
from matrices import matrix_of
from numpy.typing import NDArray

from matlake.encoders.encoder import open_encoder
from matlake.encoders.reference import SAMPLE
from matlake.encoders.registry import find_encoder
from matlake.materials.compositions import CompositionColumns
from matlake.materials.formula import parse_formula
from matlake.regress.features.matrix import Matrix
from matlake.regress.regressors import MODELS, fit_of
from matlake.regress.regressors.scaling import LIMIT
from matlake.regress.splits import Rows, grouped_folds
from matlake.regress.targets.bounds import Bounds
from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.targets.transforms import Transform
from matlake.regress.uncertainty.fit_reference import choose_reference
from matlake.regress.uncertainty.intervals import Interval
from matlake.regress.uncertainty.reference_set import LARGEST_SCORE, Surroundings

FIT = fit_of(MODELS["ridge"], {"alpha": 10.0}, seed=0)
HIGHEST_HERE = 5.0
"""Scores were up to 471,963; now none is above 2.4 on 48 real properties."""


def magpie_matrix(formulas: list[str], values: NDArray[np.float64]) -> Matrix:
    encoder = open_encoder(find_encoder("magpie").folder)
    x = encoder.encode(CompositionColumns.of([parse_formula(formula) for formula in formulas]), "attributes")
    return matrix_of(formulas, values, x)


def jarvis(path: Path, name: str) -> tuple[list[str], NDArray[np.float64]]:
    table = pq.read_table(path, filters=[("property", "=", name)])
    return table["formula"].to_pylist(), table["value"].to_numpy()


def read(name: str, find: Callable[[str], Path]) -> Matrix:
    if name == "expt_gap":
        table = pq.read_table(SAMPLE)
        return magpie_matrix(table["formula"].to_pylist(), table["band_gap_eV"].to_numpy())
    if name == "expt_bandgap":
        return magpie_matrix(*jarvis(find("jarvis_targets.parquet"), name))
    table = pq.read_table(find("mp_dielectric_constant.parquet"))
    return magpie_matrix(table["formula"].to_pylist(), table[name].to_numpy())


def split_with(matrix: Matrix, formula: str) -> tuple[Rows, Rows]:
    """Return training and test rows, a fifth with a formula among them."""
    row = matrix.formula.tolist().index(formula)
    return next((fit, held) for fit, held in grouped_folds(matrix.groups, 5, 0) if row in held)


@pytest.mark.parametrize(
    ("name", "strange"),
    [
        ("expt_gap", "Fe9Co7"),
        ("expt_bandgap", "Fe9Co7"),
        ("refractive_index", "TiFe2Si"),
        ("dielectric_total", "TiFe2Si"),
        ("band_gap_eV", "TiFe2Si"),
    ],
)
def test_a_feature_that_hardly_varies_in_training_makes_nothing_endless(
    name: str, strange: str, development_data: Callable[[str], Path]
) -> None:
    matrix = read(name, development_data)
    rows, test = split_with(matrix, strange)
    wide = matrix.x.astype(np.float64)
    spread = wide[rows].std(axis=0)
    far = np.abs(wide[test] - wide[rows].mean(axis=0)) / np.where(spread > 0.0, spread, np.inf)
    assert far.max() > 10_000.0  # standard deviations: what made the trouble is here
    calibrated = calibration_of(matrix, rows, FIT)
    around, found = calibrated.around(test), calibrated.estimates(test)
    lower, upper = found.lower, found.upper
    span = float(np.ptp(matrix.y[rows]))
    assert around.scores.max() < HIGHEST_HERE
    assert (upper - lower).max() <= 2.0 * max(span, np.abs(calibrated.found.near.errors).max()) * (1.0 + 1e-9)
    assert np.mean(upper - lower) < span
    assert np.mean((lower <= matrix.y[test]) & (matrix.y[test] <= upper)) == pytest.approx(0.9, abs=0.05)
    flagged = around.scores > 1.0
    assert 0.01 < flagged.mean() < 0.12


def test_distances_are_limited_as_features_are() -> None:
    source = np.random.default_rng(0)
    x = source.normal(size=(300, 40)).astype(np.float32)
    x[:, 7] = 0.0
    x[5, 7] = 1e-6
    chosen = choose_reference(matrix_of([f"Na{n}Cl{301 - n}" for n in range(1, 301)], x=x), np.arange(300), 0)
    strange = x[:2].copy()
    strange[0, 7], strange[1] = 300.0, 1e9
    ends = chosen.projection.scaler.transform(strange)
    assert np.abs(ends).max() == LIMIT
    unit = np.linalg.norm(chosen.projection.matrix[:, 0])  # one standard deviation along a component, in scores
    distances = np.linalg.norm(chosen.projection.apply(strange)[:, None] - chosen.coordinates, axis=2)
    assert distances.max() <= 2.0 * LIMIT * np.sqrt(40) * unit * 1.001
    assert chosen.projection.apply(strange[:1]) != pytest.approx(chosen.projection.apply(x[:1]))  # still somewhat off


def test_a_head_of_an_older_version_has_limits_too() -> None:
    residual = np.full(30, 0.2, dtype=np.float32)
    around = Surroundings(np.full((1, 25), 471_963.0, dtype=np.float32), np.zeros((1, 25), dtype=np.int32), residual)
    assert around.scores.tolist() == [LARGEST_SCORE]


def test_an_end_is_no_further_away_than_all_labels_or_errors_are() -> None:
    interval = Interval(0.9, 2.0, 0.0, 40, widest=3.0, below=1.0, above=4.0)
    lower, upper = interval.ends_by(np.array([5.0, 5.0]), np.array([0.5, 2.0]))
    assert (lower.tolist(), upper.tolist()) == ([4.5, 3.0], [7.0, 8.0])


def test_an_interval_of_logarithms_is_a_factor() -> None:
    interval = Interval(0.9, 1.0, 0.0, 40, widest=3.0, below=1.0, above=1.0)
    space = TargetSpace(Transform.LOG, Bounds(0.0, 40.0, "given"))
    lower, upper = interval.ends_by(np.log([10.0, 30.0]), np.log([2.0, 2.0]), space)
    assert lower == pytest.approx([5.0, 15.0])
    assert upper == pytest.approx([20.0, 40.0])  # and keeps to the bounds
