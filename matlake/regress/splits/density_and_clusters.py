"""Splits by place in the space of the features: clusters, and regions that hold few materials."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.regress.features.matrix import Matrix
from matlake.regress.splits.leave_one_out import Labels, Parts, leave_one_out, read_number
from matlake.regress.splits.ordered import find_cut
from matlake.regress.splits.split import Proposal, Split

CLUSTERS: Final = 10
"""K of K-means."""

SPARSE_SHARE: Final = 0.15
NEIGHBOURS: Final = 10
"""Density is taken from the distance to the neighbour of this rank among different feature vectors."""

SPACES: Final = ("map", "x")

_MAX_FITTED: Final = 10_000
"""Vectors that clusters and densities are found from; more are drawn from, and then placed."""

_STARTS: Final = 3
"""K-means is run from so many starts, and the tightest clusters are kept."""


def cluster_split(argument: str | None) -> Split:
    """Return the split that tests the rows of a cluster.

    Leave-one-cluster-out: Meredig et al., Mol. Syst. Des. Eng. 3, 819 (2018).
    """
    wanted = argument and read_number(
        argument, CLUSTERS, f"there is no cluster {argument!r}", f"clusters: 1, the largest, to {CLUSTERS}"
    )

    def read(matrix: Matrix) -> Labels:
        return Labels.of_codes(find_clusters(matrix.x), [str(number) for number in range(1, CLUSTERS + 1)])

    return leave_one_out(Parts("cluster", "cluster", f"are in cluster {{}} of {CLUSTERS}", read), wanted)


def sparse_split(argument: str | None) -> Split:
    """Return the split that tests the rows where materials are few.

    ``map`` follows the covariate-shift test of Li, Miklaucic and Hu (arXiv 2408.09297) and the sparse test sets of Omee
    et al. (arXiv 2401.08032): the thin regions of a two-dimensional map of the features. t-SNE draws such maps, and
    another one from every start; the two first principal components of standardised features always draw the same.
    """
    space = SPACES[0] if argument is None else argument.lower()
    if space not in SPACES:
        raise TrainingError(
            f"{argument!r} is not a space to measure density in",
            "sparse:map (a two-dimensional map) or sparse:x (all features)",
        )

    def propose(matrix: Matrix, seed: int) -> Iterator[Proposal]:  # noqa: ARG001 - nothing is drawn
        scaled = standardised(matrix.x)
        radius = find_radii(project(scaled) if space == "map" else scaled)
        where = "on the map of the features" if space == "map" else "in the space of the features"
        test = radius > find_cut(radius, SPARSE_SHARE)
        yield Proposal(f"sparse {space}", f"lie where materials are fewest {where}", test)

    return Split(f"sparse:{space}", propose, propose)


def standardised(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shift and scale features to mean 0 and standard deviation 1; constant ones become 0.

    Args:
        x: float32 [n, d].
    """
    mean, spread = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    constant = x.min(axis=0) == x.max(axis=0)
    scale = np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, spread))
    scaled: NDArray[np.float32] = x * scale.astype(np.float32)
    scaled -= (mean * scale).astype(np.float32)
    return scaled


def find_clusters(x: NDArray[np.float32]) -> NDArray[np.intp]:
    """Find ``CLUSTERS`` clusters of the standardised features by K-means, the same ones each time.

    Args:
        x: float32 [n, d], features.

    Returns:
        [n], cluster of each row, numbered from 0 by falling size.

    Raises:
        TrainingError: There are fewer different vectors than clusters.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    scaled = standardised(x)
    distinct = len(np.unique(scaled, axis=0))
    if distinct < CLUSTERS:
        raise TrainingError(
            f"{len(x):,} rows hold only {distinct} different feature vectors, too few for {CLUSTERS} clusters",
            "select more rows",
        )
    with threadpool_limits(1, "openmp"):  # sums over threads are rounded in the order in which threads end
        fitted = KMeans(CLUSTERS, n_init=_STARTS, random_state=0).fit(scaled[_drawn(len(scaled))])
        found: NDArray[np.int32] = fitted.predict(scaled)
    order = np.argsort(-np.bincount(found, minlength=CLUSTERS), kind="stable")
    return np.argsort(order)[found]


def project(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return float32 [n, 2], the first two principal components of features [n, d]; one if there is only one."""
    from sklearn.decomposition import PCA

    return np.asarray(PCA(min(2, x.shape[1]), svd_solver="covariance_eigh").fit_transform(x), dtype=np.float32)


def find_radii(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Measure how sparse the surroundings of each row are: the distance to its tenth nearest other vector.

    The density of k nearest neighbours falls monotonically with that distance (Loftsgaarden and Quesenberry, Ann. Math.
    Stat. 36, 1049 (1965)). Equal vectors count once, so that a material measured often is not in a dense region for it.

    Args:
        x: float32 [n, d].

    Returns:
        float64 [n].

    Raises:
        TrainingError: There are fewer different vectors than neighbours to look at.
    """
    from sklearn.neighbors import NearestNeighbors

    vectors, row = np.unique(x, axis=0, return_inverse=True)
    if len(vectors) <= NEIGHBOURS:
        raise TrainingError(
            f"{len(x):,} rows hold only {len(vectors)} different feature vectors, too few to measure their density",
            "select more rows",
        )
    drawn = _drawn(len(vectors))
    distances, _ = NearestNeighbors(n_neighbors=NEIGHBOURS + 1).fit(vectors[drawn]).kneighbors(vectors)
    rank = np.full(len(vectors), NEIGHBOURS - 1)
    rank[drawn] = NEIGHBOURS  # the nearest to a drawn vector is itself
    radii: NDArray[np.float64] = distances[np.arange(len(vectors)), rank].astype(np.float64)
    return radii[row]


def _drawn(count: int) -> NDArray[np.intp]:
    """Return at most ``_MAX_FITTED`` of so many places, the same ones each time."""
    if count <= _MAX_FITTED:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).permutation(count)[:_MAX_FITTED])
