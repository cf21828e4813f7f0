"""An estimator of scikit-learn's as a kind of model, fitted as its user made it.

It gets features as they are and the target in its unit, so that parameters mean what they mean in scikit-learn. A
classifier's log odds are the score of a yes/no property. What it becomes has to survive the conversion to ONNX, see
``matlake.regress.onnx.estimators``.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from matlake.errors import MatlakeError, TrainingError
from matlake.extras import require_extra
from matlake.regress.regressors.labelled_rows import LabelledRows, Weights
from matlake.regress.regressors.regressor import Model, Parameters, Regressor, fixed_grid
from matlake.regress.targets.kinds import Kind

LEAST_PROBABILITY: Final = 0.001
"""Probabilities count as 0.001 to 0.999: those of trees are 0 and 1, which have no log odds."""

_LONGEST_REASON: Final = 300
_MOST_VALUES: Final = 100
_SEED: Final = "random_state"
_JOBS: Final = "n_jobs"


@runtime_checkable
class Estimator(Protocol):
    """What scikit-learn calls an estimator."""

    def fit(self, X: Any, y: Any) -> Any:  # noqa: N803 - its own names
        """Fit it to features [n, d] and a target [n]."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return its parameters."""


@dataclass(frozen=True)
class FittedEstimator:
    """A fitted regressor.

    Attributes:
        estimator: It.
    """

    estimator: Any

    def predict(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Return predictions float64 [n] for features [n, d].

        Raises:
            TrainingError: They are not one finite number a row.
        """
        return _checked(self.estimator, self.estimator.predict(x.astype(np.float64)), len(x))


@dataclass(frozen=True)
class FittedClassifier:
    """A fitted classifier of 0 and 1.

    Attributes:
        estimator: It.
    """

    estimator: Any

    def predict(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Return the log odds of yes, float64 [n], for features [n, d].

        Raises:
            TrainingError: Its probabilities are not finite.
        """
        p = _checked(self.estimator, self.estimator.predict_proba(x.astype(np.float64))[:, -1], len(x))
        p = np.clip(p, LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY)
        odds: NDArray[np.float64] = np.log(p / (1.0 - p))
        return odds


@dataclass(frozen=True)
class Constant:
    """What a classifier is on rows of one class: the same score for all."""

    def predict(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Return zeros, float64 [n], for features [n, d]."""
        return np.zeros(len(x))


def model_of_estimator(estimator: Any, name: str = "") -> Model:
    """Return an estimator as a kind of model with one set of parameters: its own.

    A search of scikit-learn's, such as ``GridSearchCV``, chooses parameters on the training rows (``Model.settle``).

    Args:
        estimator: A regressor, or a classifier with ``predict_proba``. It is cloned, not touched.
        name: What the model is called; default: its class.

    Raises:
        TrainingError: It is a class, another kind of estimator, or none.
        MissingExtraError: scikit-learn is not installed.
    """
    require_extra("heads", "training a head")
    template, kind = _template(estimator)
    weights = _weights_parameter(template)

    def fit(_: Parameters, x: NDArray[Any], y: NDArray[np.float64], seed: int, weighting: Weights) -> Regressor:
        counts = {} if weighting is None else {weights: weighting}
        return _fit(template, x, y, seed, counts, kind)

    parameters = describe(template)
    model = Model(
        name or type(template).__name__,
        fit,
        fixed_grid([parameters]),
        lambda _, __: parameters,
        scaled=False,
        weighted=bool(weights),
        kind=kind,
        in_unit=True,
        estimator="" if name else _class_name(template),
    )
    if not _is_search(template):
        return model
    return replace(model, settle=lambda rows, target, seed: _chosen_by(template, kind, rows, target, seed))


def _template(estimator: Any) -> tuple[Any, Kind]:
    """Return a clone, and what it predicts."""
    from sklearn.base import clone, is_classifier, is_regressor

    what = "give a model's name, or a regressor or classifier of scikit-learn's"
    if isinstance(estimator, type):
        called = estimator.__name__
        raise TrainingError(f"{called} is a class, not an estimator", f"make one: model={called}()")
    called = type(estimator).__name__
    if not isinstance(estimator, Estimator):
        raise TrainingError(f"a {called} is not a model", what)
    try:
        template = clone(estimator)
        kind = Kind.YES_NO if is_classifier(template) else Kind.NUMBER if is_regressor(template) else None
    except Exception as error:  # its code is not ours
        raise TrainingError(f"{called} is not an estimator that can be cloned: {_reason(error)}", what) from error
    if kind is None:
        raise TrainingError(f"{called} is neither a regressor nor a classifier", what)
    return template, kind


def check_suits(model: Model, kind: Kind, target: str) -> None:
    """Refuse a model that is meant for the other kind of property.

    Raises:
        TrainingError: It is.
    """
    if model.kind is None or model.kind is kind:
        return
    if kind is Kind.YES_NO:
        raise TrainingError(f"{target} is yes or no, and {model.name} is a regressor", "give a classifier")
    raise TrainingError(f"{target} is a number, and {model.name} is a classifier", "give a regressor")


def _fit(
    template: Any, x: NDArray[Any], y: NDArray[np.float64], seed: int, counts: Mapping[str, Any], kind: Kind
) -> Regressor:
    labels: NDArray[Any] = y.astype(np.int64) if kind is Kind.YES_NO else y
    if kind is Kind.YES_NO and labels.min() == labels.max():
        return Constant()
    fitted = _fitted(_seeded(template, seed), x, labels, counts)
    if kind is Kind.YES_NO:
        if not hasattr(fitted, "predict_proba"):
            called = type(fitted).__name__
            raise TrainingError(
                f"{called} gives no probabilities: it has no predict_proba",
                f"give CalibratedClassifierCV({called}(...))",
            )
        return FittedClassifier(fitted)
    return FittedEstimator(fitted)


def _fitted(estimator: Any, x: NDArray[Any], y: NDArray[Any], settings: Mapping[str, Any]) -> Any:
    """Fit an estimator, and let it predict in one thread: several would add up trees in an order that varies."""
    try:
        with np.errstate(all="ignore"):  # steps that overflow are its own affair; predictions are checked
            fitted = estimator.fit(x.astype(np.float64), y, **settings)
    except MatlakeError:
        raise
    except Exception as error:  # likewise
        raise TrainingError(
            f"{type(estimator).__name__} cannot be fitted to {x.shape[0]:,} rows of {x.shape[1]:,} features: "
            f"{_reason(error)}",
            "see what its fit takes",
        ) from error
    fitted.set_params(**{key: 1 for key in fitted.get_params() if key.rpartition("__")[2] == _JOBS})
    return fitted


def _seeded(template: Any, seed: int) -> Any:
    """Return a clone that draws from the seed where its user gave none."""
    from sklearn.base import clone

    estimator = clone(template)
    parameters = estimator.get_params()
    for value in parameters.values():  # folds of a search, which are cloned with it
        if not hasattr(value, "get_params") and getattr(value, _SEED, seed) is None:
            setattr(value, _SEED, seed)
    unset = {key: seed for key, value in parameters.items() if key.rpartition("__")[2] == _SEED and value is None}
    return estimator.set_params(**unset)


def _chosen_by(search: Any, kind: Kind, rows: LabelledRows, target: NDArray[np.float64], seed: int) -> Model:
    """Run a search on training rows, and return the estimator with the parameters that it chose."""
    from sklearn.base import clone

    called = type(search).__name__
    parameter = _weights_parameter(search)
    settings: dict[str, Any] = {parameter: rows.weights} if parameter and rows.weights is not None else {}
    if hasattr(search.cv, "set_split_request"):  # folds of whole groups: one composition is one group
        settings["groups"] = rows.groups
    labels = target.astype(np.int64) if kind is Kind.YES_NO else target
    found = _fitted(_seeded(search, seed), rows.x, labels, settings)
    if not hasattr(found, "best_estimator_"):
        raise TrainingError(f"{called} keeps no best estimator", f"give {called}(..., refit=True)")
    chosen = clone(search.estimator).set_params(**found.best_params_)
    model = model_of_estimator(chosen)
    return replace(
        model,
        settle=model_of_estimator(search).settle,
        chosen_by=f"{called} from {len(found.cv_results_['params']):,} candidates",
    )


def _is_search(estimator: Any) -> bool:
    """Whether it is a search for parameters, of scikit-learn's or built on them."""
    return any(base.__name__ == "BaseSearchCV" for base in type(estimator).__mro__)


def _weights_parameter(estimator: Any) -> str:
    """Return the keyword by which its ``fit`` takes weights of rows; empty if it takes none."""
    from sklearn.utils.validation import has_fit_parameter

    if _is_search(estimator):
        return _weights_parameter(estimator.estimator)
    if type(estimator).__name__ == "Pipeline":
        name, last = estimator.steps[-1]
        within = _weights_parameter(last)
        return within and f"{name}__{within}"
    return "sample_weight" if has_fit_parameter(estimator, "sample_weight") else ""


def describe(estimator: Any) -> Parameters:
    """Return the parameters that differ from the defaults of its class, as JSON has them; steps by their names."""
    defaults = {name: one.default for name, one in inspect.signature(type(estimator)).parameters.items()}
    described: Parameters = {}
    for name, value in estimator.get_params(deep=False).items():
        if _are_named_steps(value):
            described |= {step: _described(one if not more else [one, *more]) for step, one, *more in value}
        elif repr(value) != repr(defaults.get(name)):
            described[name] = _described(value)
    return described


def _are_named_steps(value: Any) -> bool:
    """Whether a parameter is the steps of a pipeline, or the members of an ensemble."""
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) > 0
        and all(isinstance(one, tuple) and len(one) > 1 and isinstance(one[0], str) for one in value)
    )


