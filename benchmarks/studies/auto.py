"""``--model auto`` beside every single model that it chooses from, on the evaluation sets, and what more fits gain.

    python -m benchmarks.studies.auto

Crystals have ``geometry``, ``magpie`` and all layers of ``chgnet-mptrj``; compositions ``magpie`` and the predictions
of the four ElemNets. Of every kind of folds the first is taken, with drawn training rows. A single model has its
default parameters, as ``train`` starts from; so has ``extra-trees``, which ``auto`` does not try. The results also have
test errors of the best single candidate, of the mean of candidates even where it is not worth its cost, and of the mean
with other weights, those of non-negative least squares; the held-out error with a quarter, half and all of the draws,
from which the share comes that a search expects of further fits; and, with ``--again``, what as many fits again gained
beside what the search had expected.
"""

import argparse
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.helpers.common import DATA, results_of, table, write_results
from benchmarks.helpers.evaluation_sets import CRYSTAL_SOURCES, SOURCES, Source, load_sources
from benchmarks.helpers.feature_blocks import FeatureBlocks
from benchmarks.helpers.folds import CLUSTER, PUBLISHED_APART, RANDOM, TIME, Fold, fewer, folds_of
from matlake.regress.heads.card import Budget
from matlake.regress.heads.model_search import CrossValidation, cross_validate
from matlake.regress.regressors import AUTO, MODELS, Fit, LabelledRows, auto_models, fit_of
from matlake.regress.regressors.catalogue import ENSEMBLE
from matlake.regress.regressors.ensemble import ensemble_model, ensemble_parameters
from matlake.regress.targets.target_space import PLAIN, TargetSpace
from matlake.regress.targets.transforms import Transform

CRYSTALS: Final = ("geometry", "magpie", "chgnet-mptrj@all")
COMPOSITIONS: Final = (
    "magpie",
    *(f"elemnet-oqmd-{name}@prediction" for name in ("formation-energy", "total-energy", "volume", "band-gap")),
)
BESIDE: Final = ("extra-trees",)
"""Models beside those of ``auto``."""

SINGLE, MEAN, STACKED = "best single candidate", "mean of candidates", "non-negative least squares"
DRAWS: Final = 20
"""Random parts of the draws over which a held-out error is averaged."""
LEAST_SHARE: Final = 0.02
"""Weights of stacked candidates below it are dropped."""


def main() -> None:
    """Measure, print the errors, and write the results after every set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("auto-cache"), help="folder that vectors are kept in")
    parser.add_argument("--rows", type=int, default=800, help="training rows drawn")
    parser.add_argument("--fits", type=int, default=45, help="fits of a search")
    parser.add_argument("--sources", nargs="*", default=list(SOURCES), help="tables to measure")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0], help="of drawn rows and of searches")
    parser.add_argument("--again", action="store_true", help="also search with twice as many fits")
    asked = parser.parse_args()
    features = FeatureBlocks(asked.cache)
    found: list[dict[str, Any]] = []
    for name in asked.sources:
        (source,) = load_sources(DATA.parent, [name])
        blocks = features.blocks(source, CRYSTALS if source.is_crystals else COMPOSITIONS)
        for place, kind, seed in [
            (place, kind, seed)
            for seed in asked.seeds
            for place in range(len(source.properties))
            for kind in kinds_of(source)
        ]:
            row = measure(source, place, blocks, kind, seed, asked)
            found.append(row)
            print(row["property"], kind, row["mae"], f"{row['processor_s']:.0f} s", flush=True)
            figures = {"rows": asked.rows, "fits": asked.fits, "ranks": ranks(found), "sets": found}
            write_results(results_of(Path(__file__)), figures)
    print(table(["model", "mean rank", "error, auto = 1"], [[name, *cells] for name, cells in ranks(found).items()]))


def kinds_of(source: Source) -> tuple[str, ...]:
    """Return the kinds of folds of a source."""
    if source.name in CRYSTAL_SOURCES:
        return RANDOM, CLUSTER
    return (TIME,) if source.is_crystals else (PUBLISHED_APART, CLUSTER)


def measure(
    source: Source, place: int, blocks: list[NDArray[np.float32]], kind: str, seed: int, asked: argparse.Namespace
) -> dict[str, Any]:
    """Return the test errors of ``auto`` and of single models on one fold, in the property's unit."""
    x, known, one = np.concatenate(blocks, axis=1), source.values[:, place], source.properties[place]
    usable = np.isfinite(known) & ~np.isnan(x).any(axis=1) & ((known > 0) | (not one.log))
    fold = folds_of(source, kind, seed)[0]
    fold = fewer(Fold(fold.train[usable[fold.train]], fold.test[usable[fold.test]]), asked.rows, seed)
    labelled = LabelledRows(x[fold.train], known[fold.train], source.formulas[fold.train])
    space = TargetSpace(Transform.LOG) if one.log else PLAIN
    lengths = tuple(block.shape[1] for block in blocks)

    def searched(budget: int) -> CrossValidation:
        return cross_validate(
            AUTO, labelled, seed, budget=Budget(budget), space=space, blocks=lengths, learns_blocks=True
        )

    def error(fit: Fit) -> float:
        return float(np.abs(fit(labelled).predict(x[fold.test]) - known[fold.test]).mean())

    started = time.process_time()
    search = searched(asked.fits)
    seconds = time.process_time() - started
    ranked = search.ranked()
    best, single = ranked[0], next(each for each in ranked if each.model != ENSEMBLE)
    mean, stacked = greedy(search), stack(search)
    mae = {AUTO: error(fit_of(_model(best.model, best.parameters), best.parameters, seed, space))}
    mae[SINGLE] = error(fit_of(MODELS[single.model], single.parameters, seed, space))
    mae[MEAN] = mae[AUTO] if best.model == ENSEMBLE else error(fit_of(ensemble_model(mean), mean, seed, space))
    mae[STACKED] = error(fit_of(ensemble_model(stacked), stacked, seed, space))
    for model in (*auto_models(len(labelled), learns_blocks=True), *(MODELS[name] for name in BESIDE)):
        mae[model.name] = error(fit_of(model, model.grid_of(lengths)[0], seed, space))
    twice = searched(2 * asked.fits).ranked()[0].mae if asked.again else None
    return {
        "property": one.name,
        "folds": kind,
        "seed": seed,
        "mae": mae,
        "chosen": best.model,
        "validation_mae": best.mae,
        "validation_mae_with_as_many_again": twice,
        "expected_gain": search.expected_gain(),
        "validation_mae_by_draws": by_draws(search),
        "processor_s": seconds,
    }


