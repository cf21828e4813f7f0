"""The runner of studies: measurements are looked up, made while there is time, and kept with their failures."""

from dataclasses import replace

import pytest

import matlake
from matlake.errors import TrainingError
from matlake.studies.measurement import Measurement
from matlake.studies.runner import Runner, key_of, open_runner
from matlake.studies.transfer.stages import SCHEMA

BLANK = Measurement(key_of(["a"]), "band_gap_eV", "SC:ML(EF)")


def fitted(blank: Measurement) -> Measurement:
    return replace(blank, mae=0.5)


def never(_: Measurement) -> Measurement:
    raise AssertionError("it was measured already")


def test_a_measurement_is_made_once_and_found_by_the_next_run(lake: matlake.Lake) -> None:
    heard: list[Measurement] = []
    with open_runner(lake, SCHEMA, "once", None, heard.append) as runner:
        first = runner.measure(BLANK, fitted)
        assert runner.measure(BLANK, never) == first
        assert runner.made == 1
    with open_runner(lake, SCHEMA, "once", None, heard.append) as again:
        assert again.measure(BLANK, never) == first
        assert again.made == 0
    assert heard == [first] * 3


def test_a_failure_is_kept_with_its_reason_and_is_not_made_again(lake: matlake.Lake) -> None:
    def fail(_: Measurement) -> Measurement:
        raise TrainingError("too few rows")

    with open_runner(lake, SCHEMA, "failed", None, lambda _: None) as runner:
        found = runner.measure(BLANK, fail)
        assert found is not None
        assert (found.error, found.is_measured) == ("TrainingError: too few rows", False)
        assert runner.measure(BLANK, never) == found


def test_what_is_not_a_failure_ends_the_run_and_what_was_made_is_written(lake: matlake.Lake) -> None:
    def stop(_: Measurement) -> Measurement:
        raise KeyboardInterrupt

    def run() -> None:
        with open_runner(lake, SCHEMA, "stopped", None, lambda _: None) as runner:
            runner.measure(BLANK, fitted)
            runner.measure(replace(BLANK, key="b"), stop)

    with pytest.raises(KeyboardInterrupt):
        run()
    with open_runner(lake, SCHEMA, "stopped", None, lambda _: None) as again:
        assert again.measure(BLANK, never) is not None


def test_when_time_is_up_measurements_are_only_looked_up(lake: matlake.Lake) -> None:
    with open_runner(lake, SCHEMA, "late", None, lambda _: None) as runner:
        runner.measure(BLANK, fitted)
    with open_runner(lake, SCHEMA, "late", 1e-9, lambda _: None) as late:
        assert late.measure(BLANK, never) is not None
        assert not late.out_of_time
        assert late.measure(replace(BLANK, key="b"), never) is None
        assert late.out_of_time
        assert late.measure(replace(BLANK, key="c"), fitted, takes_time=False) is not None


def test_a_training_that_is_stopped_midway_is_not_a_failure(lake: matlake.Lake) -> None:
    def train(blank: Measurement) -> Measurement:
        runner.deadline = 0.0
        runner.check()
        return blank

    with open_runner(lake, SCHEMA, "midway", None, lambda _: None) as runner:
        assert isinstance(runner, Runner)
        assert runner.measure(BLANK, train) is None
        assert runner.out_of_time
        assert runner.results.find(BLANK.key) is None
