"""Where in DimeNet++ the features are: in front of its output blocks or behind them, and how they are pooled.

    python -m benchmarks.studies.dimenet_layers

Kernel ridge on the random folds of four evaluation sets; single layers on clusters, too, to choose the default.
The network is that of the shipped encoder, its taps those of the reference network; nothing is trained but the ridge.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.helpers import block_kernel_ridge
from benchmarks.helpers.common import DATA, fill_page, results_of, table, write_results
from benchmarks.helpers.evaluation_sets import Source, load_sources
from benchmarks.helpers.feature_blocks import FeatureBlocks
from benchmarks.helpers.folds import CLUSTER, RANDOM, folds_of
from benchmarks.helpers.unshipped import ENCODERS
from matlake.encoders.encoder import open_crystal_encoder
from matlake.encoders.registry import find_encoder
from matlake.networks.architectures import ARCHITECTURES
from matlake.networks.dimenet import mean_received
from matlake.networks.reading import read_network
from matlake.networks.statistics import normalised

ENCODER: Final = "dimenet++-mp-formation-energy"
OTHERS: Final = ("schnet-mp-formation-energy@all", "cgcnn-mp-formation-energy@all", "chgnet-mptrj@all")
SOURCES: Final = ("mp_elastic_tensor", "matbench_phonons", "mp_dielectric_constant")
PROPERTIES: Final = ("bulk modulus", "shear modulus", "last phonon peak", "band gap")
PAGE: Final = Path(__file__).with_suffix(".md")
A_BATCH: Final = 32
TAPS: Final = {
    "features": "behind the output blocks (the layers of version 1)",
    "dense2": "before the last dense layer",
    "dense1": "before the last two dense layers",
    "up": "before all dense layers, behind `lin_up`",
    "sums": "sums of messages, weighted by distance",
    "messages": "means of messages",
}
POOLS: Final = {"mean": "mean", "normalised": "mean, atoms normalised", "std": "standard deviation"}
SINGLES: Final = (("sums", "normalised"), ("messages", "mean"), ("features", "mean"))
TOGETHER: Final = (("sums", "mean"), ("messages", "mean")), (("sums", "normalised"), ("messages", "mean"))

Blocks = list[NDArray[np.float32]]


def main() -> None:
    """Embed, fit, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=DATA.parent, help="folder of the development data")
    shared = parser.parse_args().shared
    sources = load_sources(shared, SOURCES)
    taps = {source.name: _taps(source) for source in sources}
    keys = list(next(iter(taps.values())))
    blocks = range(len(next(iter(taps.values()))[keys[0]]))
    of_taps = {key: _errors(sources, {name: found[key] for name, found in taps.items()}, RANDOM) for key in keys}
    together = {
        both: _errors(sources, {name: [b for key in both for b in found[key]] for name, found in taps.items()}, RANDOM)
        for both in TOGETHER
    }
    singles = {
        (tap, pool, n): {
            kind: _errors(sources, {name: [found[tap, pool][n]] for name, found in taps.items()}, kind)
            for kind in (RANDOM, CLUSTER)
        }
        for tap, pool in SINGLES
        for n in blocks
    }
    with tempfile.TemporaryDirectory() as cache:
        features = FeatureBlocks(Path(cache), ENCODERS)
        others = {
            name: _errors(sources, {source.name: features.blocks(source, [name]) for source in sources}, RANDOM)
            for name in OTHERS
        }
    document = {
        "mae": {f"{tap}, {pool}": errors for (tap, pool), errors in of_taps.items()},
        "mae_together": {" + ".join(", ".join(key) for key in both): errors for both, errors in together.items()},
        "mae_of_others": others,
        "mae_of_single_layers": {f"{tap}_{n}, {pool}": errors for (tap, pool, n), errors in singles.items()},
    }
    write_results(results_of(Path(__file__)), document)
    fill_page(PAGE, _parts(of_taps, together, others, singles))
    print("\n\n".join(_parts(of_taps, together, others, singles)))


def _taps(source: Source) -> dict[tuple[str, str], Blocks]:
    """Return the vectors of a source by tap and pooling, one for each block of the network."""
    entry = find_encoder(ENCODER)
    encoder, network = open_crystal_encoder(entry.folder), read_network(entry.folder)
    columns = encoder.columns(source.materials)
    accepted = np.flatnonzero([reason is None for reason in encoder.rejections(columns)])
    parts: dict[tuple[str, str], list[list[NDArray[np.float32]]]] = {}
    with torch.no_grad():
        for start in range(0, len(accepted), A_BATCH):
            graphs = encoder.recipe.build(columns.take(accepted[start : start + A_BATCH]))
            batch = ARCHITECTURES["dimenet++"].batch(graphs)
            for tap, atoms in _atoms(network, batch):
                for pool, vectors in _pooled(batch, atoms):
                    parts.setdefault((tap, pool), []).append(vectors)
    return {
        key: [_whole(source, accepted, block) for block in zip(*found, strict=True)] for key, found in parts.items()
    }


