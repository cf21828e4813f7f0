"""What training on several targets, some of them labelled by a potential, makes of the same network as features.

    python -m benchmarks.studies.several_targets

The folds, regressors and properties of ``encoders.py`` (random folds and clusters of compositions left out).
Sets whose encoders are not there are left out.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from benchmarks.helpers.common import DATA, fill_page, results_of, write_results
from benchmarks.helpers.default_layers import best_layer, compare_layers
from benchmarks.helpers.encoder_cells import EQUAL, PROCESS, Cell, Measurements, cells_of_layer
from benchmarks.helpers.encoder_tables import (
    Comparison,
    as_document,
    comparison_table,
    error_table,
    layer_table,
    properties_of,
)
from benchmarks.helpers.evaluation_sets import Source, load_sources
from benchmarks.helpers.feature_blocks import FeatureBlocks
from benchmarks.helpers.feature_sets import BASELINE, CHGNET, FeatureSet
from benchmarks.helpers.folds import CLUSTER, RANDOM
from benchmarks.helpers.paired_errors import PairedErrors
from matlake.encoders.registry import list_encoders

PAGE: Final = Path(__file__).with_suffix(".md")
SOURCES: Final = ("mp_elastic_tensor", "matbench_phonons", "mp_dielectric_constant", "mp_piezoelectric_tensor")
SHOWN: Final = {"random": RANDOM, "clusters": CLUSTER}
"""Kinds of folds, as the page calls them."""
ARCHITECTURES: Final = ("cgcnn", "dimenet++", "schnet")
TRAINED_ON: Final = ("band gap",)
"""Property of these sets that the encoders were trained on."""


def main() -> None:
    """Embed, measure what has not been measured, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=DATA.parent, help="folder of the development data")
    parser.add_argument("--cache", type=Path, default=Path("encoders-study"), help="for vectors and measurements")
    parser.add_argument("--encoders", type=Path, help="folder of further encoders")
    parser.add_argument("--workers", type=int, default=2, help="processes, of one thread each")
    arguments = parser.parse_args()
    features = FeatureBlocks(arguments.cache, arguments.encoders or arguments.cache / "encoders")
    present = {one.card.name: one.card for one in list_encoders(arguments.encoders or arguments.cache / "encoders")}
    sets = [one for one in _sets() if one.encoders <= present.keys()]
    layers = {
        name: [layer.name for layer in present[name].hidden_layers]
        for name in (f"{one}-mp-multitask" for one in ARCHITECTURES)
        if name in present
    }
    sources = load_sources(arguments.shared, SOURCES)
    measurements = Measurements(arguments.cache, features)
    for source in sources:
        for name in sorted(set().union(*(one.encoders for one in sets))):
            features.blocks(source, [f"{name}@all"] if name not in BASELINE else [name])
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes
    with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
        work = [
            pool.submit(measurements.measure, source, measurements.missing(source, cells))
            for source in sources
            for cells in _cells(source, sets, layers)
        ]
        for done, one in enumerate(as_completed(work), start=1):
            one.result()
            print(f"{done} of {len(work)}", flush=True)
    _report(measurements, sources, sets, layers, {name: present[name].default_layer for name in layers})


def _sets() -> Iterator[FeatureSet]:
    base = " + ".join(BASELINE)
    yield FeatureSet(base, BASELINE, process=True)
    for name in ARCHITECTURES:
        for trained_on in ("formation-energy", "multitask"):
            yield FeatureSet(f"{name}-mp-{trained_on}@all", (f"{name}-mp-{trained_on}@all",))
    for name in (*(f"{one}-mp-{kind}" for one in ARCHITECTURES for kind in ("formation-energy", "multitask")), CHGNET):
        process = name.endswith("multitask") or name == CHGNET
        yield FeatureSet(f"{base} + {name}@all", (*BASELINE, f"{name}@all"), adds=True, process=process)
    for name in ARCHITECTURES:
        both = (f"{CHGNET}@all", f"{name}-mp-multitask@all")
        yield FeatureSet(" + ".join((base, *both)), (*BASELINE, *both), adds=True, process=True)


def _methods(one: FeatureSet) -> tuple[str, ...]:
    return (EQUAL, PROCESS) if one.process else (EQUAL,)


def _cells(source: Source, sets: Sequence[FeatureSet], layers: dict[str, list[str]]) -> Iterator[list[Cell]]:
    for one in sets:
        yield [Cell(source.name, one.features, method, kind) for method in _methods(one) for kind in SHOWN.values()]
    for name, known in layers.items():
        yield [cell for layer in known for cell in cells_of_layer(source, f"{name}@{layer}")]


def _report(
    measurements: Measurements,
    sources: list[Source],
    sets: list[FeatureSet],
    layers: dict[str, list[str]],
    defaults: dict[str, str],
) -> None:
    errors = {name: PairedErrors(measurements, sources, kind) for name, kind in SHOWN.items()}
    compared = {}
    for name, known in layers.items():
        found = compare_layers(name, known, defaults[name], list(errors.values()))
        compared[name] = (found, defaults[name], best_layer(found, defaults[name]))
    comparisons = []
    for one in sets:
        for method in _methods(one) if one.features != BASELINE else ():
            ratios = {
                name: found.ratio(one.features, BASELINE, method, TRAINED_ON, method) for name, found in errors.items()
            }
            label = one.label if method == EQUAL else f"{one.label}, {method}"
            comparisons.append(Comparison(label, ratios, ratios))
    fill_page(
        PAGE,
        [
            "## Mean absolute errors, random folds \\| clusters",
            error_table(sets, list(errors.values()), properties_of(sources)),
            f"## Ratios to {' + '.join(BASELINE)}",
            comparison_table(comparisons, list(SHOWN)),
            "## Layers",
            layer_table(compared),
        ],
    )
    write_results(
        results_of(Path(__file__)),
        {
            "mae": {kind: as_document(found, sets) for kind, found in errors.items()},
            "best_layers": {name: best for name, (_, _, best) in compared.items()},
        },
    )


if __name__ == "__main__":
    main()
