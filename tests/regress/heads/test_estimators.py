"""scikit-learn's estimators as heads: what converts, what is refused, and that a head of one is as any other."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import (
    AdaBoostRegressor,
    BaggingRegressor,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import HuberRegressor, Lasso, LogisticRegression, PoissonRegressor, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.multioutput import MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PowerTransformer, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, NuSVR

import matlake
from matlake.errors import HeadError, MatlakeError, TrainingError
from matlake.regress.heads.card import ModelRecord
from matlake.regress.heads.listing import card_lines
from matlake.regress.heads.report import repeat_call
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.storage import find_head
from matlake.regress.heads.train import train
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.onnx.convert import check_parity, convert
from matlake.regress.regressors import LabelledRows, check_suits, fit_model, model_of_estimator, settled
from matlake.regress.targets.kinds import Kind
from matlake.regress.targets.link import Link
from matlake.regress.targets.target_space import TargetSpace
from matlake.sklearn import HeadRegressor

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]

REGRESSORS = {
    "ridge": Ridge(10.0),
    "poisson": make_pipeline(StandardScaler(), PoissonRegressor(alpha=10.0)),
    "svr": make_pipeline(StandardScaler(), SVR(C=10.0)),
    "nu-svr-linear": make_pipeline(StandardScaler(), NuSVR(kernel="linear", C=0.01)),
    "kernel-ridge": make_pipeline(StandardScaler(), KernelRidge(kernel="rbf", alpha=0.1)),
    "pca": make_pipeline(StandardScaler(), PCA(10), HuberRegressor(alpha=10.0)),
    "steps": make_pipeline("passthrough", make_pipeline(StandardScaler(), PowerTransformer()), PCA(20), Ridge(10.0)),
    "select": make_pipeline(SelectKBest(f_regression, k=20), ExtraTreesRegressor(10)),
    "forest": make_pipeline(StandardScaler(), RandomForestRegressor(10)),
    "histogram": HistGradientBoostingRegressor(max_iter=10),
    "adaboost": AdaBoostRegressor(n_estimators=5),
    "adaboost-of-ridge": AdaBoostRegressor(Ridge(100.0), n_estimators=3),
    "bagging": BaggingRegressor(Ridge(100.0), n_estimators=3),
    "neighbours": make_pipeline(PCA(10, whiten=True), KNeighborsRegressor(3)),
    "identity": make_pipeline(None, Ridge(10.0)),
    "own": make_pipeline(PCA(10), HeadRegressor("svr")),
    "mlp": make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(10,), max_iter=20)),
    "voting": VotingRegressor([("a", Ridge(10.0)), ("b", HistGradientBoostingRegressor(max_iter=5))], weights=[1, 2]),
    "stacking": StackingRegressor([("a", Ridge(10.0)), ("b", ExtraTreesRegressor(5))], Ridge(), cv=2, passthrough=True),
    "scaled-target": TransformedTargetRegressor(SVR(), transformer=StandardScaler()),
    "log-target": TransformedTargetRegressor(Ridge(10.0), func=np.log1p, inverse_func=np.expm1),
}

CLASSIFIERS = {
    "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
    "discriminant": make_pipeline(PCA(10), LinearDiscriminantAnalysis()),
    "bayes": make_pipeline(PCA(5), GaussianNB()),
    "forest": RandomForestClassifier(10),
    "histogram": HistGradientBoostingClassifier(max_iter=5),
    "boosting": GradientBoostingClassifier(n_estimators=5),
    "mlp": make_pipeline(StandardScaler(), MLPClassifier(hidden_layer_sizes=(10,), max_iter=20)),
    "neighbours": make_pipeline(PCA(10, whiten=True), KNeighborsClassifier(5)),
    "calibrated": CalibratedClassifierCV(make_pipeline(StandardScaler(), SVC()), cv=2),
    "calibrated-forest": CalibratedClassifierCV(RandomForestClassifier(5), cv=2),
    "voting": VotingClassifier([("a", GaussianNB()), ("b", RandomForestClassifier(5))], voting="soft"),
    "stacking": StackingClassifier(
        [("a", RandomForestClassifier(5)), ("b", make_pipeline(StandardScaler(), SVC()))], cv=2
    ),
}


def refused(estimator: Any, vectors: Vectors, kind: Kind = Kind.NUMBER) -> MatlakeError:
    """Return what refuses an estimator on its way to a head."""
    x, y = vectors

    def make() -> None:
        model = model_of_estimator(estimator)
        check_suits(model, kind, "band_gap_eV")
        fitted = fit_model(model, {}, x[:150], y[:150], 0)
        check_parity(convert(fitted, x.shape[1]), fitted, x[150:])

    with pytest.raises(MatlakeError) as caught:
        make()
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    return caught.value


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", REGRESSORS)
def test_a_regressor_becomes_the_same_function_in_onnx(name: str, vectors: Vectors) -> None:
    x, y = vectors
    estimator = REGRESSORS[name]
    fitted = fit_model(model_of_estimator(estimator), {}, x[:150], y[:150], seed=0)
    assert check_parity(convert(fitted, x.shape[1]), fitted, x) <= 1e-5
    assert not hasattr(estimator, "n_features_in_")  # what was given is not touched


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_becomes_the_same_function_in_onnx(name: str, vectors: Vectors) -> None:
    x, y = vectors[0], (vectors[1] > 0.0).astype(np.float64)
    space = TargetSpace(kind=Kind.YES_NO, link=Link(1.0, 0.0))
    fitted = fit_model(model_of_estimator(CLASSIFIERS[name]), {}, x[:150], y[:150], seed=0, space=space)
    assert check_parity(convert(fitted, x.shape[1]), fitted, x) <= 1e-9
    regressor = fitted.regressor
    assert fitted.predict(x) == pytest.approx(
        np.clip(regressor.estimator.predict_proba(x.astype(np.float64))[:, 1], 0.001, 0.999)
    )


def test_an_estimator_is_fitted_as_scikit_learn_fits_it(vectors: Vectors) -> None:
    """Features are as they are, and the target is in its unit: parameters mean the same."""
    x, y = vectors
    fitted = fit_model(model_of_estimator(Lasso(0.3)), {}, x, 100.0 * y, seed=0)
    assert fitted.predict(x) == pytest.approx(Lasso(0.3).fit(x.astype(np.float64), 100.0 * y).predict(x))


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        (Ridge, "is a class, not an estimator"),
        (7, "a int is not a model"),
        (KMeans(), "neither a regressor nor a classifier"),
        (StandardScaler(), "neither a regressor nor a classifier"),
        (RandomForestClassifier(), "is a number, and RandomForestClassifier is a classifier"),
        (MultiOutputRegressor(Ridge()), "cannot be fitted to 150 rows"),
        (make_pipeline(PCA(1000), Ridge()), "n_components=1000"),
        (DummyRegressor(), "DummyRegressor cannot be converted"),
        (make_pipeline(StandardScaler(), Nystroem(n_components=20), Ridge()), "^Nystroem cannot be converted"),
        (
            TransformedTargetRegressor(Ridge(), func=np.cbrt, inverse_func=np.cosh, check_inverse=False),
            "cannot be conv",
        ),
        (KNeighborsRegressor(weights="distance"), "differs from the fitted model"),
        (make_pipeline(PCA(5), KNeighborsRegressor(3, metric="manhattan")), "cannot be a head: .* the operator Scan"),
        (
            make_pipeline(StandardScaler(), GaussianProcessRegressor(alpha=0.5)),
            "cannot be a head: .* the operator Scan",
        ),
    ],
)
def test_what_cannot_be_a_head_is_refused_in_one_line(estimator: Any, said: str, vectors: Vectors) -> None:
    assert pytest.raises(MatlakeError, match=said).matches(refused(estimator, vectors))


def test_a_regressor_is_refused_for_yes_or_no(vectors: Vectors) -> None:
    assert "band_gap_eV is yes or no, and Ridge is a regressor" in str(refused(Ridge(), vectors, Kind.YES_NO))


def test_a_classifier_without_probabilities_is_refused(vectors: Vectors) -> None:
    x, y = vectors
    with pytest.raises(TrainingError, match="LinearSVC gives no probabilities") as caught:
        fit_model(model_of_estimator(LinearSVC()), {}, x, (y > 0.0).astype(np.float64), seed=0)
    assert "CalibratedClassifierCV" in caught.value.hint


class Odd(RegressorMixin, BaseEstimator):
    """Predicts what it is made with."""

    def __init__(self, answer: Callable[[Any], Any] | None = None) -> None:
        self.answer = answer

    def fit(self, X: Any, y: Any) -> "Odd":  # noqa: ARG002, N803
        """Learn nothing."""
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Answer."""
        assert self.answer is not None
        return self.answer(X)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x: np.full(len(x), np.nan), "NaN or infinity for 2 of 2 rows"),
        (lambda x: np.zeros((len(x), 2)), r"\(2, 2\) for 2 rows"),
    ],
)
def test_predictions_that_are_no_numbers_are_refused(answer: Callable[[Any], Any], said: str, vectors: Vectors) -> None:
    x, y = vectors
    fitted = fit_model(model_of_estimator(Odd(answer)), {}, x, y, seed=0)
    with pytest.raises(TrainingError, match=said):
        fitted.predict(x[:2])