def _described(value: Any) -> Any:
    if hasattr(value, "get_params") and not isinstance(value, type):
        return {"model": type(value).__name__, "parameters": describe(value)}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist() if value.size <= _MOST_VALUES else f"array of {value.shape}"
    if isinstance(value, Mapping):
        return {str(key): _described(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_described(one) for one in value]
    if value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and np.isfinite(value)):
        return value
    return getattr(value, "__name__", None) or " ".join(repr(value).split())


def _class_name(estimator: Any) -> str:
    """Return its class with the package that it is imported from, above all private modules."""
    public = takewhile(lambda part: not part.startswith("_"), type(estimator).__module__.split("."))
    return ".".join([*public, type(estimator).__name__])


def _checked(estimator: Any, predicted: Any, rows: int) -> NDArray[np.float64]:
    values = np.asarray(predicted, dtype=np.float64)
    called = type(estimator).__name__
    if values.shape not in ((rows,), (rows, 1)):
        raise TrainingError(
            f"{called} predicts {values.shape} for {rows:,} rows, not one number a row", "give one of one output"
        )
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise TrainingError(
            f"{called} predicts NaN or infinity for {bad:,} of {rows:,} rows", "give another estimator, or scale first"
        )
    return values.reshape(rows)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:_LONGEST_REASON] or type(error).__name__
