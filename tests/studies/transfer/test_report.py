import json
import math
from dataclasses import replace

import pytest
from transfer_samples import SIZES, facts, measured, on_test, study

from matlake.studies.measurement import Measurement, State
from matlake.studies.transfer.cells import cells_of
from matlake.studies.transfer.configurations import (
    BASE,
    CONFIGURATIONS,
    FINE_TUNE,
    SC_DL_EF,
    SC_ENSEMBLE,
    SC_ML_EF,
    SC_ML_PA,
    TL_CONCAT,
    TL_ENSEMBLE,
    TL_ML,
)
from matlake.studies.transfer.report import (
    ALL_SC,
    ALL_TL,
    FRACTIONS_SC,
    OUTSIDE_ROWS,
    PAPER_SC,
    PAPER_TL,
    TargetReport,
    TransferReport,
    summarise,
)
from matlake.studies.transfer.stages import FOLDS, SCHEMA, TEST
from matlake.studies.transfer.tables import report_lines


def one(*measurements: Measurement) -> TargetReport:
    return summarise(measurements, {"gap": facts()}).targets[0]


def race(**maes: tuple[float, float]) -> TransferReport:
    """Return the report of targets whose best from scratch and best that transfers have these test errors."""
    found: list[Measurement] = []
    for target, (scratch, transfer) in maes.items():
        for configuration, mae in ((SC_ML_EF, scratch), (TL_ML, transfer)):
            way = measured(configuration, mae, target=target)
            found += [way, on_test(way, mae, outside_mae=1.0 - mae)]
    return summarise(found, {target: facts() for target in maes})


def test_the_winner_is_chosen_on_validation_whatever_the_test_says() -> None:
    chosen, lucky = measured(SC_ML_EF, 0.4, model="svr"), measured(SC_ML_EF, 0.5, model="ridge")
    better, luckier = measured(SC_ML_PA, 0.45), measured(SC_DL_EF, 0.6)
    target = one(
        chosen, lucky, better, luckier,
        on_test(lucky, 0.1), on_test(chosen, 0.9), on_test(better, 0.2), on_test(luckier, 0.05),
    )  # fmt: skip
    cell = target.cell(SC_ML_EF)
    assert (cell.model, cell.validation_mae, cell.test_mae, cell.state) == ("svr", 0.4, 0.9, State.MEASURED)
    best = target.best_of(PAPER_SC)
    assert best is not None
    assert best.configuration == SC_ML_EF


def test_a_small_error_on_an_early_rung_wins_nothing() -> None:
    early = measured(TL_ML, 0.01, round=1, model="knn")
    last = measured(TL_ML, 0.5, model="svr")
    cell = one(early, last, on_test(early, 0.01), on_test(last, 0.6)).cell(TL_ML)
    assert (cell.model, cell.validation_mae, cell.test_mae) == ("svr", 0.5, 0.6)


def test_more_features_win_where_their_error_is_smaller() -> None:
    target = one(measured(TL_CONCAT, 0.5, features=("a@1",)), measured(TL_CONCAT, 0.4, features=("a@1", "b@1")))
    assert target.cell(TL_CONCAT).features == ("a@1", "b@1")


def test_what_is_on_early_rungs_only_cannot_be_the_best() -> None:
    dropped, last = measured(SC_ML_PA, 0.01, round=0), measured(SC_ML_EF, 0.5)
    target = one(dropped, last)
    assert target.cell(SC_ML_PA).state == State.EARLY
    assert target.cell(SC_ML_PA).validation_mae is None
    assert target.cell(SC_ML_EF).state == State.UNTESTED
    assert target.best == target.cell(SC_ML_EF)


def test_a_search_that_was_stopped_before_its_last_rung_has_no_winner() -> None:
    stopped = one(measured(TL_ML, 0.3, round=0), measured(TL_ML, 0.2, round=1), measured(SC_ML_EF, 0.4, round=1))
    assert stopped.best is None
    assert {stopped.cell(TL_ML).state, stopped.cell(SC_ML_EF).state} == {State.EARLY}


def test_a_configuration_that_was_not_run_says_so() -> None:
    target = one(measured(SC_ML_EF, 0.4))
    absent = [cell for cell in target.cells if cell.configuration != SC_ML_EF]
    assert [cell.configuration for cell in target.cells] == list(CONFIGURATIONS)
    assert {cell.state for cell in absent} == {State.NOT_RUN}
    assert {(cell.validation_mae, cell.test_mae, cell.q95, cell.features) for cell in absent} == {
        (None, None, None, ())
    }
    assert target.best_of(PAPER_TL) is None
    assert target.pair(PAPER_SC, PAPER_TL).ratio() is None


