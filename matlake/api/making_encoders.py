"""The making of encoders from what a notebook or a command names: a file, or a dataset of the lake."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from matlake.errors import SourceError, TrainingError
from matlake.extras import require_extra
from matlake.progress import Progress
from matlake.store.bucket_encoders import encoder_in_bucket
from matlake.store.storage.places import LakePath

if TYPE_CHECKING:
    from matlake.encoders.card import EncoderCard
    from matlake.export.pretraining.run_record import RunRecord
    from matlake.export.teacher.run import LabelReport


def export(lake: LakePath, *, data: str | Path | None, dataset: str | None, **request: Any) -> "EncoderCard":
    """Export a trained network, with its errors on held-out rows where the table that it was trained on is named.

    Args:
        lake: Where the lake is.
        data: That table, as a file.
        dataset: The same, as a dataset of the lake.
        request: Fields of ``ExportRequest``; the folder may be in a bucket.

    Raises:
        MatlakeError: See ``export_encoder``, ``read_training_table`` and ``require_extra``.
    """
    require_extra("train", "making encoders")
    from matlake.export.packaging import ExportRequest, export_encoder
    from matlake.studies.training_table import read_training_table

    place = request.pop("folder")
    table = read_training_table(lake, _path(data), dataset)
    if isinstance(place, Path):
        return export_encoder(ExportRequest(data=table, folder=place, **request))
    with encoder_in_bucket(place) as folder:
        return export_encoder(ExportRequest(data=table, folder=folder, **request))


def pretrain(
    lake: LakePath,
    architecture: str,
    folder: Path,
    progress: Progress,
    *,
    data: str | Path | None,
    dataset: str | None,
    **settings: Any,
) -> "RunRecord":
    """Train a network on a table, or finish a run that was interrupted.

    Args:
        lake: Where the lake is.
        architecture: Key of ``ARCHITECTURES``.
        folder: Receives the run.
        progress: Receives where the rows went, and each epoch.
        data: The table, as a file.
        dataset: The same, as a dataset of the lake.
        settings: As of ``pretrain_request``.

    Raises:
        TrainingError: No table is named; see ``run_pretraining``.
        MatlakeError: See ``read_training_table`` and ``require_extra``.
    """
    require_extra("train", "making encoders")
    from matlake.export.pretraining.report import account_lines, epoch_line
    from matlake.export.pretraining.run import pretrain_request, run_pretraining
    from matlake.export.pretraining.training_data import TrainingData
    from matlake.networks.training_history import EpochReport
    from matlake.studies.training_table import read_training_table

    table = read_training_table(lake, _path(data), dataset)
    if table is None:
        raise TrainingError("there is nothing to train on", "name a file as data, or a dataset")
    request = pretrain_request(architecture, table, folder, **settings)

    def on_data(data: TrainingData) -> None:
        progress.note("\n".join(account_lines(data.account)))

    def on_epoch(history: list[EpochReport]) -> None:
        progress.track(len(history), request.config.epochs)
        progress.note(epoch_line(history, request.config, request.target_unit))

    return run_pretraining(request, on_data, on_epoch)


def label(
    lake: LakePath, progress: Progress, *, data: str | Path | None, dataset: str | None, teacher: str, **request: Any
) -> "LabelReport":
    """Label crystals with what an encoder that predicts energies says of their stiffness.

    Args:
        lake: Where the lake is.
        progress: Receives how far it is.
        data: A table, as a file.
        dataset: The same, as a dataset of the lake.
        teacher: Name of the encoder.
        request: More fields of ``LabelRequest``.

    Raises:
        SourceError: No table is named; see ``label_table``.
        MatlakeError: See ``read_training_table`` and ``find_encoder``.
    """
    from matlake.export.teacher.run import LabelRequest, label_table
    from matlake.store.folders import LakeFolders
    from matlake.studies.training_table import read_training_table

    found = LakeFolders(lake).find_encoder(teacher)
    table = read_training_table(lake, _path(data), dataset)
    if table is None:
        raise SourceError("there is nothing to label", "name a file as data, or a dataset")
    return label_table(LabelRequest(table, found, **request), progress)


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)
