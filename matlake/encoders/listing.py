"""Encoders laid out for people and for scripts."""

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from matlake.encoders.card import CARD_FILE, MODEL_FILE, EncoderCard
from matlake.encoders.registry import RegisteredEncoder
from matlake.text_tables import Column, TextTable

_WIDTH: Final = 120
_UNBROKEN: Final = "\u00a0"


def encoder_summary(encoder: RegisteredEncoder) -> dict[str, Any]:
    """Return what ``encoders list --json`` tells of an encoder."""
    card = encoder.card
    return {
        "name": card.name,
        "input": card.input,
        "dim": card.layer(None).dim,
        "sha256": card.sha256,
        "version": card.version,
        "architecture": card.architecture,
        "default_layer": card.default_layer,
        "layers": {layer.name: layer.dim for layer in card.layers},
        "precision": card.precision,
        "target": card.document()["target"],
        "shipped": encoder.shipped,
        "notes": list(card.notes),
    }


def encoder_document(encoder: RegisteredEncoder) -> dict[str, Any]:
    """Return what ``encoders show --json`` tells: the card as its file has it, and its folder."""
    written = json.loads((encoder.folder / CARD_FILE).read_bytes())
    return {**encoder.card.document(), **written, "folder": str(encoder.folder), "notes": list(encoder.card.notes)}


def encoder_table(encoders: Sequence[RegisteredEncoder]) -> TextTable:
    """Return a table of encoders; the dimension is that of the default layer."""
    columns = (
        Column("encoder"),
        Column("input"),
        Column("layers", "right"),
        Column("default"),
        Column("dimension", "right"),
        Column("where"),
    )
    rows = []
    for encoder in encoders:
        card, default = encoder.card, encoder.card.layer(None)
        place = "shipped" if encoder.shipped else "lake"
        rows.append((card.name, card.input, len(card.layers), default.name, default.dim, place))
    return TextTable(columns, rows)


def card_lines(encoder: RegisteredEncoder) -> list[str]:
    """Return a card as lines of text."""
    card = encoder.card
    megabytes = (encoder.folder / MODEL_FILE).stat().st_size / 1e6
    lines = [
        f"{card.name}, release {card.version}",
        f"  architecture  {card.architecture}, {card.precision}, {megabytes:.1f} MB",
        f"  input         {card.input}",
        "  layers        " + ", ".join(f"{layer.name} ({layer.dim})" for layer in card.layers),
        f"  default       {card.default_layer}",
        *_graph_lines(card),
        *_attribute_lines(card),
    ]
    if card.target:
        lines.append(f"  trained on    {card.target.name} ({card.target.unit or 'no unit'})")
    lines += _training_lines(card)
    lines += [f"  {name}  {value:.4g}" for name, value in card.metrics.items()]
    lines += [
        *_parity_lines(card),
        f"  licence       {card.licence}",
        *(f"  cite          {paper}" for paper in card.citation),
        f"  sha256        {card.sha256}",
        f"  folder        {encoder.folder}",
        *(f"  note          {note}" for note in card.notes),
    ]
    return lines


def export_lines(card: EncoderCard, folder: Path) -> list[str]:
    """Return the lines after an export."""
    return [
        f"{card.name} ({card.precision}) is in {folder}",
        *_parity_lines(card),
        *(f"  {name}  {value:.4g}" for name, value in card.metrics.items()),
    ]


def _training_lines(card: EncoderCard) -> list[str]:
    table, columns = card.training.table, card.training.columns
    if table is None or columns is None:
        return []
    rows = ", ".join(f"{count:,} {part}" for part, count in table.rows.items())
    limit, held_out = columns.max_abs, columns.held_out
    dropped = [
        f"{table.missing_target:,} without a value",
        f"{table.bad_materials:,} that cannot be read or used",
        *([f"{table.outliers:,} with an absolute value above {limit:g}"] if limit is not None else []),
        *([f"{table.kin_of_held_out:,} of a composition that is held out"] if held_out else []),
    ]
    return [
        f"  data          {table.file}, {table.read:,} rows: {rows}",
        *([f"  held out      rows where {held_out}"] if held_out else []),
        f"  dropped       {', '.join(dropped)}",
    ]


def _graph_lines(card: EncoderCard) -> list[str]:
    graph = card.input_parameters.graph
    if graph is None:
        return []
    cap = f"the nearest {graph.max_neighbours}" if graph.max_neighbours else "all"
    notes = [f"  note          {note}" for note in card.training.notes]
    return [f"  graph         {cap} within {graph.cutoff_A:g} Å, {graph.blocks} interaction blocks", *notes]


def _attribute_lines(card: EncoderCard) -> list[str]:
    """Say what the columns of a descriptor are, with their places."""
    names = card.training.attributes
    listed = ", ".join(f"{place} {name}".replace(" ", _UNBROKEN) for place, name in enumerate(names))
    lines = textwrap.wrap(
        listed, _WIDTH, initial_indent="  attributes    ", subsequent_indent=" " * 16, break_on_hyphens=False
    )
    return [line.replace(_UNBROKEN, " ") for line in lines]


def _parity_lines(card: EncoderCard) -> list[str]:
    if not card.parity:
        return []
    worst = max(card.parity, key=lambda name: card.parity[name])
    original = "reference implementation" if card.is_descriptor else "original network"
    found = f"within {card.parity[worst]:.1e} of the {original} (layer {worst})"
    return [f"  parity        {found}, allowed {card.parity_tolerance:.0e}"]