def test_failures_keep_their_reason_and_win_nothing() -> None:
    validated = measured(SC_ML_PA, 0.3)
    target = one(
        measured(SC_ML_EF, None, error="out of memory", round=0),
        measured(SC_DL_EF, math.nan),
        validated, on_test(validated, None, error="not finite"),
        measured(TL_ML, 0.5), measured(TL_ML, None, model="knn", error="too few rows"),
    )  # fmt: skip
    states = {name: target.cell(name).state for name in (SC_ML_EF, SC_DL_EF, SC_ML_PA, TL_ML)}
    assert states == {SC_ML_EF: State.FAILED, SC_DL_EF: State.FAILED, SC_ML_PA: State.FAILED, TL_ML: State.UNTESTED}
    assert target.cell(SC_ML_EF).error == "out of memory"
    assert target.cell(SC_ML_PA).error == "not finite"
    assert target.cell(SC_ML_PA).test_mae is None


def test_nobody_takes_the_place_of_a_winner_whose_test_failed() -> None:
    winner, second, transfer = measured(SC_ML_EF, 0.3), measured(SC_ML_PA, 0.4), measured(TL_ML, 0.2)
    report = summarise(
        [winner, second, transfer, on_test(winner, None, error="x"), on_test(second, 0.4), on_test(transfer, 0.2)],
        {"gap": facts()},
    )
    comparison = report.comparison()
    assert (comparison.wins, comparison.losses, comparison.left_out) == (0, 0, 1)


def test_tests_and_folds_belong_to_the_way_that_they_measured() -> None:
    way = measured(TL_ML, 0.5, features=("source@2",), parameters={"variant": 1, "alpha": 2.0})
    alike = [
        replace(way, features=("source@3",)),
        replace(way, model="knn"),
        replace(way, parameters={"variant": 0, "alpha": 2.0}),
    ]
    folds = replace(way, stage=FOLDS, mae=0.55, mae_std=0.02, parameters={"alpha": 2.0, "variant": 1})
    strangers = [on_test(other, 0.1) for other in alike] + [replace(other, stage=FOLDS, mae=0.1) for other in alike]
    cell = one(way, *strangers).cell(TL_ML)
    assert (cell.state, cell.test_mae, cell.fold_mae) == (State.UNTESTED, None, None)
    cell = one(way, on_test(way, 0.6, q95=2.0, outside_mae=0.7), folds, *strangers).cell(TL_ML)
    assert (cell.test_mae, cell.q95, cell.outside_mae) == (0.6, 2.0, 0.7)
    assert (cell.fold_mae, cell.fold_mae_std) == (0.55, 0.02)
    assert cell.features == ("source@2",)


def test_the_order_of_measurements_does_not_matter() -> None:
    tied = [measured(TL_ML, 0.5, features=features) for features in (("b@1",), ("a@1",), ("a@1", "b@1"))]
    every = [*tied, *(on_test(way, 0.6) for way in tied)]
    assert cells_of(every) == cells_of(every[::-1])
    assert one(*every).cell(TL_ML).features == ("a@1",)


def test_the_mean_needs_no_search() -> None:
    only_tested = measured(BASE, 1.5, stage=TEST, features=(), model="")
    assert one(only_tested).base_mae == 1.5
    validated = measured(BASE, 1.4, round=0, features=(), model="")
    target = one(validated, on_test(validated, 1.5), measured(SC_ML_EF, 0.4))
    assert target.base_mae == 1.5
    assert target.best == target.cell(SC_ML_EF)


def test_wins_losses_and_ties_are_counted_on_test_errors() -> None:
    report = race(a=(0.5, 0.4), b=(0.5, 0.4), c=(0.5, 0.6), d=(0.5, 0.5))
    comparison = report.comparison()
    assert (comparison.wins, comparison.losses, comparison.ties, comparison.left_out) == (2, 1, 1, 0)
    assert comparison.p == 0.5  # ties are left out: P(X >= 2) of three tosses
    assert comparison.mean_ratio == pytest.approx((0.8 + 0.8 + 1.2 + 1.0) / 4)
    assert comparison.geometric_mean_ratio == pytest.approx((0.8 * 0.8 * 1.2) ** 0.25)
    unseen = report.comparison(rows=OUTSIDE_ROWS)
    assert (unseen.wins, unseen.losses, unseen.ties) == (1, 2, 1)


def test_targets_without_unseen_compositions_are_left_out_of_that_count() -> None:
    way, other = measured(SC_ML_EF, 0.5), measured(TL_ML, 0.4)
    report = summarise([way, other, on_test(way, 0.5), on_test(other, 0.4, outside_mae=0.4)], {"gap": facts()})
    assert report.comparison().wins == 1
    unseen = report.comparison(rows=OUTSIDE_ROWS)
    assert (unseen.wins, unseen.left_out, unseen.p, unseen.mean_ratio) == (0, 1, 1.0, None)


