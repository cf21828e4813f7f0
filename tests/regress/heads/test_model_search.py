import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from matlake.progress import Progress
from matlake.regress.heads import model_search
from matlake.regress.heads.card import Budget, Limit
from matlake.regress.heads.listing import card_lines
from matlake.regress.heads.model_search import Choice, search_model
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.regressors import AUTO_MODELS, MODELS, Fitted, LabelledRows, Model
from matlake.regress.regressors.catalogue import ENSEMBLE
from matlake.text_tables import plain_lines

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]


def folds_of(choice: Choice) -> int:
    return sum(candidate.folds for candidate in choice.search.candidates if candidate.model != ENSEMBLE)


def distinct(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a target without equal values, for which ``auto`` would try a hurdle model as well."""
    return y + 1e-6 * np.arange(len(y))


def groups_of(y: NDArray[np.float64]) -> NDArray[np.str_]:
    return np.array([f"g{i}" for i in range(len(y))])


@pytest.mark.parametrize("fits", [1, 4, 20])
def test_a_search_does_as_many_fits_as_its_budget_allows(
    fits: int, vectors: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    real = model_search.fit_model

    def counted(model: Model, *others: object) -> Fitted:
        done.append(model.name)
        return real(model, *others)

    monkeypatch.setattr(model_search, "fit_model", counted)
    (x, y), reports = vectors, []
    heard = Progress(track=lambda at, of: reports.append((at, of)))
    choice = search_model("auto", LabelledRows(x, y, groups_of(y)), 0, heard, budget=Budget(fits, 600.0))
    assert len(done) == choice.search.fits == fits == folds_of(choice)
    assert choice.search.stopped_by == "fits"
    assert reports == [(at, fits) for at in range(1, fits + 1)]


def test_auto_tries_models_of_several_kinds_and_takes_the_best_twice_the_same(vectors: Vectors) -> None:
    x, y = vectors[0][:150], distinct(vectors[1][:150])
    first, again = (search_model("auto", LabelledRows(x, y, groups_of(y)), seed=3) for _ in range(2))
    assert json.dumps(first.search.document()) == json.dumps(again.search.document())
    assert {candidate.model for candidate in first.search.candidates} - {ENSEMBLE} == set(AUTO_MODELS)
    assert len(first.search.candidates) > len(AUTO_MODELS) + 5
    complete = [candidate for candidate in first.search.candidates if candidate.folds == first.search.folds]
    assert first.best == first.search.candidates[0] == min(complete, key=lambda candidate: candidate.mae)
    assert first.best.mae < 0.8 * np.mean(np.abs(y - y.mean()))


def test_another_seed_searches_elsewhere(vectors: Vectors) -> None:
    x, y = vectors[0][:100], vectors[1][:100]
    budget = Budget(3 * len(AUTO_MODELS) + 6, 600.0)
    found = [
        search_model("auto", LabelledRows(x, y, groups_of(y)), seed, budget=budget).search.candidates for seed in (0, 1)
    ]
    parameters = [{json.dumps(candidate.parameters) for candidate in candidates} for candidates in found]
    assert parameters[0] - parameters[1]


class Clock:
    """A clock on which every fit takes as long as one says, however busy the machine is.

    Ridges of different strengths take the place of the models.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.now, self.seconds, self.fitted = 0.0, seconds, list[str]()
        self._fit = model_search.fit_model
        monkeypatch.setattr(model_search, "fit_model", self.fit)
        monkeypatch.setattr(model_search, "time", SimpleNamespace(monotonic=lambda: self.now))

    def fit(self, model: Model, *others: object) -> Fitted:
        self.now += self.seconds
        self.fitted.append(model.name)
        _, *data = others
        return self._fit(MODELS["ridge"], {"alpha": 10.0 ** (len(model.name) % 4)}, *data)


def test_a_slow_machine_makes_the_same_choice(vectors: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = vectors[0][:120], vectors[1][:120]
    documents = []
    for seconds in (0.001, 1000.0):
        with monkeypatch.context() as patched:
            Clock(patched, seconds)
            documents.append(json.dumps(search_model("auto", LabelledRows(x, y, groups_of(y)), 0).search.document()))
    assert documents[0] == documents[1]
    assert "cut_short" not in json.loads(documents[0])
    assert json.loads(documents[0])["budget"] == {"fits": 45, "seconds": None}


@pytest.mark.parametrize("fits", [1, 5, 6, 7, 11, 12, 13])
def test_a_search_that_runs_out_of_time_compares_equal_folds_and_says_so(
    fits: int, vectors: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = vectors[0][:120], distinct(vectors[1][:120])
    monkeypatch.setattr(model_search, "HOPELESS", np.inf)  # so that none is dropped
    clock = Clock(monkeypatch, 1.0)
    search = search_model("auto", LabelledRows(x, y, groups_of(y)), 0, budget=Budget(10**6, fits)).search
    assert clock.fitted == [*AUTO_MODELS * 3][:fits]
    assert (search.stopped_by, search.fits) == ("seconds", fits)
    full = max(1, fits // len(AUTO_MODELS))
    assert {candidate.folds for candidate in search.candidates} == {full}
    assert len(search.candidates) == min(fits, len(AUTO_MODELS))
    assert search.candidates[0].mae == min(candidate.mae for candidate in search.candidates)
    assert search.document()["cut_short"] == search.cut_short is not None
    assert f"time limit of {fits} s, after {fits} of" in search.cut_short


def test_candidates_that_were_cut_off_have_the_error_of_the_folds_that_they_are_compared_on(
    vectors: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = vectors[0][:120], distinct(vectors[1][:120])
    monkeypatch.setattr(model_search, "HOPELESS", np.inf)
    Clock(monkeypatch, 1.0)
    errors = []
    for fits in (len(AUTO_MODELS), 2 * len(AUTO_MODELS) - 1):
        candidates = search_model("auto", LabelledRows(x, y, groups_of(y)), 0, budget=Budget(fits)).search.candidates
        errors.append({candidate.model: candidate.mae for candidate in candidates})
    assert errors[0] == errors[1]


def test_a_grid_that_the_budget_cuts_short_says_so(vectors: Vectors) -> None:
    x, y = vectors
    search = search_model("ridge", LabelledRows(x, y, groups_of(y)), 0, budget=Budget(4)).search
    assert search.cut_short == (
        "model search cut short by the limit of 4 fits: candidates were compared on 1 of 3 folds, or not at all"
    )
    assert search_model("ridge", LabelledRows(x, y, groups_of(y)), 0).search.cut_short is None


def test_no_time_at_all_is_enough_for_one_fit(vectors: Vectors) -> None:
    x, y = vectors
    choice = search_model("ridge", LabelledRows(x, y, groups_of(y)), 0, budget=Budget(9, 1e-9))
    assert (choice.search.fits, choice.search.stopped_by, choice.best.folds) == (1, "seconds", 1)


def test_a_named_model_tries_its_grid_and_nothing_else(vectors: Vectors) -> None:
    x, y = vectors
    choice = search_model("ridge", LabelledRows(x, y, groups_of(y)), 0)
    assert choice.search.stopped_by is None
    assert choice.search.fits == 9
    assert sorted(c.parameters["alpha"] for c in choice.search.candidates) == [10.0, 100.0, 1000.0]


def test_a_candidate_far_behind_is_dropped_before_its_last_fold(
    vectors: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = vectors
    hopeless = replace(MODELS["lasso"], grid=lambda _: [{"alpha": 0.01}, {"alpha": 100.0}])
    monkeypatch.setitem(MODELS, "lasso", hopeless)
    choice = search_model("lasso", LabelledRows(x, y, groups_of(y)), 0)
    assert [(c.parameters["alpha"], c.folds) for c in choice.search.candidates] == [(0.01, 3), (100.0, 1)]
    assert choice.search.fits == 4


def test_the_search_is_reported_with_its_budget_in_json(vectors: Vectors) -> None:
    x, y = vectors
    document = json.loads(
        json.dumps(search_model("knn", LabelledRows(x, y, groups_of(y)), 0).search.document(), allow_nan=False)
    )
    assert {"mae", "mae_std", "folds", "rows", "candidates", "fits", "budget", "stopped_by"} <= set(document)
    assert document["budget"] == {"fits": 45, "seconds": None}
    assert document["candidates"][0]["mae"] == document["mae"]


def test_auto_takes_a_mean_of_models_that_err_differently(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line and trees know one half of the target each."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1.0, 1.0, (300, 6)).astype(np.float32)
    y = 4.0 * x @ rng.normal(size=6) + 2.0 * np.sign(x[:, 0] * x[:, 1]) + rng.normal(size=300)
    budget = Budget(3 * len(AUTO_MODELS), 600.0)
    choice = search_model("auto", LabelledRows(x, y, groups_of(y)), 0, budget=budget)
    assert choice.best.model == choice.model.name == ENSEMBLE
    members = choice.best.parameters["members"]
    assert 2 <= len(members) <= model_search.MOST_MEMBERS
    assert sum(member["weight"] for member in members) == pytest.approx(1.0)
    assert choice.best.mae <= model_search.WORTH_IT * choice.search.candidates[1].mae
    monkeypatch.setattr(model_search, "WORTH_IT", 0.0)
    assert search_model("auto", LabelledRows(x, y, groups_of(y)), 0, budget=budget).best == choice.search.candidates[1]


def test_auto_leaves_out_models_that_cannot_take_so_many_rows() -> None:
    x = np.random.default_rng(0).normal(size=(10_500, 2)).astype(np.float32)
    budget = Budget(2 * len(AUTO_MODELS), 600.0)
    choice = search_model(
        "auto", LabelledRows(x, x[:, 0].astype(np.float64), np.arange(len(x)).astype(str)), seed=0, budget=budget
    )
    tried = {candidate.model for candidate in choice.search.candidates} - {ENSEMBLE}
    assert "nystroem-svr" in tried
    assert all(MODELS[name].max_rows is None for name in tried)
    assert choice.search.rows == 2000


def test_a_fold_without_variation_does_not_stop_the_choice() -> None:
    x = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    y = np.zeros(12)
    y[0] = 1.0
    rows, budget = LabelledRows(x, y, np.arange(12).astype(str)), Budget(3 * len(AUTO_MODELS))
    for name in ("ridge", "auto"):
        assert np.isfinite(search_model(name, rows, seed=0, budget=budget).best.mae)


def test_reports_show_that_a_search_was_cut_short(trained: TrainResult, tmp_path: Path) -> None:
    search = trained.card.model.search
    assert search is not None
    cut = replace(search, stopped_by=Limit.SECONDS, budget=Budget(45, 3.0))
    card = replace(trained.card, model=replace(trained.card.model, search=cut))
    said = "model search cut short by the time limit of 3 s, after 9 of 45 fits: "
    assert any(said in line for line in card_lines(card, tmp_path))
    assert any(said in line for line in plain_lines(replace(trained, card=card).lines()))
    assert not any("cut short" in line for line in card_lines(trained.card, tmp_path))
    assert not any("cut short" in line for line in plain_lines(trained.lines()))
