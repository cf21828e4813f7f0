"""What each split asks of a head: errors on the bundled samples, beside the random split's.

    python -m benchmarks.studies.splits

Band gaps on layer 2 of ElemNet; bulk moduli on layer 2 of ElemNet and the pooled atoms of CGCNN. Ridge regression (its
penalty by generalised cross-validation, features standardised) and extra trees are fitted to the training rows of each
split and measured on its test rows. What is drawn is drawn with seed 0.
"""

import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

import matlake
from benchmarks.helpers.common import report
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import Matrix, read_matrix
from matlake.regress.splits import parse_split

DATA: Final = Path(matlake.__file__).parent / "data"
COMPOSITIONS: Final = "elemnet-oqmd-formation-energy@2"
CRYSTALS: Final = "cgcnn-mp-formation-energy@pooled"
TASKS: Final = {
    "band gap": ("expt_gap.parquet", "band_gap_eV", [COMPOSITIONS]),
    "bulk modulus": ("mp_elasticity.parquet", "bulk_modulus_VRH_GPa", [COMPOSITIONS, CRYSTALS]),
}
ON_COMPOSITIONS: Final = (
    "random chemical-system element:O group:halogens period:5 cluster sparse:map sparse:x value:high value:low"
).split()
ON_CRYSTALS: Final = "space-group:225 crystal-system:cubic matfold:sgnum".split()
TREES: Final = 100


def main() -> None:
    """Split, fit and measure."""
    document: dict[str, Any] = {}
    table = []
    for task, (file, target, features) in TASKS.items():
        matrix = read(file, target, features)
        names = ON_COMPOSITIONS + (ON_CRYSTALS if CRYSTALS in features else [])
        document[task] = {name: measure(matrix, name) for name in names}
        random = document[task]["random"]["mae"]
        for name, found in document[task].items():
            ratios = [f"{found['mae'][model]:.3g} ({found['mae'][model] / random[model]:.2f})" for model in random]
            table.append(
                [task, f"`{name}`", found["label"], f"{found['tested']:,}", *ratios, f"{found['seconds']:.1f}"]
            )
    header = ["property", "split", "held out", "rows tested", "ridge", "extra trees", "mean of training", "seconds"]
    report(Path(__file__), document, header, table)


def read(file: str, target: str, features: list[str]) -> Matrix:
    """Embed a bundled sample in a lake of its own and read it, with crystals where features take them."""
    with tempfile.TemporaryDirectory() as folder:
        lake = matlake.open_lake(Path(folder) / "lake", create=True)
        matlake.import_table(lake, DATA / file, "sample")
        for feature in features:
            matlake.embed(lake, [feature])
        return read_matrix(lake, target, resolve_features(lake, features), crystals=CRYSTALS in features)


def measure(matrix: Matrix, name: str) -> dict[str, Any]:
    """Return sizes, mean absolute errors, and the seconds that the split takes."""
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    started = time.perf_counter()
    held = parse_split(name).hold_out(matrix, 0)
    seconds = time.perf_counter() - started
    x, y = matrix.x[held.train], matrix.y[held.train]
    models = {
        "ridge": make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 11))),
        "extra trees": ExtraTreesRegressor(TREES, max_features=0.1, random_state=0),
    }
    predicted = {model: fitted.fit(x, y).predict(matrix.x[held.test]) for model, fitted in models.items()}
    predicted["mean of training"] = np.full(len(held.test), y.mean())
    return {
        "label": held.label,
        "trained": len(held.train),
        "tested": len(held.test),
        "dropped": len(held.dropped),
        "mae": {model: float(np.mean(np.abs(values - matrix.y[held.test]))) for model, values in predicted.items()},
        "seconds": seconds,
    }


if __name__ == "__main__":
    main()
