"""How many measurements it takes to find the best materials, by what ``matlake suggest`` suggests, and by chance.

    python -m benchmarks.studies.suggest

Three properties of the evaluation sets whose highest values are wanted. All materials but a few are taken to be
unmeasured; none of those few is among the highest 1 %. In each round a head (``svr`` on ``geometry`` and ``magpie``,
logarithms) is fitted to what is measured, calibrated as ``train`` does, and a batch of ten is chosen by the functions
that ``suggest`` uses. Counted are the measurements until the first, half and all of the highest 1 % are found. At
random, the mean number until k of K are found among n is k (n + 1) / (K + 1).
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.helpers.common import DATA, report
from benchmarks.helpers.evaluation_sets import Source, load_sources
from benchmarks.helpers.feature_blocks import FeatureBlocks
from matlake.regress.regressors import MODELS, LabelledRows, fit_of
from matlake.regress.suggesting.acquisition import Float, Goal, spreads_of
from matlake.regress.suggesting.batch import best_values, farthest, largest_errors
from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.targets.transforms import Transform
from matlake.regress.uncertainty.conformal import FOLDS, LEVEL, calibrate, distance_scale, residuals_of
from matlake.regress.uncertainty.projection import fit_projection
from matlake.regress.uncertainty.reference_set import Reference

PROPERTIES: Final = {
    "mp_elastic_tensor": "bulk modulus",
    "mp_dielectric_constant": "refractive index",
    "matbench_phonons": "last phonon peak",
}
FEATURES: Final = ("geometry", "magpie")
MODEL: Final = "svr"
SEEDS: Final = (0, 1, 2)
FIRST: Final = 20
"""Measured before the first round."""
BATCH: Final = 10
MOST: Final = 250
"""Measurements after which a simulation ends; what was not found counts as found then."""
TOP: Final = 0.01

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Pool:
    """Materials of one property.

    Attributes:
        labelled: All n of them; a simulation looks at the labels of those that are measured.
        top: bool [n], the highest 1 %.
    """

    labelled: LabelledRows
    top: NDArray[np.bool_]


@dataclass(frozen=True)
class Round:
    """What a head says of the materials that are not measured.

    Attributes:
        values: float64 [m], predicted.
        spreads: float64 [m], standard deviations of the errors.
        coordinates: float32 [m, p].
        known: float32 [k, p], coordinates of those that are measured.
        best: The best measured value.
    """

    values: Float
    spreads: Float
    coordinates: NDArray[np.float32]
    known: NDArray[np.float32]
    best: float


GOAL: Final = Goal()
STRATEGIES: Final[dict[str, Callable[[Round], list[int]]]] = {
    "suggest --for value": lambda r: best_values(GOAL, r.values, r.spreads, r.coordinates, r.best, BATCH)[0],
    "highest predicted": lambda r: np.argsort(-r.values, kind="stable")[:BATCH].tolist(),
    "suggest --for uncertainty": lambda r: largest_errors(r.spreads, r.coordinates, BATCH)[0],
    "suggest --for diversity": lambda r: farthest(r.coordinates, r.known, BATCH)[0],
}
SHARES: Final = ("first", "half", "all")


def main() -> None:
    """Simulate and print one line for each property and strategy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path("suggest-cache"), help="folder that vectors are kept in")
    features = FeatureBlocks(parser.parse_args().cache)
    figures, rows = [], []
    for source in load_sources(DATA.parent, PROPERTIES):
        pool = pool_of(source, features)
        for strategy in ("at random", *STRATEGIES):
            started = time.process_time()
            found = random_numbers(pool) if strategy == "at random" else simulate(pool, strategy)
            figures.append(
                {
                    "property": PROPERTIES[source.name],
                    "materials": len(pool.labelled),
                    "wanted": int(pool.top.sum()),
                    "strategy": strategy,
                    "measurements": found,
                    "processor_s": time.process_time() - started,
                }
            )
            cells = [_cell(found[share]) for share in SHARES]
            rows.append([f"{PROPERTIES[source.name]}, {pool.top.sum()} of {len(pool.labelled):,}", strategy, *cells])
            print(*rows[-1], flush=True)
    report(Path(__file__), {"simulations": figures}, ["property", "strategy", *SHARES], rows)


