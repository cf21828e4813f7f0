"""The regressors of heads, with their searches and intervals, as one of scikit-learn's."""

from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from matlake.errors import TrainingError
from matlake.regress.heads.card import Budget
from matlake.regress.heads.model_search import FOLDS, search_model
from matlake.regress.regressors import AUTO, LabelledRows, fit_of, named_model
from matlake.regress.regressors.training_settings import require_torch
from matlake.regress.uncertainty import out_of_fold
from matlake.regress.uncertainty.conformal import LEVEL, conformal_quantile

if TYPE_CHECKING:
    import onnx

_LARGEST_SEED = 2**31 - 1


class HeadRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """One of matlake's regressors on vectors: what a head is fitted by, for pipelines and searches of scikit-learn's.

    Features and target are standardised, and parameters chosen by cross-validation on the rows of ``fit``. Intervals
    are cross-conformal: they hold 90 % of the measured values of rows like those of ``fit``, and are equally wide for
    all. A head that ``matlake.train`` saves also states its applicability domain.

    Args:
        model: Name of a regressor, such as ``svr``, or ``auto``.
        max_fits: Fits that the search for parameters may take.
        random_state: Of folds, of the search, and of what models draw.

    Attributes:
        model_: The regressor that was chosen.
        parameters_: Its parameters.
        half_width_: Half the width of an interval, in the target's unit; infinite if there are too few rows for any.
        n_features_in_: Number of columns of ``X``.
    """

    def __init__(self, model: str = "svr", *, max_fits: int = Budget.fits, random_state: Any = 0) -> None:
        """Keep the parameters as they are; ``fit`` checks them."""
        self.model = model
        self.max_fits = max_fits
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:  # noqa: N803 - names of scikit-learn's
        """Choose parameters, fit, and calibrate the intervals.

        Args:
            X: Features [n, d].
            y: Target [n].
            sample_weight: How much each row counts, [n]; default: all alike.
            groups: Composition of each row, [n]: none of them is both fitted and validated on. Default: rows with equal
                features are of one composition.

        Raises:
            ValueError: As scikit-learn's: there are too few rows, or values that are not finite.
            TrainingError: Unknown model, too many rows for it, or weights that it does not take.
            MissingExtraError: The model is a deep network, and torch is not installed.
        """
        x, target = validate_data(self, X, y, dtype=np.float32, y_numeric=True, ensure_min_samples=2)
        given = self.random_state
        seed = int(given) if isinstance(given, Integral) else check_random_state(given).randint(_LARGEST_SEED)
        rows = LabelledRows(x, np.asarray(target, dtype=np.float64), _groups(x, groups), _weights(sample_weight, x))
        if self.model != AUTO and named_model(self.model).slow:
            require_torch()
        distinct = len(np.unique(rows.groups))
        self.model_, self.parameters_, fit = self._chosen(rows, distinct, seed)
        self._fitted = fit(rows)
        self.half_width_ = np.inf
        if distinct >= out_of_fold.FOLDS:
            held_out = out_of_fold.predictions_of(fit, rows, out_of_fold.FOLDS, seed).predicted
            errors = np.abs(held_out - rows.y)
            if (1.0 - LEVEL) * (len(errors) + 1) >= 1.0:
                self.half_width_ = conformal_quantile(errors, LEVEL)
        return self

    def _chosen(self, rows: LabelledRows, distinct: int, seed: int) -> tuple[str, dict[str, Any], Any]:
        """Return a model's name, its parameters, and how it is fitted: the default where rows are too few to choose."""
        if distinct >= FOLDS:
            choice = search_model(self.model, rows, seed, budget=Budget(self.max_fits))
            return choice.best.model, choice.best.parameters, fit_of(choice.model, choice.best.parameters, seed)
        if self.model == AUTO:
            raise TrainingError(f"{distinct} different rows are too few to choose a model", "name one: model='svr'")
        model = named_model(self.model)
        parameters = model.grid(rows.features.shape[1])[0]
        return model.name, parameters, fit_of(model, parameters, seed)

    def predict(
        self,
        X: Any,  # noqa: N803 - likewise
        *,
        return_interval: bool = False,
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return predictions float64 [n]; and, if asked for, the two ends of each interval, float64 [n, 2].

        Args:
            X: Features [n, d].
            return_interval: Whether to return the intervals.
        """
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float32, reset=False)
        predicted: NDArray[np.float64] = self._fitted.predict(x)
        if not return_interval:
            return predicted
        return predicted, predicted[:, None] + np.array([-self.half_width_, self.half_width_])

    def onnx_graph(self) -> "onnx.ModelProto":
        """Return the fitted regressor as an ONNX model of one input, float32 [n, d]: ``matlake.train`` takes it so."""
        import onnx

        from matlake.regress.onnx.convert import convert

        check_is_fitted(self)
        return onnx.load_model_from_string(convert(self._fitted, self.n_features_in_))


def _groups(x: NDArray[np.float32], groups: Any) -> NDArray[np.str_]:
    if groups is None:
        _, groups = np.unique(x, axis=0, return_inverse=True)
    return np.ravel(groups).astype(np.str_)


def _weights(sample_weight: Any, x: NDArray[np.float32]) -> NDArray[np.float64] | None:
    from sklearn.utils.validation import _check_sample_weight

    return None if sample_weight is None else _check_sample_weight(sample_weight, x, dtype=np.float64)