def test_an_estimator_without_conversion_of_its_own_is_refused(vectors: Vectors) -> None:
    assert "Odd cannot be converted to ONNX" in str(refused(Odd(lambda x: x[:, 0]), vectors))


def test_the_seed_is_for_those_that_have_none(vectors: Vectors) -> None:
    x, y = vectors

    def predicted(estimator: Any, seed: int) -> list[float]:
        found: list[float] = fit_model(model_of_estimator(estimator), {}, x[:60], y[:60], seed).predict(x).tolist()
        return found

    unset = make_pipeline(StandardScaler(), ExtraTreesRegressor(3, n_jobs=2))
    assert predicted(unset, 1) == predicted(unset, 1) != predicted(unset, 2)
    again = [fit_model(model_of_estimator(unset), {}, x[:60], y[:60], 1) for _ in range(2)]
    assert convert(again[0], x.shape[1]) == convert(again[1], x.shape[1])
    assert predicted(ExtraTreesRegressor(3, random_state=5), 1) == predicted(ExtraTreesRegressor(3, random_state=5), 2)


def test_weights_reach_the_last_step_of_a_pipeline(vectors: Vectors) -> None:
    x, y = vectors
    weights = np.where(np.arange(len(y)) < 50, 1.0, 1e-9)
    model = model_of_estimator(make_pipeline(StandardScaler(), Ridge(1.0)))
    weighted = fit_model(model, {}, x, y, 0, weights=weights).predict(x)
    ridge = Ridge(1.0).fit(StandardScaler().fit_transform(x.astype(np.float64)), y, sample_weight=weights)
    assert weighted == pytest.approx(ridge.predict(StandardScaler().fit_transform(x.astype(np.float64))))
    neighbours = model_of_estimator(KNeighborsRegressor())
    with pytest.raises(TrainingError, match="KNeighborsRegressor takes no weights"):
        fit_model(neighbours, {}, x, y, 0, weights=weights)


