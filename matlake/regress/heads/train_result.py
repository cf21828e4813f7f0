"""What a training run found, for people and for scripts."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.metrics import Intervals, Metrics
from matlake.regress.features.feature_reader import NOT_EMBEDDED
from matlake.regress.features.labels import Missing, count_rows
from matlake.regress.heads.baseline import Baseline
from matlake.regress.heads.calibration_text import calibration_lines
from matlake.regress.heads.card import Evaluation, HeadCard, Search, parameter_text
from matlake.regress.heads.class_report import probability_table, search_error, title_of
from matlake.regress.heads.flat_card import flat_document
from matlake.regress.heads.verdict import ranking_text, verdict_lines
from matlake.regress.targets.kinds import Kind
from matlake.reports import TableReport
from matlake.store.folders import MEMBER
from matlake.text_tables import Column, Line, TextTable

_WIDEST: Final = 60
_NOTABLE: Final = 0.03
"""A shortfall of coverage below this is within chance on a few hundred test rows."""


_SHARED_KEYS: Final = (
    *("target", "unit", "n_train", "n_test", "n_dropped", "metrics", "baseline", "fractions_baseline"),
    *("model", "parameters", "split", "split_description", "seed", "learning_curve", "baselines", "verdict", "bounds"),
    *("kind", "classes", "transform", "scale", "weighting"),
)


@dataclass(frozen=True)
class HeldOutRows:
    """The test rows, with the predictions of the saved head for them.

    Attributes:
        material_id: str [m].
        formula: str [m].
        groups: str [m], hashes of their compositions.
        y: float64 [m], measured values.
        predicted: float64 [m].
        scores: float64 [m], out-of-distribution scores.
        lower: float64 [m], lower ends of the intervals.
        upper: float64 [m], upper ends.
        nearest: float64 [m], values of the nearest training materials.
        expected_errors: float64 [m], expected absolute errors; NaN for a yes/no property.
        levels: float64 [m], level of the narrowest interval that holds the measured value; NaN for a yes/no property.
    """

    material_id: NDArray[np.str_]
    formula: NDArray[np.str_]
    groups: NDArray[np.str_]
    y: NDArray[np.float64]
    predicted: NDArray[np.float64]
    scores: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    nearest: NDArray[np.float64]
    expected_errors: NDArray[np.float64]
    levels: NDArray[np.float64]

    def to_arrow(self) -> pa.Table:
        """Return a row for each: ``material_id``, ``formula``, ``measured``, ``predicted``, and what it rests on."""
        return pa.table(
            {
                "material_id": self.material_id,
                "formula": self.formula,
                "measured": self.y,
                "predicted": self.predicted,
                "lower": self.lower,
                "upper": self.upper,
                "expected_error": self.expected_errors,
                "ood_score": self.scores,
            }
        )

    @property
    def errors(self) -> NDArray[np.float64]:
        """Absolute errors, float64 [m]."""
        errors: NDArray[np.float64] = np.abs(self.predicted - self.y)
        return errors

    @property
    def coverage(self) -> float:
        """Share of measured values in their interval."""
        return float(np.mean((self.lower <= self.y) & (self.y <= self.upper)))

    @property
    def widths(self) -> NDArray[np.float64]:
        """Widths of the intervals, float64 [m]."""
        return self.upper - self.lower


@dataclass(frozen=True, repr=False)
class TrainResult(TableReport):
    """A saved head and how good it is.

    Attributes:
        card: The head's card.
        missing: Rows left out because they lack an embedding, a weight, or a value on the scale of the target.
        test: The test rows.
        fractions_model: The model on element fractions; another than the head's if that one is fine-tuned.
        others: Of a head with several targets, the results of all after the first.
    """

    card: HeadCard
    missing: tuple[Missing, ...]
    test: HeldOutRows
    fractions_model: str
    others: tuple["TrainResult", ...] = ()

    @property
    def results(self) -> tuple["TrainResult", ...]:
        """One result for each target."""
        return (replace(self, others=()), *self.others)

    @property
    def metrics(self) -> Metrics:
        """Errors of the saved head on the test rows."""
        return self.card.evaluation.metrics

    @property
    def baseline(self) -> Metrics:
        """Errors of the training rows' mean on the test rows."""
        return self.card.evaluation.baseline

    @property
    def left_out(self) -> int:
        """Number of rows that lack something."""
        return count_rows(self.missing)

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the contract; of several targets one for each under ``results``."""
        if self.others:
            return {
                "head": self.card.name.partition(MEMBER)[0],
                "targets": [result.card.target for result in self.results],
                "results": [result.document() for result in self.results],
            }
        flat = flat_document(self.card)
        return {
            "head": self.card.name,
            **{key: flat[key] for key in _SHARED_KEYS},
            "metric_intervals": flat["evaluation"]["intervals"],
            "nearest_baseline": flat["evaluation"]["nearest_baseline"],
            "random_split": flat["random_evaluation"],
            "features": [feature.feature for feature in self.card.features],
            "feature_choice": flat["feature_choice"],
            "cv": flat["cross_validation"],
            "interval": flat["interval"] | flat["interval_check"] if flat["interval"] else None,
            "expected_error": flat["expected_error"],
            "coverage_by_group": flat["coverage_by_group"],
            "ood": flat["ood_check"],
            "left_out": self.left_out,
            "left_out_rows": [asdict(row) for row in self.missing],
        }

    def to_arrow(self) -> pa.Table:
        """Return the test rows with their predictions; of several targets those of the first."""
        return self.test.to_arrow()

    def lines(self) -> list[Line]:
        """Return the text for people; of several targets one after the other."""
        if self.others:
            several = [[*result.lines(), ""] for result in self.results]
            return [line for lines in several for line in lines][:-1]
        card, training, rows = self.card, self.card.training, self.card.evaluation
        settings = parameter_text(card.model.parameters)
        dropped = f", {training.n_dropped:,} in neither set" if training.n_dropped else ""
        lines: list[Line] = [
            f"head {card.name}: {title_of(card)}",
            f"trained on {rows.n_train:,} rows, tested on {rows.n_test:,} others{dropped}; seed {training.seed}",
            f"split {training.split}: {training.split_description}",
            f"model {card.model.kind}{f' ({settings})' if settings else ''}",
            *(card.scale.lines(card.target, card.unit) if card.scale else []),
            *([card.weighting] if card.weighting else []),
            *(card.model.features.lines(card.unit) if card.model.features else []),
            *(_search_lines(card.model.search, card) if card.model.search else []),
            "",
            self._table(),
            "",
            *verdict_lines(card),
            *self._trust_lines(),
        ]
        if self.missing:
            first = self.missing[0]
            example = f"{first.material_id} of {first.dataset} has no {first.feature} ({first.reason}) …"
            lines += ["", f"{self.left_out:,} rows left out: {example}"]
            if any(row.reason == NOT_EMBEDDED for row in self.missing):
                lines.append("see the view failures, or embed again")
        return lines

    def _table(self) -> TextTable:
        card = self.card
        names = [feature.feature for feature in card.features]
        model = card.model.kind + ("" if card.carries_network else f" on {_features(names)}")
        rows = _rows_of(card.evaluation, model)
        rows.insert(1, (f"{self.fractions_model} on element fractions", card.fractions_baseline, {}))
        rows += [(_name_with_rows(one, card), one.metrics, {}) for one in card.more_baselines]
        if card.random_evaluation is not None:
            rows += _rows_of(card.random_evaluation, model, "random split: ")
        if card.kind is Kind.YES_NO:
            return probability_table(rows)
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
        unit, calibration, domain = self.card.unit, self.card.calibration, self.card.domain
        lines = self.card.classes.lines() if self.card.classes else []
        if calibration is not None:
            coverage, level = calibration.coverage, calibration.interval.level
            line = (
                f"{level:.0%} intervals hold {coverage:.1%} of the test rows, "
                f"mean width {calibration.mean_width:.3g} {unit}".rstrip()
            )
            if coverage < level - _NOTABLE:
                line += f": {100 * (level - coverage):.0f} points short"
                if self.card.training.split != "random":
                    line += ", as the test rows are not like the training rows"
            lines += [line, *calibration_lines(calibration, unit)]
        if domain is not None and domain.beyond is not None:
            lines += [
                f"{domain.beyond:.0%} of the test rows have an out-of-distribution score above 1",
                ranking_text(self.card),
            ]
        if self.card.bounds:
            lines.append(f"predictions and intervals are {self.card.bounds.text(unit)}")
        if not self.card.learning_curve:
            return lines
        curve = ", ".join(f"{point.mae:.3g} at {point.rows:,}" for point in self.card.full_curve)
        error = "mean absolute error of the probability" if self.card.classes else f"MAE {unit}".rstrip()
        return [*lines, f"learning curve, {error} by training rows: {curve}"]


def _search_lines(search: Search, card: HeadCard) -> list[Line]:
    best, several = search.candidates[0], search.folds > 1
    spread = f" ± {best.mae_std:.2g}" if best.folds > 1 else ""
    folds = f"{best.folds} folds" if several else "one fold"
    line = (
        f"cross-validated {search_error(card)} {best.mae:.4g}{spread} {card.unit}".rstrip()
        + f" ({folds} of {search.rows:,} training rows)"
    )
    return [line, *filter(None, (search.cut_short, search.outlook))]


def _rows_of(found: Evaluation, model: str, prefix: str = "") -> list[tuple[str, Metrics, Intervals]]:
    rows: list[tuple[str, Metrics, Intervals]] = [(prefix + model, found.metrics, found.intervals)]
    if found.nearest_baseline is not None:
        rows.append((prefix + "nearest training material", found.nearest_baseline, {}))
    return [*rows, (prefix + "mean of the training rows", found.baseline, {})]


def _name_with_rows(baseline: Baseline, card: HeadCard) -> str:
    return baseline.name + ("" if baseline.rows == card.evaluation.n_test else f" ({baseline.rows:,} rows)")


def _features(names: list[str]) -> str:
    together = " + ".join(names)
    return together if len(together) <= _WIDEST else f"{len(names)} features together"


def _table_row(label: str, metrics: Metrics, intervals: Intervals) -> tuple[object, ...]:
    between = "[{:.4g}, {:.4g}]".format(*intervals["mae"]) if "mae" in intervals else ""
    return label, metrics.mae, between, metrics.rmse, metrics.q95, metrics.r2, metrics.spearman
