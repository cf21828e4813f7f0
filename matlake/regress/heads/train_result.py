"""What a training run found, for people and for scripts."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import Intervals, Metrics
from matlake.regress.features.matrix import Missing
from matlake.regress.heads.card import HeadCard
from matlake.regress.heads.evaluation import Evaluation
from matlake.regress.heads.parameter_text import parameter_text
from matlake.text_tables import Column, Line, TextTable

_WIDEST: Final = 60
_NOTABLE: Final = 0.03
"""A shortfall of coverage below this is what chance does on a few hundred test rows."""


@dataclass(frozen=True)
class HeldRows:
    """The rows set aside, with what the saved head says of them.

    Attributes:
        material_id: str [m].
        formula: str [m].
        y: float64 [m], measured values.
        predicted: float64 [m].
        scores: float64 [m], out-of-distribution scores.
        half_widths: float64 [m], half the widths of the intervals.
    """

    material_id: NDArray[np.str_]
    formula: NDArray[np.str_]
    y: NDArray[np.float64]
    predicted: NDArray[np.float64]
    scores: NDArray[np.float64]
    half_widths: NDArray[np.float64]

    @property
    def errors(self) -> NDArray[np.float64]:
        """Absolute errors, float64 [m]."""
        errors: NDArray[np.float64] = np.abs(self.predicted - self.y)
        return errors

    @property
    def coverage(self) -> float:
        """Share of measured values in their interval."""
        return float(np.mean(self.errors <= self.half_widths))


@dataclass(frozen=True)
class TrainResult:
    """A saved head and how good it is.

    Attributes:
        card: The head's card.
        evaluation: Errors of the saved head on the test rows, and of the baselines.
        random_evaluation: The same of the same model on a random split; None where the split is random.
        fractions_baseline: Errors of the same model on element fractions, same rows.
        missing: Rows left out because they lack an embedding.
        test: The test rows.
        fractions_model: The model on element fractions; another than the head's where that one is fine-tuned.
    """

    card: HeadCard
    evaluation: Evaluation
    random_evaluation: Evaluation | None
    fractions_baseline: Metrics
    missing: tuple[Missing, ...]
    test: HeldRows
    fractions_model: str

    @property
    def metrics(self) -> Metrics:
        """Errors of the saved head on the test rows."""
        return self.evaluation.metrics

    @property
    def baseline(self) -> Metrics:
        """Errors of the training rows' mean on the test rows."""
        return self.evaluation.baseline

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
            "n_dropped": card.n_dropped,
            "metrics": card.metrics,
            "metric_intervals": card.evaluation["intervals"],
            "baseline": card.baseline,
            "nearest_baseline": card.evaluation["nearest_baseline"],
            "fractions_baseline": card.fractions_baseline,
            "random_split": card.random_evaluation,
            "model": card.model,
            "parameters": card.parameters,
            "features": [feature.feature for feature in card.features],
            "split": card.split,
            "split_description": card.split_description,
            "seed": card.seed,
            "cv": card.cross_validation,
            "interval": asdict(card.interval) | card.interval_check if card.interval else None,
            "ood": card.ood_check,
            "learning_curve": card.learning_curve,
            "left_out": self.left_out,
            "left_out_rows": [asdict(row) for row in self.missing],
        }

    def lines(self) -> list[Line]:
        """Return the text for people."""
        card = self.card
        settings = parameter_text(card.parameters)
        cross = card.cross_validation
        dropped = f", {card.n_dropped:,} on neither side" if card.n_dropped else ""
        lines: list[Line] = [
            f"head {card.name}: {card.target} in {card.unit or 'no unit'}",
            f"trained on {card.n_train:,} rows, tested on {card.n_test:,} others{dropped}; seed {card.seed}",
            f"split {card.split}: {card.split_description}",
            f"model {card.model}{f' ({settings})' if settings else ''}",
            _cross_validation_line(cross, card.unit),
            "",
            self._table(),
            "",
            *self._trust_lines(),
        ]
        if self.missing:
            first = self.missing[0]
            example = f"{first.material_id} of {first.dataset} has no {first.feature} ({first.reason}) …"
            lines += [
                "",
                f"{self.left_out:,} rows left out: {example}",
                "see the view failures, or embed again",
            ]
        return lines

    def _table(self) -> TextTable:
        card, evaluation = self.card, self.evaluation
        features = _features([feature.feature for feature in card.features])
        rows: list[tuple[str, Metrics, Intervals]] = [
            (f"{card.model} on {features}", evaluation.metrics, evaluation.intervals),
            (f"{self.fractions_model} on element fractions", self.fractions_baseline, {}),
            ("nearest training material", evaluation.nearest_baseline, {}),
            ("mean of the training rows", evaluation.baseline, {}),
        ]
        if self.random_evaluation is not None:
            other = self.random_evaluation
            rows += [
                (f"random split: {card.model} on {features}", other.metrics, other.intervals),
                ("random split: nearest training material", other.nearest_baseline, {}),
                ("random split: mean of the training rows", other.baseline, {}),
            ]
        columns = (
            Column("errors on the test rows"),
            Column("MAE", "right", ".4g", card.unit),
            Column("95 % interval"),
            Column("RMSE", "right", ".4g", card.unit),
            Column("Q95", "right", ".4g", card.unit),
            Column("R²", "right", ".3f"),
            Column("Spearman", "right", ".3f"),
        )
        return TextTable(columns, [_table_row(*row) for row in rows])

    def _trust_lines(self) -> list[str]:
        card, lines = self.card, []
        if card.interval is not None:
            coverage, level = card.interval_check["coverage"], card.interval.level
            line = (
                f"{level:.0%} intervals hold {coverage:.1%} of the test rows, "
                f"mean width {card.interval_check['mean_width']:.3g} {card.unit}".rstrip()
            )
            if coverage < level - _NOTABLE:
                line += (
                    f": {100 * (level - coverage):.0f} points short; they promise {level:.0%} on materials like those "
                )
                line += "trained on, and these are not"
            lines.append(line)
        correlation, beyond = card.ood_check["rank_correlation"], card.ood_check["beyond"]
        if correlation is not None and beyond is not None:
            lines.append(
                f"out-of-distribution score: {beyond:.0%} of the test rows are beyond 1; "
                f"rank correlation with the error {correlation:.2f}"
            )
        curve = ", ".join(f"{point['mae']:.3g} at {point['rows']:,.0f}" for point in card.learning_curve)
        return [*lines, f"learning curve, MAE {card.unit}".rstrip() + f" by training rows: {curve}"]


def _cross_validation_line(cross: dict[str, Any], unit: str) -> str:
    several = cross["folds"] > 1
    spread = f" ± {cross['mae_std']:.2g}" if several else ""
    folds = f"{cross['folds']} folds" if several else "one fold"
    return (
        f"cross-validated MAE {cross['mae']:.4g}{spread} {unit}".rstrip()
        + f" ({folds} of {cross['rows']:,} training rows)"
    )


def _features(names: list[str]) -> str:
    together = " + ".join(names)
    return together if len(together) <= _WIDEST else f"{len(names)} embeddings together"


def _table_row(label: str, metrics: Metrics, intervals: Intervals) -> tuple[object, ...]:
    between = "[{:.4g}, {:.4g}]".format(*intervals["mae"]) if "mae" in intervals else ""
    return label, metrics.mae, between, metrics.rmse, metrics.q95, metrics.r2, metrics.spearman
