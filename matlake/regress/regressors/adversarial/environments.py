"""Environments: parts of the training rows that a stable model is to serve alike."""

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors.adversarial.settings import Cut

_STARTS = 3
"""K-means is run from so many starts, and the tightest clusters are kept."""


def cut_environments(x: NDArray[np.float32], count: int, cut: Cut, seed: int) -> NDArray[np.intp]:
    """Cut rows into environments.

    Clusters differ in their features, as the environments of Liu et al. (AAAI 2021) do; random parts differ by chance.

    Args:
        x: float32 [n, d], standardised features.
        count: Wanted number; fewer where there are fewer different rows.
        cut: How.
        seed: Of starts and draws.

    Returns:
        [n], environment of each row, numbered from 0 without a gap.
    """
    distinct, group = np.unique(x, axis=0, return_inverse=True)
    count = max(1, min(count, len(distinct)))
    if cut == "random":
        found = (np.random.default_rng(seed).permutation(len(distinct)) % count)[group]
    else:
        found = _clusters(x, count, seed)
    return np.unique(found, return_inverse=True)[1]


def _clusters(x: NDArray[np.float32], count: int, seed: int) -> NDArray[np.intp]:
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "openmp"):  # sums over threads are rounded in the order in which threads end
        return np.asarray(KMeans(count, n_init=_STARTS, random_state=seed).fit_predict(x), dtype=np.intp)
