"""Prediction for a few formulas or structure files."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from matlake.errors import MatlakeError, SourceError
from matlake.regress.classification.label_sets import label_of
from matlake.regress.heads.card import HeadCard
from matlake.regress.heads.verdict import head_notes
from matlake.regress.prediction.opened_head import ColumnValues, OpenedHead, open_heads
from matlake.regress.prediction.results import Failure, Prediction, predictions_to_arrow
from matlake.regress.targets.kinds import Kind
from matlake.regress.uncertainty.applicability import FARTHEST
from matlake.reports import SHOWN_ROWS, TableReport
from matlake.sequences import as_list
from matlake.store.folders import MEMBER
from matlake.store.lake import Lake
from matlake.text_tables import Column, Line, TextTable, rounded

FAR_OUT: Final = 2.0
"""Out-of-distribution score from which a material is far outside the training materials."""

FEW: Final = 64
"""Formulas that one thread predicts: several would wait for each other longer than they work."""

FAILURES_SHOWN: Final = 5
_LONGEST_NAME: Final = 60  # characters of an input that a line on its failure shows


@dataclass(frozen=True, repr=False)
class Predictions(TableReport):
    """What a head predicts.

    Attributes:
        head: Name of the head.
        target: Property predicted.
        unit: Unit of the values.
        kind: ``number``, or ``yes/no``: then values are probabilities of yes.
        level: Share of measured values that intervals, or sets of labels, are to hold; None for a head older than
            intervals.
        mae: Mean absolute error of the head on its test rows, in the unit.
        score_ranks_errors: Whether larger out-of-distribution scores went with larger errors on the test rows; None for
            a head older than scores.
        notes: What a reader has to know about the head, in words.
        predictions: In the order of the inputs.
        failed: Inputs without a prediction.
        others: Of a head with several targets, the predictions of all after the first.
    """

    head: str
    target: str
    unit: str
    kind: Kind
    level: float | None
    mae: float
    score_ranks_errors: bool | None
    notes: tuple[str, ...]
    predictions: list[Prediction]
    failed: list[Failure]
    others: tuple["Predictions", ...] = ()

    @property
    def results(self) -> tuple["Predictions", ...]:
        """One for each target."""
        return (replace(self, others=()), *self.others)

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the contract; that of several targets has one entry for each input and target."""
        if self.others:
            return _long_document(self)
        return {
            **{name: value for name, value in vars(self).items() if name != "others"},
            "predictions": [prediction.document() for prediction in self.predictions],
            "failed": [vars(failure) for failure in self.failed],
        }

    def lines(self) -> list[Line]:
        """Return the text for people; of several targets one after the other."""
        if self.others:
            blocks = [[*one.lines(), ""] for one in self.results]
            return [line for block in blocks for line in block][:-1]
        table, remarks = self._table(self.predictions), self._remarks(self.predictions)
        return [self._heading, *table, *remarks, *self._notes, *failure_lines(self.failed, len(self.failed))]

    def shown(self) -> list[Line]:
        """Return the first predictions, and what is known of the head before remarks on single ones."""
        if self.others:
            blocks = [[*one.shown(), ""] for one in self.results]
            return [line for block in blocks for line in block][:-1]
        left = len(self.predictions) - SHOWN_ROWS
        more = [f"… {left:,} more predictions"] if left > 0 else []
        failures = failure_lines(self.failed[:FAILURES_SHOWN], len(self.failed))
        first = self.predictions[:SHOWN_ROWS]
        return [self._heading, *self._table(first), *more, *self._notes, *failures, *self._remarks(first)]

    def to_arrow(self) -> pa.Table:
        """Return a row for each input, as ``predictions_to_arrow`` does; of several targets one after the other."""
        if not self.others:
            return predictions_to_arrow(self.predictions, self.failed)
        tables = []
        for one in self.results:
            found = one.to_arrow()
            tables.append(found.add_column(0, "target", pa.array([one.target] * found.num_rows, pa.string())))
        return pa.concat_tables(tables, promote_options="default")

    @property
    def _heading(self) -> str:
        if self.kind is Kind.YES_NO:
            return f"{self.target} by head {self.head}: probability of yes, with {self.level:.0%} sets of labels"
        heading = f"{self.target} by head {self.head}, in {self.unit or 'no unit'}"
        return heading if self.level is None else f"{heading}, with {self.level:.0%} intervals"

    @property
    def _notes(self) -> list[str]:
        return [f"note: {note}" for note in self.notes if self.predictions]

    def _table(self, predictions: Sequence[Prediction]) -> list[Line]:
        if not predictions:
            return []
        ranked = self.score_ranks_errors or self.kind is Kind.YES_NO
        last = "out-of-distribution score" if ranked else "interval width"
        yes_no = self.kind is Kind.YES_NO
        value, ends = ("label, probability of yes", "set of labels") if yes_no else ("value", "interval")
        columns = (Column("input"), Column(value, "right"), Column(ends), Column("expected error"), Column(last))
        return [TextTable(columns, [self._row(p) for p in predictions])]

    def _remarks(self, predictions: Sequence[Prediction]) -> list[Line]:
        """Return low-confidence reasons, and the nearest training materials."""
        remarks: list[Line] = []
        for p in predictions:
            if p.warnings:
                remarks.append(f"{p.shown} is doubtful: {'; '.join(p.warnings)}")
            if p.nearest:
                near = ", ".join(f"{n.formula} {self._measured(n.value)} ({n.distance:.2f})" for n in p.nearest)
                remarks.append(f"{p.shown} is nearest to {near}")
        return remarks

    def _measured(self, value: float) -> str:
        return label_of(value) if self.kind is Kind.YES_NO else f"{value:.4g}"

    def _row(self, p: Prediction) -> tuple[str | None, ...]:
        if p.label is not None:
            score = None if p.ood_score is None else f"{p.ood_score:.2f}, {place(p.ood_score)}"
            wrong = None if p.expected_error is None else f"{p.expected_error:.2f}"
            return p.shown, f"{p.label}, {p.value:.2f}", p.label_set, wrong, score
        value = f"{rounded(p.value, self.mae)} {self.unit}".rstrip()
        error = None if p.expected_error is None else f"{rounded(p.expected_error, self.mae)} {self.unit}".rstrip()
        beside = trust_text(p, self.mae, self.unit, score_ranks=bool(self.score_ranks_errors))
        return p.shown, value, interval_text(p, self.mae), error, beside


