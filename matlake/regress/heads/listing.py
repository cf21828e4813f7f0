"""Heads laid out for people and for scripts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matlake.regress.features.feature import Feature
from matlake.regress.heads.calibration_text import calibration_lines
from matlake.regress.heads.card import HeadCard
from matlake.regress.heads.class_report import search_error, shown_error, title_of
from matlake.regress.heads.storage import PLOTS
from matlake.regress.heads.verdict import ranking_text, recalibration_lines, verdict_lines
from matlake.regress.targets.kinds import Kind
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
        "kind": card.kind,
        "mae": card.evaluation.metrics.mae,
        "sha256": card.sha256,
        "created": card.provenance.created,
        "notes": list(card.notes),
    }


def head_table(cards: Sequence[HeadCard]) -> TextTable:
    """Return a table of heads."""
    columns = (Column("head"), Column("target"), Column("model"), Column("features"), Column("test error", "right"))
    rows = [
        (
            card.name,
            card.target,
            card.model.kind,
            " + ".join(feature.feature for feature in card.features),
            shown_error(card),
        )
        for card in cards
    ]
    return TextTable(columns, rows)


def card_lines(card: HeadCard, folder: Path) -> list[str]:
    """Return the card of a head in a folder as lines of text."""
    lines = [
        f"{card.name}: {title_of(card)}",
        f"  model         {card.model.text}",
        *_search_lines(card),
        *_scale_lines(card),
        "  features      " + "\n                ".join(_feature_line(one, card) for one in card.features),
        *_choice_lines(card),
        f"  trained on    {card.evaluation.n_train:,} rows: {card.training.sql}",
        *_table_lines(card),
        f"  tested on     {card.evaluation.n_test:,} rows, split {card.training.split}, seed {card.training.seed}",
        *([f"                {card.training.split_description}"] if card.training.split_description else []),
        *_error_lines(card),
        *_verdict(card),
    ]
    if card.classes is not None:
        first, *others = card.classes.lines()
        lines += [f"  label sets    {first}", *(f"                {line}" for line in others)]
    if card.calibration is not None:
        done = card.recalibration
        interval, coverage = done.former_interval if done else card.calibration.interval, card.calibration.coverage
        rows = interval.calibration_rows
        lines.append(
            f"  intervals     {interval.level:.0%}, calibrated on {rows:,} rows; hold {coverage:.1%} of the test rows"
        )
        lines += [f"                {line}" for line in calibration_lines(card.calibration, card.unit)]
        lines += [f"  recalibrated  {line}" for line in recalibration_lines(card)]
    if card.domain is not None:
        lines += [
            f"  reference     {_remembered(card.domain.reference_rows, card.evaluation.n_train)}",
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


def _remembered(kept: int, trained: int) -> str:
    """Say how many training rows a head keeps to compare predictions with."""
    return f"{kept:,} training rows" if kept >= trained else f"{kept:,} of {trained:,} training rows, drawn at random"


def _table_lines(card: HeadCard) -> list[str]:
    shown = ", ".join(one.text for one in card.training.tables)
    return [f"                read from {shown}: as of head:{card.name}"] if shown else []


def _feature_line(feature: Feature, card: HeadCard) -> str:
    if not feature.column:
        return f"{feature.feature} ({feature.sha256[:12]})"
    return f"{feature.feature} ({card.domain.range_of(feature.column)})" if card.domain else feature.feature


def _scale_lines(card: HeadCard) -> list[str]:
    lines = card.scale.lines(card.target, card.unit) if card.scale else []
    lines = [*lines, card.weighting] if card.weighting else lines
    return [f"  {'scale' if place == 0 else '':<14}{line}" for place, line in enumerate(lines)]


def _error_lines(card: HeadCard) -> list[str]:
    """Return the errors on the test rows, with their interval, beside those of the mean."""
    found = card.evaluation
    if card.kind is Kind.YES_NO:
        between = _between(found.intervals.get("brier"))
        area, accuracy = (_or_unknown(each) for each in (found.metrics.roc_auc, found.metrics.balanced_accuracy))
        return [
            f"  test Brier    {found.metrics.brier:.4g}{between}; share of yes {found.baseline.brier:.4g}",
            f"  test ROC-AUC  {area}; balanced accuracy {accuracy}; log loss {found.metrics.log_loss:.4g}",
        ]
    mae, floor = _with_unit(found.metrics.mae, card), _with_unit(found.baseline.mae, card)
    return [f"  test MAE      {mae}{_between(found.intervals.get('mae'))}; mean of the training rows {floor}"]


def _between(ends: Sequence[float] | None) -> str:
    return " [{:.4g}, {:.4g}]".format(*ends) if ends else ""


def _or_unknown(value: float | None) -> str:
    return "unknown: one class only" if value is None else f"{value:.3f}"


def _verdict(card: HeadCard) -> list[str]:
    first, *others = verdict_lines(card)
    return [f"  verdict       {first.removeprefix('verdict: ')}", *(f"                {line}" for line in others)]


def _search_lines(card: HeadCard) -> list[str]:
    search = card.model.search
    if search is None:
        return []
    best = search.candidates[0]
    mae = f"cross-validated {search_error(card)} {_with_unit(best.mae, card)} on {best.folds} of {search.folds} folds"
    tried = f"  chosen from   {len(search.candidates)} candidates, {mae}"
    return [tried, f"                {search.cut_short}"] if search.cut_short else [tried]


def _choice_lines(card: HeadCard) -> list[str]:
    choice = card.model.features
    return [] if choice is None else [f"                {line}" for line in choice.lines(card.unit)]


def _with_unit(value: float, card: HeadCard) -> str:
    return f"{value:.4g} {card.unit}".rstrip()
