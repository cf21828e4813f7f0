"""What kernels of blocks are worth, and the choice among features: errors within the training materials and outside.

    python -m benchmarks.studies.blocks

The evaluation sets of crystals, on a logarithmic scale: folds at random and folds that leave out clusters of
compositions (benchmarks/helpers/folds.py). Every regressor has its default parameters. Sets of features are chosen
from the training rows of each fold alone: ``guarded`` as ``--model auto`` does, ``random only`` by random folds alone.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.helpers.common import DATA, report
from benchmarks.helpers.evaluation_sets import Source, load_sources
from benchmarks.helpers.feature_blocks import FeatureBlocks
from benchmarks.helpers.folds import CLUSTER, RANDOM, Fold, folds_of
from benchmarks.helpers.unshipped import ENCODERS
from matlake.regress.heads.feature_search import SetErrors, cluster_folds, leave_out
from matlake.regress.regressors import MODELS, fit_model
from matlake.regress.splits import grouped_folds

SETS: Final = {
    "CGCNN, all layers": ["cgcnn-mp-formation-energy@all"],
    "CGCNN, all layers + the other two + magpie": [
        "cgcnn-mp-formation-energy@all", "schnet-mp-formation-energy@pooled", "dimenet++-mp-formation-energy@pooled",
        "magpie",
    ],
}  # fmt: skip
PROPERTIES: Final = {
    "mp_elastic_tensor": "bulk modulus",
    "mp_dielectric_constant": "refractive index",
    "matbench_phonons": "last phonon peak",
}
ONE, BLOCKS, GUARDED, RANDOM_ONLY = "one kernel", "blocks", "guarded", "random only"
ROWS: Final = 800
"""Training rows that features are chosen by."""

Block = NDArray[np.float32]


def main() -> None:
    """Measure and print one line for each set of features and property."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path("blocks-cache"), help="folder that vectors are kept in")
    features = FeatureBlocks(parser.parse_args().cache, ENCODERS)
    figures, rows = [], []
    for source in load_sources(DATA.parent, PROPERTIES):
        place = [one.name for one in source.properties].index(PROPERTIES[source.name])
        for name, refs in SETS.items():
            blocks = features.blocks(source, refs)
            owners = [layer.encoder for ref in refs for layer in features.layers(ref)]
            found = {kind: measure(source, place, blocks, owners, folds_of(source, kind, 0)) for kind in KINDS}
            figures.append({"features": name, "property": PROPERTIES[source.name], "mae": found})
            cells = [f"{found[RANDOM][key]:.3g} \\| {found[CLUSTER][key]:.3g}" for key in found[RANDOM]]
            rows.append([name, f"{PROPERTIES[source.name]}, {source.properties[place].unit}", *cells])
            print(*rows[-1], flush=True)
    header = ["features", "property", *(f"{model}, {how}" for model, how in METHODS)]
    report(Path(__file__), {"errors": figures, "folds": list(KINDS)}, header, rows)


KINDS: Final = (RANDOM, CLUSTER)
METHODS: Final = (
    ("svr", ONE),
    ("svr", BLOCKS),
    ("svr", GUARDED),
    ("svr", RANDOM_ONLY),
    ("gaussian-process", BLOCKS),
)


def measure(
    source: Source, place: int, blocks: Sequence[Block], owners: Sequence[str], folds: Sequence[Fold]
) -> dict[str, float]:
    """Return the mean absolute error of each method, in the property's unit."""
    known = source.values[:, place]
    usable = np.isfinite(known) & (known > 0) & ~np.isnan(np.concatenate(blocks, axis=1)).any(axis=1)
    errors: dict[str, list[NDArray[np.float64]]] = {}
    for fold in folds:
        train, test = fold.train[usable[fold.train]], fold.test[usable[fold.test]]
        y = np.log(known[train])
        chosen = choose(source, blocks, owners, train, y)
        for model, how in METHODS:
            used = [blocks[one] for one in chosen[how]]
            x, lengths = np.concatenate(used, axis=1), tuple(block.shape[1] for block in used)
            parameters = MODELS[model].grid_of((sum(lengths),) if how == ONE else lengths)[0]
            predicted = np.exp(fit_model(MODELS[model], parameters, x[train], y, 0).predict(x[test]))
            errors.setdefault(f"{model}, {how}", []).append(np.abs(predicted - known[test]))
    return {name: float(np.concatenate(parts).mean()) for name, parts in errors.items()}


def choose(
    source: Source, blocks: Sequence[Block], owners: Sequence[str], train: NDArray[np.intp], y: NDArray[np.float64]
) -> dict[str, tuple[int, ...]]:
    """Return the features of each method, by their places."""
    rows = np.random.default_rng(0).permutation(len(train))[:ROWS]
    x = np.concatenate(blocks, axis=1)[train[rows]]
    lengths, everything = [block.shape[1] for block in blocks], tuple(range(len(blocks)))
    random = [held for _, held in grouped_folds(source.formulas[train[rows]], 5, 0)]
    clusters = cluster_folds(source.fractions[train[rows]])
    measured = SetErrors(x, y[rows], lengths, random, clusters)
    guarded, random_only = (leave_out(m, everything, owners, lambda: False) for m in (measured, RandomOnly(measured)))
    return {ONE: everything, BLOCKS: everything, GUARDED: guarded, RANDOM_ONLY: random_only}


class RandomOnly(SetErrors):
    """The same errors, of which those on clusters do not count."""

    def __init__(self, measured: SetErrors) -> None:
        """Share what is measured."""
        self.__dict__ = measured.__dict__

    def improves(self, one: tuple[int, ...], other: tuple[int, ...]) -> bool:
        """Say whether a set is better on random folds."""
        return self.product(one) < self.product(other)

    def product(self, one: tuple[int, ...]) -> float:
        """Return the error on random folds."""
        return self.of(one)[0]


if __name__ == "__main__":
    main()
