"""The table that a network is pretrained on: a file, or a dataset of the lake."""

from pathlib import Path

from matlake.export.pretraining.training_data import TrainingTable
from matlake.store.lake import open_lake
from matlake.store.storage.places import LakePath


def read_training_table(lake: LakePath, data: Path | None, dataset: str | None) -> TrainingTable | None:
    """Read a file, or else a dataset.

    Args:
        lake: Where the lake is; opened for a dataset alone.
        data: A ``.csv`` or ``.parquet`` file.
        dataset: Name of a dataset of the lake.

    Returns:
        The table; None if neither is named.

    Raises:
        SourceError: The file is missing, or of another kind.
        LakeError: There is no such lake or dataset.
    """
    if data is not None:
        return TrainingTable.from_file(data)
    return None if dataset is None else TrainingTable(dataset, *open_lake(lake).read_dataset(dataset))
