"""Which hidden layer carries over: cross-validated errors on the measured band gaps, layer by layer.

    python -m benchmarks.studies.layers

Three folds, cut by composition, over the training rows of the random split (seed 0); test rows take no part, so that
the table may be used to choose a layer. The same folds for element fractions, and for the int8 encoder.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.helpers.common import ENCODER, report
from matlake.encoders.encoder import open_encoder
from matlake.encoders.registry import find_encoder
from matlake.materials.compositions import element_fractions
from matlake.materials.formula import parse_formula
from matlake.quickstart.compositions import SAMPLE
from matlake.regress.regressors import MODELS, fit_model
from matlake.regress.splits import grouped_folds, hold_out_groups

LAYERS = ("1", "2", "3", "4", "8")
REGRESSORS = ("ridge", "svr", "extra-trees")
FOLDS = 3
SEED = 0


def main() -> None:
    """Fit every regressor with its default parameters to every layer."""
    table = pq.read_table(SAMPLE.file)
    compositions = [parse_formula(formula) for formula in table["formula"].to_pylist()]
    fractions = element_fractions(compositions)
    y = table[SAMPLE.target].to_numpy()
    groups = np.array([composition.content_hash for composition in compositions])
    rows, _ = hold_out_groups(groups, SEED)
    folds = grouped_folds(groups[rows], FOLDS, SEED)
    features = {"element fractions": fractions}
    for name in (ENCODER, f"{ENCODER}-int8"):
        encoder = open_encoder(find_encoder(name).folder)
        features |= {f"{name}@{layer}": encoder.encode(fractions, layer) for layer in LAYERS}

    errors: dict[str, dict[str, float]] = {}
    for name, x in features.items():
        errors[name] = {}
        for model in REGRESSORS:
            parameters = MODELS[model].grid(x.shape[1])[0]
            maes = []
            for fit, held in folds:
                fitted = fit_model(MODELS[model], parameters, x[rows[fit]], y[rows[fit]], SEED)
                maes.append(float(np.mean(np.abs(fitted.predict(x[rows[held]]) - y[rows[held]]))))
            errors[name][model] = float(np.mean(maes))
    report(
        Path(__file__),
        {"cross_validated_mae_eV": errors, "rows": len(rows)},
        ["features", *(f"{model}, MAE in eV" for model in REGRESSORS)],
        [[name, *(f"{mae:.3f}" for mae in found.values())] for name, found in errors.items()],
    )


if __name__ == "__main__":
    main()
