"""Is the out-of-distribution score worth something, and do intervals hold what they promise?

    python -m benchmarks.studies.trust [--model svr]

For each of ten real properties the whole chain runs (import, embed, train) with three splits: random, a cluster of the
embedding space left out, an element left out. Of the test rows of each, and of all together, are reported: the rank
correlation of the absolute error with the score and with the width of the interval, and the share of measured values in
the 90 % interval. The plot shows the median error against the score, test rows of the three splits together.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

import matlake
from benchmarks.helpers.common import DATA, ENCODER, needs_oqmd, report, results_of, save_picture
from matlake.materials.units import quantity_of, unit_of
from matlake.metrics import rank_correlation
from matlake.plots.style import BLUE, GREY, STYLE
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.storage import load_head
from matlake.regress.heads.train import train
from matlake.regress.heads.train_result import TrainResult

COMPOSITIONS: Final = f"{ENCODER}@2"
CRYSTALS: Final = "cgcnn-mp-formation-energy"
SPLITS: Final = ("random", "cluster", "element")
BINS: Final = 8


@dataclass(frozen=True)
class Task:
    """A property, and where its values are.

    Attributes:
        target: Column of the property.
        file: File of the development data.
        features: What it is learned from.
        rows: Value of the column ``property`` that selects its rows; None for all.
    """

    target: str
    file: str
    features: str
    rows: str | None = None


TASKS: Final = (
    Task("band_gap_eV", "matbench_expt_gap", COMPOSITIONS),
    Task("bulk_modulus_VRH_GPa", "mp_elastic_tensor", CRYSTALS),
    Task("shear_modulus_VRH_GPa", "mp_elastic_tensor", CRYSTALS),
    Task("refractive_index", "mp_dielectric_constant", CRYSTALS),
    Task("piezoelectric_eij_max_C_per_m2", "mp_piezoelectric_tensor", CRYSTALS),
    Task("last_phdos_peak_per_cm", "matbench_phonons", CRYSTALS),
    Task("exfoliation_energy_meV_per_atom", "jarvis_targets", COMPOSITIONS, "exfoliation_energy"),
    Task("formation_energy_eV_per_atom", "jarvis_targets", COMPOSITIONS, "expt_deltae"),
    Task("energy_above_hull_eV_per_atom", "mp_structures", CRYSTALS),
    Task("slme", "jarvis_targets", COMPOSITIONS, "slme"),
)
MOST_ROWS: Final = 4000


def main() -> None:
    """Train on every property with every split, report and draw."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="svr")
    model = parser.parse_args().model
    needs_oqmd()
    found: dict[str, dict[str, Any]] = {}
    drawn: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    widths: dict[str, NDArray[np.float64]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for task in TASKS:
            lake = prepared(task, Path(folder) / task.target)
            results = {
                split: train(lake, TrainRequest(task.target, [task.features], model, split=split, name=split))
                for split in SPLITS
            }
            found[task.target] = {split: summary(lake, result) for split, result in results.items()}
            drawn[task.target] = (
                np.concatenate([result.test.scores for result in results.values()]),
                np.concatenate([result.test.errors for result in results.values()]),
            )
            widths[task.target] = np.concatenate([result.test.widths / 2.0 for result in results.values()])
    for target, (scores, errors) in drawn.items():
        found[target]["all"] = {
            "rank_correlation": rank_correlation(scores, errors),
            "width_rank_correlation": rank_correlation(widths[target], errors),
        }
    draw(drawn)
    report(
        Path(__file__),
        {"model": model, "properties": found},
        [
            "property",
            *(f"score and error, {split}" for split in (*SPLITS, "all")),
            "width and error, all",
            *(f"coverage of 90 %, {split} (of one width)" for split in SPLITS),
        ],
        [
            [
                f"{quantity_of(target)}{f', {unit_of(target)}' if unit_of(target) else ''}",
                *(number(one[split]["rank_correlation"]) for split in (*SPLITS, "all")),
                number(one["all"]["width_rank_correlation"]),
                *(f"{one[split]['coverage']:.0%} ({one[split]['constant_coverage']:.0%})" for split in SPLITS),
            ]
            for target, one in found.items()
        ],
    )


def prepared(task: Task, folder: Path) -> matlake.Lake:
    """Import and embed the rows of a property."""
    table = pq.read_table(DATA / f"{task.file}.parquet")
    if task.rows is not None:
        table = table.filter(pc.equal(table["property"], task.rows)).rename_columns({"value": task.target})
    kept = np.sort(np.random.default_rng(0).permutation(len(table))[:MOST_ROWS])
    folder.mkdir()
    pq.write_table(table.take(kept), folder / "rows.parquet")
    lake = matlake.open_lake(folder / "lake", create=True)
    matlake.import_table(lake, folder / "rows.parquet", "rows")
    matlake.embed(lake, [task.features], workers=2)
    return lake


def summary(lake: matlake.Lake, result: TrainResult) -> dict[str, Any]:
    """Return what a training run says of score and intervals, and what intervals of one width would hold."""
    test, beyond = result.test, result.test.scores > 1.0
    reference, interval = load_head(lake.path, result.card.name).reference, result.card.interval
    assert reference is not None  # noqa: S101 - a head that was just trained has both
    assert interval is not None  # noqa: S101 - likewise
    constant = float(np.nanquantile(reference.residual, interval.level))
    ratio = test.errors[beyond].mean() / test.errors[~beyond].mean() if 0 < beyond.sum() < len(beyond) else None
    return {
        "split": result.card.training.split_description,
        "n_test": len(test.y),
        "mae": result.metrics.mae,
        "mean_mae": result.baseline.mae,
        "unit": result.card.unit,
        "rank_correlation": rank_correlation(test.scores, test.errors),
        "beyond": float(beyond.mean()),
        "error_ratio": None if ratio is None else float(ratio),
        "coverage": test.coverage,
        "mean_width": float(test.widths.mean()),
        "constant_coverage": float(np.mean(test.errors <= constant)),
        "constant_width": 2.0 * constant,
    }


def number(value: float | None) -> str:
    """Return a figure of the table."""
    return "-" if value is None else f"{value:.2f}"


def draw(drawn: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]) -> None:
    """Draw the median error against the score for each property, in one figure."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({**STYLE, "font.size": 7}):
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        panels = figure.subplots(2, -(-len(drawn) // 2)).ravel()
        for axes, (target, (scores, errors)) in zip(panels, drawn.items(), strict=False):
            bins = np.array_split(np.argsort(scores, kind="stable"), BINS)
            middle = [float(np.median(scores[part])) for part in bins]
            low, median, high = np.array([np.quantile(errors[part], (0.25, 0.5, 0.75)) for part in bins]).T
            axes.axvline(1.0, color=GREY, linewidth=0.8, linestyle="--")
            axes.fill_between(middle, low, high, color=BLUE, alpha=0.2, linewidth=0)
            axes.plot(middle, median, color=BLUE, marker="o", markersize=3)
            axes.set_ylim(bottom=0.0)
            unit = unit_of(target)
            axes.set_title(quantity_of(target), fontsize=7)
            axes.set_ylabel(f"absolute error ({unit})" if unit else "absolute error")
        for axes in panels[len(drawn) :]:
            axes.set_visible(False)
        figure.supxlabel("out-of-distribution score; 1 is the 95th percentile of training rows", fontsize=8)
        save_picture(figure, results_of(Path(__file__)).with_suffix(".svg"))


if __name__ == "__main__":
    main()
