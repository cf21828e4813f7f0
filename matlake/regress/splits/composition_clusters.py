"""Clusters of compositions: groups of chemistry that folds leave out as a whole.

Leave-one-cluster-out: Meredig et al., Mol. Syst. Des. Eng. 3, 819 (2018).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_STARTS: Final = 3


def composition_clusters(fractions: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Return the cluster of each row, from 0, found by k-means on the fractions of the elements present, int [n].

    Args:
        fractions: Element fractions, float32 [n, elements].
        count: Number of clusters, at most the number of different compositions.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    present = fractions[:, fractions.any(axis=0)].astype(np.float64)
    with threadpool_limits(1, "openmp"):  # sums over threads are rounded in the order in which threads end
        labels: NDArray[np.intp] = KMeans(count, n_init=_STARTS, random_state=0).fit_predict(present)
    return labels
