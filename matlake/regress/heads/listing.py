"""Heads laid out for people and for scripts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matlake.regress.heads.card import HeadCard, parameter_text
from matlake.regress.heads.storage import PLOTS
from matlake.regress.heads.verdict import ranking_text, verdict_lines
from matlake.text_tables import Column, TextTable


def head_summary(card: HeadCard) -> dict[str, Any]:
    """Return what ``heads list --json`` says of a head."""
    return {
        "name": card.name,
        "target": card.target,
        "unit": card.unit,
        "model": card.model.kind,
        "features": [feature.feature for feature in card.features],
        "split": card.training.split,
        "n_train": card.evaluation.n_train,
        "mae": card.evaluation.metrics.mae,
        "sha256": card.sha256,
        "created": card.provenance.created,
        "notes": list(card.notes),
    }


def head_table(cards: Sequence[HeadCard]) -> TextTable:
    """Return a table of heads."""
    columns = (Column("head"), Column("target"), Column("model"), Column("features"), Column("MAE", "right"))
    rows = [
        (
            card.name,
            card.target,
            card.model.kind,
            " + ".join(feature.feature for feature in card.features),
            _with_unit(card.evaluation.metrics.mae, card),
        )
        for card in cards
    ]
    return TextTable(columns, rows)


def card_lines(card: HeadCard, folder: Path) -> list[str]:
    """Return the card of a head in a folder as lines of text."""
    ends = card.evaluation.intervals.get("mae")
    between = " [{:.4g}, {:.4g}]".format(*ends) if ends else ""
    mae, floor = _with_unit(card.evaluation.metrics.mae, card), _with_unit(card.evaluation.baseline.mae, card)
    lines = [
        f"{card.name}: {card.target} in {card.unit or 'no unit'}",
        f"  model         {card.model.kind}, {parameter_text(card.model.parameters) or 'no parameters'}",
        *_search_lines(card),
        "  features      " + "\n                ".join(f"{f.feature} ({f.sha256[:12]})" for f in card.features),
        *_choice_lines(card),
        f"  trained on    {card.evaluation.n_train:,} rows: {card.training.sql}",
        f"  tested on     {card.evaluation.n_test:,} rows, split {card.training.split}, seed {card.training.seed}",
        *([f"                {card.training.split_description}"] if card.training.split_description else []),
        f"  test MAE      {mae}{between}; mean of the training rows {floor}",
        *_verdict(card),
    ]
    if card.calibration is not None and card.domain is not None:
        interval, coverage = card.calibration.interval, card.calibration.coverage
        rows = interval.calibration_rows
        lines += [
            f"  intervals     {interval.level:.0%}, calibrated on {rows:,} rows; hold {coverage:.1%} of the test rows",
            f"  reference     {card.domain.reference_rows:,} training rows",
            f"                {ranking_text(card)}",
        ]
    else:
        lines.append("  intervals     none: trained by an older version; train it again to have them")
    if card.bounds:
        lines.append(f"  bounds        {card.bounds.text(card.unit)}")
    plots = sorted(path.name for path in (folder / PLOTS).glob("*.png"))
    return [
        *lines,
        f"  created       {card.provenance.created}",
        f"  sha256        {card.sha256}",
        f"  folder        {folder}",
        *([f"  plots         {', '.join(plots)}"] if plots else []),
        *(f"  note          {note}" for note in card.notes),
    ]


def _verdict(card: HeadCard) -> list[str]:
    first, *others = verdict_lines(card)
    return [f"  verdict       {first.removeprefix('verdict: ')}", *(f"                {line}" for line in others)]


def _search_lines(card: HeadCard) -> list[str]:
    search = card.model.search
    if search is None:
        return []
    best = search.candidates[0]
    mae = f"cross-validated MAE {_with_unit(best.mae, card)} on {best.folds} of {search.folds} folds"
    tried = f"  chosen from   {len(search.candidates)} candidates, {mae}"
    return [tried, f"                {search.cut_short}"] if search.cut_short else [tried]


def _choice_lines(card: HeadCard) -> list[str]:
    choice = card.model.features
    return [] if choice is None else [f"                {line}" for line in choice.lines(card.unit)]


def _with_unit(value: float, card: HeadCard) -> str:
    return f"{value:.4g} {card.unit}".rstrip()
