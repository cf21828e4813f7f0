"""Clusters of compositions: groups of chemistry that folds leave out as a whole.

Leave-one-cluster-out: Meredig et al., Mol. Syst. Des. Eng. 3, 819 (2018).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors.feature_rows import Features, as_array, row_blocks, take_rows

_STARTS: Final = 3
FIT_ROWS: Final = 20_000
"""Rows that clusters are found among at most, drawn at random; the others go to the nearest one."""


def composition_clusters(fractions: Features, count: int) -> NDArray[np.intp]:
    """Return the cluster of each row, from 0, found by k-means on the fractions of the elements present, int [n].

    Args:
        fractions: Element fractions, float32 [n, elements].
        count: Number of clusters, at most the number of different compositions, among ``FIT_ROWS`` if there are more.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    present = np.flatnonzero(np.any([block.any(axis=0) for _, block in row_blocks(fractions)], axis=0))
    rows = np.sort(np.random.default_rng(0).permutation(len(fractions))[:FIT_ROWS])
    clusters = KMeans(count, n_init=_STARTS, random_state=0)
    with threadpool_limits(1, "openmp"):  # sums over threads are rounded in the order in which threads end
        labels: NDArray[np.intp] = clusters.fit_predict(
            as_array(take_rows(fractions, rows))[:, present].astype(np.float64)
        )
        if len(rows) == len(fractions):
            return labels
        parts = (block[:, present].astype(np.float64) for _, block in row_blocks(fractions))
        return np.concatenate([clusters.predict(part) for part in parts])
