"""The export of an encoder: graph, parity, metrics, card, and only then a name on the shelf."""

import hashlib
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from matlake.encoders.card import CARD_FILE, MODEL_FILE, EncoderCard, check_name, read_card, write_card
from matlake.encoders.encoder import Encoder, open_encoder
from matlake.encoders.reference import reference_fractions
from matlake.errors import EncoderError, TrainingError
from matlake.export.elemnet import ElemNet
from matlake.export.extra import tool_versions
from matlake.export.onnx_export import DEFAULT_LAYER, LAYERS, elemnet_graph
from matlake.export.parity import TOLERANCES, check_parity, measure_parity
from matlake.export.precision import PRECISIONS
from matlake.export.pretrain import load_trained, mean_absolute_error
from matlake.export.run_record import RunRecord, read_run
from matlake.export.sources import DATABASES, ELEMNET_PAPERS, NOT_STATED
from matlake.export.training_data import PARTS, Rows, TrainingData, read_training_data
from matlake.files import write_whole
from matlake.materials.elements import ELEMNET_ELEMENTS
from matlake.materials.units import unit_suffix

_STORED_AS = {"float16": "float16-stored"}


@dataclass(frozen=True)
class ExportRequest:
    """What to export, and what its card says beyond the measurements.

    Attributes:
        checkpoint: The folder of a run, or its ``best.pt``.
        name: Name of the encoder.
        folder: Receives ``encoder.onnx`` and ``card.json``.
        precision: ``float32``, ``float16`` (stored; computes in float32) or ``int8``.
        data: The table that the run was trained on, for the errors on its held-out rows; None to leave them out.
        database: Key of ``DATABASES`` that the table comes from; gives licence and citation.
        licence: Licence of the weights where ``database`` does not say it.
        citation: More to cite.
        release: Counts releases of the weights under this name; None for one more than what is replaced.
        replace: Whether an encoder in ``folder`` may be replaced.
    """

    checkpoint: Path
    name: str
    folder: Path
    precision: str = "float32"
    data: Path | None = None
    database: str | None = None
    licence: str | None = None
    citation: tuple[str, ...] = ()
    release: int | None = None
    replace: bool = False


def export_elemnet(request: ExportRequest) -> EncoderCard:
    """Export a trained ElemNet.

    The file is measured before it gets its place; the card is written last, so that an encoder is there whole
    or not at all.

    Returns:
        The card as written.

    Raises:
        EncoderError: The folder holds an encoder already, or the file fails its parity tolerance.
        TrainingError: The checkpoint cannot be read, or the table is not the one that the run was trained on.
    """
    check_name(request.name)
    replaced = read_card(request.folder) if (request.folder / CARD_FILE).exists() else None
    if replaced is not None and not request.replace:
        raise EncoderError(f"{request.folder} holds an encoder already", "add --replace, or choose another --name")
    weights = request.checkpoint / "best.pt" if request.checkpoint.is_dir() else request.checkpoint
    record = read_run(weights.parent)
    network = load_trained(weights)
    content = PRECISIONS[request.precision](elemnet_graph(network)).SerializeToString(deterministic=True)
    card = _draft(request, record, hashlib.sha256(content).hexdigest(), replaced.version + 1 if replaced else 1)
    with tempfile.TemporaryDirectory() as name:
        draft = Path(name)
        (draft / MODEL_FILE).write_bytes(content)
        write_card(card, draft)
        encoder = open_encoder(draft)
        parity = measure_parity(network, encoder, reference_fractions())
        check_parity(parity, card.parity_tolerance)
        metrics = {}
        if request.data is not None:
            metrics = _held_out_errors(network, encoder, _held_out_rows(request.data, record), record)
    card = replace(card, parity=parity, metrics=metrics)
    request.folder.mkdir(parents=True, exist_ok=True)
    (request.folder / CARD_FILE).unlink(missing_ok=True)
    write_whole(request.folder / MODEL_FILE, content)
    write_card(card, request.folder)
    return card


def _draft(request: ExportRequest, record: RunRecord | None, sha256: str, next_release: int) -> EncoderCard:
    database = DATABASES[request.database] if request.database else None
    return EncoderCard(
        name=request.name,
        version=request.release or next_release,
        architecture="elemnet",
        input="composition",
        layers=LAYERS,
        default_layer=DEFAULT_LAYER,
        sha256=sha256,
        precision=_STORED_AS.get(request.precision, request.precision),
        parity_tolerance=TOLERANCES[request.precision],
        licence=request.licence or (database.licence if database else NOT_STATED),
        input_parameters={"elements": list(ELEMNET_ELEMENTS)},
        target={"name": record.recipe.target_column, "unit": record.unit} if record else {},
        training=_training(record, database.title if database else None),
        citation=(*ELEMNET_PAPERS, *(database.citation if database else ()), *request.citation),
        tool_versions=tool_versions(),
    )


def _training(record: RunRecord | None, title: str | None) -> dict[str, Any]:
    told: dict[str, Any] = {"database": title} if title else {}
    if record is not None:
        told |= {
            "table": asdict(record.account),
            "columns": asdict(record.recipe),
            "settings": record.settings,
            "results": record.results,
        }
    return told


def _held_out_rows(data: Path, record: RunRecord | None) -> TrainingData:
    if record is None:
        raise TrainingError(
            "the run has no run.json, which says how its table was read",
            "call `encoders pretrain` again with the settings of the run: it writes the record and trains no more",
        )
    rows = read_training_data(data, record.recipe)
    if rows.account.sha256 != record.account.sha256:
        raise TrainingError(
            f"{data} is not the table that the run was trained on ({record.account.file})",
            "name that file, or leave --data out",
        )
    return rows


def _held_out_errors(
    network: ElemNet, encoder: Encoder, data: TrainingData, record: RunRecord | None
) -> dict[str, float]:
    unit = unit_suffix(record.recipe.target_column) if record else ""
    suffix = f"_{unit}" if unit else ""
    metrics = {}
    for part in PARTS[1:]:
        rows = data.parts[part]
        if len(rows):
            metrics[f"{part}_mae{suffix}"] = _error(encoder, rows)
            if encoder.card.precision != "float32":
                metrics[f"{part}_mae_of_float32_network{suffix}"] = mean_absolute_error(network, rows, 0.0, 1.0, "cpu")
    return metrics


def _error(encoder: Encoder, rows: Rows) -> float:
    predicted = encoder.encode(rows.fractions, "prediction")[:, 0].astype(np.float64)
    return float(np.abs(predicted - rows.target).mean())
