"""The parts of ``crystal_embedding.py`` in which ours and a peer take turns."""

import argparse
import logging
import signal
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.helpers.common import timed
from benchmarks.helpers.crystal_lake import encoder_name, imported, shuffled, warm_up
from benchmarks.helpers.peers import Peer, Tensors, load_peer, pymatgen_neighbours, ready_neighbours
from benchmarks.helpers.unshipped import benchmark_encoder
from matlake import embed
from matlake.encoders.base import Arrays
from matlake.encoders.encoder import Encoder, open_crystal_encoder
from matlake.encoders.graph_inputs import EDGES_A_RUN, graph_inputs, runs
from matlake.encoders.reference import covered_rows
from matlake.materials.crystal import CrystalColumns
from matlake.materials.graph_recipe import GraphRecipe
from matlake.materials.neighbours import neighbour_list
from matlake.materials.structure_files.sniff import parse_structure

RUNS: Final = {"cgcnn": "cgcnn-mp", "schnet": "schnet-mp", "dimenet++": "dimenet-mp"}
SHARES: Final = {"cgcnn": 1.0, "schnet": 1.0, "dimenet++": 0.25}
"""Share of the sample that an encoder's peer gets."""

BATCHES: Final = (8, 32, 64)
USUAL_BATCH: Final = 32
LOADER_WORKERS: Final = (0, 2)
OURS_A_PEER: Final = 8
"""Crystals of ours for one of the peer's, end to end: ours works on shards side by side, a peer's time is linear."""

COMPILE_LIMIT_S: Final = 900
_FEW: Final = 32


@dataclass(frozen=True)
class Contest:
    """What both sides of a comparison work on.

    Attributes:
        encoder: Ours, one thread a run.
        recipe: Its graphs.
        peer: The other side.
        texts: CIF files of the sample.
        crystals: The same, parsed.
    """

    encoder: Encoder
    recipe: GraphRecipe
    peer: Peer
    texts: list[str]
    crystals: CrystalColumns


def alone(kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """Time the networks on ready-made graphs, in turn."""
    contest = _contest(kind, options)
    peer, crystals, threads = contest.peer, contest.crystals, options.threads
    reduced, full = _inputs(contest), _inputs(contest, resolution=0.0)
    outputs = [contest.encoder.card.layer(layer).output for layer in (None, "prediction")]
    data = [peer.data(ready_neighbours(crystals[row], contest.recipe)) for row in range(len(crystals))]
    batches = {size: list(peer.batches(data, size)) for size in BATCHES}
    usual = batches[USUAL_BATCH]

    def ours(inputs: list[Arrays]) -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda arrays: contest.encoder.session.run(outputs, arrays), inputs))

    contenders: dict[str, Callable[[], Any]] = {"ours": partial(ours, reduced), "ours, all atoms": partial(ours, full)}
    for size in BATCHES:
        contenders[f"eager, batch {size}"] = partial(_forward, peer.network, batches[size])
    contenders[f"eager side by side, batch {USUAL_BATCH}"] = partial(_side_by_side, peer.network, usual, threads)
    compile_s, failure = 0.0, "left out"
    if not options.skip_compile:
        compiled = peer.compiled()
        compile_s, failure = _compile(compiled, usual)
        if not failure:
            contenders[f"compiled, batch {USUAL_BATCH}"] = partial(_forward, compiled, usual)
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for counted in (False, *[True] * options.rounds):
        for name, run in contenders.items():
            seconds = timed(run)
            if counted:
                rates[name].append(len(crystals) / seconds)
    return {
        "crystals": len(crystals),
        "atoms_a_crystal": float(crystals.sizes.mean()),
        "weights": "of the run" if _weights(kind, options).exists() else "fresh",
        **_difference(contest, usual),
        "compile_s": compile_s,
        "compile_failure": failure,
        "crystals_per_s": rates,
    }


