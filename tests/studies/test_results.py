"""The table of an evaluation, with several writers."""

from concurrent.futures import ThreadPoolExecutor

import deltalake

import matlake
from matlake.studies.measurement import Measurement
from matlake.studies.results import Results
from matlake.studies.transfer.stages import SCHEMA, VALIDATION


def _measurement(number: int) -> Measurement:
    return Measurement(
        key=f"key {number}",
        target="band_gap_eV",
        method="SC:ML(EF)",
        features=("fractions",),
        model="ridge",
        parameters={"variant": 0},
        stage=VALIDATION,
        fit_rows=10,
        tested_rows=2,
        mae=0.5,
        q95=1.0,
        predictions=(1.0, 2.0),
    )


def test_writers_at_the_same_time_lose_nothing_and_keep_nothing_twice(lake: matlake.Lake) -> None:
    halves = [range(12), range(6, 18)]

    def write(numbers: range) -> None:
        found = Results(lake, SCHEMA, "both")
        for number in numbers:
            if found.find(f"key {number}") is None:
                found.add(_measurement(number), at_once=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, halves))
    kept = Results(lake, SCHEMA, "both")
    assert all(kept.find(f"key {number}") == _measurement(number) for number in range(18))
    table = deltalake.DeltaTable(lake.path / "evaluations")
    assert table.to_pyarrow_table().num_rows == len({*halves[0], *halves[1]})


def test_evaluations_of_other_names_are_apart(lake: matlake.Lake) -> None:
    Results(lake, SCHEMA, "one").add(_measurement(1), at_once=True)
    assert Results(lake, SCHEMA, "one").find("key 1") is not None
    assert Results(lake, SCHEMA, "other").find("key 1") is None
