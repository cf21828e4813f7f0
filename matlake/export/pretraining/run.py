"""A pretraining run from table to weights, learning curve and record."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from matlake.encoders.training_record import TableRecipe, Teacher
from matlake.errors import TrainingError
from matlake.export.pretraining.learning_curve import draw_learning_curve
from matlake.export.pretraining.run_record import RunRecord, read_run, write_run
from matlake.export.pretraining.training_data import Rows, TrainingData, TrainingTable, read_training_data
from matlake.extras import tool_versions
from matlake.materials.crystal import CrystalColumns
from matlake.materials.graph_recipe import GraphRecipe
from matlake.materials.periodic_table import ELEMNET_ELEMENTS, SYMBOLS
from matlake.materials.units import unit_of
from matlake.networks.architectures import Architecture, find_architecture
from matlake.networks.checkpoints import BEST_FILE, load_best, load_checkpoint
from matlake.networks.examples import TRAINING_RESOLUTION_A, Examples, FractionExamples, GraphExamples
from matlake.networks.training import check_device, mean_absolute_errors, train_network
from matlake.networks.training_config import TrainingConfig
from matlake.networks.training_history import EpochReport, best_epoch, training_cost

_LARGEST_SIZE: Final = 100_000


@dataclass(frozen=True)
class PretrainRequest:
    """What to train, on what, and where.

    Attributes:
        architecture: Name of an architecture.
        data: The table.
        recipe: How to read it.
        config: The training settings.
        folder: Receives the run.
        sizes: Sizes of the network that differ from the architecture's.
        max_neighbours: Neighbour cap where it differs from the architecture's.
        unit: Unit of the target; None to take it from the column's name.
        device: ``cpu`` or ``cuda``; nothing falls back silently.
        threads: Threads on the CPU; None for torch's choice.
    """

    architecture: str
    data: TrainingTable
    recipe: TableRecipe
    config: TrainingConfig
    folder: Path
    sizes: dict[str, Any] = field(default_factory=dict)
    max_neighbours: int | None = None
    unit: str | None = None
    device: str = "cpu"
    threads: int | None = None

    @property
    def target_unit(self) -> str:
        """The unit for people; ``""`` where there are several targets, or nothing states one."""
        if len(self.recipe.target_columns) > 1:
            return ""
        return unit_of(self.recipe.target_columns[0]) if self.unit is None else self.unit


def pretrain_request(
    architecture: str,
    data: TrainingTable,
    folder: Path,
    *,
    targets: tuple[str, ...],
    formula_column: str | None = None,
    structure_column: str | None = None,
    split_column: str | None = None,
    hold_out: str | None = None,
    max_abs: float | None = None,
    **options: Any,
) -> PretrainRequest:
    """Return a request with the input, the shares and the usual settings of an architecture.

    Args:
        architecture: Name of an architecture.
        data: The table.
        folder: Receives the run.
        targets: ``target_columns`` of the recipe.
        formula_column: Its ``material_column`` for networks of compositions.
        structure_column: Its ``material_column`` for networks of crystals.
        split_column: As in the recipe.
        hold_out: Its ``held_out``.
        max_abs: As in the recipe.
        options: Fields of ``TrainingConfig``, None for the architecture's, and of ``PretrainRequest``.
    """
    made = find_architecture(architecture)
    given = {each.name: options.pop(each.name, None) for each in fields(TrainingConfig)}
    config = replace(made.config, **{name: value for name, value in given.items() if value is not None})
    column = formula_column if made.input == "composition" else structure_column
    recipe = TableRecipe(targets, made.input, column, split_column, hold_out, max_abs, made.shares, config.seed)
    return PretrainRequest(architecture, data, recipe, config, folder, **options)


def run_pretraining(
    request: PretrainRequest, on_data: Callable[[TrainingData], None], on_epoch: Callable[[list[EpochReport]], None]
) -> RunRecord:
    """Train a network, or finish a run that was interrupted; a run that has ended is reported again.

    ``run.json`` is written before the first epoch and completed after the last one. ``on_data`` is called once the
    table is read, ``on_epoch`` after each epoch with all reports so far.

    Raises:
        MissingExtraError: The device is not there.
        SourceError: The table cannot be read.
        TrainingError: A part is empty, or the folder holds a run with other settings or data.
    """
    check_device(request.device)
    if request.threads is not None:
        torch.set_num_threads(request.threads)
    architecture = find_architecture(request.architecture)
    data = read_training_data(request.data, request.recipe)
    on_data(data)
    torch.manual_seed(request.config.seed)
    network, identity = _build(architecture, request)
    recipe = graph_recipe(architecture, network, identity["graph"])
    record = RunRecord(
        architecture=architecture.name,
        unit=request.target_unit,
        recipe=request.recipe,
        account=data.account,
        settings=asdict(request.config),
        sizes=identity["sizes"],
        graph=recipe.to_card() if recipe else {},
        elements=_elements(data.parts["train"]),
        teachers=_teachers(request),
        tool_versions=tool_versions(),
    )
    earlier = read_run(request.folder)
    if earlier and (earlier.account.sha256, earlier.recipe) != (record.account.sha256, record.recipe):
        raise TrainingError(
            f"{request.folder} holds a run on other data ({earlier.account.file}, or other columns, split or limits)",
            "name another folder, or repeat the settings of the first call",
        )
    request.folder.mkdir(parents=True, exist_ok=True)
    examples = {name: make_examples(rows, architecture, recipe) for name, rows in data.parts.items()}
    history = train_network(
        network,
        identity,
        (examples["train"], examples["val"]),
        request.config,
        request.folder,
        on_start=lambda: write_run(record, request.folder),
        on_epoch=on_epoch,
        device=request.device,
    )
    record = replace(record, results=_results(history, request, examples))
    write_run(record, request.folder)
    draw_learning_curve(history, record.unit, request.folder)
    return record


def load_trained(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load a network from ``best.pt``, in evaluation mode and in the targets' own units, and its identity.

    Raises:
        TrainingError: The file is missing, or no such checkpoint.
    """
    state = load_checkpoint(path)
    try:
        identity = state["identity"]
        _check_identity(identity, path)
        architecture = find_architecture(identity["architecture"])
        network = architecture.network(**identity["sizes"], targets=len(identity["targets"]))
        load_best(network, state)
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise TrainingError(
            f"{path} is not the checkpoint of a run: {error}", "name the best.pt of a pretraining run"
        ) from error
    return network, identity


