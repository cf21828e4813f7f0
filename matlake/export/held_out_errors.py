"""Errors of an exported encoder on the rows that its run was not trained on."""

import numpy as np

from matlake.encoders.encoder import Encoder
from matlake.errors import TrainingError
from matlake.export.checkpoints.loaded import Trained
from matlake.export.pretraining.examples import make_examples
from matlake.export.pretraining.run_record import RunRecord
from matlake.export.pretraining.training_data import TrainingTable, read_training_data
from matlake.materials.units import unit_suffix
from matlake.networks.training import mean_absolute_errors


def held_out_errors(trained: Trained, encoder: Encoder, data: TrainingTable) -> dict[str, float]:
    """Return the mean absolute error of each target on each part but the training rows, by its name on a card.

    Args:
        trained: The network, with the record of its run.
        encoder: The exported file, opened. Where its weights are not float32, the network's own errors stand beside.
        data: The table that the run was trained on.

    Raises:
        TrainingError: The run has no record, or was trained on another table.
    """
    record = trained.record
    if record is None:
        raise TrainingError(
            "the checkpoint has no run.json beside it, which says how its table was read",
            "leave the table out, or pretrain again with the settings of the run: that writes the record and trains "
            "no more",
        )
    table = read_training_data(data, record.recipe)
    if table.account.sha256 != record.account.sha256:
        raise TrainingError(
            f"{data.name} is not the table that the run was trained on ({record.account.file})",
            "name that file, or leave the table out",
        )
    metrics = {}
    for part, rows in table.parts.items():
        if part == "train" or not len(rows):
            continue
        found = np.nanmean(np.abs(encoder.encode(rows.materials, "prediction") - rows.targets), axis=0)
        for column, error in zip(record.recipe.target_columns, found.tolist(), strict=True):
            metrics[_metric(part, column, record)] = error
        if encoder.card.precision != "float32":
            examples = make_examples(rows, trained.architecture, trained.recipe)
            exact = mean_absolute_errors(trained.network, examples).tolist()
            for column, error in zip(record.recipe.target_columns, exact, strict=True):
                metrics[_metric(f"{part}_mae_of_float32_network", column, record)] = error
    return metrics


def _metric(what: str, column: str, record: RunRecord) -> str:
    """Name an error, with its unit: ``test_mae_eV_per_atom``; with the whole column where there are several."""
    several = len(record.recipe.target_columns) > 1
    tail = column if several else unit_suffix(column)
    mae = what if "mae" in what else f"{what}_mae"
    return f"{mae}_{tail}" if tail else mae
