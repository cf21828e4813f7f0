"""Which encoder for what: errors of all encoders, their layers and recommended sets on the evaluation sets.

    python -m benchmarks.studies.encoders
    python -m benchmarks.studies.encoders --shipping [--candidate FOLDER …]

Kernel ridge regression on blocks of features, the same for all; targets are learned as logarithms where the evaluation
sets say so. Every learned encoder is compared with ``geometry`` and ``magpie``, which have learned nothing. What has
been measured is kept in the cache: run it again to resume.

``--shipping`` asks of each learned encoder whether it is worth its place in the package, by the rule of
``benchmarks/helpers/shipping_rule.py``.
"""

import argparse
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.helpers.common import DATA, fill_page, results_of, write_results
from benchmarks.helpers.default_layers import LayerRatio, best_layer, compare_layers
from benchmarks.helpers.encoder_cells import (
    COMPOSITION_LABELS,
    EQUAL,
    LABELS,
    PROCESS,
    Cell,
    Measurements,
    cells_of_layer,
    cells_of_set,
)
from benchmarks.helpers.encoder_plots import draw_curves
from benchmarks.helpers.encoder_tables import (
    Comparison,
    SummaryRow,
    as_document,
    comparison_table,
    difference_table,
    error_table,
    layer_table,
    properties_of,
    summary_table,
)
from benchmarks.helpers.evaluation_sets import CRYSTAL_SOURCES, SEEDS, Source, load_sources
from benchmarks.helpers.feature_blocks import FeatureBlocks
from benchmarks.helpers.feature_sets import (
    BASELINE,
    COMPOSITION_BASELINE,
    DEPTHS,
    ELEMNETS,
    LEARNED,
    STARTING_LAYERS,
    TENSORNET,
    FeatureSet,
    composition_sets,
    crystal_sets,
)
from benchmarks.helpers.folds import APART, CLUSTER, CURVE, PUBLISHED_APART, RANDOM, TIME
from benchmarks.helpers.paired_errors import PairedErrors
from benchmarks.helpers.shipping_study import judge_encoders
from matlake.encoders.registry import list_encoders

PAGE: Final = Path(__file__).with_suffix(".md")
TENSORNET_FOLDER: Final = "TensorNet-MatPES-PBE-v2025.1-PES"
CURVES: Final = ("bulk modulus", "refractive index", "last phonon peak", "piezoelectric modulus", "measured band gap",
                 "bulk modulus (compositions)")  # fmt: skip
ORDER: Final = (
    *((True, kind) for kind in (RANDOM, CLUSTER, TIME)),
    *((False, kind) for kind in (PUBLISHED_APART, CLUSTER, CURVE)),
    *((True, kind) for kind in (APART, CURVE)),
)
"""Of the measurements: whether of crystals, and the kind of folds."""
TARGETS: Final = {
    "bulk modulus": (6.8, 14.0),
    "shear modulus": (10.2, 15.5),
    "refractive index": (0.19, 0.42),
    "last phonon peak": (31.0, 85.0),
}
"""Property -> errors that were to be reached without TensorNet, on random and on cluster folds."""
TARGETS_WITH_TENSORNET: Final = {**TARGETS, "bulk modulus": (6.4, 14.0), "last phonon peak": (29.0, 85.0)}
TRAINED_ON: Final = ("formation energy",)
"""Property of the folds by time that learned encoders were trained on, with crystals of the test rows among them."""


@dataclass(frozen=True)
class Study:
    """What is compared.

    Attributes:
        crystals: Sources with folds at random and by clusters.
        by_time: The source with folds by time.
        compositions: Sources of compositions.
        crystal_sets: Sets of features for the first two.
        composition_sets: Sets of features for the third.
        layers: Encoder -> layers that might be its default one.
        measurements: What was measured.
        features: Cards of the encoders.
    """

    crystals: list[Source]
    by_time: list[Source]
    compositions: list[Source]
    crystal_sets: list[FeatureSet]
    composition_sets: list[FeatureSet]
    layers: dict[str, list[str]]
    measurements: Measurements
    features: FeatureBlocks

    def cells(self) -> list[tuple[Source, Cell]]:
        """Return all that is to be measured."""
        found: list[tuple[Source, Cell]] = []
        for sources, sets in (
            (self.crystals + self.by_time, self.crystal_sets),
            (self.compositions, self.composition_sets),
        ):
            names = set().union(*(one.encoders for one in sets))
            layers = [f"{name}@{layer}" for name, known in self.layers.items() if name in names for layer in known]
            found += [
                (source, cell)
                for feature in layers
                for source in sources
                if source.is_crystals == (feature.partition("@")[0] in LEARNED)
                for cell in cells_of_layer(source, feature)
            ]
            found += [
                (source, cell)
                for one in sets
                for source in sources
                for cell in cells_of_set(source, one)
                if cell.kind != CURVE or {each.name for each in source.properties} & set(CURVES)
            ]
        return list(dict.fromkeys(found))


