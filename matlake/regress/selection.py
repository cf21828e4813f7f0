"""Choosing a model and its parameters by cross-validation, on training rows only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.metrics import measure
from matlake.regress.models import AUTO, AUTO_MODELS, MODELS, Model, Parameters, find_model, fit_model
from matlake.regress.splits import grouped_folds, subsample

FOLDS: Final = 3
MAX_ROWS: Final = 2000
"""Rows used for choosing: more cost minutes and hardly change the order of candidates."""


def silent(message: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Candidate:
    """A model with parameters, and what cross-validation says of it.

    Attributes:
        model: Name of the model.
        parameters: Its parameters.
        mae: Mean over folds of the mean absolute error, in the target's unit.
        mae_std: Standard deviation over folds.
    """

    model: str
    parameters: Parameters
    mae: float
    mae_std: float


@dataclass(frozen=True)
class Choice:
    """The outcome of choosing.

    Attributes:
        best: The candidate with the smallest error.
        candidates: All of them, best first.
        folds: Number of folds, cut by composition.
        rows: Training rows that took part.
    """

    best: Candidate
    candidates: tuple[Candidate, ...]
    folds: int
    rows: int

    def document(self) -> dict[str, Any]:
        """Return what the card and ``train --json`` say about the choice."""
        return {
            "mae": self.best.mae,
            "mae_std": self.best.mae_std,
            "folds": self.folds,
            "rows": self.rows,
            "candidates": [vars(candidate) for candidate in self.candidates],
        }


def choose(
    name: str,
    x: NDArray[np.float32],
    y: NDArray[np.float64],
    groups: NDArray[np.str_],
    seed: int,
    note: Callable[[str], None] = silent,
) -> Choice:
    """Cross-validate a model's grid, or several models' for ``auto``, and return the best.

    Args:
        name: A model or ``auto``.
        x: float32 [n, d], training rows.
        y: float64 [n], target.
        groups: [n], composition of each row; no composition is both fitted and validated on.
        seed: Decides folds, the subsample, and what models draw.
        note: Told what is being tried.

    Raises:
        TrainingError: Unknown model, or too many rows for it.
    """
    n_rows = len(y)
    if name == AUTO:
        models = [m for m in (MODELS[known] for known in AUTO_MODELS) if m.max_rows is None or n_rows <= m.max_rows]
    else:
        models = [find_model(name, n_rows)]
    rows = subsample(groups, MAX_ROWS, seed)
    folds = grouped_folds(groups[rows], FOLDS, seed)
    reach = len(np.unique(groups[rows])) // 2
    candidates = []
    for model in models:
        note(f"cross-validating {model.name} on {len(rows):,} training rows")
        for parameters in model.grid(x.shape[1]):
            if parameters.get("n_neighbors", 1) <= reach:
                maes = [
                    _fold_error(model, parameters, x[rows[fit]], y[rows[fit]], x[rows[held]], y[rows[held]], seed)
                    for fit, held in folds
                ]
                candidates.append(Candidate(model.name, parameters, float(np.mean(maes)), float(np.std(maes))))
    candidates.sort(key=lambda candidate: candidate.mae)
    return Choice(candidates[0], tuple(candidates), len(folds), len(rows))


def _fold_error(
    model: Model,
    parameters: Parameters,
    x: NDArray[np.float32],
    y: NDArray[np.float64],
    x_held: NDArray[np.float32],
    y_held: NDArray[np.float64],
    seed: int,
) -> float:
    return measure(y_held, fit_model(model, parameters, x, y, seed).predict(x_held)).mae