def _check_identity(identity: dict[str, Any], path: Path) -> None:
    for name, size in identity["sizes"].items():
        if not 0 < size <= _LARGEST_SIZE:
            raise TrainingError(f"{path} is not the checkpoint of a run: {name} = {size} is not a valid size")
    if find_architecture(identity["architecture"]).input == "crystal" and not identity["graph"]["cutoff_A"] > 0:
        raise TrainingError(f"{path} is not the checkpoint of a run: it has no cutoff")


def make_examples(rows: Rows, architecture: Architecture, recipe: GraphRecipe | None) -> Examples:
    """Return rows as examples of a network; the recipe is None for compositions.

    Raises:
        TrainingError: The rows are not what the network takes.
    """
    if isinstance(rows.materials, CrystalColumns) != (recipe is not None):
        raise TrainingError(f"{architecture.name} takes {architecture.input} input", "name another architecture")
    if recipe is None:
        return FractionExamples(rows.materials, rows.targets)  # type: ignore[arg-type]
    graphs = recipe.build(rows.materials, resolution=TRAINING_RESOLUTION_A)  # type: ignore[arg-type]
    return GraphExamples(graphs, rows.targets, architecture.batch)


def graph_recipe(architecture: Architecture, network: nn.Module, graph: dict[str, Any]) -> GraphRecipe | None:
    """Return how crystals become graphs for a network of a run; None for a network of compositions."""
    if architecture.input == "composition":
        return None
    return architecture.recipe(network, graph["cutoff_A"], graph["max_neighbours"])


def _build(architecture: Architecture, request: PretrainRequest) -> tuple[nn.Module, dict[str, Any]]:
    unknown = set(request.sizes) - set(architecture.sizes)
    if unknown:
        raise TrainingError(
            f"{architecture.name} has no size {', '.join(sorted(unknown))}",
            f"sizes: {', '.join(architecture.sizes) or 'none'}",
        )
    sizes = {**architecture.sizes, **request.sizes}
    graph = {}
    if architecture.input == "crystal":
        cap = architecture.max_neighbours if request.max_neighbours is None else request.max_neighbours
        graph = {"cutoff_A": sizes["cutoff"], "max_neighbours": cap}
    targets = list(request.recipe.target_columns)
    identity = {"architecture": architecture.name, "sizes": sizes, "graph": graph, "targets": targets}
    return architecture.network(**sizes, targets=len(targets)), identity


def _teachers(request: PretrainRequest) -> tuple[Teacher, ...]:
    """Return who computed labels that are learned, as far as the table says."""
    teacher = request.data.teacher
    learned = tuple(name for name in request.recipe.target_columns if teacher and name in teacher.columns)
    return (replace(teacher, columns=learned),) if teacher and learned else ()


def _elements(rows: Rows) -> tuple[str, ...]:
    if isinstance(rows.materials, CrystalColumns):
        return tuple(SYMBOLS[z - 1] for z in np.unique(rows.materials.numbers))
    return tuple(np.array(ELEMNET_ELEMENTS)[(rows.materials > 0).any(axis=0)].tolist())


def _results(history: list[EpochReport], request: PretrainRequest, examples: dict[str, Examples]) -> dict[str, float]:
    results: dict[str, float] = {
        "epochs": len(history),
        "best_epoch": best_epoch(history),
        **training_cost(history),
    }
    targets = request.recipe.target_columns
    network, _ = load_trained(request.folder / BEST_FILE)
    for part, rows in examples.items():
        if part == "train" or not len(rows):
            continue
        errors = mean_absolute_errors(network, rows).tolist()
        for target, error in zip(targets, errors, strict=True):
            if not math.isnan(error):  # of a target that no row of the part has
                results[f"{part}_mae" if len(targets) == 1 else f"{part}_mae_{target}"] = error
    return results
