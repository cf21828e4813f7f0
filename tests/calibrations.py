"""Calibration of a fit on some rows of a matrix, as training does it, and estimates for other rows."""

from dataclasses import dataclass

import numpy as np

from matlake.regress.features.matrix import Matrix
from matlake.regress.regressors import Fit
from matlake.regress.splits import Rows
from matlake.regress.targets.target_space import PLAIN, TargetSpace
from matlake.regress.uncertainty.conformal import Calibrated, CalibrationRows, calibrate
from matlake.regress.uncertainty.estimates import Estimates, estimate
from matlake.regress.uncertainty.fit_reference import ReferenceRows, choose_reference, make_reference
from matlake.regress.uncertainty.opinions import Block, FoldOpinions, fit_opinions
from matlake.regress.uncertainty.out_of_fold import OutOfFold, predict_out_of_fold
from matlake.regress.uncertainty.reference_set import Reference, Surroundings
from matlake.regress.uncertainty.signals import rarest_elements


@dataclass(frozen=True)
class Calibration:
    """What calibration found, and what it rests on."""

    matrix: Matrix
    rows: Rows
    fit: Fit
    space: TargetSpace
    chosen: ReferenceRows
    out_of_fold: OutOfFold
    opinions: FoldOpinions
    reference: Reference
    found: Calibrated

    def around(self, rows: Rows) -> Surroundings:
        """Return the reference rows around some rows of the matrix."""
        return self.reference.nearest(self.chosen.projection.apply(self.matrix.x[rows]))

    def estimates(self, rows: Rows) -> Estimates:
        """Return intervals and expected errors of some rows of the matrix."""
        matrix = self.matrix
        predicted = self.fit(matrix.labelled(self.rows)).predict(matrix.x[rows])
        z = self.chosen.projection.scaler.transform(matrix.x[rows])
        second = np.stack([opinion.predict(z) for opinion in self.opinions.fitted], axis=1)
        rarest = rarest_elements(matrix.fractions[rows], np.count_nonzero(matrix.fractions[self.rows], axis=0))
        found = self.found
        return estimate(
            predicted, second, self.around(rows), self.reference, rarest, found.interval, found.errors, self.space, "eV"
        )


def calibration_of(matrix: Matrix, rows: Rows, fit: Fit, space: TargetSpace = PLAIN, seed: int = 0) -> Calibration:
    """Calibrate a fit on some rows of a matrix."""
    chosen = choose_reference(matrix, rows, seed)
    known = predict_out_of_fold(fit, matrix.labelled(rows), matrix.fractions[rows], seed)
    known = known.take(np.searchsorted(rows, chosen.rows))
    labels = space.to_fit(matrix.y[chosen.rows])
    blocks, folds = (Block((slice(0, matrix.x.shape[1]),)),), (known.fold, known.cluster_fold)
    opinions = fit_opinions(chosen.projection, matrix.x[chosen.rows], labels, blocks, folds, seed)
    calibrating = CalibrationRows(
        chosen.coordinates, chosen.groups, matrix.fractions[chosen.rows], labels, known, opinions
    )
    reference = make_reference(matrix, chosen, known.predicted, space)
    found = calibrate(calibrating, space, seed)
    return Calibration(matrix, rows, fit, space, chosen, known, opinions, reference, found)