def greedy(search: CrossValidation) -> dict[str, Any]:
    """Return the ensemble that ``auto`` considers, whether it takes it or not."""
    runs = search.complete()
    weights, _ = search.best_mean(runs)
    return ensemble_parameters(
        [(runs[i].model.name, runs[i].parameters, float(weights[i])) for i in np.flatnonzero(weights)]
    )


def by_draws(search: CrossValidation) -> list[float]:
    """Return the error of the best mean on held-out rows, with random quarters, random halves and all of the draws."""
    runs, drawn = search.complete(), search.drawn
    predicted, measured = search.held_out(runs)
    place = {id(run): number for number, run in enumerate(runs)}
    rng, errors = np.random.default_rng(0), []
    for parts in (4, 2, 1):
        of_part = []
        for _ in range(DRAWS):
            picked = {id(drawn[i]) for i in rng.permutation(len(drawn))[: len(drawn) // parts]}
            known = [run for run in runs if not run.drawn or id(run) in picked]
            weights, _ = search.best_mean(known)
            mean = weights @ predicted[[place[id(run)] for run in known]]
            of_part.append(search.space.loss(measured, mean))
        errors.append(float(np.mean(of_part)))
    return errors


def stack(search: CrossValidation) -> dict[str, Any]:
    """Return the ensemble whose weights are those of non-negative least squares on held-out predictions."""
    from scipy.optimize import nnls

    runs = search.complete()
    predicted, measured = search.held_out(runs)
    weights, _ = nnls(predicted.T, measured)
    weights /= weights.sum()
    kept = np.flatnonzero(weights > LEAST_SHARE)
    share = weights[kept] / weights[kept].sum()
    return ensemble_parameters(
        [(runs[i].model.name, runs[i].parameters, float(weight)) for i, weight in zip(kept, share, strict=True)]
    )


def _model(name: str, parameters: dict[str, Any]) -> Any:
    return ensemble_model(parameters) if name == ENSEMBLE else MODELS[name]


def ranks(found: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return for each model its mean rank, and the geometric mean of its error beside that of ``auto``."""
    names = [name for name in found[0]["mae"] if name not in (SINGLE, MEAN, STACKED)]
    errors = np.array([[row["mae"][name] for name in names] for row in found])
    places = 1 + (errors[:, :, None] > errors[:, None, :]).sum(axis=2)
    ratios = np.exp(np.log(errors / errors[:, :1]).mean(axis=0))
    order = np.argsort(places.mean(axis=0))
    return {names[i]: [f"{places[:, i].mean():.2f}", f"{ratios[i]:.3f}"] for i in order}


if __name__ == "__main__":
    main()
