"""The cross-property study (Gupta et al., Nat. Commun. 12, 6595, 2021) on its 41 targets: from scratch or by transfer.

The published table is one column of values with the name of the property beside; it is widened to a column a property
and imported into a lake, on which ``matlake evaluate transfer`` works. Run it again to resume; run
it with ``--report`` to write the tables from what has been measured. ``--targets`` splits the work over processes.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import matlake
from benchmarks.helpers.common import DATA, fill_page, results_of, write_results
from matlake.progress import Progress
from matlake.store.lake import Lake, open_lake
from matlake.studies.transfer.configurations import TransferRequest
from matlake.studies.transfer.evaluate import TransferResult, evaluate_transfer
from matlake.studies.transfer.plots import draw_transfer_plots
from matlake.studies.transfer.tables import markdown

TARGETS = DATA / "jarvis_targets.parquet"
PAGE = Path(__file__).with_name("transfer.md")
DATASET = "jarvis"
SOURCES = tuple(f"elemnet-oqmd-{name}" for name in ("formation-energy", "band-gap", "volume", "total-energy"))
REGRESSORS = "Base,SC:ML(EF),SC:ML(PA),TL:ML(FeatExtr),SC+:ML(EF,PA),SC+:Ensemble,TL+:Concat,TL+:Ensemble"

PAPER: dict[str, tuple[float, float, float]] = {
    "klu": (18.77, 10.79, 11.15),
    "kaa": (5.234, 2.722, 2.832),
    "optb88vdw_bandgap": (0.988, 0.279, 0.251),
    "deltae": (0.850, 0.135, 0.125),
    "encut": (246.25, 76.99, 82.26),
    "ehull": (0.131, 0.058, 0.050),
    "magmom_oszicar": (1.225, 0.438, 0.405),
    "magmom_outcar": (1.176, 0.393, 0.376),
    "eps": (3.829, 1.280, 1.262),
    "ppowerfact": (650.5, 495.0, 494.0),
    "npowerfact": (658.1, 484.2, 512.3),
    "pem300k": (1.918, 1.086, 1.228),
    "nem300k": (1.918, 1.086, 1.197),
    "pseebeck": (163.30, 56.49, 60.25),
    "nseebeck": (108.69, 48.93, 54.53),
    "meps": (4.905, 1.784, 1.776),
    "max_mode": (285.32, 57.38, 65.69),
    "min_mode": (40.89, 24.12, 23.51),
    "etc11": (81.66, 34.53, 33.19),
    "etc12": (44.96, 16.60, 17.23),
    "etc13": (42.54, 14.09, 13.93),
    "etc22": (84.06, 34.62, 31.35),
    "etc33": (84.12, 35.82, 34.22),
    "etc44": (29.55, 15.23, 14.63),
    "etc55": (26.61, 12.40, 11.74),
    "etc66": (27.59, 13.53, 13.10),
    "bulkmoduluskv": (49.11, 11.83, 11.28),
    "shearmodulusgv": (24.28, 11.26, 11.01),
    "mbj_bandgap": (1.911, 0.555, 0.534),
    "spillage": (0.501, 0.410, 0.373),
    "slme": (9.439, 7.193, 6.420),
    "max_ir_mode": (426.0, 87.67, 103.4),
    "min_ir_mode": (66.16, 38.52, 44.45),
    "piezo_max_diel": (5.757, 3.911, 2.715),
    "piezo_max_di": (6.977, 4.336, 3.561),
    "piezo_max_diio": (2.577, 0.847, 0.774),
    "piezo_max_eij": (0.520, 0.436, 0.367),
    "piezo_max_dij": (46.47, 26.46, 23.46),
    "exfoliation_energy": (62.93, 54.26, 51.56),
    "expt_deltae": (1.0327, 0.0964, 0.0708),
    "expt_bandgap": (1.2061, 0.4458, 0.3551),
}
"""MAE of the mean, of the best from scratch and of the best transfer: tables 4 and 5 of the paper, in its units."""


def main() -> None:
    """Evaluate, or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", type=Path, default=Path("transfer-lake"), help="made where it does not exist")
    parser.add_argument("--name", default="transfer", help="of the evaluation in the lake")
    parser.add_argument("--targets", help="comma-separated; default: all 41")
    parser.add_argument("--configs", help=f"comma-separated; default: all. Regressors only: {REGRESSORS}")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--no-curves", action="store_true")
    parser.add_argument("--budget", type=float, help="seconds")
    parser.add_argument("--report", action="store_true", help="measure nothing, write the tables")
    arguments = parser.parse_args()
    lake = prepare(arguments.lake)
    request = TransferRequest(
        targets=tuple((arguments.targets or ",".join(PAPER)).split(",")),
        sources=SOURCES,
        configurations=arguments.configs,
        dataset=DATASET,
        split_column="split",
        name=arguments.name,
        folds=arguments.folds,
        curves=not arguments.no_curves,
        seconds=arguments.budget,
    )
    if arguments.report:
        report(evaluate_transfer(lake, replace(request, seconds=1e-9), Progress(note)))
    else:
        print("\n".join(evaluate_transfer(lake, request, Progress(note)).lines()))


def prepare(folder: Path) -> Lake:
    """Open the lake, or make it and import the targets."""
    if (folder / "lake.json").exists():
        return open_lake(folder)
    table = pq.read_table(TARGETS)
    columns: dict[str, Any] = {name: table[name] for name in ("formula", "split")}
    nothing = pa.scalar(None, table["value"].type)
    for name in PAPER:
        columns[name] = pc.if_else(pc.equal(table["property"], name), table["value"], nothing)
    wide = folder.with_name(f"{folder.name}-targets.parquet")
    pq.write_table(pa.table(columns), wide)
    lake = open_lake(folder, create=True)
    matlake.import_table(lake, wide, DATASET)
    return lake


def report(result: TransferResult) -> None:
    """Write the page's tables, the figures and the plots."""
    figures = results_of(Path(__file__))
    write_results(figures, result.document())
    for name, content in draw_transfer_plots(result.measurements, result.report, result.correlations).items():
        if name.endswith(".svg"):
            figures.with_name(name).write_bytes(content)
    fill_page(PAGE, [markdown(result.report, PAPER).rstrip()])
    print("\n".join(result.lines()))


def note(message: str) -> None:
    """Say what is being done."""
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