def test_a_search_chooses_once_on_whole_compositions(vectors: Vectors) -> None:
    x, y = vectors
    groups = np.array([f"composition {row // 2}" for row in range(len(y))])
    rows = LabelledRows(x, y, groups)
    pipeline = make_pipeline(StandardScaler(), Ridge())
    search = GridSearchCV(pipeline, {"ridge__alpha": [1e-3, 100.0]}, cv=GroupKFold(3))
    model = settled(model_of_estimator(search), rows, seed=0)
    own = search.fit(x.astype(np.float64), y, groups=groups)
    (parameters,) = model.grid(x.shape[1])
    assert model.chosen_by == "GridSearchCV from 2 candidates"
    assert parameters["ridge"] == {"model": "Ridge", "parameters": {"alpha": own.best_params_["ridge__alpha"]}}
    text = ModelRecord(model.name, parameters, estimator=model.estimator, chosen_by=model.chosen_by).text
    assert text.endswith("), chosen by GridSearchCV from 2 candidates")
    assert fit_model(model, {}, x, y, 0).predict(x) == pytest.approx(own.predict(x.astype(np.float64)))
    with pytest.raises(TrainingError, match="GridSearchCV keeps no best estimator"):
        settled(model_of_estimator(GridSearchCV(Ridge(), {"alpha": [1.0]}, refit=False, cv=KFold(2))), rows, 0)