def test_what_the_study_lacks_is_counted_apart() -> None:
    ways = {SC_ML_EF: 0.6, SC_ML_PA: 0.5, SC_ENSEMBLE: 0.3, TL_ML: 0.55, TL_CONCAT: 0.4}
    found = [measured(name, mae) for name, mae in ways.items()]
    report = summarise([*found, *(on_test(way, way.mae) for way in found)], {"gap": facts()})
    chosen = {among: report.targets[0].best_of(among) for among in (PAPER_SC, FRACTIONS_SC, ALL_SC, PAPER_TL, ALL_TL)}
    assert {among: cell.configuration for among, cell in chosen.items() if cell} == {
        PAPER_SC: SC_ML_PA, FRACTIONS_SC: SC_ML_EF, ALL_SC: SC_ENSEMBLE, PAPER_TL: TL_ML, ALL_TL: TL_CONCAT,
    }  # fmt: skip
    assert [(c.scratch, c.transfer, c.wins) for c in report.comparisons if c.rows != OUTSIDE_ROWS] == [
        (PAPER_SC, PAPER_TL, 0), (FRACTIONS_SC, PAPER_TL, 1), (PAPER_SC, ALL_TL, 1), (ALL_SC, ALL_TL, 0),
    ]  # fmt: skip
    assert report.goes_beyond


def test_copies_of_targets_are_counted_both_ways() -> None:
    found = [way for name in ("n", "p", "q") for mae, c in ((0.5, SC_ML_EF), (0.4, TL_ML))
             for way in (measured(c, mae, target=name), on_test(measured(c, mae, target=name), mae))]  # fmt: skip
    about = {"n": facts(), "p": facts(copy_of="n"), "q": facts(copy_of="elsewhere")}
    report = summarise(found, about)
    assert report.comparison().wins == 3
    assert report.distinct_comparisons[0].wins == 2
    assert [target.target for target in report.copies] == ["p"]
    assert not summarise(found, {"n": facts(), "q": facts()}).distinct_comparisons


def test_sources_and_layers_of_winners_are_counted() -> None:
    members = [{"model": "fine-tune:gap-net"}, {"model": "svr"}]
    ways = [
        measured(TL_ML, 0.4, target="a", features=("energy-net@10",)),
        measured(FINE_TUNE, 0.4, target="b", features=("fractions",), model="fine-tune:energy-net"),
        measured(TL_CONCAT, 0.4, target="c", features=("energy-net@2", "gap-net@2", "magpie@attributes")),
        measured(TL_ML, 0.5, target="c", features=("gap-net@10",)),
        measured(TL_ENSEMBLE, 0.4, target="d", features=("fractions", "magpie"), model="ensemble",
                 parameters={"members": members}),
    ]  # fmt: skip
    report = summarise(ways, {name: facts() for name in "abcd"})
    assert report.paper_winners.sources == {"energy-net": 2, "gap-net": 1}
    assert report.paper_winners.layers == {"10": 2}
    assert report.winners.sources == {"energy-net": 3, "gap-net": 2}
    assert report.winners.layers == {"2": 1, "10": 1}
    assert report.winners.models == {"svr": 2, "ensemble": 1, "fine-tune": 1}
    assert report.winners.configurations == {TL_ML: 1, TL_CONCAT: 1, FINE_TUNE: 1, TL_ENSEMBLE: 1}


def test_a_report_survives_the_table_and_is_json() -> None:
    found, about = study()
    report = summarise(found, about)
    assert summarise(SCHEMA.from_table(SCHEMA.to_table(found)), about) == report
    document = json.loads(json.dumps(report.document(), allow_nan=False))
    assert [target["target"] for target in document["targets"]] == list(SIZES)
    last = document["targets"][-1]
    assert last["best TL"].startswith("TL:")
    assert last["base"]["mae"] == report.targets[-1].base_mae
    assert document["comparisons"][0]["wins"] + document["comparisons"][0]["losses"] == 41


def test_the_text_has_a_line_a_target_and_names_what_was_not_run() -> None:
    found, about = study()
    lines = report_lines(summarise(found, about))
    starts = [line.split()[0] for line in lines if line]
    assert all(name in starts for name in SIZES)
    row = next(line for line in lines if line.startswith("exfoliation_energy"))
    assert " eV " in row
    assert " 557 " in row
    assert any(line.startswith("not run: ") and "SC:DL(PA) on 15 targets" in line for line in lines)
    assert "pem300k has the values of nem300k" in lines


def test_the_text_of_nothing_measured_is_text() -> None:
    report = summarise([measured(SC_ML_EF, None, error="no memory")], {"gap": facts(unit="")})
    text = "\n".join(report_lines(report))
    assert f"first failure: {SC_ML_EF} on gap: no memory" in text
    assert "failed: SC:ML(EF) on gap" in text
    assert "None" not in text
