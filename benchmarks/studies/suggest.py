"""How many measurements it takes to find the best materials, by what ``matlake suggest`` suggests, and by chance.

    python -m benchmarks.studies.suggest

Three properties of the evaluation sets whose highest values are wanted. All materials but thirty are taken to be
unmeasured; none of the thirty is among the highest 1 %. In each round a head (``svr`` on ``geometry`` and ``magpie``,
logarithms) is fitted to what is measured, calibrated as ``train`` does, and a batch of twenty is chosen by the
functions that ``suggest`` uses. Counted are the measurements until the first, half and all of the highest 1 % are
found. At random, the mean number until k of K are found among n is k (n + 1) / (K + 1).
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.helpers.common import DATA, report
from benchmarks.helpers.evaluation_sets import Source, load_sources
from benchmarks.helpers.feature_blocks import FeatureBlocks
from matlake.materials.compositions import CompositionColumns
from matlake.materials.periodic_table import SYMBOLS
from matlake.regress.features.matrix import Matrix
from matlake.regress.regressors import MODELS, fit_of
from matlake.regress.suggesting.acquisition import Float, Goal, spreads_of
from matlake.regress.suggesting.batch import best_values, farthest, largest_errors
from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.targets.transforms import Transform
from matlake.regress.uncertainty.conformal import CalibrationRows, calibrate
from matlake.regress.uncertainty.estimates import estimate
from matlake.regress.uncertainty.fit_reference import choose_reference, make_reference
from matlake.regress.uncertainty.opinions import Block, fit_opinions
from matlake.regress.uncertainty.out_of_fold import predict_out_of_fold
from matlake.regress.uncertainty.signals import rarest_elements

PROPERTIES: Final = {
    "mp_elastic_tensor": "bulk modulus",
    "mp_dielectric_constant": "refractive index",
    "matbench_phonons": "last phonon peak",
}
FEATURES: Final = ("geometry", "magpie")
MODEL: Final = "svr"
SEEDS: Final = (0, 1, 2)
FIRST: Final = 30
"""Measured before the first round."""
BATCH: Final = 20
MOST: Final = 240
"""Measurements after which a simulation ends; what was not found counts as found then."""
TOP: Final = 0.01

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Pool:
    """Materials of one property.

    Attributes:
        matrix: All n of them; a simulation looks at the values of those that are measured.
        top: bool [n], the highest 1 %.
        blocks: Columns of each encoder.
    """

    matrix: Matrix
    top: NDArray[np.bool_]
    blocks: tuple[Block, ...]


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
                    "materials": len(pool.matrix.y),
                    "wanted": int(pool.top.sum()),
                    "strategy": strategy,
                    "measurements": found,
                    "processor_s": time.process_time() - started,
                }
            )
            cells = [_cell(found[share]) for share in SHARES]
            rows.append([f"{PROPERTIES[source.name]}, {pool.top.sum()} of {len(pool.matrix.y):,}", strategy, *cells])
            print(*rows[-1], flush=True)
    report(Path(__file__), {"simulations": figures}, ["property", "strategy", *SHARES], rows)


def pool_of(source: Source, features: FeatureBlocks) -> Pool:
    """Return the materials of a source that have features and a positive value."""
    place = [one.name for one in source.properties].index(PROPERTIES[source.name])
    parts = features.blocks(source, FEATURES)
    x, y = np.concatenate(parts, axis=1), source.values[:, place]
    ends = np.cumsum([part.shape[1] for part in parts]).tolist()
    blocks = tuple(Block((slice(end - part.shape[1], end),)) for part, end in zip(parts, ends, strict=True))
    usable = np.flatnonzero(np.isfinite(y) & (y > 0) & ~np.isnan(x).any(axis=1))
    names = np.array([str(row) for row in range(len(y))])
    formulas = source.formulas
    matrix = Matrix(
        x=x,
        y=y,
        fractions=CompositionColumns.of(source.compositions).matrix(SYMBOLS),
        dataset=np.full(len(y), source.name),
        material_id=names,
        formula=formulas,
        groups=formulas,
        missing=(),
        sql="",
    ).take(usable)
    count = round(TOP * len(usable))
    return Pool(matrix, np.argsort(np.argsort(-matrix.y, kind="stable")) < count, blocks)


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
    n, wanted = len(pool.matrix.y) - FIRST, int(pool.top.sum())
    return {share: [round(number * (n + 1) / (wanted + 1))] for share, number in _needed(pool).items()}


def _hits(pool: Pool, strategy: str, seed: int) -> list[int]:
    """Simulate once; return after how many measurements each of the wanted materials was found."""
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(~pool.top))[:FIRST]
    measured = np.zeros(len(pool.matrix.y), dtype=bool)
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
    """Fit and calibrate a head on what is measured, and let it predict the rest, as ``train`` and ``predict`` do."""
    matrix, model, space = pool.matrix, MODELS[MODEL], TargetSpace(Transform.LOG)
    known, fractions = matrix.labelled(measured), matrix.fractions[measured]
    fit = fit_of(model, model.grid(known.x.shape[1])[0], seed, space)
    out_of_fold = predict_out_of_fold(fit, known, fractions, seed)
    chosen = choose_reference(matrix, measured, seed)
    reference = make_reference(matrix, chosen, out_of_fold.predicted, space)
    labels, folds = space.to_fit(known.y), (out_of_fold.fold, out_of_fold.cluster_fold)
    opinions = fit_opinions(chosen.projection, known.x, labels, pool.blocks, folds, seed)
    calibrated = calibrate(
        CalibrationRows(chosen.coordinates, chosen.groups, fractions, labels, out_of_fold, opinions), space, seed
    )
    values, places = fit(known).predict(matrix.x[left]), chosen.projection.apply(matrix.x[left])
    rarest = rarest_elements(matrix.fractions[left], np.count_nonzero(fractions, axis=0))
    around = reference.nearest(places)
    z = chosen.projection.scaler.transform(matrix.x[left])
    others = np.stack([opinion.predict(z) for opinion in opinions.fitted], axis=1)
    found = estimate(values, others, around, reference, rarest, calibrated.interval, calibrated.errors, space, "")
    spreads = spreads_of(values, found.lower, found.upper, found.expected_errors, calibrated.interval.level)
    return Round(values, spreads, places, chosen.coordinates, GOAL.best(known.y))


def _cell(numbers: list[int]) -> str:
    if len(numbers) == 1:
        return f"{numbers[0]}"
    over = sum(number >= MOST for number in numbers)
    ends = f"{np.median(numbers):.0f} ({min(numbers)} to {max(numbers)})"
    return f"{ends}; {over} of {len(numbers)} not within {MOST}" if over else ends


if __name__ == "__main__":
    main()
