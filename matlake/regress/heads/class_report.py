"""What is said of heads in other words where they predict yes or no."""

from collections.abc import Sequence
from typing import Final

from matlake.metrics import Intervals, Metrics
from matlake.regress.heads.card import HeadCard
from matlake.regress.targets.kinds import Kind
from matlake.text_tables import Column, TextTable

_NUMERIC: Final = "the column holds 0 and 1 only, so it is taken as yes (1) or no (0)"


def title_of(card: HeadCard) -> str:
    """Return what a head predicts."""
    if card.classes is None:
        return f"{card.target} in {card.unit or 'no unit'}"
    numeric = f"; {_NUMERIC}" if card.classes.numeric else ""
    return f"probability that {card.target} is yes (yes in {card.classes.yes_share:.0%} of the training rows){numeric}"


def search_error(card: HeadCard) -> str:
    """Return what a model search makes small."""
    return "MAE" if card.kind is Kind.NUMBER else "log loss"


def shown_error(card: HeadCard) -> str:
    """Return the error of a head on its test rows that a list shows, with its name and unit."""
    metrics = card.evaluation.metrics
    if card.kind is Kind.YES_NO:
        return f"Brier score {metrics.brier:.4g}"
    return f"MAE {metrics.mae:.4g} {card.unit}".rstrip()


def probability_table(rows: Sequence[tuple[str, Metrics, Intervals]]) -> TextTable:
    """Return errors of probabilities, each with what they are of and their intervals."""
    columns = (
        Column("errors on the test rows"),
        Column("Brier score", "right", ".4g"),
        Column("95 % interval"),
        Column("log loss", "right", ".4g"),
        Column("ROC-AUC", "right", ".3f"),
        Column("balanced accuracy", "right", ".3f"),
    )
    return TextTable(columns, [_row(*row) for row in rows])


def _row(label: str, metrics: Metrics, intervals: Intervals) -> tuple[object, ...]:
    between = "[{:.4g}, {:.4g}]".format(*intervals["brier"]) if "brier" in intervals else ""
    return label, metrics.brier, between, metrics.log_loss, metrics.roc_auc, metrics.balanced_accuracy
