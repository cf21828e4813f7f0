"""``heads calibrate``: intervals on materials of another origin, before and after 30, 100 and 300 labels of them.

Heads are trained on one source. Of another source, compositions that the head was not trained on are drawn for
calibration, with three seeds; coverage, width and errors are those of the other rows, up to 1,500 of each source.
"""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import matlake
from benchmarks.helpers.common import DATA, OQMD, STRUCTURES, results_of, write_results
from matlake.regress.features.matrix import read_matrix
from matlake.regress.heads.past import find_past
from matlake.regress.heads.recalibrate_head import labels_of
from matlake.regress.heads.storage import load_head
from matlake.regress.uncertainty.recalibrate import NewLabels, adjust, held_before

SEEDS: Final = (0, 1, 2)
LABELS: Final = (30, 100, 300)
ROWS: Final = 1500
"""Rows of a source at most."""

MODEL: Final = "kernel-ridge"
ENERGY, GAP = "formation_energy_eV_per_atom", "band_gap_eV"


@dataclass(frozen=True)
class Shift:
    """A head of one source, used on another.

    Attributes:
        name: What they are.
        target: Column.
        features: Descriptors.
        trained: Table of the first source.
        other: Table of the second.
    """

    name: str
    target: str
    features: tuple[str, ...]
    trained: pa.Table
    other: pa.Table


def main() -> None:
    """Measure, print a table and write the results."""
    found: list[dict[str, Any]] = []
    print("shift | labels | coverage before, after | mean width before, after | MAE before, after | error / expected")
    for shift in shifts():
        with tempfile.TemporaryDirectory() as folder:
            found += measure(shift, Path(folder))
    write_results(results_of(Path(__file__)), {"model": MODEL, "seeds": SEEDS, "shifts": found})


def shifts() -> list[Shift]:
    """Return what is measured."""
    measured = _jarvis("expt_deltae", ENERGY)
    oqmd = pq.read_table(OQMD, columns=["formula", ENERGY])
    oqmd = _some(oqmd.filter(pc.less_equal(pc.abs(oqmd[ENERGY]), 5.0)))
    gaps = pq.read_table(DATA / "matbench_expt_gap.parquet")
    gaps = gaps.rename_columns(["formula", GAP]) if GAP not in gaps.column_names else gaps.select(["formula", GAP])
    crystals = pq.read_table(STRUCTURES, columns=["cif", ENERGY, "year"])
    early, late = pc.less_equal(crystals["year"], 2005), pc.greater(crystals["year"], 2005)
    return [
        Shift("OQMD to measured energies", ENERGY, ("magpie",), oqmd, measured),
        Shift("measured energies to OQMD", ENERGY, ("magpie",), measured, oqmd),
        Shift("measured gaps to others", GAP, ("magpie",), _some(gaps), _jarvis("expt_bandgap", GAP)),
        Shift(
            "crystals known by 2005 to later ones", ENERGY, ("geometry", "magpie"),
            _some(crystals.filter(early).drop_columns("year")), _some(crystals.filter(late).drop_columns("year")),
        ),
    ]  # fmt: skip


def measure(shift: Shift, folder: Path) -> list[dict[str, Any]]:
    """Train a head on one source and recalibrate it on labels of the other."""
    lake = matlake.open_lake(folder / "lake", create=True)
    for name, table in (("trained", shift.trained), ("other", shift.other)):
        pq.write_table(table, folder / f"{name}.parquet")
        matlake.import_table(lake, folder / f"{name}.parquet", name)
    request = matlake.TrainRequest(shift.target, [*shift.features], MODEL, dataset="trained", name="head")
    matlake.train(lake, request)
    head = load_head(lake, "head")
    matrix = read_matrix(lake, shift.target, head.card.features, dataset="other")
    new = np.flatnonzero(~np.isin(matrix.groups, sorted(find_past(lake, head.card).compositions)))
    labels, space = labels_of(head, matrix, new), head.card.space
    interval, errors = head.card.interval, head.card.errors
    if interval is None or errors is None:
        raise RuntimeError("the head has no intervals")
    found = []
    for count in LABELS:
        runs = []
        for seed in SEEDS:
            compositions = np.random.default_rng([seed, count]).permutation(np.unique(labels.groups))
            chosen = np.isin(labels.groups, compositions[:count])
            rest = labels.take(np.flatnonzero(~chosen))
            done = adjust(labels.take(np.flatnonzero(chosen)), interval, errors, space, seed)
            shifted = NewLabels(
                rest.predicted + done.shift, rest.errors - done.shift, rest.expected * done.error_factor, rest.groups
            )
            before = held_before(rest, interval, errors, space)
            after = held_before(shifted, done.interval, done.errors, space)
            runs.append({"before": asdict(before), "after": asdict(after), "shift": done.shift})
        row = {"shift": shift.name, "rows": len(new), "labels": count, "runs": runs}
        found.append(row)
        print(_line(row), flush=True)
    return found


def _line(row: dict[str, Any]) -> str:
    def mean(when: str, key: str) -> float:
        return float(np.mean([run[when][key] for run in row["runs"]]))

    pairs = [
        f"{mean('before', key):{form}}, {mean('after', key):{form}}"
        for key, form in (("coverage", ".1%"), ("mean_width", ".2f"), ("mae", ".3f"), ("error_ratio", ".2f"))
    ]
    return " | ".join([row["shift"], str(row["labels"]), *pairs])


def _jarvis(name: str, column: str) -> pa.Table:
    table = pq.read_table(DATA / "jarvis_targets.parquet")
    table = table.filter(pc.equal(table["property"], name))
    return _some(pa.table({"formula": table["formula"], column: table["value"]}))


def _some(table: pa.Table) -> pa.Table:
    rows = np.random.default_rng(0).permutation(len(table))[:ROWS]
    return table.take(pa.array(np.sort(rows)))


if __name__ == "__main__":
    main()
