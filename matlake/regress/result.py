"""What a training run found, for people and for scripts."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.head import HeadCard
from matlake.regress.matrix import Missing
from matlake.regress.metrics import Metrics

_WIDEST: Final = 60


@dataclass(frozen=True)
class HeldRows:
    """The rows set aside, with what the saved head says of them.

    Attributes:
        material_id: str [m].
        formula: str [m].
        y: float64 [m], true values.
        predicted: float64 [m].
    """

    material_id: NDArray[np.str_]
    formula: NDArray[np.str_]
    y: NDArray[np.float64]
    predicted: NDArray[np.float64]


@dataclass(frozen=True)
class TrainResult:
    """A saved head and how good it is.

    Attributes:
        card: The head's card.
        metrics: Errors of the saved head on the test rows.
        baseline: Errors of the training rows' mean on them.
        fractions_baseline: Errors of the same model on element fractions, same rows.
        missing: Rows left out because they lack an embedding.
        test: The test rows.
    """

    card: HeadCard
    metrics: Metrics
    baseline: Metrics
    fractions_baseline: Metrics
    missing: tuple[Missing, ...]
    test: HeldRows

    @property
    def left_out(self) -> int:
        """Number of rows that lack an embedding of one feature or several."""
        return len({(row.dataset, row.material_id) for row in self.missing})

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the contract."""
        card = self.card
        return {
            "head": card.name,
            "target": card.target,
            "unit": card.unit,
            "n_train": card.n_train,
            "n_test": card.n_test,
            "metrics": asdict(self.metrics),
            "baseline": asdict(self.baseline),
            "fractions_baseline": asdict(self.fractions_baseline),
            "model": card.model,
            "parameters": card.parameters,
            "features": [feature.feature for feature in card.features],
            "split": card.split,
            "seed": card.seed,
            "cv": card.cross_validation,
            "left_out": self.left_out,
            "left_out_rows": [asdict(row) for row in self.missing],
        }

    def lines(self) -> list[str]:
        """Return the text for people."""
        card = self.card
        unit = card.unit or "no unit"
        settings = ", ".join(f"{key}={_short(value)}" for key, value in card.parameters.items())
        cross = card.cross_validation
        rows = [
            (f"{card.model} on {_features([f.feature for f in card.features])}", self.metrics),
            (f"{card.model} on element fractions", self.fractions_baseline),
            ("mean of the training rows", self.baseline),
        ]
        heading = "errors on the test rows"
        width = max(len(heading), *(len(label) for label, _ in rows))
        lines = [
            f"head {card.name}: {card.target} in {unit}",
            f"trained on {card.n_train:,} rows, tested on {card.n_test:,} others: {card.split} split, seed {card.seed}",
            f"model {card.model}{f' ({settings})' if settings else ''}",
            f"cross-validated MAE {cross['mae']:.4g} ± {cross['mae_std']:.2g} {card.unit}".rstrip()
            + f" ({cross['folds']} folds of {cross['rows']:,} training rows)",
            "",
            f"{heading:<{width}}  {'MAE':>8}  {'RMSE':>8}  {'R²':>6}  (MAE and RMSE in {unit})",
            *(_metrics_line(label.ljust(width), metrics) for label, metrics in rows),
        ]
        if self.missing:
            first = self.missing[0]
            example = f"{first.material_id} of {first.dataset} has no {first.feature} ({first.reason}) …"
            lines += [
                "",
                f"{self.left_out:,} rows left out: {example}",
                "see the view failures, or run `matlake embed` again",
            ]
        return lines


def _features(names: list[str]) -> str:
    together = " + ".join(names)
    return together if len(together) <= _WIDEST else f"{len(names)} embeddings together"


def _metrics_line(label: str, metrics: Metrics) -> str:
    r2 = "-" if metrics.r2 is None else f"{metrics.r2:.3f}"
    return f"{label}  {metrics.mae:>8.4g}  {metrics.rmse:>8.4g}  {r2:>6}"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
