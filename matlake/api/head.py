"""A trained head, as a thing to hold and ask."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from matlake.progress import Progress, watched
from matlake.regress.heads.card import HeadCard
from matlake.regress.heads.card_files import CARD_FILE, read_card
from matlake.regress.heads.listing import card_lines, head_table
from matlake.regress.heads.storage import delete_head, export_head, find_head, member_names
from matlake.reports import Report
from matlake.store.lake import Lake
from matlake.store.storage.places import LakePath, lake_path
from matlake.text_tables import Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from matlake.metrics import Metrics
    from matlake.regress.finetuning.result import FinetuneResult
    from matlake.regress.heads.compare import HeadComparison
    from matlake.regress.heads.recalibrate_head import RecalibrationResult
    from matlake.regress.heads.train_result import TrainResult
    from matlake.regress.prediction.opened_head import OpenedHead
    from matlake.regress.prediction.predict import Predictions
    from matlake.regress.prediction.predict_table import WrittenPredictions
    from matlake.regress.prediction.saving import SavedReport
    from matlake.regress.suggesting.suggest import Suggestions


class Head(Report):
    """A trained head of a lake.

    It does not change: after a head of the same name is trained, ``lake.head(name)`` is the new one.

    Args:
        lake: The lake.
        name: Its name.
        training: What its training found; None for a head that was there before.

    Raises:
        HeadError: There is none of that name, or its card is damaged.
    """

    def __init__(self, lake: Lake, name: str, training: "TrainResult | FinetuneResult | None" = None) -> None:
        """Read its card."""
        self.lake, self.name, self.training = lake, name, training
        self._opened: OpenedHead | None = None
        self._read_cards()

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle holds: all but the open file, which is opened again where it is used."""
        return {**vars(self), "_opened": None}

    @property
    def cards(self) -> tuple[HeadCard, ...]:
        """Its cards, one for each target: all that is known about it."""
        return self._cards

    @property
    def card(self) -> HeadCard:
        """Its card; of several targets that of the first."""
        return self._cards[0]

    @property
    def metrics(self) -> "Metrics":
        """Errors on the test rows, in the target's unit; of several targets those of the first."""
        return self.card.evaluation.metrics

    def lines(self) -> list[Line]:
        """Return what its cards say, of several targets after a table of them."""
        lines: list[Line] = [head_table(self._cards)] if len(self._cards) > 1 else []
        for card in self._cards:
            lines += [*([""] if lines else []), *card_lines(card, find_head(self.lake, card.name))]
        return lines

    @overload
    def predict(
        self,
        what: Any,
        *,
        formula: str | None = None,
        structure: str | None = None,
        columns: Mapping[str, Any] | None = None,
        output: None = None,
        progress: bool | Progress = True,
    ) -> "Predictions": ...
    @overload
    def predict(
        self,
        what: str | Path,
        *,
        formula: str | None = None,
        structure: str | None = None,
        columns: Mapping[str, Any] | None = None,
        output: str | Path,
        progress: bool | Progress = True,
    ) -> "WrittenPredictions": ...
    def predict(
        self,
        what: Any,
        *,
        formula: str | None = None,
        structure: str | None = None,
        columns: Mapping[str, Any] | None = None,
        output: str | Path | None = None,
        progress: bool | Progress = True,
    ) -> "Predictions | WrittenPredictions":
        """Predict for anything; one that cannot be read becomes a failure and stops no other.

        Args:
            what: A formula, a pymatgen ``Structure``, an ASE ``Atoms``, a ``Crystal``, or several of one kind; a
                DataFrame or an Arrow table; a file or folder of structures, or a table's path.
            formula: Of a table, its column of formulas; by default one by a usual name.
            structure: Of a table, its column of structures; likewise.
            columns: Values of columns among the head's features, such as ``{"temperature_K": 300}``: one, or one for
                each input. A table has its own.
            output: Write the table with predictions to this file (.csv, .parquet), in memory that does not grow, for a
                path.
            progress: Whether a terminal or a notebook shows the progress; or what to report to.

        Raises:
            HeadError: The head needs crystals, and these are formulas; or it is damaged.
            SourceError: A file cannot be read, or a table has no column of formulas or structures.
            EncoderError: An encoder of the head is missing or another.
            MissingExtraError: ONNX Runtime is not installed.
        """
        from matlake.api.predicting import TableColumns, is_long, predict, predict_to
        from matlake.regress.prediction.predict import named_values

        table, given = TableColumns(formula, structure), named_values(columns)
        with watched(progress if is_long(what) else False, "predicting", "rows") as reporter:
            if output is not None:
                return predict_to(self.lake, self.name, what, Path(output), table, given, reporter)
            return predict(self.lake, self.name, self._open(), what, table, given, reporter)

    @overload
    def predict_dataset(
        self,
        dataset: str | None = None,
        *,
        where: str | None = None,
        save: Literal[False] = False,
        output: None = None,
        engine: str = "local",
        address: str | None = None,
        progress: bool | Progress = True,
    ) -> "Predictions": ...
    @overload
    def predict_dataset(
        self,
        dataset: str | None = None,
        *,
        where: str | None = None,
        save: Literal[True],
        output: None = None,
        engine: str = "local",
        address: str | None = None,
        progress: bool | Progress = True,
    ) -> "SavedReport": ...
    @overload
    def predict_dataset(
        self,
        dataset: str | None = None,
        *,
        where: str | None = None,
        save: bool = False,
        output: str | Path,
        engine: str = "local",
        address: str | None = None,
        progress: bool | Progress = True,
    ) -> "WrittenPredictions": ...
    def predict_dataset(
        self,
        dataset: str | None = None,
        *,
        where: str | None = None,
        save: bool = False,
        output: str | Path | None = None,
        engine: str = "local",
        address: str | None = None,
        progress: bool | Progress = True,
    ) -> "Predictions | SavedReport | WrittenPredictions":
        """Predict for materials of the lake from stored vectors; see ``matlake.predict_dataset``.

        Args:
            dataset: Only this dataset; all by default.
            where: Only rows of ``materials`` that this SQL predicate selects.
            save: Keep the predictions in the lake, where the view ``predictions`` has them.
            output: Write them to this file (.csv, .parquet).
            engine: ``local``, or ``ray``, as for ``lake.embed``.
            address: HOST:PORT of the head of a Ray cluster.
            progress: As for ``predict``.
        """
        from matlake.regress.prediction.predict_dataset import predict_dataset

        with watched(progress, "predicting", "rows") as reporter:
            return predict_dataset(
                self.lake,
                self.name,
                dataset=dataset,
                where=where,
                save=save,
                output=output,
                engine=engine,
                address=address,
                progress=reporter,
            )

    def suggest(
        self,
        n: int = 20,
        *,
        purpose: str = "value",
        minimise: bool = False,
        near: float | None = None,
        between: tuple[float, float] | None = None,
        dataset: str | None = None,
        where: str | None = None,
    ) -> "Suggestions":
        """Suggest which materials of the lake to measure next, with the reason for each.

        Args:
            n: Number of materials, to be measured together.
            purpose: ``value``: find wanted values, by default the highest; ``uncertainty``: improve the head;
                ``diversity``: explore far from all training materials.
            minimise: Find the lowest values.
            near: Find values near this one, in the target's unit.
            between: Find values in this range, in the target's unit.
            dataset: Only materials of this dataset.
            where: Only materials that this SQL predicate selects.

        Raises:
            HeadError: See ``matlake.suggest``; or several goals are named.
        """
        from matlake.regress.suggesting.acquisition import Goal
        from matlake.regress.suggesting.suggest import SuggestRequest, suggest

        goal = Goal.of(minimise=minimise, near=near, between=between)
        return suggest(self.lake, SuggestRequest(self.name, n, purpose, goal, dataset, where))

    def compare(self, other: "Head | str", *, where: str | None = None, seed: int = 0) -> "HeadComparison":
        """Compare with another head of the same property on the same rows; see ``heads compare``."""
        from matlake.regress.heads.compare import compare_heads

        second = other.name if isinstance(other, Head) else other
        return compare_heads(self.lake, self.name, second, where, seed)

    def report(self, output: str | Path) -> list[Path]:
        """Write all that is known of it as one page: ``.html`` with its plots, or ``.md`` with plots beside it."""
        from matlake.regress.heads.report_files import write_report

        return write_report(self.lake, self.name, Path(output))

    @overload
    def plot(self, kind: str | None = None, *, ax: "Axes | None" = None, output: None = None) -> "Axes": ...
    @overload
    def plot(self, kind: str | None = None, *, ax: None = None, output: str | Path) -> list[Path]: ...
    def plot(
        self, kind: str | None = None, *, ax: "Axes | None" = None, output: str | Path | None = None
    ) -> "Axes | list[Path]":
        """Draw one of its plots, from its test rows, for a notebook or a paper.

        Args:
            kind: ``parity`` (of a yes/no property ``reliability``), ``error_by_distance``, ``coverage`` or
                ``learning_curve``; by default the first.
            ax: matplotlib axes to draw on; those of a new figure by default.
            output: Write it to this file (.svg, .pdf, .png), or all plots in these formats to this folder.

        Returns:
            The axes; the paths where something is written.

        Raises:
            HeadError: It has no such plot, or is older than kept test rows.
            PlotError: Another extension, or the file cannot be written.
            MissingExtraError: matplotlib is not installed.
        """
        from matlake.regress.heads.plots import plot_head, write_plots

        if output is not None:
            return write_plots(self.lake, self.card.name, Path(output), kind)
        return plot_head(self.lake, self.card.name, kind, ax)

    def calibrate(self, where: str, *, seed: int = 0) -> "RecalibrationResult":
        """Fit its intervals and expected errors to 20 or more labels of a new domain, and keep that in its card.

        Args:
            where: SQL predicate that selects the labelled materials.
            seed: Of folds and test.
        """
        from matlake.regress.heads.recalibrate_head import recalibrate_head

        done = recalibrate_head(self.lake, self.name, where, seed)
        self._opened = None
        self._read_cards()
        return done

    def export(self, output: str | LakePath) -> LakePath:
        """Check it and copy its files to a new folder, which may be ``heads/NAME`` of another lake."""
        place = lake_path(output)
        export_head(self.lake, self.name, place)
        return place

    def delete(self) -> None:
        """Delete it. Embeddings and data stay."""
        delete_head(self.lake, self.name)

    def _read_cards(self) -> None:
        names = member_names(self.lake, self.name)
        self._cards = tuple(read_card(find_head(self.lake, name, (CARD_FILE,)) / CARD_FILE, name) for name in names)

    def _open(self) -> "OpenedHead":
        """Return it with its encoders, opened once: a notebook predicts many times."""
        from matlake.regress.prediction.opened_head import open_heads

        if self._opened is None:
            self._opened = open_heads(self.lake, self.name)
        return self._opened
