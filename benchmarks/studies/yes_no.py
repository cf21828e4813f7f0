"""Probabilities of yes/no properties: regressors behind a calibrated link, beside classifiers of scikit-learn's.

    python -m benchmarks.studies.yes_no

Trained on 1,500 compositions, tested on a fifth of all; three seeds. ``CalibratedClassifierCV`` fits the same logistic
function on five folds of the training rows, and averages five classifiers.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.helpers.common import print_table, results_of, write_results
from benchmarks.helpers.composition_sets import JARVIS, Column, Labelled, read
from matlake.metrics import calibration_error, measure_probabilities
from matlake.regress.classification.calibration import calibrate_sets, calibrated_fit
from matlake.regress.regressors import MODELS, LabelledRows
from matlake.regress.targets.kinds import Kind
from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.uncertainty.out_of_fold import FOLDS

SEEDS: Final = (0, 1, 2)
TRAINED: Final = 1500
MOST: Final = 6_000
OWN: Final = {"svr": 0, "kernel-ridge": 0, "extra-trees": 2, "adaboost": 2, "mlp": 0, "ridge": 0}
"""Models, and which parameters of their grid."""

STABLE_EV: Final = 0.05
TASKS: Final[dict[str, tuple[Column, Callable[[np.ndarray], np.ndarray]]]] = {
    "insulator, cleaned": (Column("matbench_expt_gap", "band_gap_eV"), lambda gap: gap > 0.0),
    "insulator": (Column(JARVIS, "expt_bandgap"), lambda gap: gap > 0.0),
    "stable (Materials Project)": (
        Column("mp_structures", "energy_above_hull_eV_per_atom"),
        lambda energy: energy < STABLE_EV,
    ),
    "stable (JARVIS)": (Column(JARVIS, "ehull"), lambda energy: energy < STABLE_EV),
}
SPACE: Final = TargetSpace(kind=Kind.YES_NO)


def own(name: str, place: int, train: LabelledRows, x_test: np.ndarray, seed: int) -> tuple[np.ndarray, Any]:
    """Return probabilities of a regressor behind a link, and sets of labels."""
    model = MODELS[name]
    fit, out_of_fold = calibrated_fit(model, model.grid(train.x.shape[1])[place], train, seed, SPACE)
    return fit(train).predict(x_test), calibrate_sets(out_of_fold.predicted, train.y)


def peers(seed: int) -> dict[str, Any]:
    """Return classifiers of scikit-learn's."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    forest = RandomForestClassifier(200, random_state=seed)
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    return {
        "RandomForestClassifier": forest,
        "RandomForestClassifier, calibrated": CalibratedClassifierCV(forest, method="sigmoid", cv=FOLDS),
        "LogisticRegression, calibrated": CalibratedClassifierCV(linear, method="sigmoid", cv=FOLDS),
    }


def measured(rows: Labelled, y: np.ndarray, seed: int) -> dict[str, dict[str, float | None]]:
    """Return the errors of each model on one split."""
    train, test = rows.random_fold(seed, TRAINED)
    labelled = LabelledRows(rows.x[train], y[train], rows.formulas[train])
    found: dict[str, dict[str, float | None]] = {}

    def enter(name: str, probabilities: np.ndarray, sets: Any = None) -> None:
        metrics = measure_probabilities(y[test], probabilities)
        found[name] = {
            "log_loss": metrics.log_loss,
            "brier": metrics.brier,
            "roc_auc": metrics.roc_auc,
            "calibration_error": calibration_error(y[test], probabilities),
        }
        if sets is not None:
            yes, no = sets.holds(probabilities)
            found[name] |= {
                "yes_coverage": float(yes[y[test] > 0].mean()),
                "no_coverage": float(no[y[test] == 0].mean()),
                "single": float(np.mean(yes ^ no)),
            }

    for name, place in OWN.items():
        enter(name, *own(name, place, labelled, rows.x[test], seed))
    for name, classifier in peers(seed).items():
        enter(name, classifier.fit(labelled.x, labelled.y).predict_proba(rows.x[test])[:, 1])
    return found


def main() -> None:
    """Measure and print."""
    document: dict[str, Any] = {}
    for title, (column, rule) in TASKS.items():
        rows = read(column, MOST)
        y = rule(rows.y).astype(np.float64)
        splits = [measured(rows, y, seed) for seed in SEEDS]
        means = {
            name: {key: float(np.mean([split[name][key] for split in splits])) for key in splits[0][name]}
            for name in splits[0]
        }
        document[title] = {"rows": len(y), "yes_share": float(y.mean()), "mean": means, "seeds": splits}
        print(title, flush=True)
        keys = ("log_loss", "brier", "roc_auc", "calibration_error", "yes_coverage", "no_coverage", "single")
        print_table(
            ["model", *keys],
            [[name, *(f"{found[key]:.3f}" if key in found else "" for key in keys)] for name, found in means.items()],
        )
    write_results(results_of(Path(__file__)), {"trained": TRAINED, "tasks": document})


if __name__ == "__main__":
    main()
