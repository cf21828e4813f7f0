from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from transfer_samples import facts, measured, on_test, study

from matlake.studies.measurement import Measurement
from matlake.studies.statistics import clustered_order, target_correlations
from matlake.studies.transfer.configurations import SC_ML_EF, TL_ML
from matlake.studies.transfer.plots import (
    correlation_plot,
    draw_transfer_plots,
    layer_errors,
    layers_plot,
    learning_curves_plot,
    ratio_plot,
)
from matlake.studies.transfer.report import summarise
from matlake.studies.transfer.stages import CURVE

FEW = ["expt_bandgap", "slme", "expt_deltae"]


def screened(layer: str, mae: float, **more: Any) -> Measurement:
    return measured(TL_ML, mae, **({"round": 0, "features": (layer,)} | more))


def test_all_plots_come_as_png_and_svg_with_labelled_axes() -> None:
    found, about = study()
    report = summarise(found, {name: about[name] for name in FEW})
    values = {name: {f"c{n}": float(n % (place + 3)) for n in range(50)} for place, name in enumerate(FEW)}
    files = draw_transfer_plots(found, report, target_correlations(values))
    stems = {"transfer_ratios", "transfer_layers", "transfer_learning_curves", "target_correlations"}
    assert set(files) == {f"{stem}.{ending}" for stem in stems for ending in ("png", "svg")}
    assert all(content.startswith(b"\x89PNG") for name, content in files.items() if name.endswith("png"))
    labels = {
        "transfer_ratios": ["Test MAE, best TL / best SC (no unit)", "slme (3,006)"],
        "transfer_layers": ["Layer of the source", "elemnet-oqmd-volume"],
        "transfer_learning_curves": ["MAE (eV)", "Rows fitted to", "expt_deltae"],
        "target_correlations": ["Spearman below", "expt_bandgap"],
    }
    for stem, texts in labels.items():
        assert all(text in files[f"{stem}.svg"].decode() for text in texts)


def test_nothing_measured_draws_nothing() -> None:
    found = [measured(SC_ML_EF, 0.5)]
    report = summarise(found, {"gap": facts()})
    assert draw_transfer_plots(found, report, target_correlations({"gap": {}})) == {}


def test_one_target_can_be_drawn() -> None:
    ways = [measured(SC_ML_EF, 0.5), measured(TL_ML, 0.5, features=("net@1",))]
    curves = [replace(way, stage=CURVE, fit_rows=rows, mae=0.6) for way in ways for rows in (10, 40)]
    found = [*ways, *(on_test(way, 0.5) for way in ways), *curves, screened("net@1", 0.5)]
    report = summarise(found, {"gap": facts()})
    assert ratio_plot(report)
    assert layers_plot(found)
    assert b"best that transfers" in learning_curves_plot(found, report)["transfer_learning_curves.svg"]


def test_a_curve_ends_with_the_test_of_the_same_way() -> None:
    way = measured(SC_ML_EF, 0.5)
    stale = replace(way, model="knn", stage=CURVE, fit_rows=77, mae=0.1)
    points = [replace(way, stage=CURVE, fit_rows=11, mae=0.7), on_test(way, 0.6, fit_rows=99), stale]
    svg = learning_curves_plot([way, *points], summarise([way, *points], {"gap": facts()}))[
        "transfer_learning_curves.svg"
    ].decode()
    assert ">11<" in svg
    assert ">99<" in svg
    assert ">77<" not in svg


def test_layers_are_compared_by_the_first_rung_and_the_better_regressor() -> None:
    found = [
        screened("a@1", 0.2), screened("a@1", 0.9, model="knn"), screened("a@10", 0.4), screened("b@2", 0.2),
        screened("a@1", 1.8, target="t"), screened("a@10", 0.9, target="t"), screened("b@2", 1.8, target="t"),
        measured(TL_ML, 0.001, features=("b@2",)),
        measured(SC_ML_EF, 0.001, round=0, features=("a@1",)), screened("a@10", 0.001, features=("a@1", "a@10")),
    ]  # fmt: skip
    errors = layer_errors(found)
    assert (errors.sources, errors.layers, errors.targets) == (("a", "b"), ("1", "2", "10"), ("gap", "t"))
    expected = [[np.sqrt(2), np.nan, np.sqrt(2)], [np.nan, np.sqrt(2), np.nan]]
    assert errors.relative == pytest.approx(np.array(expected), nan_ok=True)


def test_only_targets_with_all_layers_count_in_the_comparison_of_layers() -> None:
    found = [screened("a@1", 0.2), screened("a@2", 0.4), screened("a@1", 0.1, target="large")]
    errors = layer_errors(found)
    assert errors.targets == ("gap",)
    assert errors.relative.tolist() == [[1.0, pytest.approx(2.0)]]


def test_targets_that_correlate_stand_side_by_side() -> None:
    correlation = np.eye(5)
    for i, j, value in ((0, 3, 0.9), (1, 4, -0.9), (0, 2, np.nan)):
        correlation[i, j] = correlation[j, i] = value
    order = clustered_order(correlation).tolist()
    assert sorted(order) == [0, 1, 2, 3, 4]
    assert abs(order.index(0) - order.index(3)) == 1
    assert abs(order.index(1) - order.index(4)) == 1


def test_targets_without_common_compositions_can_be_drawn() -> None:
    apart = {f"t{n}": {f"c{n}-{m}": float(m) for m in range(25)} for n in range(3)}
    assert b"fewer than 20" in correlation_plot(target_correlations(apart))["target_correlations.svg"]
