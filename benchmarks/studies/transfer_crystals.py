"""What encoders of crystals add to those of compositions, where structures are known.

Five properties of about a thousand crystals each, searched by ``matlake evaluate transfer`` without and with the
embeddings of CGCNN, SchNet and DimeNet++ among what may stand side by side. A tenth of the compositions is tested, for
each seed another. Run it again to resume.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

import matlake
from benchmarks.helpers.common import OQMD, report
from benchmarks.helpers.unshipped import keep_encoders
from benchmarks.studies.transfer import SOURCES, note
from matlake.progress import Progress
from matlake.store.lake import Lake, open_lake
from matlake.studies.transfer.configurations import TransferRequest
from matlake.studies.transfer.evaluate import evaluate_transfer
from matlake.studies.transfer.report import ALL_SC, ALL_TL

DATA: Final = OQMD.parent
CRYSTALS: Final = tuple(f"{name}-mp-formation-energy" for name in ("cgcnn", "schnet", "dimenet++"))
CONFIGURATIONS: Final = "Base,SC:ML(PA),SC+:ML(EF,PA),SC+:Ensemble,TL+:Concat,TL+:Ensemble"
TARGETS: Final = {
    "bulk_modulus_VRH_GPa": "mp_elastic_tensor",
    "shear_modulus_VRH_GPa": "mp_elastic_tensor",
    "refractive_index": "mp_dielectric_constant",
    "piezoelectric_eij_max_C_per_m2": "mp_piezoelectric_tensor",
    "last_phdos_peak_per_cm": "matbench_phonons",
}


def main() -> None:
    """Measure what has not been measured, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", type=Path, default=Path("transfer-crystals-lake"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--targets", default=",".join(TARGETS), help="comma-separated; default: all")
    arguments = parser.parse_args()
    lake = prepare(arguments.lake)
    document: dict[str, Any] = {}
    table = []
    for target in arguments.targets.split(","):
        found = [measure(lake, target, TARGETS[target], seed) for seed in range(arguments.seeds)]
        document[target] = found
        means = {
            case: float(np.mean([of_seed[case] for of_seed in found])) for case in ("scratch", "without", "beside")
        }
        table.append(
            [
                f"`{target}`",
                f"{found[0]['rows']:,}",
                *(f"{mae:.4g}" for mae in means.values()),
                f"{means['beside'] / means['without']:.3f}",
                ", ".join(sorted({of_seed["features"] for of_seed in found})),
            ]
        )
    header = ["property", "rows", "best from scratch", "without", "with crystals", "with / without", "features"]
    report(Path(__file__), document, header, table)


def prepare(folder: Path) -> Lake:
    """Open the lake, or make it, import the tables and embed the crystals."""
    lake = open_lake(folder, create=not (folder / "lake.json").exists())
    present = {row["dataset"] for row in lake.query("SELECT DISTINCT dataset FROM materials").to_pylist()}
    for dataset in sorted(set(TARGETS.values()) - present):
        matlake.import_table(lake, DATA / f"{dataset}.parquet", dataset)
    keep_encoders(lake, CRYSTALS)
    matlake.embed(lake, list(CRYSTALS), workers=2)
    return lake


def measure(lake: Lake, target: str, dataset: str, seed: int) -> dict[str, Any]:
    """Return the test MAE of the best from scratch, and of the best by transfer without and with crystals."""
    found: dict[str, Any] = {"seed": seed}
    for case, embedded in (("without", ()), ("beside", CRYSTALS)):
        request = TransferRequest(
            targets=(target,),
            sources=SOURCES,
            configurations=CONFIGURATIONS,
            dataset=dataset,
            features=embedded,
            name=f"{case}-{seed}",
            folds=0,
            curves=False,
            seed=seed,
        )
        (of_target,) = evaluate_transfer(lake, request, Progress(note)).report.targets
        pair = of_target.pair(ALL_SC, ALL_TL)
        if pair.scratch is None or pair.transfer is None:
            sys.exit(f"nothing was measured of {target}")
        found |= {"rows": of_target.facts.rows, "scratch": pair.scratch.test_mae, case: pair.transfer.test_mae}
        found |= {"features": " + ".join(pair.transfer.features), "model": pair.transfer.model}
    return found


if __name__ == "__main__":
    main()
