"""Heads laid out for people and for scripts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matlake.regress.heads.card import HeadCard
from matlake.regress.heads.parameter_text import parameter_text
from matlake.regress.heads.storage import PLOTS
from matlake.text_tables import Column, TextTable


def head_summary(card: HeadCard) -> dict[str, Any]:
    """Return what ``heads list --json`` tells of a head."""
    return {
        "name": card.name,
        "target": card.target,
        "unit": card.unit,
        "model": card.model,
        "features": [feature.feature for feature in card.features],
        "split": card.split,
        "n_train": card.n_train,
        "mae": card.metrics["mae"],
        "sha256": card.sha256,
        "created": card.created,
    }


def head_table(cards: Sequence[HeadCard]) -> TextTable:
    """Return a table of heads."""
    columns = (Column("head"), Column("target"), Column("model"), Column("features"), Column("MAE", "right"))
    rows = [
        (
            card.name,
            card.target,
            card.model,
            " + ".join(feature.feature for feature in card.features),
            _with_unit(card.metrics["mae"], card),
        )
        for card in cards
    ]
    return TextTable(columns, rows)


def card_lines(card: HeadCard, folder: Path) -> list[str]:
    """Return a card as lines of text.

    Args:
        card: The card.
        folder: The head's folder.
    """
    ends = card.evaluation.get("intervals", {}).get("mae")
    between = " [{:.4g}, {:.4g}]".format(*ends) if ends else ""
    mae, floor = _with_unit(card.metrics["mae"], card), _with_unit(card.baseline["mae"], card)
    lines = [
        f"{card.name}: {card.target} in {card.unit or 'no unit'}",
        f"  model         {card.model}, {parameter_text(card.parameters) or 'no parameters'}",
        "  features      " + "\n                ".join(f"{f.feature} ({f.sha256[:12]})" for f in card.features),
        f"  trained on    {card.n_train:,} rows: {card.training_sql}",
        f"  tested on     {card.n_test:,} rows, split {card.split}, seed {card.seed}",
        *([f"                {card.split_description}"] if card.split_description else []),
        f"  test MAE      {mae}{between}; mean of the training rows {floor}",
    ]
    if card.interval is not None:
        level, rows, coverage = card.interval.level, card.interval.calibration_rows, card.interval_check["coverage"]
        lines += [
            f"  intervals     {level:.0%}, calibrated on {rows:,} rows; hold {coverage:.1%} of the test rows",
            f"  remembers     {card.reference_rows:,} training rows",
        ]
    else:
        lines.append("  intervals     none: trained by an older version; train it again to have them")
    plots = sorted(path.name for path in (folder / PLOTS).glob("*.png"))
    return [
        *lines,
        f"  created       {card.created}",
        f"  sha256        {card.sha256}",
        f"  folder        {folder}",
        *([f"  plots         {', '.join(plots)}"] if plots else []),
    ]


def _with_unit(value: float | None, card: HeadCard) -> str:
    return "unknown" if value is None else f"{value:.4g} {card.unit}".rstrip()