def main() -> None:
    """Measure what has not been measured, fill the page and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=DATA.parent, help="folder that holds data and weights")
    parser.add_argument("--cache", type=Path, default=Path("encoders-study"), help="for vectors and measurements")
    parser.add_argument("--workers", type=int, default=2, help="processes, of one thread each")
    parser.add_argument(
        "--shipping", action="store_true", help="judge what ships, by what it adds to what learned nothing"
    )
    parser.add_argument(
        "--candidate",
        type=Path,
        action="append",
        default=[],
        help="with --shipping: folder of an encoder to judge beside those",
    )
    parser.add_argument(
        "--candidates-only",
        action="store_true",
        help="with --shipping: leave out what ships, which is in the record already",
    )
    arguments = parser.parse_args()
    if arguments.shipping:
        judge_encoders(
            arguments.shared, arguments.cache, arguments.candidate, PAGE, with_shipped=not arguments.candidates_only
        )
        return
    export_tensornet(arguments.shared, arguments.cache)
    study = open_study(arguments.shared, arguments.cache)
    measure(study, arguments.shared, arguments.cache, arguments.workers)
    report(study)


def export_tensornet(shared: Path, cache: Path) -> None:
    """Export TensorNet where its file is present, unless it has been done."""
    checkpoint, folder = shared / "weights" / TENSORNET_FOLDER, encoders_of(cache) / TENSORNET
    if checkpoint.is_dir() and not (folder / "card.json").exists():
        from matlake.export.packaging import ExportRequest, export_encoder

        export_encoder(ExportRequest("matgl", checkpoint, TENSORNET, folder))


def encoders_of(cache: Path) -> Path:
    """Return the folder of encoders that do not ship."""
    return cache / "encoders"


def open_study(shared: Path, cache: Path) -> Study:
    """Read the evaluation sets, and name what is compared: sets whose encoders are there."""
    features = FeatureBlocks(cache, encoders_of(cache))
    present = {one.card.name: one.card for one in list_encoders(encoders_of(cache))}
    sources = load_sources(shared)
    layers = {name: [layer.name for layer in card.hidden_layers] for name, card in present.items() if name in LEARNED}
    layers |= {name: [str(depth) for depth in DEPTHS] for name in ELEMNETS}
    return Study(
        [source for source in sources if source.name in CRYSTAL_SOURCES],
        [source for source in sources if source.is_crystals and source.name not in CRYSTAL_SOURCES],
        [source for source in sources if not source.is_crystals],
        [one for one in crystal_sets() if one.encoders <= present.keys()],
        [one for one in composition_sets() if one.encoders <= present.keys()],
        layers,
        Measurements(cache, features),
        features,
    )


def measure(study: Study, shared: Path, cache: Path, workers: int) -> None:
    """Embed and measure in processes of their own: first what most tables show."""
    missing = [(source, cell) for source, cell in study.cells() if study.measurements.missing(source, [cell])]
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
        for crystals, kind in ORDER:
            work = [pair for pair in missing if pair[1].kind == kind and pair[0].is_crystals == crystals]
            encoders = {(source.name, name.partition("@")[0]) for source, cell in work for name in cell.features}
            by_set: dict[tuple[str, tuple[str, ...], str], list[Cell]] = {}
            for source, cell in work:
                by_set.setdefault((source.name, cell.features, cell.method), []).append(cell)
            _wait([pool.submit(_embed, shared, cache, *pair) for pair in sorted(encoders)], "embedded")
            _wait([pool.submit(_measure, shared, cache, cells) for cells in by_set.values()], f"{kind}:")


def _wait(work: Sequence[Any], done: str) -> None:
    started = time.perf_counter()
    for number, one in enumerate(as_completed(work), start=1):
        print(f"{done} {number}/{len(work)} after {time.perf_counter() - started:.0f} s: {one.result()}", flush=True)


def _one_thread() -> None:
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


@lru_cache
def _source(shared: Path, name: str) -> Source:
    return load_sources(shared, [name])[0]


@lru_cache
def _opened(cache: Path) -> Measurements:
    return Measurements(cache, FeatureBlocks(cache, encoders_of(cache)))


def _embed(shared: Path, cache: Path, source: str, encoder: str) -> str:
    FeatureBlocks(cache, encoders_of(cache)).blocks(_source(shared, source), [encoder])
    return f"{source} with {encoder}"


def _measure(shared: Path, cache: Path, cells: Sequence[Cell]) -> str:
    started = time.process_time()
    _opened(cache).measure(_source(shared, cells[0].source), cells)
    return f"{cells[0].source}, {' + '.join(cells[0].features)}, {time.process_time() - started:.1f} s"


def report(study: Study) -> None:
    """Fill the page, draw the curves, and write the figures."""
    errors = {kind: PairedErrors(study.measurements, study.crystals, kind) for kind in (RANDOM, APART, CLUSTER)}
    random, apart, cluster = errors.values()
    by_time = PairedErrors(study.measurements, study.by_time, TIME)
    of_compositions = {
        kind: PairedErrors(study.measurements, study.compositions, kind, COMPOSITION_LABELS)
        for kind in (PUBLISHED_APART, CLUSTER)
    }
    shown = {"random": random, "formulas apart": apart, "clusters": cluster, "time (band gap)": by_time}
    shown_compositions = {"published rows": of_compositions[PUBLISHED_APART], "clusters": of_compositions[CLUSTER]}
    layers = dict(_layers(study))
    sets, properties = study.crystal_sets, properties_of(study.crystals)
    adding = [one for one in sets if one.adds]
    curves = _curves(study)
    picture = draw_curves(results_of(Path(__file__)).with_suffix(".svg"), curves)
    base = " + ".join(BASELINE)
    sections = {
        "Summary": summary_table(
            list(_summary(sets)), [random, cluster], [one for one in properties if one.name in TARGETS]
        ),
        f"Which learned encoder beats {base}": comparison_table(list(_comparisons(study, shown)), list(shown)),
        "Which encoder of compositions beats magpie": comparison_table(
            list(_composition_comparisons(study, shown_compositions)), list(shown_compositions)
        ),
        "Layers": layer_table(layers),
        "Learning curves": f"![Error by number of labels](results/{picture})",
        "Crystals: mean absolute errors, random folds \\| clusters": error_table(sets, [random, cluster], properties),
        "Crystals: mean absolute errors, by time": error_table(sets, [by_time], properties_of(study.by_time)),
        **{
            f"Crystals: errors less those of {base}, {name}": difference_table(
                adding, BASELINE, shown[name], properties
            )
            for name in ("formulas apart", "clusters")
        },
        "Compositions: mean absolute errors, published rows \\| clusters": error_table(
            study.composition_sets, list(shown_compositions.values()), properties_of(study.compositions)
        ),
    }
    measured = {title: text for title, text in sections.items() if text.count("\n") != 1}
    fill_page(PAGE, [part for title, text in measured.items() for part in (f"## {title}", text)])
    cells = study.cells()
    seconds = study.measurements.seconds(cells)
    write_results(
        results_of(Path(__file__)),
        {
            "mae": {kind: as_document(found, sets) for kind, found in (*errors.items(), (TIME, by_time))},
            "mae_of_compositions": {
                kind: as_document(found, study.composition_sets) for kind, found in of_compositions.items()
            },
            "rows": {source.name: len(source) for source in (*study.crystals, *study.by_time, *study.compositions)},
            "layers": {name: {one.layer: _numbers(one) for one in found} for name, (found, _, _) in layers.items()},
            "best_layers": {name: best for name, (_, _, best) in layers.items()},
            "curves": {name: found for (name, _), found in curves.items()},
            "measurements": {
                "all": len(cells),
                "measured": sum(not study.measurements.missing(source, [cell]) for source, cell in cells),
                "timed": len(seconds),
                "processor_s_of_timed": sum(seconds),
            },
        },
        indent=None,
    )


def _summary(sets: Sequence[FeatureSet]) -> Iterable[SummaryRow]:
    """Yield the sets that are recommended, and before them what 0.1.0 recommended."""
    yield SummaryRow(f"{sets[0].label} (0.1.0)", sets[0].features, EQUAL, {})
    for one in sets:
        if one.process:
            targets = TARGETS_WITH_TENSORNET if TENSORNET in one.encoders else TARGETS
            yield SummaryRow(one.label, one.features, PROCESS, targets)


def _numbers(one: LayerRatio) -> dict[str, list[float]]:
    names = ("random", "cluster", "both")
    return {
        name: [found.value, found.lower, found.upper]
        for name, found in zip(names, (*one.ratios, one.both), strict=True)
    }


def _comparisons(study: Study, kinds: dict[str, PairedErrors]) -> Iterable[Comparison]:
    """Yield for each learned encoder itself, and what it adds to the baseline."""
    for one in study.crystal_sets:
        if len(one.encoders & set(LEARNED)) == 1 and any(feature.endswith("@all") for feature in one.features):
            yield _comparison(one, kinds, EQUAL, BASELINE)
    for one in study.crystal_sets:
        if one.process and one.adds:
            yield _comparison(one, kinds, PROCESS, BASELINE)


def _composition_comparisons(study: Study, kinds: dict[str, PairedErrors]) -> Iterable[Comparison]:
    """Yield the same of compositions."""
    for one in study.composition_sets:
        if one.features != COMPOSITION_BASELINE:
            yield _comparison(one, kinds, EQUAL, COMPOSITION_BASELINE)


def _comparison(one: FeatureSet, kinds: dict[str, PairedErrors], method: str, base: tuple[str, ...]) -> Comparison:
    """Compare a set with the baseline, both by one method; folds by time decide nothing, as encoders have met these."""
    ratios = {
        kind: errors.ratio(one.features, base, method, TRAINED_ON, method)
        for kind, errors in kinds.items()
        if errors.measured(one.features, method) and errors.measured(base, method)
    }
    label = one.label if method == EQUAL else f"{one.label}, {method}"
    return Comparison(label, ratios, {kind: ratio for kind, ratio in ratios.items() if not kind.startswith(TIME)})


def _layers(study: Study) -> Iterable[tuple[str, tuple[list[LayerRatio], str, str]]]:
    """Yield each encoder with its layers compared, its default layer, and the layer that the rule chooses."""
    crystals = [PairedErrors(study.measurements, study.crystals, kind) for kind in (RANDOM, CLUSTER)]
    compositions = [
        PairedErrors(study.measurements, study.compositions, kind, COMPOSITION_LABELS)
        for kind in (PUBLISHED_APART, CLUSTER)
    ]
    for name, layers in study.layers.items():
        kinds, start = crystals if name in LEARNED else compositions, STARTING_LAYERS[name]
        there = [layer for layer in layers if all(errors.measured((f"{name}@{layer}",)) for errors in kinds)]
        if start in there and len(there) > 1:
            compared = compare_layers(name, there, start, kinds)
            yield name, (compared, start, best_layer(compared, start))


def _curves(study: Study) -> dict[tuple[str, str], dict[str, list[tuple[int, float, float]]]]:
    """Return by property and label of the set: labels, mean error over seeds, and its deviation."""
    found: dict[tuple[str, str], dict[str, list[tuple[int, float, float]]]] = {}
    for sources, sets in ((study.crystals, study.crystal_sets), (study.compositions, study.composition_sets)):
        for source in sources:
            for place, one in enumerate(source.properties):
                if one.name in CURVES:
                    lines = {each.label: _curve(study, source, place, each) for each in sets if each.curve}
                    if all(lines.values()):
                        found[one.name, one.unit] = lines
    return found


def _curve(study: Study, source: Source, place: int, features: FeatureSet) -> list[tuple[int, float, float]]:
    points = []
    for labels in LABELS:
        cells = [Cell(source.name, features.features, EQUAL, CURVE, seed, labels) for seed in SEEDS]
        if not study.measurements.missing(source, cells):
            maes = [float(np.nanmean(study.measurements.errors(source, cell)[:, place])) for cell in cells]
            points.append((labels, float(np.mean(maes)), float(np.std(maes))))
    return points


if __name__ == "__main__":
    main()
