"""A pretraining run from table to weights, learning curve and record."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from matlake.errors import MissingExtraError, TrainingError
from matlake.export.extra import tool_versions
from matlake.export.learning_curve import draw_learning_curve
from matlake.export.pretrain import (
    EpochReport,
    TrainingConfig,
    load_trained,
    mean_absolute_error,
    pretrain_elemnet,
)
from matlake.export.run_record import RunRecord, read_run, write_run
from matlake.export.training_data import TableRecipe, TrainingData, read_training_data
from matlake.materials.units import unit_of


@dataclass(frozen=True)
class PretrainRequest:
    """What to train, on what, and where.

    Attributes:
        data: A CSV or Parquet table.
        recipe: How to read it.
        config: The training settings.
        folder: Receives the run.
        unit: Unit of the target; None to take it from the column's name.
        device: ``cpu`` or ``cuda``; nothing falls back silently.
        threads: Threads on the CPU; None for torch's choice.
    """

    data: Path
    recipe: TableRecipe
    config: TrainingConfig
    folder: Path
    unit: str | None = None
    device: str = "cpu"
    threads: int | None = None

    @property
    def target_unit(self) -> str:
        """The unit for people; ``""`` where neither the request nor the column's name states one."""
        return unit_of(self.recipe.target_column) if self.unit is None else self.unit


def run_pretraining(
    request: PretrainRequest,
    on_data: Callable[[TrainingData], None],
    on_epoch: Callable[[list[EpochReport]], None],
) -> RunRecord:
    """Train an ElemNet, or finish a run that was interrupted; a run that has ended is reported again.

    ``run.json`` is written before the first epoch and completed after the last one.

    Args:
        request: What to train.
        on_data: Called once the table is read.
        on_epoch: Called after each epoch with all reports so far.

    Returns:
        The completed record.

    Raises:
        MissingExtraError: The device is not there.
        SourceError: The table cannot be read.
        TrainingError: A part is empty, or the folder holds a run with other settings or data.
    """
    check_device(request.device)
    if request.threads is not None:
        torch.set_num_threads(request.threads)
    data = read_training_data(request.data, request.recipe)
    on_data(data)
    record = RunRecord(
        architecture="elemnet",
        unit=request.target_unit,
        recipe=request.recipe,
        account=data.account,
        settings=asdict(request.config),
        tool_versions=tool_versions(),
    )
    _refuse_other_data(read_run(request.folder), record, request.folder)
    request.folder.mkdir(parents=True, exist_ok=True)
    history = pretrain_elemnet(
        data.parts["train"],
        data.parts["val"],
        request.config,
        request.folder,
        on_start=lambda: write_run(record, request.folder),
        on_epoch=on_epoch,
        device=request.device,
    )
    record = replace(record, results=_results(history, request.folder, data))
    write_run(record, request.folder)
    draw_learning_curve(history, record.unit, request.folder)
    return record


def check_device(device: str) -> None:
    """Raise MissingExtraError when torch cannot use a device."""
    if device == "cuda" and not torch.cuda.is_available():
        raise MissingExtraError(
            "device cuda was requested, but this torch sees no CUDA device",
            "install a CUDA build of torch (https://pytorch.org), check nvidia-smi, or use --device cpu",
        )


def _results(history: list[EpochReport], folder: Path, data: TrainingData) -> dict[str, float]:
    best = min(history, key=lambda report: report.val_mae)
    results: dict[str, float] = {"epochs": len(history), "best_epoch": best.epoch, "val_mae": best.val_mae}
    if len(data.parts["test"]):
        network = load_trained(folder / "best.pt")
        results["test_mae"] = mean_absolute_error(network, data.parts["test"], 0.0, 1.0, "cpu")
    return results


def _refuse_other_data(earlier: RunRecord | None, now: RunRecord, folder: Path) -> None:
    if earlier is None:
        return
    if (earlier.account.sha256, earlier.recipe) != (now.account.sha256, now.recipe):
        raise TrainingError(
            f"{folder} holds a run on other data ({earlier.account.file}, or other columns, split or limits)",
            "name another folder, or repeat the settings of the first call",
        )
