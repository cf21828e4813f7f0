"""Fitting a model to rows and a target in its unit; of deep networks with rows that choose the best epoch."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from matlake.errors import TrainingError
from matlake.interrupts import not_swallowed
from matlake.regress.regressors.feature_rows import Features, as_array, row_blocks, take_rows
from matlake.regress.regressors.labelled_rows import LabelledRows, Weights
from matlake.regress.regressors.moments import moments_of
from matlake.regress.regressors.regressor import Model, Parameters, Regressor, ValidatedFit, log_uniform
from matlake.regress.regressors.scaling import Scaler, fit_scaler
from matlake.regress.targets.target_space import PLAIN, TargetSpace

_VALIDATED: Final = 0.1
"""Share of the rows that are held out to end a training, unless rows are given for it."""


@dataclass(frozen=True)
class Fitted:
    """A model fitted to a standardised target, and what makes values of the property of its predictions.

    Attributes:
        scaler: Of the features; None if they are used unscaled.
        regressor: What was fitted.
        mean: Of the target on the scale on which it is fitted.
        std: Of the same.
        space: That scale, and the bounds of the property.
        in_unit: Whether the regressor predicts on that scale itself, and not a standardised target.
    """

    scaler: Scaler | None
    regressor: Regressor | Any
    mean: float
    std: float
    space: TargetSpace = PLAIN
    in_unit: bool = False

    def predict(self, x: Features) -> NDArray[np.float64]:
        """Return predictions float64 [n] in the property's unit for features float32 [n, d]."""
        values = np.concatenate([self._predict(block) for _, block in row_blocks(x)])
        return self.space.to_property(values if self.in_unit else values * self.std + self.mean)

    def _predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(self.regressor.predict(self.scaler.transform(x) if self.scaler else x), dtype=np.float64)


Fit: TypeAlias = Callable[[LabelledRows], Fitted]
"""From some rows to what is fitted to them."""


def fit_model(
    model: Model,
    parameters: Parameters,
    x: Features,
    y: NDArray[np.float64],
    seed: int,
    space: TargetSpace = PLAIN,
    weights: Weights = None,
) -> Fitted:
    """Fit scaler and model.

    Args:
        model: The kind.
        parameters: Of its grid.
        x: float32 [n, d], training rows only.
        y: float64 [n], target in its unit.
        seed: Of models that draw random numbers.
        space: The scale on which the target is fitted, and its bounds.
        weights: float64 [n], how much each row counts; the scalers of features and target do not depend on them.

    Raises:
        TrainingError: There are weights, and the model takes none.
        KeyboardInterrupt: The fit was interrupted, whether or not what fits returned a model nevertheless.
    """
    from sklearn.exceptions import ConvergenceWarning

    if weights is not None and not model.weighted:
        raise no_weights(model)
    if weights is not None and not weights.all():  # a row of weight zero does not count
        counted = weights > 0.0
        x, y, weights = take_rows(x, counted), y[counted], weights[counted]
    target = space.to_fit(y)
    mean, std = float(target.mean()), float(target.std()) or 1.0  # a fold's target may be constant
    standard = target if model.in_unit else (target - mean) / std
    scaler = fit_scaler(x) if model.scaled else None
    with not_swallowed(), warnings.catch_warnings():
        # An unfinished iteration is still a model, and cross-validation measures it as such.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "Training interrupted", UserWarning)  # it is raised, see ``not_swallowed``
        if model.fit_moments is not None:
            regressor = model.fit_moments(parameters, moments_of(scaler, x, standard, weights))
        else:
            features = scaler.transform(x) if scaler else as_array(x)
            regressor = model.fit(parameters, features, standard, seed, weights)
    return Fitted(scaler, regressor, mean, std, space, model.in_unit)


def no_weights(model: Model) -> TrainingError:
    """Return the error for a model that takes no weights, and is given some."""
    return TrainingError(f"{model.name} takes no weights of rows", "use another model, or leave the weights out")


def settled(model: Model, rows: LabelledRows, seed: int, space: TargetSpace = PLAIN) -> Model:
    """Return a model with the parameters that its own search chooses on training rows; as it is where it has none."""
    if model.settle is None:
        return model
    with not_swallowed():
        return model.settle(rows, space.to_fit(rows.y), seed)


