"""An extrapolation: the same rows for every way, resumable, within a budget, without leakage."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from extrapolation_samples import FIRST, POOLED, QuickNetwork
from samples import CRYSTAL_ENCODER

import matlake
from matlake.encoders.training_contents import TrainingContents
from matlake.errors import EncoderError, LeakageError, TrainingError
from matlake.regress.splits.split import HeldOut, Split
from matlake.studies import results, runner
from matlake.studies.extrapolation import measuring, tasks
from matlake.studies.extrapolation.evaluate import ExtrapolationResult
from matlake.studies.extrapolation.methods import HEAD, MEAN, NEAREST, SCRATCH
from matlake.studies.measurement import Measurement, State

Evaluate = Callable[..., ExtrapolationResult]
ENERGY = "formation_energy_eV_per_atom"


def _numbers(result: ExtrapolationResult) -> dict[str, Measurement]:
    return {cell.measurement.key: replace(cell.measurement, seconds=0.0) for cell in result.cells if cell.measurement}


def test_every_way_predicts_the_same_rows_and_the_report_tells_their_errors(evaluated: Evaluate) -> None:
    result = evaluated([QuickNetwork()])
    report = result.report
    assert report.letters == {"A": (FIRST,), "B": (FIRST, POOLED)}
    assert (report.rows, report.left_out, report.unit) == (150, 0, "GPa")
    names = ["mean", "nearest on A", "ridge on A", "nearest on B", "ridge on B", "scratch:cgcnn"]
    y = result.rows.matrix.y
    for split in report.splits:
        assert [one.method for one in split.methods] == names
        assert {way.state for way in split.methods} == {State.MEASURED}
        for way in split.methods:
            cells = [cell for cell in result.cells if (cell.task.split, cell.method.name) == (split.split, way.method)]
            errors = [
                np.abs(np.array(cell.measurement.predictions) - y[cell.task.held.test])
                for cell in cells
                if cell.measurement
            ]
            assert way.seeds == (0, 1)
            assert way.mae == pytest.approx(np.mean([one.mean() for one in errors]))
            assert way.rmse == pytest.approx(np.mean([np.sqrt((one**2).mean()) for one in errors]))
            assert way.rmse_interval is not None
            assert way.rmse_interval[0] < way.rmse < way.rmse_interval[1]
        heads = [way for way in split.methods if way.kind == HEAD]
        assert split.decoupled == min(heads, key=lambda way: way.validation_mae or 0.0).method
        assert split.best_on_test == min(heads, key=lambda way: way.rmse or 0.0).method
        (ratio,) = split.ratios
        head, network = split.method(split.decoupled or ""), split.method("scratch:cgcnn")
        assert ratio.rmse == pytest.approx((network.rmse or 0.0) / (head.rmse or 1.0))
        assert ratio.rmse_interval[0] < ratio.rmse < ratio.rmse_interval[1]
    high, drawn = report.splits
    task = result.cells[0].task
    held = np.abs(y[task.held.train].mean() - y[task.held.test]).mean()
    assert high.method("mean").mae == pytest.approx(held, rel=1e-6)
    assert len(high.descriptions) == 1
    assert len(drawn.descriptions) == 2
    assert {way.kind for way in high.methods} == {MEAN, NEAREST, HEAD, SCRATCH}
    assert len(high.failures) == 5
    assert {failure.everything.rows for failure in high.failures} == {2 * high.n_test}


def test_a_run_that_was_stopped_goes_on_and_equals_one_that_was_not(
    evaluated: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluated([QuickNetwork()], name="whole")
    monkeypatch.setattr(results, "_WRITE_SECONDS", 0.0)
    added: list[str] = []
    add = results.Results.add

    def killed(self: Any, measurement: Measurement, *, at_once: bool = False) -> None:
        if len(added) >= 7:
            raise KeyboardInterrupt
        added.append(measurement.key)
        add(self, measurement, at_once=at_once)

    with monkeypatch.context() as stopping:
        stopping.setattr(results.Results, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            evaluated([QuickNetwork()], name="stopped")
    resumed = evaluated([QuickNetwork()], name="stopped")
    assert resumed.made == whole.made - len(added)
    assert _numbers(resumed) == _numbers(whole)
    strip = {"measured": 0, "splits": [], "pooled": []}
    assert resumed.document() | strip == whole.document() | strip
    again = evaluated([QuickNetwork()], name="stopped")
    assert again.made == 0
    assert again.lines() == resumed.lines() == whole.lines()


def test_a_budget_ends_a_training_between_epochs_and_the_next_run_goes_on(
    evaluated: Evaluate, elastic: matlake.Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    about: dict[str, Any] = {"splits": ("value:high",), "seeds": 1}
    evaluated(**about)
    network = QuickNetwork()
    late = iter([False, False, True])
    with monkeypatch.context() as clock:
        clock.setattr(runner.Runner, "is_late", property(lambda _: next(late, True)))
        result = evaluated([network], **about)
    assert result.out_of_time
    assert network.epochs == [0, 1]
    assert result.report.splits[0].method("scratch:cgcnn").state == State.NOT_RUN
    assert "time is up" in result.lines()[-1]
    assert list((elastic.path / "unfinished").iterdir())
    result = evaluated([network], **about)
    assert network.epochs == [0, 1, 2]
    assert result.made == 1
    assert not list((elastic.unfinished).iterdir())


def test_without_time_nothing_is_measured_and_all_is_marked(evaluated: Evaluate) -> None:
    started = time.monotonic()
    result = evaluated(seconds=1e-9)
    assert {way.state for split in result.report.splits for way in split.methods} == {State.NOT_RUN}
    assert (result.made, result.out_of_time) == (0, True)
    assert time.monotonic() - started < 20


def test_what_a_measurement_depends_on_makes_another_one(evaluated: Evaluate) -> None:
    first = evaluated(splits=("value:high",), seeds=1)
    assert evaluated(splits=("value:high",), seeds=1).made == 0
    assert evaluated(splits=("value:high",), seeds=1, models=("ridge", "svr")).made == 2
    assert evaluated(splits=("value:high",), seeds=1, parameters="default").made == 2
    assert evaluated(splits=("value:high", "value:low"), seeds=1).made == first.made
    assert evaluated(splits=("value:high",), seeds=1, where="nelements < 4").made == first.made
    assert evaluated(splits=("value:high",), seeds=2).made == first.made


def test_a_tested_content_among_the_trained_ones_stops_the_evaluation(
    evaluated: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_out = Split.hold_out

    def leaking(self: Split, matrix: Any, seed: int) -> HeldOut:
        held = hold_out(self, matrix, seed)
        return replace(held, train=np.union1d(held.train, held.test[:1]))

    monkeypatch.setattr(Split, "hold_out", leaking)
    with pytest.raises(LeakageError, match=r"1 of .* tested rows have a composition that is trained on"):
        evaluated()


def test_an_encoder_that_knows_the_tested_values_is_refused_until_its_table_clears_it(
    evaluated: Evaluate, elastic: matlake.Lake
) -> None:
    about: dict[str, Any] = {"target": ENERGY, "splits": ("value:high",), "seeds": 1}
    tuned = QuickNetwork(f"fine-tune:{CRYSTAL_ENCODER}", encoder=CRYSTAL_ENCODER)
    networks = [QuickNetwork(), tuned]
    report = evaluated(networks, **about).report
    states = {way.method: way.state for way in report.splits[0].methods}
    clean = {"mean", "scratch:cgcnn"}
    assert {name for name, state in states.items() if state == State.MEASURED} == clean
    assert {state for name, state in states.items() if name not in clean} == {State.REFUSED}
    assert "may have been trained on formation_energy_eV_per_atom of" in report.splits[0].method("ridge on A").reason
    assert report.splits[0].decoupled is None

    sha256 = elastic.find_encoder(CRYSTAL_ENCODER).card.sha256
    result = evaluated(networks, {sha256: TrainingContents(frozenset())}, **about)
    assert {way.state for way in result.report.splits[0].methods} == {State.MEASURED}
    seen = result.rows.matrix.groups[result.cells[0].task.held.test[:1]].tolist()
    refused = evaluated(networks, {sha256: TrainingContents(frozenset(seen))}, **about).report.splits[0]
    assert refused.method("ridge on A").state == refused.method(tuned.name).state == State.REFUSED
    assert "was trained on" in refused.method("ridge on A").reason
    told = evaluated(networks, {sha256: TrainingContents(frozenset(seen))}, policy="report", **about).report.splits[0]
    assert told.method("ridge on A").state == State.MEASURED
    assert told.method("ridge on A").outside_rows == told.n_test - 1


def test_errors_on_rows_that_no_encoder_has_seen_are_told_apart(evaluated: Evaluate, elastic: matlake.Lake) -> None:
    sha256 = elastic.find_encoder(CRYSTAL_ENCODER).card.sha256
    first = evaluated(splits=("value:high",), seeds=1)
    cell = next(cell for cell in first.cells if cell.method.name == "ridge on A")
    test = cell.task.held.test
    groups = first.rows.matrix.groups
    seen = TrainingContents(frozenset(groups[test[: len(test) // 2]].tolist()))
    way = evaluated((), {sha256: seen}, splits=("value:high",), seeds=1).report.splits[0].method("ridge on A")
    fresh = ~np.isin(groups[test], list(seen.compositions))
    errors = cell.errors(first.rows.matrix.y)
    assert errors is not None
    assert way.outside_rows == fresh.sum()
    assert way.outside_mae == pytest.approx(errors[fresh].mean())
    assert way.exposures[0].compositions == len(test) - fresh.sum()


def test_networks_may_be_trained_with_fewer_seeds_and_what_others_gave_is_shown(evaluated: Evaluate) -> None:
    about: dict[str, Any] = {"splits": ("value:high",), "models": ("ridge",)}
    long = QuickNetwork("scratch:schnet")
    few = evaluated([QuickNetwork(), long], network_seeds=1, **about).report.splits[0]
    assert few.method("scratch:cgcnn").seeds == few.method("scratch:schnet").seeds == (0,)
    assert few.method("scratch:cgcnn").state == State.PARTLY
    evaluated([QuickNetwork()], **about)
    both = evaluated([QuickNetwork(), long], network_seeds=1, **about)
    assert both.made == 0
    split = both.report.splits[0]
    assert (split.method("scratch:cgcnn").seeds, split.method("scratch:schnet").seeds) == ((0, 1), (0,))
    assert "scratch:schnet (1 of 2 seeds)" in "\n".join(both.lines())


def test_models_for_few_rows_get_as_many_compositions_as_they_are_meant_for(
    evaluated: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = measuring.named_model
    monkeypatch.setattr(measuring, "named_model", lambda name: replace(named(name), max_rows=60))
    report = evaluated(splits=("value:high",), seeds=1).report
    assert (report.splits[0].method("ridge on A").fit_rows or 0) <= 60
    assert report.splits[0].n_train > 60


def test_a_split_that_the_rows_do_not_allow_is_left_out_with_its_reason(evaluated: Evaluate) -> None:
    report = evaluated(splits=("element:Xe", "value:high"), seeds=1).report
    assert list(report.skipped) == ["element:Xe"]
    assert [split.split for split in report.splits] == ["value:high"]
    with pytest.raises(TrainingError, match="contain Xe"):
        evaluated(splits=("element:Xe",), seeds=1)


def test_what_is_wrong_is_said_before_anything_is_measured(evaluated: Evaluate) -> None:
    for about, message in (
        ({"splits": ("moon",)}, "unknown split 'moon'"),
        ({"models": ("oracle",)}, "unknown model 'oracle'"),
        ({"target": "hardness"}, "no column 'hardness'"),
        ({"splits": ("time:year",)}, "no column 'year'"),
        ({"features": ((f"{CRYSTAL_ENCODER}@2",),)}, "nothing is embedded with"),
        ({"features": ()}, "needs splits and features"),
        ({"policy": "lax"}, "unknown leakage policy"),
        ({"parameters": "guessed"}, "not 'guessed'"),
        ({"seeds": 0}, "at least one seed"),
    ):
        with pytest.raises(TrainingError, match=message):
            evaluated(**about)
    with pytest.raises(EncoderError, match="no encoder named 'nowhere'"):
        evaluated(features=(("nowhere",),))


def test_networks_need_crystals(evaluated: Evaluate, monkeypatch: pytest.MonkeyPatch) -> None:
    read = tasks.read_matrix
    monkeypatch.setattr(tasks, "read_matrix", lambda *a, **k: replace(read(*a, **k), crystals=None))
    with pytest.raises(TrainingError, match="150 of 150 rows have no crystal structure"):
        evaluated([QuickNetwork()], features=(("magpie",),))


POTENTIAL = "chgnet-mptrj"


def test_published_weights_are_refused_where_they_learned_the_label(evaluated: Evaluate, elastic: matlake.Lake) -> None:
    matlake.embed(elastic, [POTENTIAL])
    about: dict[str, Any] = {"features": ((POTENTIAL,), ("magpie",)), "splits": ("time:reported",), "seeds": 1}
    (split,) = evaluated(target=ENERGY, name="energies", **about).report.splits
    refused, tabulated = split.method("ridge on A"), split.method("ridge on B")
    assert (refused.state, tabulated.state) == (State.REFUSED, State.MEASURED)
    assert f"{POTENTIAL} may have been trained on energy" in refused.reason
    assert f"{split.n_test} of the {split.n_test} tested compositions" in refused.reason
    assert "Materials Project up to 2022-09" in refused.reason
    (split,) = evaluated(name="moduli", **about).report.splits
    assert split.method("ridge on A").state == State.MEASURED
    (description,) = split.descriptions
    assert description.count(POTENTIAL) == 1
    assert f"{POTENTIAL} was trained on Materials Project up to 2022-09" in description
    assert description.endswith("may have been trained on 23 of them"), "the others were reported after 2022"
    result = evaluated(name="contents", policy="contents", **about)
    assert result.report.splits[0].method("ridge on A").state == State.REFUSED
    assert any("training data: Materials Project up to 2022-09" in line for line in result.lines())


def test_heads_and_networks_learn_the_same_transform_and_err_in_the_targets_unit(evaluated: Evaluate) -> None:
    network = QuickNetwork()
    about: dict[str, Any] = {"splits": ("value:high",), "seeds": 1, "features": ((FIRST,),)}
    result = evaluated([network], transform="log", **about)
    y = result.rows.matrix.y
    assert network.learned is not None
    np.testing.assert_allclose(network.learned, np.log(y))
    found = {cell.method.name: cell.measurement for cell in result.cells if cell.measurement}
    held = result.cells[0].task.held
    for name in ("ridge on A", "scratch:cgcnn"):
        predicted = np.array(found[name].predictions)
        assert (predicted > 0).all()
        assert found[name].mae == pytest.approx(np.abs(predicted - y[held.test]).mean(), rel=1e-5)
    plain = {one.key for one in _numbers(evaluated([QuickNetwork()], **about)).values()}
    assert {name for name, one in found.items() if one.key in plain} == {"mean", "nearest on A"}


def test_a_transform_that_values_or_the_catalogue_lack_is_refused(evaluated: Evaluate) -> None:
    with pytest.raises(TrainingError, match=r"shifted_modulus_GPa has no log in \d+ of 150 rows") as caught:
        evaluated(target="shifted_modulus_GPa", transform="log")
    assert "> 0" in caught.value.hint
    with pytest.raises(TrainingError, match="unknown transform 'cube'"):
        evaluated(transform="cube")


def test_the_mean_of_two_regressors_is_a_method(evaluated: Evaluate) -> None:
    result = evaluated(models=("ridge", "svr-linear", "ridge+svr-linear"), splits=("value:high",), seeds=1)
    found = {cell.method.name: cell.measurement for cell in result.cells if cell.measurement}
    ridge, svr, both = (
        np.array(found[f"{name} on A"].predictions) for name in ("ridge", "svr-linear", "ridge+svr-linear")
    )
    np.testing.assert_allclose(both, (ridge + svr) / 2, rtol=1e-4)
    assert found["ridge+svr-linear on A"].validation_mae is not None
    with pytest.raises(TrainingError, match="unknown model 'oracle'"):
        evaluated(models=("ridge+oracle",))
