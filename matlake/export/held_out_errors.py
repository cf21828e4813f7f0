"""Errors of an exported encoder on the rows that its run was not trained on."""

import math

from matlake.encoders.card import PREDICTION
from matlake.encoders.encoder import Encoder
from matlake.errors import TrainingError
from matlake.export.checkpoints.loaded import Trained
from matlake.export.pretraining.run import make_examples
from matlake.export.pretraining.training_data import TrainingTable, read_training_data
from matlake.materials.units import unit_suffix
from matlake.metrics import mean_errors
from matlake.networks.training import mean_absolute_errors


def held_out_errors(trained: Trained, encoder: Encoder, data: TrainingTable) -> dict[str, float]:
    """Return the mean absolute error of each target on each part but the training rows, by its name on a card.

    Where the weights of the file are not float32, the errors of the network itself stand beside.

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
    columns = record.recipe.target_columns
    tails = columns if len(columns) > 1 else [unit_suffix(columns[0])]  # test_mae_eV_per_atom
    metrics: dict[str, float] = {}
    for part, rows in table.parts.items():
        if part == "train" or not len(rows):
            continue
        predicted = encoder.encode(rows.materials, PREDICTION)
        errors = {f"{part}_mae": mean_errors(predicted, rows.targets)}
        if encoder.card.precision != "float32":
            examples = make_examples(rows, trained.architecture, trained.recipe)
            errors[f"{part}_mae_of_float32_network"] = mean_absolute_errors(trained.network, examples)
        for name, values in errors.items():
            named = zip((f"{name}_{tail}" if tail else name for tail in tails), values.tolist(), strict=True)
            metrics |= {key: value for key, value in named if not math.isnan(value)}
    return metrics
