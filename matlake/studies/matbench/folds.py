"""The folds of a task: those of the public benchmark, clusters of compositions, and any split of ``train``."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from matlake.errors import SourceError
from matlake.regress.features.matrix import Matrix
from matlake.regress.splits import Split, parse_split
from matlake.regress.splits.split import Proposal
from matlake.studies.matbench.task_rows import TaskRows

PUBLIC: Final = "public"
CLUSTERS: Final = "clusters"

FOLDS: Final = 5
PUBLIC_STATE: Final = 18012019
"""Of Matbench (A. Dunn et al., npj Comput. Mater. 6, 138 (2020))."""

_NUMBER: Final = re.compile(r"(\d+)$")
_STARTS: Final = 2


@dataclass(frozen=True)
class Fold:
    """Rows to train on and rows to test on.

    Attributes:
        kind: ``PUBLIC``, ``CLUSTERS`` or a split as typed.
        number: From 0.
        split: What ``train`` holds out.
        key: Says which rows these are.
    """

    kind: str
    number: int
    split: Split
    key: tuple[Any, ...]


def folds_of(rows: TaskRows, kinds: Sequence[str], published: Path | None = None) -> list[Fold]:
    """Return the folds of some kinds.

    Args:
        rows: The rows.
        kinds: ``PUBLIC``, ``CLUSTERS``, or splits as typed for ``train --split``, which hold out once.
        published: The benchmark's validation file; without it public folds are drawn by its recipe.

    Raises:
        TrainingError: An unknown split.
        SourceError: The validation file cannot be read, or does not fit the rows.
    """
    return [fold for kind in dict.fromkeys(kinds) for fold in _folds(rows, kind, published)]


def _folds(rows: TaskRows, kind: str, published: Path | None) -> Iterator[Fold]:
    if kind == PUBLIC:
        tested = _recipe(rows) if published is None else _read(rows, published)
        rule = "belong to fold {} of the public benchmark"
        yield from (_fold(rows, kind, number, test, rule, "both") for number, test in enumerate(tested))
    elif kind == CLUSTERS:
        labels = _clusters(rows.fractions[rows.valid])
        for number in range(FOLDS):
            test = np.zeros(len(rows), dtype=bool)
            test[rows.valid] = labels == number
            yield _fold(rows, kind, number, test, "belong to cluster {} of compositions", "test")
    else:
        yield Fold(kind, 0, split := parse_split(kind), (split.text,))


def _fold(
    rows: TaskRows, kind: str, number: int, test: NDArray[np.bool_], rule: str, shared: Literal["test", "both"]
) -> Fold:
    """Make the split that tests some of the rows, by their ids."""
    tested = rows.material_id[test & rows.valid]

    def propose(matrix: Matrix, _: int) -> Iterator[Proposal]:
        yield Proposal(
            f"fold {number + 1}", rule.format(number + 1), np.isin(matrix.material_id, tested), shared=shared
        )

    return Fold(kind, number, Split(f"{kind} {number + 1}", propose, propose), (kind, number, tested.tolist()))


def _recipe(rows: TaskRows) -> list[NDArray[np.bool_]]:
    """Return which rows each public fold tests, bool [n]: drawn in the file's order, of classes in proportion."""
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = StratifiedKFold if rows.task.yes_no else KFold
    folds = kind(FOLDS, shuffle=True, random_state=PUBLIC_STATE).split(np.zeros(len(rows)), rows.y)
    return [np.isin(np.arange(len(rows)), test) for _, test in folds]


def _read(rows: TaskRows, path: Path) -> list[NDArray[np.bool_]]:
    """Return which rows each fold of a validation file tests.

    The file holds, under ``splits``, task and ``fold_0`` to ``fold_4``, lists of ids under ``train`` and ``test``. An
    id ends with the number of the row, from 1.
    """
    try:
        known = json.loads(path.read_text(encoding="utf-8"))["splits"]
        folds = [known[rows.task.name][name] for name in sorted(known[rows.task.name])]
        numbers = [{side: _rows_of(fold[side]) for side in ("train", "test")} for fold in folds]
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}", "name the validation file") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(
            f"{path} holds no folds of {rows.task.name}: {error!r}",
            "name the benchmark's validation file, matbench_v0.1_validation.json, or leave it out",
        ) from error
    every = np.arange(len(rows))
    for name, fold in zip(sorted(known[rows.task.name]), numbers, strict=True):
        if not np.array_equal(np.sort(np.concatenate([fold["train"], fold["test"]])), every):
            raise SourceError(
                f"{name} of {path} does not hold each of the {len(rows):,} rows of {rows.task.name} once",
                "name the file of the data that the folds belong to",
            )
    return [np.isin(every, fold["test"]) for fold in numbers]


def _rows_of(ids: Sequence[str]) -> NDArray[np.intp]:
    """Return row numbers from 0 of ids such as ``mb-phonons-0001``."""
    found = [_NUMBER.search(name) for name in ids]
    return np.array([int(match[1]) for match in found if match], dtype=np.intp) - 1


def _clusters(fractions: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the cluster [n] of each composition: k-means on the fractions of the elements that occur.

    Leave-one-cluster-out: Meredig et al., Mol. Syst. Des. Eng. 3, 819 (2018).
    """
    from sklearn.cluster import KMeans

    present = fractions[:, fractions.any(axis=0)].astype(np.float64)
    labels: NDArray[np.intp] = KMeans(FOLDS, n_init=_STARTS, random_state=0).fit_predict(present).astype(np.intp)
    return labels
