"""Calibration of probabilities and of sets of labels, on training rows held out from the fit."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import calibration_error
from matlake.regress.classification.label_sets import LabelSets
from matlake.regress.classification.record import ClassRecord
from matlake.regress.regressors import Fit, LabelledRows, Model, Parameters, fit_of
from matlake.regress.targets.link import Link, fit_link
from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.uncertainty.conformal import LEVEL, conformal_quantile
from matlake.regress.uncertainty.out_of_fold import FOLDS, SLOW_FOLDS, OutOfFold, predictions_of


def calibrated_fit(
    model: Model, parameters: Parameters, labelled: LabelledRows, seed: int, space: TargetSpace
) -> tuple[Fit, OutOfFold]:
    """Return a fit whose predictions are calibrated probabilities.

    Args:
        model: A regressor, which is fitted to 0 and 1.
        parameters: Its parameters.
        labelled: The n training rows.
        seed: Of folds and model.
        space: Of a yes/no property, without a link.

    Returns:
        The fit; and the probability of each row by a model that was fitted without its composition.
    """
    folds = SLOW_FOLDS if model.slow else FOLDS
    held_out = predictions_of(fit_of(model, parameters, seed, space), labelled, folds, seed)
    scores = held_out.predicted
    known = np.isfinite(scores)
    weights = None if labelled.weights is None else labelled.weights[known]
    link = fit_link(scores[known], labelled.y[known], weights)
    out_of_fold = replace(held_out, predicted=link.probabilities(scores))
    return fit_of(model, parameters, seed, replace(space, link=link)), out_of_fold


def class_record(
    link: Link,
    calibrating: tuple[NDArray[np.float64], NDArray[np.float64]],
    tested: tuple[NDArray[np.float64], NDArray[np.float64]],
    yes_share: float,
) -> ClassRecord:
    """Calibrate sets of labels, and measure them.

    Args:
        link: Of the head.
        calibrating: Probabilities float64 [n] of rows that a model was not fitted to, and their labels.
        tested: Probabilities float64 [m] of the test rows, and their labels.
        yes_share: Of the training rows.
    """
    sets = calibrate_sets(*calibrating)
    probabilities, y = tested
    yes, no = sets.holds(probabilities)
    return ClassRecord(
        link=link,
        sets=sets,
        yes_coverage=_share(yes, y > 0.0),
        no_coverage=_share(no, y == 0.0),
        single=float(np.mean(yes ^ no)),
        calibration_error=calibration_error(y, probabilities),
        yes_share=yes_share,
    )


def calibrate_sets(probabilities: NDArray[np.float64], y: NDArray[np.float64]) -> LabelSets:
    """Find the probabilities at which sets begin to hold yes and cease to hold no.

    Args:
        probabilities: float64 [n], of rows that the model was not fitted to.
        y: float64 [n], 0 or 1, with rows of both.
    """
    against_yes, against_no = 1.0 - probabilities[y > 0.0], probabilities[y == 0.0]
    level = min(LEVEL, *(1.0 - 1.01 / (len(scores) + 1) for scores in (against_yes, against_no)))
    return LabelSets(
        level,
        1.0 - conformal_quantile(against_yes, level),
        conformal_quantile(against_no, level),
        len(against_yes),
        len(against_no),
    )


def _share(held: NDArray[np.bool_], of_class: NDArray[np.bool_]) -> float | None:
    return float(held[of_class].mean()) if of_class.any() else None
