"""The export of an encoder: graph, parity, metrics, card, and only then a name in the registry."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import onnx

from matlake.encoders.card import (
    CARD_FILE,
    EncoderCard,
    InputKind,
    InputParameters,
    Layer,
    Precision,
    check_new_name,
    read_card,
)
from matlake.encoders.encoder import Encoder
from matlake.encoders.writing import write_encoder
from matlake.errors import EncoderError, Hint
from matlake.export.checkpoints.loaded import Stated, Trained
from matlake.export.checkpoints.loading import load_any
from matlake.export.held_out_errors import held_out_errors
from matlake.export.precision import PRECISIONS
from matlake.export.pretraining.sources import DATABASES
from matlake.export.pretraining.training_data import TrainingTable
from matlake.extras import tool_versions
from matlake.networks.elemnet import ElemNet
from matlake.networks.parity import TOLERANCES, check_parity, measure_parity
from matlake.networks.writing import DEFAULT_LAYERS, elemnet_model, graph_model

_STORED_AS = {"float32": Precision.FLOAT32, "float16": Precision.FLOAT16_STORED, "int8": Precision.INT8}


@dataclass(frozen=True)
class ExportRequest:
    """What to export, and what its card says beyond the measurements.

    Attributes:
        architecture: Key of ``ARCHITECTURES``.
        checkpoint: The folder of a run, its ``best.pt``, or a published checkpoint.
        name: Name of the encoder.
        folder: Receives ``encoder.onnx`` and ``card.json``.
        precision: ``float32``, ``float16`` (stored; computes in float32) or ``int8``.
        data: The table that the run was trained on, for the errors on its held-out rows; None to leave them out.
        database: Key of ``DATABASES`` that the table comes from; gives licence and citation.
        licence: Licence of the weights where neither ``database`` nor the checkpoint says it.
        citation: More to cite.
        cutoff: Cutoff of the graphs in Å, where the checkpoint does not say it.
        max_neighbours: Neighbour cap of the graphs, where the checkpoint does not say it.
        release: Counts releases of the weights under this name; None for one more than what is replaced.
        replace: Whether an encoder in ``folder`` may be replaced.
    """

    architecture: str
    checkpoint: Path
    name: str
    folder: Path
    precision: str = "float32"
    data: TrainingTable | None = None
    database: str | None = None
    licence: str | None = None
    citation: tuple[str, ...] = ()
    cutoff: float | None = None
    max_neighbours: int | None = None
    release: int | None = None
    replace: bool = False


def export_encoder(request: ExportRequest) -> EncoderCard:
    """Export a trained network.

    Returns:
        The card as written.

    Raises:
        EncoderError: The folder holds an encoder already, the precision is not one of this architecture's, or the file
            fails its parity tolerance.
        TrainingError: The checkpoint cannot be read, or the table is not the one that the run was trained on.
    """
    check_new_name(request.name)
    replaced = read_card(request.folder) if (request.folder / CARD_FILE).exists() else None
    if replaced is not None and not request.replace:
        raise EncoderError(
            f"{request.folder} holds an encoder already",
            Hint("set replace=True, or choose another name", cli="add --replace, or choose another --name"),
        )
    trained = load_any(request.checkpoint, request.architecture, Stated(request.cutoff, request.max_neighbours))
    architecture = trained.architecture
    if request.precision == "int8" and architecture.input != "composition":
        raise EncoderError("int8 is for ElemNet only", "export in the precision float32 or float16")
    model, layers = _model(trained)
    release = request.release or (replaced.version + 1 if replaced else 1)

    def measure(encoder: Encoder) -> dict[str, Any]:
        parity = measure_parity(architecture, trained.network, encoder)
        check_parity(parity, request.precision)
        return {"parity": parity, "metrics": held_out_errors(trained, encoder, request.data) if request.data else {}}

    content = PRECISIONS[request.precision](model).SerializeToString(deterministic=True)
    return write_encoder(_draft(request, trained, layers, release), content, request.folder, measure)


def _model(trained: Trained) -> tuple[onnx.ModelProto, tuple[Layer, ...]]:
    if trained.recipe is None:
        return elemnet_model(cast("ElemNet", trained.network))
    return graph_model(trained.architecture, trained.network, trained.recipe)


def _licence(stated: str | None, trained: Trained) -> str:
    """Return the licence of what was learned: of the data, and of the teachers that labelled them."""
    labels = [f"labels of {one.name}: {one.licence}" for one in trained.training.teachers if one.licence]
    return "; ".join([stated or "not stated", *labels])


def _draft(request: ExportRequest, trained: Trained, layers: tuple[Layer, ...], release: int) -> EncoderCard:
    database = DATABASES[request.database] if request.database else None
    papers = (
        *trained.architecture.citation,
        *trained.citation,
        *(database.citation if database else ()),
        *(paper for teacher in trained.training.teachers for paper in teacher.citation),
        *request.citation,
    )
    return EncoderCard(
        name=request.name,
        version=release,
        architecture=trained.architecture.name,
        input=InputKind(trained.architecture.input),
        layers=layers,
        default_layer=trained.default_layer
        or trained.architecture.default_layer
        or DEFAULT_LAYERS[trained.architecture.input],
        sha256="",
        precision=_STORED_AS[request.precision],
        parity_tolerance=TOLERANCES[request.precision],
        licence=request.licence or _licence(database.licence if database else trained.licence, trained),
        input_parameters=InputParameters(trained.elements, trained.recipe),
        target=trained.target,
        training=replace(trained.training, database=database.title if database else None),
        citation=tuple(dict.fromkeys(papers)),
        tool_versions=tool_versions(),
    )
