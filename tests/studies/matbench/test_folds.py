"""The folds of a public benchmark: its recipe in the file's order, its validation file, clusters of compositions."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import KFold, StratifiedKFold

from matlake.errors import SourceError, TrainingError
from matlake.regress.features.matrix import Matrix
from matlake.regress.splits.split import HeldOut
from matlake.studies.matbench.folds import CLUSTERS, PUBLIC, Fold, folds_of
from matlake.studies.matbench.task_rows import TaskRows
from matlake.studies.matbench.tasks import find_task

STATE = 18012019
BROKEN = 7


@pytest.fixture(scope="module")
def matrix(gaps: TaskRows) -> Matrix:
    """The valid rows as training reads them: by id, not in the file's order."""
    rows = np.flatnonzero(gaps.valid)[::-1]
    return Matrix(
        x=gaps.fractions[rows],
        y=gaps.y[rows],
        fractions=gaps.fractions[rows],
        dataset=np.full(len(rows), gaps.dataset),
        material_id=gaps.material_id[rows],
        formula=gaps.material_id[rows],
        groups=gaps.composition[rows],
        missing=(),
        sql="",
    )


def _tested(fold: Fold, matrix: Matrix) -> tuple[HeldOut, set[str]]:
    held = fold.split.hold_out(matrix, 0)
    return held, set(matrix.material_id[held.test])


def test_public_folds_are_drawn_in_the_files_order_with_the_rows_that_are_no_materials(
    gaps: TaskRows, matrix: Matrix
) -> None:
    assert (len(gaps), gaps.valid.sum(), gaps.valid[BROKEN]) == (60, 59, False)
    recipe = KFold(5, shuffle=True, random_state=STATE).split(np.arange(60))
    for fold, (train, test) in zip(folds_of(gaps, [PUBLIC]), recipe, strict=True):
        held, tested = _tested(fold, matrix)
        assert tested == set(gaps.material_id[np.setdiff1d(test, [BROKEN])])
        assert set(matrix.material_id[held.train]) == set(gaps.material_id[np.setdiff1d(train, [BROKEN])])
        assert len(held.dropped) == 0


def test_public_folds_leave_equal_compositions_on_both_sides_and_say_so(gaps: TaskRows, matrix: Matrix) -> None:
    assert gaps.composition[40] == gaps.composition[41]
    held = [fold.split.hold_out(matrix, 0) for fold in folds_of(gaps, [PUBLIC])]
    shared = [one for one in held if "the compositions of 1 tested rows are trained on, too" in one.description]
    apart = [one for one in held if "the compositions of 0 tested rows are trained on, too" in one.description]
    assert (len(shared), len(apart)) in {(2, 3), (0, 5)}


def test_public_folds_of_a_class_are_stratified(gaps: TaskRows) -> None:
    metals = replace(gaps, task=find_task("expt_is_metal"), y=(gaps.y == 0).astype(float))
    recipe = StratifiedKFold(5, shuffle=True, random_state=STATE).split(np.zeros(60), metals.y)
    for fold, (_, test) in zip(folds_of(metals, [PUBLIC]), recipe, strict=True):
        assert set(fold.key[2]) == set(gaps.material_id[np.setdiff1d(test, [BROKEN])])


def test_clusters_are_left_out_whole_and_cover_every_material_once(gaps: TaskRows, matrix: Matrix) -> None:
    folds = folds_of(gaps, [CLUSTERS])
    tested = [name for fold in folds for name in fold.key[2]]
    assert sorted(tested) == sorted(gaps.material_id[gaps.valid])
    for fold in folds:
        held = fold.split.hold_out(matrix, 0)
        assert not set(matrix.groups[held.test]) & set(matrix.groups[held.train])


def test_other_splits_are_those_of_training(gaps: TaskRows) -> None:
    (fold,) = folds_of(gaps, ["value:high"])
    assert (fold.kind, fold.split.text) == ("value:high", "value:high")
    with pytest.raises(TrainingError, match="unknown split 'halves'"):
        folds_of(gaps, ["halves"])


def test_the_validation_file_names_rows_by_their_number(
    gaps: TaskRows, matrix: Matrix, validation_file: Callable[..., Path]
) -> None:
    first, second = folds_of(gaps, [PUBLIC], validation_file(range(20), range(20, 60)))
    assert _tested(first, matrix)[1] == set(gaps.material_id[[row for row in range(20) if row != BROKEN]])
    assert _tested(second, matrix)[1] == set(gaps.material_id[20:])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "holds no folds of matbench_expt_gap"),
        ('{"splits": {"matbench_phonons": {}}}', "holds no folds of matbench_expt_gap"),
        ('{"splits": {"matbench_expt_gap": {"fold_0": {"train": ["a-1"], "test": ["a-2"]}}}}', "each of the 60 rows"),
        ('{"splits": {"matbench_expt_gap": {"fold_0": ["a-1"]}}}', "holds no folds of matbench_expt_gap"),
    ],
)
def test_a_validation_file_that_does_not_fit_is_refused(
    gaps: TaskRows, tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "folds.json"
    path.write_text(content)
    with pytest.raises(SourceError, match=message):
        folds_of(gaps, [PUBLIC], path)
    with pytest.raises(SourceError, match="cannot read"):
        folds_of(gaps, [PUBLIC], tmp_path / "nowhere.json")
