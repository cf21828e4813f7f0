"""Beyond the training distribution: heads on frozen embeddings beside the same networks trained end to end.

The claim of the decoupled-transfer study (arXiv 2602.18054) on seven properties of crystals, with element groups,
symmetries, high values, sparse regions and later years held out. Crystals are imported into a lake and embedded; then
``matlake evaluate extrapolation`` works on them. Run it again to go on from where it stopped; with ``--report`` it
measures nothing and writes tables, plots and figures from what there is. ``--tasks`` splits the work over processes.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

import matlake
from benchmarks.helpers.common import DATA, fill_page, results_of, small_png, write_results
from benchmarks.helpers.extrapolation_plots import draw_ratios
from benchmarks.helpers.extrapolation_tables import (
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
from matlake.studies.extrapolation.methods import ExtrapolationRequest
from matlake.studies.extrapolation.tables import markdown

PAGE: Final = Path(__file__).with_name("extrapolation.md")
FIGURES: Final = results_of(Path(__file__))
DETAILS: Final = FIGURES.with_suffix("")
PLOTS: Final = "extrapolation_"
PRETRAINED_ON: Final = "mp_structures.parquet"
SHORTEST: Final = "cgcnn"
LONGER: Final = ("schnet", "dimenet++")
ARCHITECTURES: Final = (SHORTEST, *LONGER)
ENCODERS: Final = tuple(f"{architecture}-mp-formation-energy" for architecture in ARCHITECTURES)
FEATURES: Final = (*((encoder,) for encoder in ENCODERS), ENCODERS)
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
RELATIVE: Final = (
    "RMSE over that on all encoders side by side, each with the head of the smallest error in cross-validation; then "
    "RMSE over that of `svr`, all encoders side by side. Geometric means over properties, the smallest and the largest."
)
RULE: Final = (
    "Of the head of each case: medians over cases, the smallest and the largest; shares of the rows of all cases. A "
    "prediction fails if it errs by more than the standard deviation of the target in the training rows."
)
HIGH: Final = (
    "On `value:high`, all encoders side by side. Medians over properties and seeds, the smallest and the largest."
)


@dataclass(frozen=True)
class Task:
    """One property, and how it is held out.

    Attributes:
        dataset: Key of ``DATASETS``.
        target: Its column.
        splits: As typed.
        networks: Architectures trained end to end.
        once: Others, which take longer, with one seed.
        seeds: How many.
        where: Which rows; all of the dataset if None.
    """

    dataset: str
    target: str
    splits: tuple[str, ...]
    networks: tuple[str, ...] = (SHORTEST,)
    once: tuple[str, ...] = ()
    seeds: int = 3
    where: str | None = None


def _splits(group: str, symmetry: str) -> tuple[str, ...]:
    return (f"group:{group}", symmetry, "value:high", "sparse:map", "random")


TASKS: Final = {
    "bulk-modulus": Task("elastic", "bulk_modulus_VRH_GPa", _splits("chalcogens", "crystal-system:cubic"), once=LONGER),
    "shear-modulus": Task("elastic", "shear_modulus_VRH_GPa", _splits("chalcogens", "crystal-system:cubic")),
    "refractive-index": Task("dielectric", "refractive_index", _splits("halogens", "crystal-system:cubic")),
    "band-gap": Task("dielectric", "band_gap_eV", _splits("halogens", "crystal-system:cubic"), once=LONGER),
    "piezoelectric": Task("piezoelectric", "piezoelectric_eij_max_C_per_m2", _splits("halogens", "space-group:216")),
    "phonons": Task("phonons", "last_phdos_peak_per_cm", _splits("halogens", "crystal-system:cubic")),
    # compositions that no encoder was trained on: first reported after 2005
    "formation-energy": Task(
        "mp",
        "formation_energy_eV_per_atom",
        _splits("halogens", "crystal-system:cubic"),
        where="dataset = 'mp' AND year > 2009",
    ),
    "formation-energy-time": Task("mp", "formation_energy_eV_per_atom", ("time:year>2005",), seeds=1),
    "band-gap-time": Task("mp", "band_gap_eV", ("time:year>2005",), seeds=1),
}


def main() -> None:
    """Evaluate, or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", type=Path, default=Path("extrapolation-lake"), help="made where it does not exist")
    parser.add_argument("--tasks", default=",".join(TASKS), help="comma-separated; default: all")
    parser.add_argument("--networks", help="comma-separated, or none; default: those of each task")
    parser.add_argument("--seeds", type=int, help="default: those of each task")
    parser.add_argument("--epochs", type=int, help="most epochs of a network")
    parser.add_argument("--rows", type=int, help="only the first rows of each table, for a try in a lake of its own")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--budget", type=float, help="seconds")
    parser.add_argument("--report", action="store_true", help="measure nothing, write tables, plots and figures")
    options = parser.parse_args()
    tasks = {name: TASKS[name] for name in options.tasks.split(",")}
    lake = prepare(options.lake, {task.dataset for task in tasks.values()}, options.rows)
    table = TrainingTable.from_file(DATA / PRETRAINED_ON)
    seen = read_training_contents([table], [find_encoder(encoder).card for encoder in ENCODERS])
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
    note("embedding")
    matlake.embed(lake, list(ENCODERS))
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
    deadline = None if seconds is None else time.monotonic() + seconds
    request = ExtrapolationRequest(
        target=task.target,
        splits=task.splits,
        features=FEATURES,
        dataset=None if task.where else task.dataset,
        where=task.where,
        seeds=options.seeds or task.seeds,
        name=name,
    )

    def run(architectures: tuple[str, ...], network_seeds: int | None) -> ExtrapolationResult:
        encoders = [find_encoder(f"{architecture}-mp-formation-energy") for architecture in architectures]
        networks = end_to_end_networks(encoders, task.target, epochs=options.epochs, device=options.device)
        left = None if deadline is None else max(NO_TIME, deadline - time.monotonic())
        within = replace(request, network_seeds=network_seeds, seconds=left)
        return evaluate_extrapolation(lake, within, networks, seen, Progress(note))

    if options.networks is not None:
        return run(tuple(name for name in options.networks.split(",") if name != "none"), None)
    if task.once:
        run(task.networks, None)
    return run(task.networks + task.once, 1 if task.once else None)


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
    ratios = draw_ratios(FIGURES.with_name("extrapolation-ratios.svg"), reports, SHORTEST)
    write_results(FIGURES, {"tasks": {name: brief(result) for name, result in results.items()}}, indent=None)
    links = ", ".join(f"[{name}](results/extrapolation/{name}.md)" for name in results)
    parts = [
        *("### Networks against heads", f"![Ratios](results/{ratios})"),
        network_table(reports, ARCHITECTURES),
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
