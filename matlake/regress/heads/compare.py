"""``heads compare``: two heads on the same rows, with a paired bootstrap and a paired test."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.session import onnx_runtime
from matlake.errors import HeadError, Hint, TrainingError
from matlake.metrics import FLIPS, Metrics, sign_flip_test
from matlake.regress.features.feature import Feature
from matlake.regress.features.labels import count_rows
from matlake.regress.features.matrix import Matrix, read_matrix
from matlake.regress.heads.measure import measure_of
from matlake.regress.heads.past import Past, find_past, target_of
from matlake.regress.heads.storage import Head, find_encoders, load_head
from matlake.regress.heads.verdict import Outcome, difference_intervals, error_name, error_of, row_errors
from matlake.regress.targets.kinds import Kind
from matlake.reports import Report
from matlake.store.lake import Lake
from matlake.text_tables import Column, Line, TextTable

FEWEST_ROWS: Final = 20
"""Rows to compare on: of fewer, nearly every difference is chance."""


@dataclass(frozen=True, repr=False)
class HeadComparison(Report):
    """Two heads on the same rows.

    Attributes:
        heads: Their names.
        target: Property predicted.
        unit: Its unit.
        kind: Of the property.
        selection: Which rows, in words.
        rows: Number of them.
        compositions: Number of different compositions.
        left_out: By reason, rows selected that do not count.
        metrics: Errors of both.
        difference: Error of the first minus that of the second: mean absolute errors, or Brier scores.
        interval: Ends of its 95 % bootstrap interval, over whole compositions.
        p_value: Of the hypothesis that the errors of both are exchangeable, two-sided, by ``sign_flip_test``.
    """

    heads: tuple[str, str]
    target: str
    unit: str
    kind: Kind
    selection: str
    rows: int
    compositions: int
    left_out: dict[str, int]
    metrics: tuple[Metrics, Metrics]
    difference: float
    interval: tuple[float, ...]
    p_value: float

    @property
    def better(self) -> str | None:
        """Name of the better head; None if other rows might say otherwise."""
        low, high = self.interval
        return self.heads[0] if high < 0.0 else self.heads[1] if low > 0.0 else None

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {
            **{name: value for name, value in vars(self).items() if name != "metrics"},
            "metrics": {name: asdict(found) for name, found in zip(self.heads, self.metrics, strict=True)},
            "better": self.better,
        }

    def lines(self) -> list[Line]:
        """Return the text for people."""
        error = error_name(self.kind)
        columns = (
            Column("head"),
            Column(error, "right", ".4g", self.unit),
            Column("RMSE", "right", ".4g", self.unit),
            Column("R²", "right", ".3f"),
            Column("Spearman", "right", ".3f"),
        )
        rows = [
            (name, error_of(found, self.kind), found.rmse, found.r2, found.spearman)
            for name, found in zip(self.heads, self.metrics, strict=True)
        ]
        low, high = self.interval
        p = f"{self.p_value:.2g}" if self.p_value > 1.0 / FLIPS else f"below {1.0 / FLIPS:g}"
        verdict = f"{self.better} is better" if self.better else str(Outcome.UNDECIDED)
        lines: list[Line] = [
            f"{self.target}: {self.rows:,} rows of {self.compositions:,} compositions, {self.selection}",
            *(f"left out: {count:,} rows {reason}" for reason, count in self.left_out.items() if count),
            TextTable(columns, rows),
            f"difference of the {error}s, {self.heads[0]} minus {self.heads[1]}: {self.difference:.4g} "
            f"[{low:.4g}, {high:.4g}] {self.unit}".rstrip(),
            f"paired sign-flip test over compositions: p = {p}".replace("= below", "below"),
            f"verdict: {verdict}",
        ]
        return lines


def compare_heads(lake: Lake, first: str, second: str, where: str | None = None, seed: int = 0) -> HeadComparison:
    """Compare two heads of one property on the same rows, of compositions that neither was trained on.

    Args:
        lake: The lake that holds the heads, with their features embedded.
        first: Name of a head.
        second: Name of another one.
        where: SQL predicate over ``materials`` that selects labelled rows; default: rows that both were tested on.
        seed: Of bootstrap and test.

    Raises:
        HeadError: No such head; the two predict different properties; or the rows that one was tested on cannot be
            found again.
        TrainingError: Too few rows are left.
        QueryError: ``where`` is not a valid predicate over ``materials``.
        EncoderError: An encoder of one of the heads is missing.
        MissingExtraError: ONNX Runtime is not installed.
    """
    onnx_runtime()
    heads = [load_head(lake, name) for name in (first, second)]
    _check_same_property(heads)
    pasts = [find_past(lake, head.card) for head in heads]
    features = tuple(dict.fromkeys(feature for head in heads for feature in head.card.features))
    for head in heads:
        find_encoders(lake, head.card)
    card = heads[0].card
    matrix = read_matrix(lake, target_of(lake, card), features, where=where or _tested_sql(heads), training=False)
    rows, left_out = _comparable(matrix, heads, pasts, tested=where is None)
    if len(rows) < FEWEST_ROWS:
        raise TrainingError(
            f"only {len(rows)} rows are left to compare {first} and {second} on; at least {FEWEST_ROWS} are needed"
            + "".join(f"; {count:,} {reason}" for reason, count in left_out.items() if count),
            Hint("select other labelled rows with where", cli="select other labelled rows with --where"),
        )
    y, groups = matrix.y[rows], matrix.groups[rows]
    predicted = [head.predict(_columns(matrix, features, head)[rows])[0] for head in heads]
    measured = measure_of(card.kind)
    metrics = measured(y, predicted[0]), measured(y, predicted[1])
    interval = difference_intervals(y, predicted[0], {second: predicted[1]}, groups, seed, card.kind)[second]
    differences = row_errors(y, predicted[0], card.kind) - row_errors(y, predicted[1], card.kind)
    return HeadComparison(
        heads=(first, second),
        target=card.target,
        unit=card.unit,
        kind=card.kind,
        selection="which both were tested on" if where is None else f"selected by {where}",
        rows=len(rows),
        compositions=len(np.unique(groups)),
        left_out=left_out,
        metrics=metrics,
        difference=float(differences.mean()),
        interval=interval,
        p_value=sign_flip_test(differences, groups, seed),
    )


def _check_same_property(heads: list[Head]) -> None:
    a, b = (head.card for head in heads)
    if (a.target, a.unit, a.kind) != (b.target, b.unit, b.kind):
        raise HeadError(
            f"head {a.name} predicts {a.target} in {a.unit or 'no unit'}, and {b.name} {b.target} in "
            f"{b.unit or 'no unit'}: their errors cannot be compared",
            "name two heads of one property",
        )


def _tested_sql(heads: list[Head]) -> str:
    """Return the predicate of rows that both heads were trained or tested on."""
    return " AND ".join(
        f"(dataset, material_id) IN (SELECT (s.dataset, s.material_id) FROM ({head.card.training.sql}) AS s)"
        for head in heads
    )


def _comparable(
    matrix: Matrix, heads: list[Head], pasts: list[Past], *, tested: bool
) -> tuple[NDArray[np.intp], dict[str, int]]:
    """Return the rows that count, ascending, and how many do not, by reason.

    Args:
        matrix: The rows selected.
        heads: Two of them.
        pasts: What is known of the rows that these were trained and tested on.
        tested: Whether only rows that both were tested on count.
    """
    kept = np.ones(len(matrix.y), dtype=bool)
    left_out = {"lack a feature": count_rows(matrix.missing)}
    for head, past in zip(heads, pasts, strict=True):
        trained = np.isin(matrix.groups, sorted(past.compositions))
        left_out[f"of compositions that {head.card.name} was trained on"] = int(np.count_nonzero(kept & trained))
        kept &= ~trained
    if tested:
        for head, past in zip(heads, pasts, strict=True):
            own = _tested(matrix, head, past)
            left_out[f"that {head.card.name} was not tested on"] = int(np.count_nonzero(kept & ~own))
            kept &= own
    return np.flatnonzero(kept), left_out


def _tested(matrix: Matrix, head: Head, past: Past) -> NDArray[np.bool_]:
    """Return which rows are among the test rows of a head, bool [n]."""
    if past.rows is None:
        raise HeadError(
            f"the test rows of head {head.card.name} cannot be found again: {past.lost}",
            Hint("select labelled rows with where", cli="select labelled rows with --where"),
        )
    own, held = past.rows.matrix, past.rows.held_out.test
    keys = set(zip(own.dataset[held].tolist(), own.material_id[held].tolist(), strict=True))
    return np.array([key in keys for key in zip(matrix.dataset.tolist(), matrix.material_id.tolist(), strict=True)])


def _columns(matrix: Matrix, features: tuple[Feature, ...], head: Head) -> NDArray[np.float32]:
    """Return the columns that a head takes, float32 [n, d]."""
    ends = dict(zip(features, np.cumsum([feature.dim for feature in features]).tolist(), strict=True))
    parts = [matrix.x[:, ends[feature] - feature.dim : ends[feature]] for feature in head.card.features]
    return np.concatenate(parts, axis=1)
