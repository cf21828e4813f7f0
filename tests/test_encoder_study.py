"""The study of encoders measures what it says: closed forms equal what they stand for, folds keep formulas apart."""

import numpy as np
import pytest

from benchmarks.helpers import gaussian_process
from benchmarks.helpers.block_kernel_ridge import Rows, fit_predict, kernel, leave_one_out, standardised
from benchmarks.helpers.encoder_tables import verdict
from benchmarks.helpers.evaluation_sets import Property, Source
from benchmarks.helpers.folds import APART, CLUSTER, PUBLISHED_APART, RANDOM, folds_of
from benchmarks.helpers.mixed_kernel_ridge import MixedKernelRidge
from benchmarks.helpers.paired_errors import Interval
from benchmarks.helpers.shipping import Paired, draws_of, folds_of_draw
from benchmarks.helpers.shipping_rule import is_learned
from matlake.encoders.registry import find_encoder
from matlake.materials.formula import parse_formula
from matlake.regress.regressors import MODELS, fit_model

FORMULAS = ("NaCl", "KBr", "MgO", "TiO2", "GaAs", "ZnS", "SiC", "Al2O3", "Fe2O3", "CaF2")


@pytest.fixture
def source() -> Source:
    """Twenty rows, each formula twice, the second time a multiple."""
    compositions = [parse_formula(formula) for formula in FORMULAS]
    values = np.random.default_rng(0).uniform(1, 9, (20, 2))
    properties = (Property("a", "a_GPa", "GPa", log=True), Property("b", "b_eV", "eV", log=False))
    return Source("few", compositions * 2, properties, values, np.repeat(["train", "test", "train"], [10, 5, 5]))


def test_leave_one_out_in_closed_form_is_what_refitting_without_each_row_gives() -> None:
    rng = np.random.default_rng(1)
    x, y, ridge = rng.normal(size=(30, 4)), rng.normal(size=(30, 1)), 0.1
    squared = [((x[:, None] - x) ** 2).mean(axis=2).astype(np.float32)]
    gram = kernel(squared, 0.5)
    errors = []
    for row in range(30):
        rest = np.delete(np.arange(30), row)
        weights = np.linalg.solve(gram[np.ix_(rest, rest)] + ridge * np.eye(29), y[rest])
        errors.append(np.abs(y[row] - gram[row, rest] @ weights))
    (chosen,), error = leave_one_out(gram.copy(), y, [ridge])
    assert chosen == ridge
    assert error == pytest.approx(np.mean(errors), rel=1e-6)


def test_scaling_takes_training_rows_alone_and_puts_the_mean_where_there_is_no_vector() -> None:
    block = np.array([[0.0, 5.0], [2.0, 5.0], [100.0, 7.0], [np.nan, np.nan]])
    (scaled,) = standardised([block], np.array([0, 1]))
    assert scaled[:, 0].tolist() == [-1.0, 1.0, 99.0, 0.0]
    assert scaled.shape == (4, 1)


def test_regression_on_blocks_learns_a_function_of_both() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=(300, 3)), rng.normal(size=(300, 3))
    y = np.column_stack([one[:, 0] + other[:, 1], one[:, 2] * 2])
    train, test = np.arange(200), np.arange(200, 300)
    predicted, _ = fit_predict([one, other], y, train, test)
    assert np.abs(predicted - y[test]).mean() < 0.2 * np.abs(y[test] - y[train].mean(axis=0)).mean()


def test_the_gaussian_process_is_that_of_train_and_takes_missing_vectors_as_the_mean() -> None:
    rng = np.random.default_rng(3)
    blocks = [rng.normal(size=(80, 3)).astype(np.float32), rng.normal(size=(80, 4)).astype(np.float32)]
    y = (np.sin(blocks[0][:, 0]) + blocks[1][:, 1])[:, None].astype(np.float64)
    train, test = np.arange(60), np.arange(60, 80)
    blocks[1][70] = np.nan
    predicted, _ = gaussian_process.fit_predict(blocks, y, train, test)
    x = np.hstack(blocks)
    x[70, 3:] = x[train, 3:].mean(axis=0)
    model = MODELS["gaussian-process"]
    fitted = fit_model(model, model.grid_of((3, 4))[0], x[train], y[train, 0], 0)
    assert predicted[:, 0] == pytest.approx(fitted.predict(x[test]))


