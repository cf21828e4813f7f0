"""ONNX graphs of scikit-learn's classifiers of yes and no, as log odds of yes: own graphs where there is one.

skl2onnx writes most classifiers with operators whose shapes no audit can follow: the usual ones are written here.
"""

import contextlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import spox.opset.ai.onnx.v20 as op
from spox import Var

from matlake.regress.onnx.estimators import by_skl2onnx, last_step, shares, support_vectors, uniform_neighbours, wide
from matlake.regress.onnx.graphs import ACTIVATIONS, linear, perceptron
from matlake.regress.onnx.trees import CLASSIFYING_TREES, TREE_GRAPHS, boosted_odds
from matlake.regress.regressors.sklearn_model import LEAST_PROBABILITY, FittedClassifier

_YES: Final = 1  # its place among the classes 0 and 1
_LOGISTIC: Final = frozenset({"LinearDiscriminantAnalysis", "LogisticRegression", "LogisticRegressionCV"})
_LINEAR_DECISION: Final = frozenset({"LinearSVC", "RidgeClassifier", "RidgeClassifierCV", "SGDClassifier"})


def classifier_graph(classifier: FittedClassifier, x: Var, n_features: int) -> Var:
    """Return the log odds of yes, float64 [n, 1], of probabilities that are ``LEAST_PROBABILITY`` at least.

    Args:
        classifier: Fitted to 0 and 1.
        x: What it was fitted to, float32 or float64 [n, d].
        n_features: d.

    Raises:
        HeadError: There is no conversion for it.
    """
    most = float(np.log((1.0 - LEAST_PROBABILITY) / LEAST_PROBABILITY))
    return op.clip(_log_odds(classifier.estimator, x, n_features), op.const(-most), op.const(most))


def _log_odds(estimator: Any, x: Var, n_features: int) -> Var:
    estimator, x, n_features = last_step(estimator, x, n_features)
    odds = _odds_of(estimator, x)
    if odds is not None:
        return odds
    if type(estimator).__name__ == "StackingClassifier":
        return _stacking(estimator, x, n_features)
    p = op.clip(_probability(estimator, x, n_features), op.const(LEAST_PROBABILITY), op.const(1.0 - LEAST_PROBABILITY))
    return op.sub(op.log(p), op.log(op.sub(op.const(1.0), p)))


def _odds_of(estimator: Any, x: Var) -> Var | None:
    """Return the log odds of a classifier whose decision function they are; None for any other."""
    kind = type(estimator).__name__
    if kind in _LOGISTIC:
        return linear(wide(x), estimator.coef_, np.asarray(estimator.intercept_).item())
    if kind == "HistGradientBoostingClassifier":
        return TREE_GRAPHS["HistGradientBoostingRegressor"](wide(x), estimator)
    if kind == "GradientBoostingClassifier" and estimator.loss == "log_loss":
        with contextlib.suppress(AttributeError):  # it starts from another classifier
            return boosted_odds(wide(op.cast(x, to=np.float32)), estimator)
    if kind == "MLPClassifier" and estimator.activation in ACTIVATIONS:
        layers = list(zip(estimator.coefs_, estimator.intercepts_, strict=True))
        return perceptron(wide(x), layers, estimator.activation)
    if kind == "GaussianNB":
        return _of_normal_densities(wide(x), estimator)
    return None


def _of_normal_densities(z: Var, bayes: Any) -> Var:
    """Return the difference of the logarithms of two products of normal densities: a polynomial of degree two."""
    squares = -0.5 / bayes.var_
    slopes = bayes.theta_ / bayes.var_
    constants = np.log(bayes.class_prior_) - 0.5 * np.sum(np.log(bayes.var_) + bayes.theta_**2 / bayes.var_, axis=1)
    (no2, yes2), (no1, yes1), (no0, yes0) = squares, slopes, constants
    return op.add(linear(op.mul(z, z), yes2 - no2, 0.0), linear(z, yes1 - no1, float(yes0 - no0)))


def _probability(estimator: Any, x: Var, n_features: int) -> Var:
    """Return the probability of yes, float64 [n, 1]."""
    estimator, x, n_features = last_step(estimator, x, n_features)
    kind = type(estimator).__name__
    odds = _odds_of(estimator, x)
    if odds is not None:
        return op.sigmoid(odds)
    if kind in CLASSIFYING_TREES:
        return CLASSIFYING_TREES[kind](wide(op.cast(x, to=np.float32)), estimator)
    found = _OTHERS[kind](estimator, x, n_features) if kind in _OTHERS else None
    if found is not None:
        return found
    (_, probabilities) = by_skl2onnx(estimator, x, n_features, zipmap=False)  # labels come first
    return op.gather(wide(probabilities), op.const([_YES]), axis=1)


def _decision(estimator: Any, x: Var, n_features: int) -> Var | None:
    """Return the decision function, float64 [n, 1]; None where it is not known here."""
    estimator, x, n_features = last_step(estimator, x, n_features)
    kind = type(estimator).__name__
    if kind in _LINEAR_DECISION:
        return linear(wide(x), estimator.coef_, np.asarray(estimator.intercept_).item())
    if kind in {"SVC", "NuSVC"}:
        return support_vectors(wide(x), estimator)
    return _odds_of(estimator, x)


def _neighbours(knn: Any, x: Var, n_features: int) -> Var | None:  # noqa: ARG001 - one signature for all
    return uniform_neighbours(wide(x), knn)


def _voting(voting: Any, x: Var, n_features: int) -> Var:
    members = [_probability(member, x, n_features) for member in voting.estimators_]
    return linear(op.concat(members, axis=1), shares(voting), 0.0)


def _calibrated(calibrated: Any, x: Var, n_features: int) -> Var | None:
    """Average logistic functions of decisions; None for isotonic ones, and where a member gives no decision."""
    parts = []
    for member in calibrated.calibrated_classifiers_:
        (calibrator,) = member.calibrators
        by_decision = hasattr(member.estimator, "decision_function")
        score = (_decision if by_decision else _probability)(member.estimator, x, n_features)
        if score is None or not hasattr(calibrator, "a_"):
            return None
        slope, shift = (op.const(float(value)) for value in (calibrator.a_, calibrator.b_))
        parts.append(op.sigmoid(op.neg(op.add(op.mul(score, slope), shift))))
    return linear(op.concat(parts, axis=1), np.full(len(parts), 1.0 / len(parts)), 0.0)


def _stacking(stacking: Any, x: Var, n_features: int) -> Var:
    members = []
    for member, method in zip(stacking.estimators_, stacking.stack_method_, strict=True):
        score = _decision(member, x, n_features) if method == "decision_function" else None
        members.append(_probability(member, x, n_features) if score is None else score)
    width = len(members)
    if stacking.passthrough:
        members.append(wide(x))
        width += n_features
    return _log_odds(stacking.final_estimator_, op.concat(members, axis=1), width)


_OTHERS: Final[dict[str, Callable[[Any, Var, int], Var | None]]] = {
    "CalibratedClassifierCV": _calibrated,
    "KNeighborsClassifier": _neighbours,
    "VotingClassifier": _voting,
}
