"""What a fine-tuning found, for people and for scripts."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import pyarrow as pa

from matlake.metrics import Metrics
from matlake.regress.features.labels import Missing
from matlake.regress.heads.card import FineTuning, Forgetting, HeadCard, parameter_text
from matlake.regress.heads.flat_card import flat_document
from matlake.regress.heads.train_result import HeldOutRows
from matlake.regress.heads.verdict import verdict_lines
from matlake.reports import TableReport

_SHARED_KEYS: Final = (
    *("target", "unit", "n_train", "n_test", "split_description", "baseline", "fractions_baseline", "baselines"),
    *("verdict", "bounds"),
    *("model", "parameters", "seed", "learning_curve", "sha256"),
)


@dataclass(frozen=True, repr=False)
class FinetuneResult(TableReport):
    """A saved head, and what its fine-tuning changed.

    Attributes:
        card: Of the new head.
        fine_tuning: Of the card.
        missing: Target rows left out because they lack an embedding.
        test: The target rows that were held out.
    """

    card: HeadCard
    fine_tuning: FineTuning
    missing: tuple[Missing, ...]
    test: HeldOutRows

    @property
    def before(self) -> Metrics:
        """Errors of the old head on the held-out target rows."""
        return self.fine_tuning.before

    @property
    def after(self) -> Metrics:
        """Errors of the new head on the held-out target rows."""
        return self.card.evaluation.metrics

    @property
    def forgetting(self) -> Forgetting | None:
        """Errors on the old head's own test rows; None if they cannot be found any more."""
        return self.fine_tuning.forgetting

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the contract."""
        flat = flat_document(self.card)
        return {
            "head": self.card.name,
            **{key: flat["parameters"][key] for key in ("from_head", "from_sha256", "method", "target_rows")},
            **{key: flat[key] for key in _SHARED_KEYS},
            "before": asdict(self.before),
            "after": flat["metrics"],
            "metric_intervals": flat["evaluation"]["intervals"],
            "nearest_baseline": flat["evaluation"]["nearest_baseline"],
            "forgetting": flat["evaluation"]["forgetting"],
            "features": [feature.feature for feature in self.card.features],
            "interval": (flat["interval"] or {}) | flat["interval_check"],
            "ood": flat["ood_check"],
            "left_out_rows": [asdict(row) for row in self.missing],
        }

    def to_arrow(self) -> pa.Table:
        """Return the target rows that were held out, with their predictions."""
        return self.test.to_arrow()

    def lines(self) -> list[str]:
        """Return the text for people."""
        card = self.card
        parameters, ends = card.model.parameters, card.evaluation.intervals.get("mae")
        old = parameters["from_head"]
        lines = [
            f"head {card.name}: {card.target} in {card.unit or 'no unit'}",
            f"{card.training.split_description}; seed {card.training.seed}",
            f"model {card.model.kind} ({parameter_text(parameters)})",
            "",
            f"MAE {card.unit}".rstrip() + f" on the {card.evaluation.n_test:,} held-out target rows",
            f"  {old}, before    {self.before.mae:.4g}",
            f"  {card.name}, after    {self.after.mae:.4g}" + (" [{:.4g}, {:.4g}]".format(*ends) if ends else ""),
            f"  mean of the target rows trained on    {card.evaluation.baseline.mae:.4g}",
            *verdict_lines(card),
        ]
        if self.forgetting is None:
            lines.append(f"the rows that {old} was tested on cannot be found any more: forgetting is not measured")
        else:
            found = self.forgetting
            lines += [
                f"MAE on {found.rows:,} rows that {old} was tested on",
                f"  before    {found.before.mae:.4g}",
                f"  after     {found.after.mae:.4g}",
            ]
        if card.calibration is not None:
            level, coverage = card.calibration.interval.level, card.calibration.coverage
            lines.append(f"{level:.0%} intervals hold {coverage:.1%} of the held-out target rows")
        if self.missing:
            first = self.missing[0]
            lines.append(f"rows left out, such as {first.material_id} of {first.dataset}: no {first.feature}")
        return lines