def test_a_verdict_names_the_folds_that_differ() -> None:
    below, across, above = Interval(0.9, 0.8, 0.95), Interval(1.0, 0.9, 1.1), Interval(1.2, 1.1, 1.3)
    assert verdict({"random": below, "clusters": below}) == "better"
    assert verdict({"random": across, "clusters": below}) == "no difference: random; better: clusters"
    assert verdict({"random": above}) == "worse (random)"


@pytest.mark.parametrize("kind", [APART, CLUSTER, PUBLISHED_APART])
def test_equal_formulas_never_stand_on_both_sides(source: Source, kind: str) -> None:
    for fold in folds_of(source, kind, 1):
        assert not set(source.formulas[fold.train]) & set(source.formulas[fold.test])


def test_random_folds_test_each_row_once(source: Source) -> None:
    tested: list[Rows] = [fold.test for fold in folds_of(source, RANDOM, 0)]
    assert sorted(np.concatenate(tested).tolist()) == list(range(20))


def test_logarithms_are_taken_of_properties_that_ask_for_it(source: Source) -> None:
    assert source.targets[:, 0] == pytest.approx(np.log(source.values[:, 0]))
    assert source.in_units(source.targets) == pytest.approx(source.values)


def test_an_interval_is_below_one_only_as_a_whole() -> None:
    assert Interval(0.9, 0.8, 0.99).below
    assert not Interval(0.9, 0.8, 1.01).below
    assert Interval(1.1, 1.01, 1.2).above


def test_an_encoder_of_noise_does_no_harm() -> None:
    rng = np.random.default_rng(4)
    base, noise = rng.normal(size=(300, 3)).astype(np.float32), rng.normal(size=(300, 40)).astype(np.float32)
    y, train, test = base[:, :1].astype(np.float64) ** 2, np.arange(200), np.arange(200, 300)
    ridge = MixedKernelRidge([base], y, train, test)
    alone, together = (np.abs(found - y[test]).mean() for found in (ridge.predict(), ridge.predict_with([noise])))
    assert together < 1.05 * alone


def test_an_encoder_that_holds_what_the_baseline_lacks_helps() -> None:
    rng = np.random.default_rng(5)
    base, added = rng.normal(size=(300, 3)).astype(np.float32), rng.normal(size=(300, 3)).astype(np.float32)
    y = np.column_stack([base[:, 0] + added[:, 0], base[:, 1]]).astype(np.float64)
    train, test = np.arange(200), np.arange(200, 300)
    ridge = MixedKernelRidge([base], y, train, test)
    alone, together = (np.abs(found - y[test]).mean(axis=0) for found in (ridge.predict(), ridge.predict_with([added])))
    assert together[0] < 0.3 * alone[0]
    assert together[1] < 1.3 * alone[1]


def test_folds_of_a_draw_keep_formulas_apart_and_have_no_more_rows_than_labels(source: Source) -> None:
    for draw in draws_of(source):
        for fold in folds_of_draw(source, draw):
            assert len(fold.train) <= draw.labels
            assert not set(source.formulas[fold.train]) & set(source.formulas[fold.test])


def test_errors_in_pairs_become_ratios() -> None:
    base = np.array([[2.0, 2.0, np.nan], [2.0, 2.0, np.nan]])
    formulas = np.array(["NaCl", "KBr", "MgO"])
    found = Paired(base, base / 2, formulas, [np.array([0]), np.array([1])]).case("a", "cluster", 50, learned=False)
    assert (found.ratio, found.seeds, found.clusters) == (0.5, (0.5, 0.5), (0.5, 0.5))
    assert found.deviation == pytest.approx(0.0, abs=1e-12)


def test_a_property_that_was_calculated_and_learned_is_known_and_a_measured_one_is_transfer() -> None:
    card = find_encoder("elemnet-oqmd-formation-energy").card
    assert is_learned(card, "formation_energy_eV_per_atom", measured=False)
    assert not is_learned(card, "formation_energy_eV_per_atom", measured=True)
    assert not is_learned(card, "bulk_modulus_VRH_GPa", measured=False)
