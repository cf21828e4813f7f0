"""Beyond the training distribution: heads on frozen embeddings beside a network trained end to end.

The claim of the decoupled-transfer study (arXiv 2602.18054) on seven properties of crystals, with element groups,
symmetries, high values, sparse regions and later years held out. Crystals are imported into a lake and embedded; then
``matlake evaluate extrapolation`` works on them. Run it again to resume; with ``--report`` it
measures nothing and writes tables, plots and figures from what there is. ``--tasks`` splits the work over processes.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

import matlake
from benchmarks.helpers.common import DATA, fill_page, results_of, small_png, write_results
from benchmarks.helpers.extrapolation_plots import draw_ratios
from benchmarks.helpers.extrapolation_tables import (
    against_features,
    cost_table,
    feature_table,
    high_table,
    model_table,
    network_table,
    overview,
    rule_table,
    run_time,
)
from matlake.encoders.registry import find_encoder
from matlake.encoders.training_contents import TrainingContents
from matlake.export.pretraining.training_contents import read_training_contents
from matlake.export.pretraining.training_data import TrainingTable
from matlake.progress import Progress
from matlake.store.lake import Lake, open_lake
from matlake.studies.extrapolation.end_to_end import end_to_end_networks
from matlake.studies.extrapolation.evaluate import ExtrapolationResult, evaluate_extrapolation
from matlake.studies.extrapolation.methods import NETWORKS, ExtrapolationRequest
from matlake.studies.extrapolation.tables import markdown

PAGE: Final = Path(__file__).with_name("extrapolation.md")
FIGURES: Final = results_of(Path(__file__))
DETAILS: Final = FIGURES.with_suffix("")
PLOTS: Final = "extrapolation_"
PRETRAINED_ON: Final = "mp_structures.parquet"
ARCHITECTURE: Final = "cgcnn"
ENCODER: Final = "cgcnn-mp-formation-energy"
DESCRIPTORS: Final = ("geometry", "magpie")
FEATURES: Final = ((*DESCRIPTORS, "chgnet-mptrj@all"), DESCRIPTORS, (f"{ENCODER}@all",))
"""What docs/science/encoders.md recommends; the same without a network; what the network itself computes, frozen."""

EMBEDDED: Final = ("geometry", "chgnet-mptrj@all", f"{ENCODER}@all")
MODELS: Final = ("gaussian-process", "svr", "gaussian-process+svr")
DATASETS: Final = {
    "elastic": "mp_elastic_tensor.parquet",
    "dielectric": "mp_dielectric_constant.parquet",
    "piezoelectric": "mp_piezoelectric_tensor.parquet",
    "phonons": "matbench_phonons.parquet",
    "mp": PRETRAINED_ON,
}
NO_TIME: Final = 1e-9
COST: Final = (
    "The head's MAE over its error in cross-validation on the training rows; its RMSE over that of their mean."
)
AGAINST: Final = (
    "RMSE of the network over that of the head: geometric means over properties, the smallest and the largest. "
    "*Plainly* (and *worse*) counts cases in which the paired 95 % interval lies above (below) 1."
)
RELATIVE: Final = (
    "RMSE over that on the first set of features, each with the head of the smallest error in cross-validation; then "
    "RMSE over that of `svr` on the first set. Geometric means over properties, the smallest and the largest."
)
RULE: Final = (
    "Of the head of each case: medians over cases, the smallest and the largest; shares of the rows of all cases. A "
    "prediction fails if it errs by more than the standard deviation of the target in the training rows."
)
HIGH: Final = "On `value:high`, first set of features. Medians over properties, the smallest and the largest."


@dataclass(frozen=True)
class Task:
    """One property, and how it is held out.

    Attributes:
        dataset: Key of ``DATASETS``.
        target: Its column.
        splits: As typed.
        transform: What heads and networks learn, as the evaluation sets have it.
        where: Which rows; all of the dataset if None.
    """

    dataset: str
    target: str
    splits: tuple[str, ...]
    transform: str = "none"
    where: str | None = None


def _splits(group: str, symmetry: str) -> tuple[str, ...]:
    return (f"group:{group}", symmetry, "value:high", "sparse:map", "random")


def _log(dataset: str, target: str, splits: tuple[str, ...]) -> Task:
    return Task(dataset, target, splits, "log", f'"{target}" > 0')


TASKS: Final = {
    "bulk-modulus": _log("elastic", "bulk_modulus_VRH_GPa", _splits("chalcogens", "crystal-system:cubic")),
    "shear-modulus": _log("elastic", "shear_modulus_VRH_GPa", _splits("chalcogens", "crystal-system:cubic")),
    "refractive-index": _log("dielectric", "refractive_index", _splits("halogens", "crystal-system:cubic")),
    "band-gap": Task("dielectric", "band_gap_eV", _splits("halogens", "crystal-system:cubic")),
    "piezoelectric": _log("piezoelectric", "piezoelectric_eij_max_C_per_m2", _splits("halogens", "space-group:216")),
    "phonons": _log("phonons", "last_phdos_peak_per_cm", _splits("halogens", "crystal-system:cubic")),
    # compositions that CGCNN was not trained on: first reported after 2005
    "formation-energy": Task(
        "mp", "formation_energy_eV_per_atom", _splits("halogens", "crystal-system:cubic"), where="year > 2009"
    ),
    "formation-energy-time": Task("mp", "formation_energy_eV_per_atom", ("time:year>2005",)),
    "band-gap-time": Task("mp", "band_gap_eV", ("time:year>2005",)),
}


def main() -> None:
    """Evaluate, or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", type=Path, default=Path("extrapolation-lake"), help="made where it does not exist")
    parser.add_argument("--tasks", default=",".join(TASKS), help="comma-separated; default: all")
    parser.add_argument("--starts", default=",".join(NETWORKS), help="of networks, comma-separated; or none")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="most epochs of a network")
    parser.add_argument("--rows", type=int, help="only the first rows of each table, for a try in a lake of its own")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--budget", type=float, help="seconds")
    parser.add_argument("--report", action="store_true", help="measure nothing, write tables, plots and figures")
    options = parser.parse_args()
    tasks = {name: TASKS[name] for name in options.tasks.split(",")}
    lake = prepare(options.lake, {task.dataset for task in tasks.values()}, options.rows)
    table = TrainingTable.from_file(DATA / PRETRAINED_ON)
    seen = read_training_contents([table], [find_encoder(ENCODER).card])
    deadline = None if options.budget is None else time.monotonic() + options.budget
    results = {}
    for name, task in tasks.items():
        left = None if deadline is None else max(NO_TIME, deadline - time.monotonic())
        note(f"== {name}")
        results[name] = evaluate(lake, name, task, options, seen, NO_TIME if options.report else left)
        if not options.report:
            print("\n".join(results[name].lines()), flush=True)
    if options.report:
        report(results)