def _atoms(network: Any, batch: Any) -> Iterator[tuple[str, list[torch.Tensor]]]:
    """Yield each tap, with the vectors of atoms [atoms, width] after each block."""
    taps = network.taps(batch)
    found: dict[str, list[torch.Tensor]] = {name: [] for name in TAPS}
    for tap, block in zip(taps, network.output_blocks, strict=True):
        found["sums"].append(tap.sums)
        found["messages"].append(mean_received(tap.received, batch))
        x = block.lin_up(tap.sums)
        found["up"].append(x)
        for name, layer in zip(("dense1", "dense2", "features"), block.lins, strict=True):
            x = torch.nn.functional.silu(layer(x))
            found[name].append(x)
    yield from found.items()


def _pooled(batch: Any, blocks: list[torch.Tensor]) -> Iterator[tuple[str, list[NDArray[np.float32]]]]:
    """Yield each pooling, with the vectors of crystals after each block."""
    means = [batch.pool(atoms) for atoms in blocks]
    squares = [(atoms - mean.index_select(0, batch.crystal)) ** 2 for atoms, mean in zip(blocks, means, strict=True)]
    yield "mean", [mean.numpy() for mean in means]
    yield "normalised", [batch.pool(normalised(atoms)).numpy() for atoms in blocks]
    yield "std", [batch.pool(square).sqrt().numpy() for square in squares]


def _whole(source: Source, accepted: NDArray[np.intp], parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return vectors of all materials, NaN for those that the encoder does not take."""
    found = np.concatenate(parts)
    vectors = np.full((len(source), found.shape[1]), np.nan, np.float32)
    vectors[accepted] = found
    return vectors


def _errors(sources: Sequence[Source], blocks: dict[str, Blocks], kind: str) -> dict[str, float]:
    """Return mean absolute errors by property, in its unit."""
    errors: dict[str, float] = {}
    for source in sources:
        predicted = np.full(source.values.shape, np.nan)
        for fold in folds_of(source, kind, 0):
            predicted[fold.test], _ = block_kernel_ridge.fit_predict(
                blocks[source.name], source.targets, fold.train, fold.test
            )
        maes = np.nanmean(np.abs(source.in_units(predicted) - source.values), axis=0)
        errors |= {one.name: float(mae) for one, mae in zip(source.properties, maes, strict=True)}
    return {name: errors[name] for name in PROPERTIES}


def _parts(of_taps: Any, together: Any, others: Any, singles: Any) -> list[str]:
    """Return the tables of the page."""
    units = ("GPa", "GPa", "1/cm", "eV")
    columns = [f"{name}, {unit}" for name, unit in zip(PROPERTIES, units, strict=True)]
    rows = [
        [TAPS[tap], POOLS[pool], *_cells(errors)]
        for tap in TAPS
        for pool in POOLS
        if (errors := of_taps.get((tap, pool)))
    ]
    for keys, errors in together.items():
        rows.append(
            [" + ".join(f"`{tap}_n`" for tap, _ in keys), " + ".join(POOLS[pool] for _, pool in keys), *_cells(errors)]
        )
    rows += [[f"`{name}`", "", *_cells(errors)] for name, errors in others.items()]
    base = singles["features", "mean", 3]
    single_rows = sorted(
        (
            [f"`{tap}_{n}`", POOLS[pool], *_both(errors), f"{_ratio(errors, base):.3f}"]
            for (tap, pool, n), errors in singles.items()
        ),
        key=lambda row: row[-1],
    )
    return [
        "## All blocks of a tap, side by side",
        table(["tap", "pooling", *columns], rows),
        "## Single layers",
        table(["layer", "pooling", *columns, "ratio"], single_rows),
    ]


def _cells(errors: dict[str, float]) -> list[str]:
    return [f"{mae:.3g}" for mae in errors.values()]


def _both(errors: dict[str, dict[str, float]]) -> list[str]:
    return [f"{errors[RANDOM][name]:.3g} \\| {errors[CLUSTER][name]:.3g}" for name in PROPERTIES]


def _ratio(errors: dict[str, dict[str, float]], base: dict[str, dict[str, float]]) -> float:
    """Return the geometric mean over properties and kinds of folds of errors over those of a layer."""
    logs = [np.log(errors[kind][name] / base[kind][name]) for kind in (RANDOM, CLUSTER) for name in PROPERTIES]
    return float(np.exp(np.mean(logs)))


if __name__ == "__main__":
    main()
