"""Encoders laid out for people and for scripts."""

import json
import textwrap
from collections.abc import Sequence
from typing import Any, Final

from matlake.encoders.card import CARD_FILE, LICENCE_FILE, MODEL_FILE, EncoderCard
from matlake.encoders.registry import RegisteredEncoder
from matlake.encoders.training_record import Teacher
from matlake.materials.units import quantity_of, unit_of
from matlake.text_tables import Column, TextTable

_WIDTH: Final = 120
_SHOWN: Final = 2
_HOUR: Final = 3600
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
        "trained_on": list(card.trained_on),
        "licence": card.licence,
        "shipped": encoder.shipped,
        "plugin": encoder.plugin,
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
        Column("trained on"),
        Column("layers", "right"),
        Column("default"),
        Column("dimension", "right"),
        Column("where"),
    )
    rows = []
    for encoder in encoders:
        card, default = encoder.card, encoder.card.layer(None)
        place = "shipped" if encoder.shipped else "plug-in" if encoder.plugin else "lake"
        rows.append((card.name, card.input, _learned(card), len(card.layers), default.name, default.dim, place))
    return TextTable(columns, rows)


def card_lines(encoder: RegisteredEncoder) -> list[str]:
    """Return a card as lines of text."""
    card = encoder.card
    if card.is_external:
        return _external_lines(encoder)
    megabytes = (encoder.folder / MODEL_FILE).stat().st_size / 1e6
    lines = [
        f"{card.name}, release {card.version}",
        f"  architecture  {card.architecture}, {card.precision}, {megabytes:.1f} MB",
        f"  input         {card.input}",
        "  layers        " + ", ".join(f"{layer.name} ({layer.dim})" for layer in card.layers),
        f"  default       {card.default_layer}",
        *(line for note in card.training.notes for line in _entry("note", note)),
        *_graph_lines(card),
        *_entry("trained on", _trained_on(card)),
        *_scope_lines(card),
        *_training_lines(card),
        *(line for teacher in card.training.teachers for line in _teacher_lines(teacher)),
        *_cost_lines(card),
    ]
    lines += [f"  {name}  {value:.4g}" for name, value in card.metrics.items()]
    lines += [
        *_parity_lines(card),
        *_entry("licence", card.licence),
        *([f"                text: {licence}"] if (licence := encoder.folder / LICENCE_FILE).exists() else []),
        *(f"  cite          {paper}" for paper in card.citation),
        f"  sha256        {card.sha256}",
        f"  folder        {encoder.folder}",
        *(f"  note          {note}" for note in card.notes),
        *_attribute_lines(card),
    ]
    return lines


def _external_lines(encoder: RegisteredEncoder) -> list[str]:
    """Return the card of an external encoder as lines of text."""
    card = encoder.card
    return [
        f"{card.name}, external",
        *_entry("made by", card.training.origin or "not stated"),
        "  vectors       imported, not made here: `matlake import-embeddings` brings more",
        "  layers        " + ", ".join(f"{layer.name} ({layer.dim})" for layer in card.layers),
        f"  default       {card.default_layer}",
        *_entry("trained on", _trained_on(card)),
        *_entry("licence", card.licence),
        *(f"  cite          {paper}" for paper in card.citation),
        f"  sha256        {card.sha256}, drawn when the first vectors came",
        f"  folder        {encoder.folder}",
    ]


def export_lines(card: EncoderCard, folder: object) -> list[str]:
    """Return the lines after an export."""
    return [
        f"{card.name} ({card.precision}) is in {folder}",
        *_parity_lines(card),
        *(f"  {name}  {value:.4g}" for name, value in card.metrics.items()),
    ]


def _learned(card: EncoderCard) -> str:
    """Return what an encoder was trained on, in a few words."""
    if not card.trained_on:
        return "nothing" if card.is_descriptor else "not stated"
    quantities = list(dict.fromkeys(map(quantity_of, card.trained_on)))
    return ", ".join(quantities[:_SHOWN]) + (", …" if len(quantities) > _SHOWN else "")


def _trained_on(card: EncoderCard) -> str:
    if card.is_descriptor and not card.trained_on:
        return "nothing: a descriptor"
    stated = card.target.unit if card.target and card.target.name in card.trained_on else ""
    units = [unit_of(name) or stated or "no unit" for name in card.trained_on]
    named = [f"{quantity_of(name)} ({unit})" for name, unit in zip(card.trained_on, units, strict=True)]
    return ", ".join(named) or "not stated"


def _scope_lines(card: EncoderCard) -> list[str]:
    scope = card.training.scope
    if scope is None:
        return []
    return [*_entry("data", scope.text), *_entry("", "a rule, not a list: all of these materials count as trained on")]


def _training_lines(card: EncoderCard) -> list[str]:
    table, columns = card.training.table, card.training.columns
    if table is None or columns is None:
        return []
    rows = ", ".join(f"{count:,} {part}" for part, count in table.rows.items())
    source = f"{card.training.database}: " if card.training.database else ""
    limit, held_out = columns.max_abs, columns.held_out
    dropped = [
        f"{table.missing_target:,} without a value",
        f"{table.bad_materials:,} that cannot be read or used",
        *([f"{table.outliers:,} with an absolute value above {limit:g}"] if limit is not None else []),
        *([f"{table.kin_of_held_out:,} of a composition that is held out"] if held_out else []),
    ]
    return [
        f"  data          {source}{table.file}, {table.read:,} rows: {rows}",
        *([f"  held out      rows where {held_out}"] if held_out else []),
        f"  dropped       {', '.join(dropped)}",
    ]


def _teacher_lines(teacher: Teacher) -> list[str]:
    labels = ", ".join(quantity_of(name) for name in teacher.columns)
    scope = f"; trained on {teacher.scope.text}" if teacher.scope else ""
    return _entry("teacher", f"{teacher.name} computed {labels}{scope}: all of that counts as trained on")


def _cost_lines(card: EncoderCard) -> list[str]:
    """Say what the training cost, where it was measured."""
    results = card.training.results or {}
    if "processor_seconds" not in results:
        return []
    hours = [results[name] / _HOUR for name in ("seconds", "processor_seconds")]
    return [f"  cost          {results['epochs']:.0f} epochs in {hours[0]:.2g} h, {hours[1]:.2g} h of a processor"]


def _graph_lines(card: EncoderCard) -> list[str]:
    graph = card.input_parameters.graph
    if graph is None:
        return []
    cap = f"the nearest {graph.max_neighbours}" if graph.max_neighbours else "all"
    blocks = f", {graph.blocks} interaction blocks" if graph.blocks else ""
    return [f"  graph         {cap} within {graph.cutoff_A:g} Å{blocks}"]


def _attribute_lines(card: EncoderCard) -> list[str]:
    """Say what the columns of a descriptor are, with their places."""
    names = card.training.attributes
    listed = ", ".join(f"{place} {name}".replace(" ", _UNBROKEN) for place, name in enumerate(names))
    return [line.replace(_UNBROKEN, " ") for line in _entry("attributes", listed)]


def _entry(label: str, text: str) -> list[str]:
    """Return a labelled text as lines of limited width, none for an empty one."""
    first, rest = f"  {label:<14}", " " * 16
    return textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False, break_long_words=False
    )


def _parity_lines(card: EncoderCard) -> list[str]:
    if not card.parity:
        return []
    worst = max(card.parity, key=lambda name: card.parity[name])
    original = "reference implementation" if card.is_descriptor else "original network"
    found = f"within {card.parity[worst]:.1e} of the {original} (layer {worst})"
    return [f"  parity        {found}, allowed {card.parity_tolerance:.0e}"]
