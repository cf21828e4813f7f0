"""Prediction for materials of the lake, from the vectors that it holds: nothing is parsed or encoded again."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from matlake.encoders.engine import Engine
from matlake.errors import HeadError
from matlake.platforms import usable_cores
from matlake.progress import SILENT, Progress
from matlake.regress.features.own_columns import feature_name
from matlake.regress.heads.storage import find_encoders, load_head, member_names
from matlake.regress.heads.verdict import head_notes
from matlake.regress.prediction import saving
from matlake.regress.prediction.opened_head import OpenedHead
from matlake.regress.prediction.predict import Predictions, collect_all
from matlake.regress.prediction.results import Failure, Prediction
from matlake.regress.prediction.saving import SavedReport
from matlake.regress.prediction.stored_rows import CHOSEN, StoredRows, open_rows
from matlake.store.lake import Lake
from matlake.store.predictions import digest_of_head, shown_name, stale_note

if TYPE_CHECKING:
    from matlake.regress.prediction.predict_table import WrittenPredictions

_MATERIAL = ("dataset", "material_id", "formula")


def predict_dataset(
    lake: Lake,
    head_name: str,
    *,
    dataset: str | None = None,
    where: str | None = None,
    save: bool = False,
    output: str | Path | None = None,
    engine: str = "local",
    address: str | None = None,
    progress: Progress = SILENT,
) -> "Predictions | WrittenPredictions | SavedReport":
    """Predict for a dataset, or for the materials that a predicate selects.

    Vectors are read as training reads them. Descriptors such as ``magpie`` are computed where they are not embedded.

    Args:
        lake: The lake.
        head_name: Name of the head.
        dataset: Only this dataset; all by default.
        where: Only rows of ``materials`` that this SQL predicate selects.
        save: Keep the predictions in the lake, where the view ``predictions`` has them, instead of returning them.
            What is there already is not predicted again.
        output: Write them to this file (.csv, .parquet), as ``predict_to_file`` does, instead of returning them:
            ``dataset``, ``material_id``, ``formula`` and the columns among the head's features beside the columns of
            predictions.
        engine: ``local``: this process; or ``ray``: actors on the nodes of a Ray cluster, one for each CPU, which must
            all reach the lake.
        address: HOST:PORT of the head of the cluster; by default ``$RAY_ADDRESS``, or else Ray is started here.
        progress: Takes the number of rows done.

    Returns:
        All predictions; or what was saved or written, in memory that does not grow with the number of rows.

    Raises:
        LakeError: There is no such dataset, or the file would be in the lake.
        SourceError: The extension of the file is not known.
        QueryError: ``where`` is not a predicate over ``materials``.
        HeadError: See ``open_head``; or no row has a crystal, and the head needs them; or none is embedded.
        EncoderError: See ``open_head``.
        MissingExtraError: See ``open_head``; or Ray is not installed.
        MatlakeError: There is no such engine, or no such cluster.
    """
    predicting = Engine(engine, address)
    if output is not None:
        lake.check_output(Path(output))
    head, digests = load_current_heads(lake, member_names(lake, head_name))
    with open_rows(lake, head, dataset, where, predicting) as rows:
        if save:
            report = saving.save(lake, rows, digests, progress)
            if output is None:
                return report
        if output is not None:
            return _write(lake, rows, Path(output), progress)
        found = collect_all(head, _results(rows, progress))
    return replace(found, notes=(*found.notes, *stale_note(lake, head_name)))


def load_current_heads(lake: Lake, names: Sequence[str]) -> tuple[OpenedHead, list[str]]:
    """Open a head of one target, or the members of one with several, with the digest of each; its encoders stay closed.

    Raises:
        HeadError: See ``open_head``; or another process is replacing the head.
        EncoderError: See ``open_head``.
        MissingExtraError: See ``open_head``.
    """
    heads, digests = [], []
    for name in names:
        digest = digest_of_head(lake, name)
        heads.append(load_head(lake, name, threads=usable_cores()))
        find_encoders(lake, heads[-1].card)
        if digest is None or digest_of_head(lake, name) != digest:
            raise HeadError(f"head {name} is being replaced by another process", "run the same command again")
        digests.append(digest)
    return OpenedHead(heads[0], {}, tuple(heads[1:])), digests


def _results(rows: StoredRows, progress: Progress) -> list[list[Prediction | Failure]]:
    """Return what is predicted for each target."""
    found: list[list[Prediction | Failure]] = [[] for _ in rows.head.heads]
    done, total = 0, rows.count()
    for block in rows.blocks():
        datasets, names, formulas = (block.materials[name].to_pylist() for name in _MATERIAL)
        for results, columns in zip(found, block.predicted, strict=True):
            for dataset, formula, result in zip(datasets, formulas, columns.results(names, done), strict=True):
                known = isinstance(result, Prediction)
                results.append(replace(result, dataset=dataset, formula=formula) if known else result)
        done += block.materials.num_rows
        progress.track(done, total)
    return found


def _write(lake: Lake, rows: StoredRows, output: Path, progress: Progress) -> "WrittenPredictions":
    from matlake.regress.prediction.predict_table import (  # readers of tables take a second to import
        WrittenPredictions,
        output_schema,
        write_predictions,
    )

    cards, total = [head.card for head in rows.head.heads], rows.count()
    own = rows.head.columns
    shown, names = [*_MATERIAL, *map(feature_name, own)], [*_MATERIAL, *own]
    batches = (
        (block.materials.select(shown), block.materials["material_id"].to_pylist(), block.predicted)
        for block in rows.blocks()
    )
    none = rows.connection.sql(f"FROM {CHOSEN} LIMIT 0").to_arrow_table()
    schema = output_schema(none.select(shown).rename_columns(names).schema, rows.head.heads, f"the lake at {lake.path}")
    done, n_failed, failed = write_predictions(
        output, schema, batches, [card.target for card in cards], lambda number: progress.track(number, total)
    )
    name = shown_name(cards[0].name)
    return WrittenPredictions(
        head=name,
        target=", ".join(card.target for card in cards),
        unit=cards[0].unit if len(cards) == 1 else ", ".join(card.unit or "no unit" for card in cards),
        output=output,
        rows=done - n_failed,
        n_failed=n_failed,
        notes=(*dict.fromkeys(note for card in cards for note in head_notes(card)), *stale_note(lake, name)),
        failed=failed,
    )