def _long_document(first: Predictions) -> dict[str, Any]:
    """Return the document of several targets: what is known of each, and one entry for each input and target."""
    own = {"predictions", "failed", "others"}
    failed = {(failure.row, failure.reason): vars(failure) for one in first.results for failure in one.failed}
    entries: dict[int, list[dict[str, Any]]] = {}
    for one in first.results:
        for place, prediction in enumerate(one.predictions):
            entry = {"target": one.target, "unit": one.unit, **prediction.document()}
            entries.setdefault(place, []).append(entry)
    return {
        "head": first.head.partition(MEMBER)[0],
        "targets": [{name: value for name, value in vars(one).items() if name not in own} for one in first.results],
        "predictions": [entry for place in sorted(entries) for entry in entries[place]],
        "failed": list(failed.values()),
    }


def interval_text(p: Prediction, mae: float) -> str | None:
    """Return the interval with the digits that the head's mean absolute error leaves; None if there is none."""
    if p.lower is None or p.upper is None:
        return None
    return f"[{rounded(p.lower, mae)}, {rounded(p.upper, mae)}]"


def trust_text(p: Prediction, mae: float, unit: str, *, score_ranks: bool) -> str | None:
    """Return what says more about the error of a prediction: its score, or the width of its interval.

    Args:
        p: The prediction.
        mae: Mean absolute error of the head.
        unit: Of the values.
        score_ranks: Whether larger scores went with larger errors on the test rows.
    """
    if p.lower is None or p.upper is None or p.ood_score is None:
        return None
    if not score_ranks:
        return f"{rounded(p.upper - p.lower, mae)} {unit}".rstrip()
    return f"{p.ood_score:.2f}, {place(p.ood_score)}"


def place(ood_score: float) -> str:
    """Say in words where an out-of-distribution score places a material; it does not say that the value is right."""
    if ood_score <= FARTHEST:
        return "near training materials"
    return "at their edge" if ood_score <= FAR_OUT else "far from them"


def failure_lines(failed: list[Failure], count: int) -> list[str]:
    """Return lines on inputs without a prediction, of which ``failed`` may be the first few."""
    if not count:
        return []
    shown = [
        f"  row {failure.row}{f' ({failure.input[:_LONGEST_NAME]})' if failure.input else ''}: {failure.reason}"
        for failure in failed
    ]
    return [f"{count:,} without a prediction", *shown, *(["  …"] if len(failed) < count else [])]


def predict(
    lake: Lake, head_name: str, formulas: str | Iterable[str], *, columns: Mapping[str, Any] | None = None
) -> Predictions:
    """Predict for a few formulas; one that cannot be read does not stop the others.

    Args:
        lake: The lake.
        head_name: Name of the head.
        formulas: One formula, or several: a list, a Series, a generator.
        columns: Values of the columns among the head's features, such as ``{"temperature_K": [300, 600]}``: one for
            all formulas, or a list with one for each. A formula without a value is among the failures.

    Raises:
        MatlakeError: A table or dictionary is given, not a list; or a column that the head does not take, or as many
            values as there are no formulas.
        HeadError: See ``open_head``; or the head needs crystals.
        EncoderError: Likewise.
        MissingExtraError: Likewise.
    """
    given = as_list(formulas)
    head = open_heads(lake, head_name, threads=1 if len(given) <= FEW else None)
    values = spread(columns, len(given))
    return collect_all(head, [one.results(map(_name, given)) for one in head.predict_all(given, values)])