def fit_of(model: Model, parameters: Parameters, seed: int, space: TargetSpace = PLAIN) -> Fit:
    """Return ``fit_model`` of one model with parameters, as a function of rows."""
    return lambda rows: fit_model(model, parameters, rows.features, rows.y, seed, space, rows.weights)


def fit_deep(
    model: Model,
    x: NDArray[np.float32],
    y: NDArray[np.float64],
    x_val: NDArray[np.float32],
    y_val: NDArray[np.float64],
    seed: int,
    parameters: Parameters | None = None,
) -> Fitted:
    """Fit a deep network with rows that choose the best epoch, as the cross-property study does with 9 of 90 %.

    Args:
        model: A deep network.
        x: float32 [n, d], rows to fit.
        y: float64 [n], target in its unit.
        x_val: float32 [m, d], rows that end the training.
        y_val: float64 [m].
        seed: Of weights and order of rows.
        parameters: Of the model; by default those of its grid.

    Raises:
        TrainingError: The model is not a deep network, or there are no rows that end the training.
        MissingExtraError: torch is not installed.
    """
    if model.fit_validated is None:
        deep = "elemnet, fine-tune:ENCODER, mod-fine-tune:ENCODER, freezing:ENCODER"
        raise TrainingError(f"{model.name} is not a deep network", f"models that are: {deep}")
    if not len(x_val):
        raise TrainingError("no rows are given that end the training", "give a tenth of the rows, or use fit_model")
    mean, std = float(y.mean()), float(y.std()) or 1.0
    scaler = fit_scaler(x) if model.scaled else None
    fit = (scaler.transform(x) if scaler else x, (y - mean) / std)
    validation = (scaler.transform(x_val) if scaler else x_val, (y_val - mean) / std)
    chosen = parameters or model.grid(x.shape[1])[0]
    with not_swallowed():
        regressor = model.fit_validated(chosen, fit, validation, seed)
    return Fitted(scaler, regressor, mean, std)


def deep_model(
    name: str,
    parameters: Parameters,
    fit_validated: ValidatedFit,
    *,
    scaled: bool = True,
    compared: DTypeLike | None = None,
) -> Model:
    """Return a deep network as a model; a search varies its learning rate within a factor of three.

    Args:
        name: What ``--model`` takes.
        parameters: The only ones of its grid.
        fit_validated: Fits it.
        scaled: Whether it is fitted to standardised features.
        compared: Precision in which rows with equal features are found, see ``split_off``; default: theirs.
    """

    def fit(chosen: Parameters, x: NDArray[Any], y: NDArray[np.float64], seed: int, weights: Weights) -> Regressor:  # noqa: ARG001 - the signature of ``Model.fit``
        rows, held_out = split_off(np.asarray(x, dtype=compared), seed)
        return fit_validated(chosen, (x[rows], y[rows]), (x[held_out], y[held_out]), seed)

    def draw(rng: np.random.Generator, n_features: int) -> Parameters:  # noqa: ARG001 - the signature of ``Model.draw``
        middle = parameters["learning_rate"]
        return {**parameters, "learning_rate": log_uniform(rng, middle / 3.0, middle * 3.0)}

    return Model(name, fit, lambda _: [parameters], draw, scaled=scaled, fit_validated=fit_validated)


def split_off(x: NDArray[Any], seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Hold out a tenth of the rows for validation, at least one; rows with equal features stay together.

    Args:
        x: [n, d].
        seed: Of the draw.

    Returns:
        The rows to fit and the validation rows; all rows for both if all are equal.
    """
    rows = np.ascontiguousarray(x)
    _, group = np.unique(rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel(), return_inverse=True)
    rank = np.random.default_rng(seed).permutation(int(group.max()) + 1)[group]
    order = np.argsort(rank, kind="stable")
    wanted = rank[order[max(1, round(_VALIDATED * len(x))) - 1]]
    held_out = rank <= wanted
    if held_out.all():
        return np.arange(len(x)), np.arange(len(x))
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)
