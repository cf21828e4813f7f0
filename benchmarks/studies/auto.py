"""``--model auto`` with and without its ensemble, on test rows of the cross-property study.

Both come from one search: with the ensemble, the best candidate may be a mean of up to four others.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.helpers.common import results_of, write_results
from benchmarks.studies.transfer import DATASET, PAPER, SOURCES, prepare
from matlake.regress.heads.card import parameter_text
from matlake.regress.heads.model_search import search_model
from matlake.regress.regressors import AUTO, MODELS, LabelledRows, fit_model
from matlake.regress.regressors.ensemble import ENSEMBLE
from matlake.studies.transfer.configurations import TransferRequest
from matlake.studies.transfer.target_rows import FeatureReader, read_target

TARGETS = (
    "exfoliation_energy",
    "piezo_max_dij",
    "piezo_max_eij",
    "expt_deltae",
    "piezo_max_di",
    "piezo_max_diio",
    "min_ir_mode",
    "max_ir_mode",
    "slme",
    "spillage",
    "expt_bandgap",
)
FEATURES = ("magpie", *(f"{source}@prediction" for source in SOURCES))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", type=Path, default=Path("transfer-lake"), help="that transfer.py made")
    lake = prepare(parser.parse_args().lake)
    reader = FeatureReader(lake)
    found: list[dict[str, Any]] = []
    for name in TARGETS:
        target = read_target(lake, name, TransferRequest(dataset=DATASET, split_column="split"))
        rows, test = target.pool, target.test
        x, y = reader.read(target, FEATURES, rows), target.y[rows]
        choice = search_model(AUTO, LabelledRows(x, y, target.groups[rows]), seed=0)
        single = next(candidate for candidate in choice.search.candidates if candidate.model != ENSEMBLE)
        fits = {"single": fit_model(MODELS[single.model], single.parameters, x, y, 0)}
        fits["auto"] = fit_model(choice.model, choice.best.parameters, x, y, 0)
        x_test = reader.read(target, FEATURES, test)
        maes = {kind: float(np.abs(fitted.predict(x_test) - target.y[test]).mean()) for kind, fitted in fits.items()}
        row = {
            "target": name,
            "rows": len(rows),
            "single": single.model,
            "auto": choice.best.model,
            "members": parameter_text(choice.best.parameters),
            "test_mae": maes,
            "validation_mae": {"single": single.mae, "auto": choice.best.mae},
            "paper_sc_tl": PAPER[name][1:],
        }
        found.append(row)
        print(json.dumps(row), flush=True)
    ratios = [row["test_mae"]["auto"] / row["test_mae"]["single"] for row in found]
    mean = float(np.exp(np.mean(np.log(ratios))))
    print(f"auto / best single on test rows: geometric mean {mean:.4f}, better on {sum(r < 1 for r in ratios)}")
    write_results(results_of(Path(__file__)), {"features": FEATURES, "geometric_mean_ratio": mean, "targets": found})


if __name__ == "__main__":
    main()