def pool_of(source: Source, features: FeatureBlocks) -> Pool:
    """Return the materials of a source that have features and a positive value."""
    place = [one.name for one in source.properties].index(PROPERTIES[source.name])
    x, y = np.concatenate(features.blocks(source, FEATURES), axis=1), source.values[:, place]
    usable = np.flatnonzero(np.isfinite(y) & (y > 0) & ~np.isnan(x).any(axis=1))
    labelled = LabelledRows(x, y, source.formulas).take(usable)
    count = round(TOP * len(usable))
    return Pool(labelled, np.argsort(np.argsort(-labelled.y, kind="stable")) < count)


def simulate(pool: Pool, strategy: str) -> dict[str, list[int]]:
    """Return the measurements until the first, half and all of the wanted materials are found, one for each seed."""
    found: dict[str, list[int]] = {share: [] for share in SHARES}
    for seed in SEEDS:
        hits = _hits(pool, strategy, seed)
        for share, number in _needed(pool).items():
            found[share].append(hits[number - 1] if len(hits) >= number else MOST)
    return found


def _needed(pool: Pool) -> dict[str, int]:
    wanted = int(pool.top.sum())
    return {"first": 1, "half": -(-wanted // 2), "all": wanted}


def random_numbers(pool: Pool) -> dict[str, list[int]]:
    """Return the mean number of measurements at random, of the materials that are not measured at first."""
    n, wanted = len(pool.labelled) - FIRST, int(pool.top.sum())
    return {share: [round(number * (n + 1) / (wanted + 1))] for share, number in _needed(pool).items()}


def _hits(pool: Pool, strategy: str, seed: int) -> list[int]:
    """Simulate once; return after how many measurements each of the wanted materials was found."""
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(~pool.top))[:FIRST]
    measured = np.zeros(len(pool.labelled), dtype=bool)
    measured[drawn] = True
    hits: list[int] = []
    for done in range(0, MOST, BATCH):
        left = np.flatnonzero(~measured)
        chosen = left[STRATEGIES[strategy](_round(pool, np.flatnonzero(measured), left, seed))]
        measured[chosen] = True
        hits += [done + place for place, row in enumerate(chosen, start=1) if pool.top[row]]
        if len(hits) == pool.top.sum():
            break
    return hits


def _round(pool: Pool, measured: Rows, left: Rows, seed: int) -> Round:
    """Fit and calibrate a head on what is measured, and let it predict the rest."""
    known, model = pool.labelled.take(measured), MODELS[MODEL]
    fit = fit_of(model, model.grid(known.x.shape[1])[0], seed, TargetSpace(Transform.LOG))
    residuals = residuals_of(fit, known, FOLDS, seed)
    _, groups = np.unique(known.groups, return_inverse=True)
    projection = fit_projection(known.x, seed)
    projection = replace(projection, matrix=projection.matrix / distance_scale(projection.apply(known.x), groups))
    coordinates = projection.apply(known.x)
    interval = calibrate(coordinates, residuals, groups, known.y)
    text = known.groups
    reference = Reference(text, text, text, known.y, residuals.astype(np.float32), coordinates)
    x = pool.labelled.x[left]
    values, places = fit(known).predict(x), projection.apply(x)
    lower, upper = interval.ends(values, reference.nearest(places))
    spreads = spreads_of(values, lower, upper, np.full(len(left), np.nan), LEVEL)
    return Round(values, spreads, places, coordinates, GOAL.best(known.y))


def _cell(numbers: list[int]) -> str:
    if len(numbers) == 1:
        return f"{numbers[0]}"
    over = sum(number >= MOST for number in numbers)
    ends = f"{np.median(numbers):.0f} ({min(numbers)} to {max(numbers)})"
    return f"{ends}; {over} of {len(numbers)} not within {MOST}" if over else ends


if __name__ == "__main__":
    main()