def prepare(folder: Path, names: Iterable[str], rows: int | None) -> Lake:
    """Open the lake, or make it; import the datasets and embed them, unless they are there."""
    lake = open_lake(folder, create=True)
    for name in sorted(set(names) - set(lake.dataset_names())):
        source = DATA / DATASETS[name]
        table: pa.Table = pq.read_table(source)
        if rows is not None:
            source = folder / f"{name}.parquet"
            pq.write_table(table.slice(0, rows), source)
        matlake.import_table(lake, source, name)
    for name in sorted(names):
        note(f"embedding {name}")
        matlake.embed(lake, list(EMBEDDED), dataset=name)
    return lake


def evaluate(
    lake: Lake,
    name: str,
    task: Task,
    options: argparse.Namespace,
    seen: Mapping[str, TrainingContents],
    seconds: float | None,
) -> ExtrapolationResult:
    """Evaluate one property, or look up what has been measured of it."""
    starts = tuple(start for start in options.starts.split(",") if start != "none")
    target = task.target if task.transform == "none" else None
    networks = end_to_end_networks(
        [find_encoder(ENCODER)], target, starts=starts, epochs=options.epochs, device=options.device
    )
    request = ExtrapolationRequest(
        target=task.target,
        splits=task.splits,
        features=FEATURES,
        models=MODELS,
        dataset=task.dataset,
        where=task.where,
        seeds=options.seeds,
        name=name,
        transform=task.transform,
        seconds=seconds,
    )
    return evaluate_extrapolation(lake, request, networks, seen, Progress(note))


def report(results: Mapping[str, ExtrapolationResult]) -> None:
    """Write the page's tables, a page with plots for each property, and the figures."""
    DETAILS.mkdir(parents=True, exist_ok=True)
    reports = [result.report for result in results.values()]
    for name, result in results.items():
        for file, content in result.plots().items():
            if file.endswith(".png"):
                (DETAILS / f"{name}-{file.removeprefix(PLOTS)}").write_bytes(small_png(content))
        plots = [f"![{what}]({name}-{what}.png)" for what in ("errors", "elements", "scores")]
        back = "One property of [the benchmark](../../extrapolation.md)."
        parts = [
            f"# {name}: heads and networks beyond the training rows",
            back,
            markdown(result.report).rstrip(),
            *plots,
        ]
        (DETAILS / f"{name}.md").write_text("\n\n".join(parts) + "\n")
    ratios = draw_ratios(FIGURES.with_name("extrapolation-ratios.svg"), reports, ARCHITECTURE)
    write_results(FIGURES, {"tasks": {name: brief(result) for name, result in results.items()}}, indent=None)
    links = ", ".join(f"[{name}](results/extrapolation/{name}.md)" for name in results)
    parts = [
        *("### Networks against heads", f"![Ratios](results/{ratios})"),
        network_table(reports, [ARCHITECTURE]),
        *("### Against each set of features", AGAINST, against_features(list(results.values()), ARCHITECTURE)),
        *("### What extrapolation costs a head", COST, cost_table(reports)),
        *("### Which embeddings, which regressor", RELATIVE, feature_table(reports), model_table(reports)),
        *("### What the rule is worth", RULE, rule_table(reports)),
        *("### Values above all that were trained on", HIGH, high_table(list(results.values()))),
        *("### Every split", overview(reports), f"In full, with plots: {links}. {run_time(reports)}"),
    ]
    fill_page(PAGE, parts)


def brief(result: ExtrapolationResult) -> dict[str, Any]:
    """Return the figures of one property, with failures only of the methods that the page shows."""
    document = result.document()
    shown = [split.shown for split in result.report.splits]
    for split, names in zip(document["splits"], shown, strict=True):
        split["failures"] = [found for found in split["failures"] if found["way"] in names]
    every = {name for names in shown for name in names}
    document["pooled"] = [found for found in document["pooled"] if found["way"] in every]
    return document


def note(message: str) -> None:
    """Say what is being done."""
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
