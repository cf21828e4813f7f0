"""What a fit costs beside plain scikit-learn: SVR, ridge and a random forest on 10,000 real embeddings.

    python -m benchmarks.speed.training

OQMD compositions, two hidden layers of ElemNet side by side (128 + 64 numbers); scikit-learn gets the same matrix, a
StandardScaler where ours has one, the same parameters and the same number of threads. Ours also predicts the target in
its unit and, in a column of its own, becomes an ONNX file. Rounds alternate; medians.
"""

import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

from benchmarks.helpers.common import ENCODER, OQMD, needs_oqmd, report, timed
from matlake.encoders.encoder import open_encoder
from matlake.encoders.registry import find_encoder
from matlake.materials.compositions import element_fractions
from matlake.materials.formula import parse_formula
from matlake.regress.onnx.convert import convert
from matlake.regress.regressors import MODELS, Parameters, fit_model

ROWS: Final = 10_000
LAYERS: Final = ("13", "15")
TARGETS: Final = ("band_gap_eV", "formation_energy_eV_per_atom", "volume_A3_per_atom")
COMPARED: Final = ("svr", "svr-rbf", "ridge", "random-forest")
ROUNDS: Final = 5
SEED: Final = 0
WRONG: Final = 5.0
"""Formation energies beyond it, in eV/atom, are errors of the data."""


def main() -> None:
    """Fit each model to each target with both, in turn."""
    needs_oqmd()
    x, targets = read()
    rows, document = [], {}
    for target, y in targets.items():
        for name in COMPARED:
            found = compare(name, x, y)
            document[f"{name}, {target}"] = found
            rows.append(
                [
                    name,
                    target,
                    f"{found['matlake_s']:.3f}",
                    f"{found['sklearn_s']:.3f}",
                    f"{found['ratio']:.2f}",
                    f"{found['convert_s']:.3f}",
                    f"{found['head_mb']:.1f}",
                ]
            )
    report(
        Path(__file__),
        {"rows": ROWS, "features": x.shape[1], "rounds": ROUNDS, "fits": document},
        ["model", "target", "fit, s", "scikit-learn, s", "ratio", "to ONNX, s", "head, MB"],
        rows,
    )


def read() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Embed 10,000 compositions drawn at random, and return them with all targets."""
    table = pq.read_table(OQMD, columns=["formula", *TARGETS]).drop_null()
    energy = table["formation_energy_eV_per_atom"].to_numpy()
    sound = np.flatnonzero(np.abs(energy) <= WRONG)
    table = table.take(np.sort(np.random.default_rng(SEED).permutation(sound)[:ROWS]))
    encoder = open_encoder(find_encoder(ENCODER).folder)
    fractions = element_fractions([parse_formula(formula) for formula in table["formula"].to_pylist()])
    x = np.concatenate(encoder.encode_inputs(fractions, LAYERS), axis=1)
    return x, {target: table[target].to_numpy() for target in TARGETS}


def compare(name: str, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Time ours and scikit-learn's in alternating rounds."""
    model = MODELS[name]
    parameters = model.grid(x.shape[1])[0]
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(ROUNDS):
        ours.append(timed(lambda: fit_model(model, parameters, x, y, SEED)))
        theirs.append(timed(plain(name, parameters, x, y)))
    fitted = fit_model(model, parameters, x, y, SEED)
    return {
        "parameters": parameters,
        "matlake_s": statistics.median(ours),
        "sklearn_s": statistics.median(theirs),
        "ratio": statistics.median(ours) / statistics.median(theirs),
        "all_matlake_s": ours,
        "all_sklearn_s": theirs,
        "convert_s": statistics.median(timed(lambda: convert(fitted, x.shape[1])) for _ in range(ROUNDS)),
        "head_mb": len(convert(fitted, x.shape[1])) / 1e6,
    }


def plain(name: str, parameters: Parameters, x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """Return scikit-learn's own fit of the same model; it has no sum of kernels, so ``svr`` meets its RBF."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    target = (y - y.mean()) / y.std()
    if name == "random-forest":
        forest = RandomForestRegressor(**parameters, random_state=SEED, n_jobs=os.cpu_count())
        return lambda: forest.fit(x, target)
    own = {key: value for key, value in parameters.items() if key != "linear"}
    regressor = Ridge(**own) if name == "ridge" else SVR(**own, cache_size=1000)
    return lambda: make_pipeline(StandardScaler(), regressor).fit(x, target)


if __name__ == "__main__":
    main()