def named_values(columns: Any) -> Mapping[str, Any]:
    """Return values by column: of a dictionary, or of a DataFrame with a row for each input.

    Raises:
        MatlakeError: It is neither.
    """
    if columns is None:
        return {}
    if isinstance(columns, Mapping):
        return columns
    if hasattr(columns, "columns"):
        names = getattr(columns, "column_names", columns.columns)  # Arrow's tables have both
        return {str(name): columns[name] for name in names}
    raise MatlakeError(
        f"columns is a {type(columns).__name__}, which does not say whose values these are",
        "give values by name: columns={'temperature_K': [300, 600]}",
    )


def spread(columns: Any, count: int) -> ColumnValues:
    """Return a list of values for each column: that which is given, or one value for all inputs.

    Args:
        columns: One value by column, or a sequence of them; see ``named_values``.
        count: Number of inputs.

    Raises:
        MatlakeError: A sequence has another number of values.
    """
    found = {}
    for name, value in named_values(columns).items():
        values = [value] * count if value is None or np.ndim(value) == 0 else as_list(value)
        if len(values) != count:
            raise MatlakeError(
                f"{len(values):,} values of {name} for {count:,} inputs", "give one value, or one for each input"
            )
        found[name] = values
    return found


def _name(given: object) -> str | None:
    return None if given is None else str(given)


def predict_structures(
    lake: Lake,
    head_name: str,
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    columns: Mapping[str, Any] | None = None,
) -> Predictions:
    """Predict for structure files; one that cannot be read does not stop the others.

    Args:
        lake: The lake.
        head_name: Name of the head.
        paths: One path, or several: CIF or POSCAR files, or anything else with structures that can be imported. A
            structure is called by the path of its file, followed by its id where the file holds several.
        columns: Values of the columns among the head's features: one for all files, or a list with one for each. A file
            that has such a column, as extended XYZ may, needs none.

    Raises:
        MatlakeError: A table or dictionary is given, not a list; or see ``predict``.
        HeadError: See ``open_head``.
        EncoderError: Likewise.
        MissingExtraError: Likewise.
    """
    from matlake.regress.prediction.sources import (
        open_structure_source,  # readers of structures take a second to import
    )

    given = as_list(paths)
    head = open_heads(lake, head_name)
    values = spread(columns, len(given))
    found: list[list[Prediction | Failure]] = [[] for _ in head.heads]
    for number, one_path in enumerate(given):
        if not isinstance(one_path, str | os.PathLike):
            reason = f"a path should be text, not {type(one_path).__name__}"
            _fail(found, _name(one_path), reason)
            continue
        path = Path(one_path)
        try:
            own = {name: column[number] for name, column in values.items()}
            batches = list(open_structure_source(path).predict(head, own))
        except SourceError as error:
            _fail(found, str(path), str(error))
            continue
        for place, results in enumerate(found):
            listed = [one for _, names, predicted in batches for one in predicted[place].results(names)]
            for one in listed:
                name = f"{path}: {one.input}" if len(listed) > 1 else str(path)
                if isinstance(one, Failure):
                    results.append(replace(one, row=len(results), input=name))
                else:
                    results.append(replace(one, input=name))
    return collect_all(head, found)


def _fail(found: list[list[Prediction | Failure]], name: str | None, reason: str) -> None:
    for results in found:
        results.append(Failure(len(results), name, reason))


def collect_all(head: OpenedHead, found: Iterable[Iterable[Prediction | Failure]]) -> Predictions:
    """Sort the results of each target of a head into predictions and failures."""
    heads = [OpenedHead(one, head.encoders) for one in head.heads]
    first, *others = (collect(one, results) for one, results in zip(heads, found, strict=True))
    return replace(first, others=tuple(others))


def collect(head: OpenedHead, results: Iterable[Prediction | Failure]) -> Predictions:
    """Sort results into predictions and failures."""
    predictions, failed = [], []
    for result in results:
        if isinstance(result, Prediction):
            predictions.append(result)
        else:
            failed.append(result)
    card = head.head.card
    return Predictions(**prediction_header(card), predictions=predictions, failed=failed)


def prediction_header(card: HeadCard) -> dict[str, Any]:
    """Return what stands before the predictions of a head, in the document and in the server's answers."""
    calibrated = card.classes.sets if card.classes else card.interval
    level = None if calibrated is None else calibrated.level
    return {
        "head": card.name,
        "target": card.target,
        "unit": card.unit,
        "kind": card.kind,
        "level": level,
        "mae": card.evaluation.metrics.mae,
        "score_ranks_errors": None if card.domain is None else card.domain.score_ranks_errors,
        "notes": head_notes(card),
    }
