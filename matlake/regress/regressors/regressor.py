"""What a kind of regressor is: how it is fitted, which parameters are tried, and the data it is meant for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors.labelled_rows import LabelledRows, Weights
from matlake.regress.regressors.moments import Moments
from matlake.regress.targets.kinds import Kind

if TYPE_CHECKING:
    import onnx

Parameters: TypeAlias = dict[str, Any]
Blocks: TypeAlias = tuple[int, ...]
"""Lengths of the features that make up a matrix, in order: each feature is a block of columns."""

Rows: TypeAlias = tuple[NDArray[Any], NDArray[np.float64]]


class Regressor(Protocol):
    """A fitted regressor of a standardised target."""

    def predict(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return predictions [n] for features [n, d], prepared as those it was fitted to."""


@runtime_checkable
class OwnGraph(Protocol):
    """A fitted regressor that brings its own ONNX graph, as those of plug-ins do that skl2onnx does not convert."""

    def onnx_graph(self) -> "onnx.ModelProto":
        """Return a model of one input, [n, d] in float64 or float32, and one output, [n] or [n, 1], as ``predict``.

        It has standard operators only, none with graphs of their own.
        """


FitRegressor: TypeAlias = Callable[[Parameters, NDArray[Any], NDArray[np.float64], int, Weights], Regressor]
"""From parameters, features [n, d], standardised target float64 [n], seed and weights of rows to a fitted regressor."""

ValidatedFit: TypeAlias = Callable[[Parameters, Rows, Rows, int], Regressor]
"""From parameters, rows to fit, rows to validate on and a seed to the network of the epoch that is best on the latter.

Rows are prepared features [n, d] and a standardised target float64 [n].
"""


Settle: TypeAlias = Callable[[LabelledRows, NDArray[np.float64], int], "Model"]
"""From training rows, their target float64 [n] on the scale that is fitted, and a seed to a model with parameters."""


FitMoments: TypeAlias = Callable[[Parameters, Moments], Regressor]
"""From parameters and the moments of standardised rows to a fitted regressor."""


@dataclass(frozen=True)
class Model:
    """A kind of regressor.

    Attributes:
        name: What ``--model`` takes.
        fit: Fits it.
        grid: Gives the parameter sets to try for a number of features; the first is the default.
        draw: Draws a parameter set for a number of features, for a search beyond the grid.
        max_rows: Most training rows it is meant for; None for no limit.
        scaled: Whether it is fitted to float64 features that are standardised. Trees get float32 as it is: they need
            no scale, and a scaled value that rounds to the other side of a threshold takes another branch.
        fit_validated: Of deep networks: fits with given rows that end the training. ``fit`` holds out some of its rows
            for that.
        in_blocks: Whether its kernel can be the mean over blocks: it takes the parameter ``blocks``.
        weighted: Whether its fit takes weights of rows; others get None.
        kind: The only kind of property that it is meant for; None for both.
        in_unit: Whether it is fitted to the target in its unit, and predicts it, rather than to a standardised one.
        settle: Of searches by scikit-learn: chooses parameters on training rows.
        estimator: The class of an estimator that a user gave in place of a name.
        chosen_by: The search by scikit-learn that chose its parameters.
        fit_moments: Of models that need no more than sums over rows: fits it from these, in memory that does not grow
            with the number of rows. ``fit`` gives the same.
    """

    name: str
    fit: FitRegressor
    grid: Callable[[int], list[Parameters]]
    draw: Callable[[np.random.Generator, int], Parameters]
    max_rows: int | None = None
    scaled: bool = True
    fit_validated: ValidatedFit | None = None
    in_blocks: bool = False
    weighted: bool = False
    kind: Kind | None = None
    in_unit: bool = False
    settle: Settle | None = None
    estimator: str = ""
    chosen_by: str = ""
    fit_moments: FitMoments | None = None

    @property
    def slow(self) -> bool:
        """Whether it is a deep network: a fit may take minutes, and is measured on fewer folds."""
        return self.fit_validated is not None

    def grid_of(self, blocks: Blocks) -> list[Parameters]:
        """Return the parameter sets to try for features in blocks; those for one block are as ``grid`` has them."""
        return [self._with_blocks(parameters, blocks) for parameters in self.grid(sum(blocks))]

    def draw_of(self, rng: np.random.Generator, blocks: Blocks) -> Parameters:
        """Draw a parameter set for features in blocks."""
        return self._with_blocks(self.draw(rng, sum(blocks)), blocks)

    def _with_blocks(self, parameters: Parameters, blocks: Blocks) -> Parameters:
        return {**parameters, "blocks": list(blocks)} if self.in_blocks and len(blocks) > 1 else parameters


def fixed_grid(grid: list[Parameters]) -> Callable[[int], list[Parameters]]:
    """Return a grid that does not depend on the number of features."""
    return lambda n_features: grid  # noqa: ARG005 - the signature of ``Model.grid``


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw from ``low`` to ``high`` with equal chances for equal ratios; three digits are kept."""
    return float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.3g}")