def end_to_end(kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """Time both sides from CIF, and from parsed geometry, to vectors, in turn; ours end in a lake."""
    from pymatgen.core.structure import Structure

    contest = _contest(kind, options)
    peer, count = contest.peer, len(contest.texts)
    table = shuffled().slice(0, OURS_A_PEER * count)

    def parse(text: str) -> Any:
        return Structure.from_str(text, fmt="cif")

    def data(structure: Any) -> Any:
        return peer.data(pymatgen_neighbours(structure, contest.recipe))

    started = time.perf_counter()
    structures = [parse(text) for text in contest.texts]
    parse_s = time.perf_counter() - started
    sources: dict[str, Any] = {
        "from structures": _Made(structures, data),
        "from CIF": _Made(contest.texts, lambda text: data(parse(text))),
    }
    _forward(peer.network, peer.batches(_Made(structures[:_FEW], data), USUAL_BATCH))
    warm_up([kind], options.threads)
    rates: dict[str, list[float]] = defaultdict(list)
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            lake, import_s = imported(Path(folder), table)
            report = embed(lake, [encoder_name(kind)], workers=options.threads)
        rates["ours, from structures"].append(report.embedded / report.seconds)
        rates["ours, from CIF"].append(report.embedded / (report.seconds + import_s))
        for origin, source in sources.items():
            for workers in LOADER_WORKERS:
                batches = peer.batches(source, USUAL_BATCH, workers)
                seconds = timed(partial(_forward, peer.network, batches))
                rates[f"peer, {origin}, {workers} loader workers"].append(count / seconds)
    return {
        "crystals": count,
        "crystals_of_ours": report.embedded,
        "pymatgen_cif_per_s": count / parse_s,
        "crystals_per_s": rates,
    }


class _Made:
    """A dataset as PyTorch's loaders take it, whose items are made when they are asked for."""

    def __init__(self, items: Sequence[Any], make: Callable[[Any], Any]) -> None:
        self._items, self._make = items, make

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Any:
        return self._make(self._items[index])


def _inputs(contest: Contest, **resolution: float) -> list[Arrays]:
    graphs = contest.recipe.build(contest.crystals, **resolution)
    return [graph_inputs(graphs.take(rows)) for rows in runs(graphs, EDGES_A_RUN["cpu"])]


def _weights(kind: str, options: argparse.Namespace) -> Path:
    path: Path = options.runs / RUNS[kind] / "best.pt"
    return path


def _contest(kind: str, options: argparse.Namespace) -> Contest:
    warnings.simplefilter("ignore")
    torch.set_num_threads(options.threads)
    encoder = open_crystal_encoder(benchmark_encoder(encoder_name(kind)).folder)
    peer = load_peer(kind, _weights(kind, options), encoder.recipe)
    count = round(SHARES[kind] * options.sample)
    texts = shuffled().slice(0, 2 * count)["cif"].to_pylist()
    crystals = CrystalColumns.of([parse_structure(text) for text in texts])
    taken = covered_rows(encoder, crystals)[:count]
    return Contest(encoder, encoder.recipe, peer, [texts[row] for row in taken], crystals.take(taken))


def _forward(network: Callable[..., Any], batches: Iterator[Tensors] | Sequence[Tensors]) -> list[torch.Tensor]:
    with torch.inference_mode():
        outputs = [network(*arguments) for arguments in batches]
    return [output[0] if isinstance(output, tuple) else output for output in outputs]


def _side_by_side(network: Callable[..., Any], batches: Sequence[Tensors], threads: int) -> None:
    """Run several batches at once, each in one thread."""
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        list(pool.map(lambda arguments: _forward(network, [arguments]), batches))
    torch.set_num_threads(threads)


def _compile(compiled: Callable[..., Any], batches: Sequence[Tensors]) -> tuple[float, str]:
    """Run a compiled network until all shapes are known; return the seconds, and the reason where it fails."""
    from torch._dynamo import config

    config.fail_on_recompile_limit_hit = True  # rather than fall back to eager
    logging.getLogger("torch._dynamo").setLevel(logging.ERROR)
    started = time.perf_counter()
    try:
        with _limited(COMPILE_LIMIT_S):
            _forward(compiled, batches)
    except Exception as error:  # noqa: BLE001 - whatever the compiler says is a result
        message = str(error).strip().partition("\n")[0]
        return time.perf_counter() - started, f"{type(error).__name__}: {message}"
    return time.perf_counter() - started, ""


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    """Raise TimeoutError in this block after some seconds."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"not done within {seconds} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def _difference(contest: Contest, batches: Sequence[Tensors]) -> dict[str, float]:
    """Compare predictions; where the neighbour cap cuts a shell, the peer keeps part of it and we weigh all."""
    ours = contest.encoder.encode(contest.crystals, "prediction")
    theirs = torch.cat(_forward(contest.peer.network, batches)).numpy()
    found: NDArray[np.float32] = np.abs(ours - theirs).max(axis=1)
    crystals, recipe = contest.crystals, contest.recipe
    whole = [
        bool((neighbour_list(crystals[row], recipe.cutoff_A, recipe.max_neighbours).weights == 1).all())
        for row in range(len(crystals))
    ]
    return {
        "largest_difference": float(found.max()),
        "largest_difference_without_ties": float(found[whole].max(initial=0.0)),
        "share_without_ties": float(np.mean(whole)),
        "spread_of_predictions": float(ours.std()),
    }