@pytest.fixture(scope="module")
def gaps_lake(tmp_path_factory: pytest.TempPathFactory, gaps: Path) -> matlake.Lake:
    folder = tmp_path_factory.mktemp("estimators")
    table = pq.read_table(gaps).slice(0, 150)
    table = table.append_column("metal", pc.equal(table["band_gap_eV"], 0.0))
    table = table.append_column("trust", pa.array(np.linspace(0.5, 1.0, len(table))))
    pq.write_table(table, folder / "gaps.parquet")
    lake = matlake.open_lake(folder / "lake", create=True)
    matlake.import_table(lake, folder / "gaps.parquet", "gaps")
    return lake


def trained(lake: matlake.Lake, estimator: Any, target: str = "band_gap_eV", **settings: Any) -> TrainResult:
    return train(lake, TrainRequest(target, ["magpie"], estimator, **settings))


@pytest.fixture(scope="module")
def forest(gaps_lake: matlake.Lake) -> TrainResult:
    last = ColumnTransformer([("some", StandardScaler(), [*range(120, 145)])])
    pipeline = make_pipeline(last, ExtraTreesRegressor(5, max_features=0.5))
    return trained(gaps_lake, pipeline, weights="trust", name="forest")


def test_a_head_of_an_estimator_is_as_any_other(forest: TrainResult, gaps_lake: matlake.Lake) -> None:
    card = forest.card
    assert card.model.kind == "Pipeline"
    assert card.model.text.startswith(
        "sklearn.pipeline.Pipeline(columntransformer=ColumnTransformer(some=[StandardScaler(), [120, 121,"
    )
    assert card.model.text.endswith("extratreesregressor=ExtraTreesRegressor(max_features=0.5, n_estimators=5))")
    assert card.interval is not None
    assert card.learning_curve
    assert card.fractions_baseline.mae > 0.0  # there are 118 of them: zeros stand for the rest
    assert card.transform == "none"
    assert card.weighting
    text = "\n".join(card_lines(card, find_head(gaps_lake, "forest")))
    assert card.model.text in text
    document = json.loads(json.dumps(forest.document(), allow_nan=False))
    assert (document["model"], document["parameters"]) == (card.model.kind, card.model.parameters)
    answer = matlake.predict(gaps_lake, "forest", ["GaAs"]).document()["predictions"][0]
    assert answer["lower"] <= answer["value"] <= answer["upper"]
    call = repeat_call(card)
    assert call.startswith("matlake.train(lake, matlake.TrainRequest(model=estimator, target='band_gap_eV', features=[")
    assert "seed=0" in call
    compile(call, "call", "eval")


def test_a_classifier_is_a_head_of_yes_and_no(gaps_lake: matlake.Lake) -> None:
    card = trained(gaps_lake, RandomForestClassifier(5), "metal").card
    assert card.classes is not None
    assert (card.name, card.model.kind) == ("metal-RandomForestClassifier", "RandomForestClassifier")
    assert 0.0 < matlake.predict(gaps_lake, card.name, ["CuZn"]).document()["predictions"][0]["value"] < 1.0


def test_nothing_is_saved_of_what_is_refused(gaps_lake: matlake.Lake) -> None:
    for estimator, target in ((RandomForestClassifier(5), "band_gap_eV"), (Ridge(), "metal"), (Ridge, "metal")):
        with pytest.raises(TrainingError):
            trained(gaps_lake, estimator, target, name="refused")
    with pytest.raises(TrainingError, match="cannot learn from adversarial samples"):
        trained(gaps_lake, Ridge(), adversarial="cal")
    with pytest.raises(HeadError):
        trained(gaps_lake, DummyRegressor(), name="refused")
    with pytest.raises(HeadError):
        find_head(gaps_lake, "refused")
