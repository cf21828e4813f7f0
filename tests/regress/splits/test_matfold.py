"""MatFold as a referee for the splits that both define, and as a maker of folds."""

import random
import sys
from pathlib import Path

import numpy as np
import pytest
from matrices import matrix_of

from matlake.errors import MissingExtraError, TrainingError
from matlake.regress.features.matrix import Matrix
from matlake.regress.splits import parse_split, symmetry
from matlake.regress.splits.matfold import run_matfold

pytest.importorskip("MatFold", reason="needs the extra matfold")


@pytest.fixture(scope="module")
def crystals(elastic) -> Matrix:
    """Each second one of the elastic sample's crystals here."""
    rows = np.arange(0, len(elastic.y), 2)
    return matrix_of(elastic.formula[rows].tolist(), elastic.y[rows], crystals=elastic.crystals.take(rows))


@pytest.mark.filterwarnings("ignore")
def test_what_is_left_out_is_what_matfold_leaves_out(crystals, tmp_path: Path, monkeypatch) -> None:
    import pandas as pd
    from MatFold import MatFold

    from matlake.regress.splits.matfold import _structure

    exact = symmetry.space_groups
    monkeypatch.setattr(symmetry, "space_groups", lambda columns: exact(columns, 0.1))  # MatFold's tolerance
    names = [str(row) for row in range(len(crystals.y))]
    structures = {name: _structure(crystals.crystals, row) for row, name in enumerate(names)}
    tool = MatFold(pd.DataFrame({"name": names}), structures)
    numbers = exact(crystals.crystals, 0.1)
    symbol_of = dict(zip(numbers.tolist(), tool.df["sgnum"].tolist(), strict=True))
    compared = 0
    for kind, scheme, label_of in [
        ("element", "elements", str),
        ("group", "periodictablegroups", "group{}".format),
        ("period", "periodictablerows", "row{}".format),
        ("space-group", "sgnum", lambda name: symbol_of[int(name)]),
        ("crystal-system", "crystalsys", str),
    ]:
        folds = list(parse_split(kind).folds(crystals, 0))
        assert len(folds) >= 3
        for fold in folds[:12]:
            label = label_of(fold.label)
            (tmp_path / f"mf.{scheme}.loo.{label}.json").parent.mkdir(exist_ok=True)  # symbols hold slashes
            tool.create_loo_split(scheme, label, output_dir=str(tmp_path))
            stem = tmp_path / f"mf.{scheme}.loo.{label.replace('/', '_')}"
            tested, trained = (
                pd.read_csv(f"{stem}.{side}.csv")["name"].astype(int).tolist() for side in ("test", "train")
            )
            assert fold.test.tolist() == sorted(tested)
            assert sorted([*fold.train, *fold.dropped]) == sorted(trained), "we drop polymorphs of what is tested"
            compared += 1
    assert compared > 35


def test_chemical_systems_are_those_of_matfold(crystals) -> None:
    for fold, tested in enumerate(run_matfold(crystals.crystals, "chemsys", 4, 0)):
        systems = [frozenset(np.flatnonzero(row).tolist()) for row in crystals.fractions]
        held = {systems[row] for row in tested}
        assert [row for row in range(len(systems)) if systems[row] in held] == tested.tolist(), fold


def test_folds_are_those_of_matfold_and_share_no_composition(crystals) -> None:
    split = parse_split("matfold:sgnum:4")
    assert (split.text, split.needs_crystals, split.columns) == ("matfold:sgnum:4", True, ())
    folds = list(split.folds(crystals, 0))
    assert [fold.test.tolist() for fold in folds] == [
        tested.tolist() for tested in run_matfold(crystals.crystals, "sgnum", 4, 0)
    ]
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(crystals.y)))
    for fold in folds:
        assert not set(crystals.groups[fold.train]) & set(crystals.groups[fold.test])
    held = split.hold_out(crystals, 0)
    assert np.array_equal(held.test, folds[0].test)
    assert not np.array_equal(held.test, split.hold_out(crystals, 1).test)


def test_matfold_leaves_no_trace(crystals, tmp_path: Path, monkeypatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002 - MatFold seeds this one
    states = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    run_matfold(crystals.crystals.take(range(20)), "elements", 0, 0)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states  # noqa: NPY002
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_more_folds_than_labels_and_rows_without_crystals_are_refused(crystals, gaps) -> None:
    with pytest.raises(TrainingError, match="refuses 50 folds by crystalsys") as caught:
        parse_split("matfold:crystalsys:50").hold_out(crystals, 0)
    assert "fewer folds" in caught.value.hint
    with pytest.raises(TrainingError, match="none of the 1,151 rows has a crystal structure"):
        parse_split("matfold:elements").hold_out(gaps, 0)


def test_without_the_package_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "MatFold", None)
    with pytest.raises(MissingExtraError) as caught:
        parse_split("matfold:elements")
    assert caught.value.hint == "pip install 'matlake[matfold]'"
