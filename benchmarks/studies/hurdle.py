"""The hurdle model beside trees and what else predicts a median, on properties of which many values are equal.

    python -m benchmarks.studies.hurdle

Trained on up to 1,500 compositions, tested on a fifth of all compositions (three seeds) and on each of five clusters of
compositions. Default parameters; the models of the last column of the table are those of the hurdle's grid.
"""

from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.helpers.common import print_table, results_of, write_results
from benchmarks.helpers.composition_sets import JARVIS, Column, Labelled, read
from matlake.regress.regressors import MODELS, Parameters, fit_model
from matlake.regress.regressors.hurdle import REPEATED, repeated_share

SEEDS: Final = (0, 1, 2)
TRAINED: Final = 1500
PROPERTIES: Final = {
    "measured band gap, cleaned": Column("matbench_expt_gap", "band_gap_eV"),
    "measured band gap": Column(JARVIS, "expt_bandgap"),
    "band gap (OQMD)": Column("oqmd", "band_gap_eV"),
    "energy above hull": Column(JARVIS, "ehull"),
    "band gap (mBJ)": Column(JARVIS, "mbj_bandgap"),
    "spin-orbit spillage": Column(JARVIS, "spillage"),
    "band gap (dielectric set)": Column("mp_dielectric_constant", "band_gap_eV"),
}
READ: Final = {"band gap (OQMD)": 20_000}
MOST: Final = 6_000


def compared(width: int) -> dict[str, tuple[str, Parameters]]:
    """Return models with parameters, by the name of a column."""
    found = {name: (name, MODELS[name].grid(width)[-1]) for name in ("extra-trees", "adaboost")}
    found["svr"] = ("svr", MODELS["svr"].grid(width)[0])
    for number, parameters in enumerate(MODELS["hurdle"].grid(width), start=1):
        found[f"hurdle {number}"] = ("hurdle", parameters)
    return found


def maes(rows: Labelled, folds: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Return the mean absolute error of each model over all rows held out."""
    errors: dict[str, list[np.ndarray]] = {}
    for seed, (train, test) in enumerate(folds):
        for name, (model, parameters) in compared(rows.x.shape[1]).items():
            fitted = fit_model(MODELS[model], parameters, rows.x[train], rows.y[train], seed)
            errors.setdefault(name, []).append(np.abs(fitted.predict(rows.x[test]) - rows.y[test]))
    return {name: float(np.concatenate(parts).mean()) for name, parts in errors.items()}


def main() -> None:
    """Measure and print."""
    found: dict[str, dict[str, object]] = {}
    lines: list[list[str]] = []
    for title, column in PROPERTIES.items():
        rows = read(column, READ.get(title, MOST))
        share = repeated_share(rows.y)
        found[title] = {"rows": len(rows.y), "repeated_share": share}
        if share <= REPEATED:
            lines.append([title, f"{share:.1%}", "–"])
            continue
        kinds = {
            "random": [rows.random_fold(seed, TRAINED) for seed in SEEDS],
            "cluster": rows.clusters(TRAINED),
        }
        for kind, folds in kinds.items():
            measured = maes(rows, folds)
            found[title][kind] = measured
            lines.append([title, f"{share:.0%}", kind, *(f"{mae:.3g}" for mae in measured.values())])
            print(lines[-1], flush=True)
    write_results(results_of(Path(__file__)), {"trained": TRAINED, "properties": found})
    print_table(["property", "equal values", "folds", *compared(145)], lines)


if __name__ == "__main__":
    main()
