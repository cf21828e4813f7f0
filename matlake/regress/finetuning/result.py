"""What a fine-tuning found, for people and for scripts."""

from dataclasses import asdict, dataclass
from typing import Any

from matlake.metrics import Metrics
from matlake.regress.features.matrix import Missing
from matlake.regress.heads.card import HeadCard
from matlake.regress.heads.evaluation import Evaluation
from matlake.regress.heads.parameter_text import parameter_text
from matlake.regress.heads.train_result import HeldRows


@dataclass(frozen=True)
class Forgetting:
    """Errors on the rows that the old head was tested on.

    Attributes:
        rows: How many; compositions that are now trained on are not among them.
        before: Errors of the old head.
        after: Errors of the new one.
    """

    rows: int
    before: Metrics
    after: Metrics


@dataclass(frozen=True)
class FinetuneResult:
    """A saved head, and what its fine-tuning changed.

    Attributes:
        card: Of the new head.
        before: Errors of the old head on the target rows set aside.
        evaluation: Errors of the new one on them, and of what needs no model.
        forgetting: Errors on the old head's own test rows; None where they cannot be told any more.
        missing: Target rows left out because they lack an embedding.
        test: The target rows set aside.
    """

    card: HeadCard
    before: Metrics
    evaluation: Evaluation
    forgetting: Forgetting | None
    missing: tuple[Missing, ...]
    test: HeldRows

    @property
    def after(self) -> Metrics:
        """Errors of the new head on the target rows set aside."""
        return self.evaluation.metrics

    @property
    def mean(self) -> Metrics:
        """Errors of the mean of the target rows trained on."""
        return self.evaluation.baseline

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the contract."""
        card = self.card
        return {
            "head": card.name,
            "from_head": card.parameters["from_head"],
            "from_sha256": card.parameters["from_sha256"],
            "method": card.parameters["method"],
            "target": card.target,
            "unit": card.unit,
            "target_rows": card.parameters["target_rows"],
            "n_train": card.n_train,
            "n_test": card.n_test,
            "split_description": card.split_description,
            "before": asdict(self.before),
            "after": asdict(self.after),
            "metric_intervals": self.evaluation.intervals,
            "baseline": asdict(self.mean),
            "nearest_baseline": asdict(self.evaluation.nearest_baseline),
            "fractions_baseline": card.fractions_baseline,
            "forgetting": asdict(self.forgetting) if self.forgetting else None,
            "model": card.model,
            "parameters": card.parameters,
            "features": [feature.feature for feature in card.features],
            "seed": card.seed,
            "interval": (asdict(card.interval) if card.interval else {}) | card.interval_check,
            "ood": card.ood_check,
            "learning_curve": card.learning_curve,
            "sha256": card.sha256,
            "left_out_rows": [asdict(row) for row in self.missing],
        }

    def lines(self) -> list[str]:
        """Return the text for people."""
        card = self.card
        old = card.parameters["from_head"]
        lines = [
            f"head {card.name}: {card.target} in {card.unit or 'no unit'}",
            f"{card.split_description}; seed {card.seed}",
            f"model {card.model} ({parameter_text(card.parameters)})",
            "",
            f"MAE {card.unit}".rstrip() + f" on the {card.n_test:,} target rows set aside",
            f"  {old}, before    {self.before.mae:.4g}",
            f"  {card.name}, after    {self.after.mae:.4g}"
            + (" [{:.4g}, {:.4g}]".format(*ends) if (ends := self.evaluation.intervals.get("mae")) else ""),
            f"  mean of the target rows trained on    {self.mean.mae:.4g}",
        ]
        if self.forgetting is None:
            lines.append(f"the rows that {old} was tested on cannot be told any more: what it forgot is not measured")
        else:
            found = self.forgetting
            lines += [
                f"MAE on {found.rows:,} rows that {old} was tested on",
                f"  before    {found.before.mae:.4g}",
                f"  after     {found.after.mae:.4g}",
            ]
        if card.interval is not None:
            lines.append(
                f"{card.interval.level:.0%} intervals hold {self.test.coverage:.1%} of the target rows set aside"
            )
        if self.missing:
            first = self.missing[0]
            lines.append(f"rows left out, such as {first.material_id} of {first.dataset}: no {first.feature}")
        return lines
