"""CHGNet as an encoder against the original code, in processor seconds, each on one thread.

    python -m benchmarks.speed.potentials --peer-python PYTHON

PYTHON has ``chgnet``, for example in an environment of its own. In turn, on the same crystals: graphs, the network on
ready-made graphs, on all atoms and on symmetry-distinct ones, and end to end: from stored geometry to a committed
table of all layers, against ``predict_structure`` in batches, which gets ready-made structures. The original predicts
energies only, so nothing is differentiated. Then where the network's time goes, and what lower precision would bring.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.helpers.common import ROOT, STRUCTURES, report

PEER: Final = ROOT / "benchmarks" / "helpers" / "chgnet_peer.py"
ENCODER: Final = "chgnet-mptrj"
OURS_A_PEER: Final = 4
"""Crystals of ours for one of the peer's, end to end: ours begins with a file to open, a peer's time is linear."""

WIDTH: Final = 64
ROWS: Final = 2000
REPEATS: Final = 200
SHOWN: Final = 8


def read_options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter that has chgnet")
    parser.add_argument("--sample", type=int, default=256, help="crystals")
    parser.add_argument("--rounds", type=int, default=3, help="times that everything is timed, in turn")
    return parser.parse_args()


def main() -> None:
    """Run all parts, and write the table."""
    options = read_options()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        crystals = sample(options.sample, folder)
        ours, peers = [], []
        for turn in range(options.rounds):
            peers.append(peer(options.peer_python, folder))
            ours.append(measure(crystals, folder, turn))
        document = {
            "crystals": options.sample,
            "atoms_a_crystal": float(np.diff(crystals.offsets).mean()),
            "ours_s": {name: statistics.median(one[name] for one in ours) for name in ours[0]},
            "peer_s": {
                "graph": statistics.median(one["graph"] for one in peers),
                "network": statistics.median(min(one["network"].values()) for one in peers),
                "end to end": statistics.median(one["end_to_end"] for one in peers),
            },
            "peer": {name: peers[0][name] for name in ("chgnet", "torch")},
            "operators": operators(crystals, folder),
            "precision": precision(),
        }
    show(document)


def sample(count: int, folder: Path) -> Any:
    """Return crystals drawn from the development data; they are in the folder for the peer and as a table."""
    from matlake.materials.crystal import CrystalColumns
    from matlake.materials.structure_files.cif import parse_cif

    table = pq.read_table(STRUCTURES, columns=["material_id", "cif"])
    rows = np.random.default_rng(0).choice(len(table), OURS_A_PEER * count, replace=False)
    pq.write_table(table.take(pa.array(rows)), folder / "sample.parquet")
    crystals = [parse_cif(text) for text in table["cif"].take(pa.array(rows)).to_pylist()]
    given = [[one.numbers.tolist(), one.lattice.tolist(), one.positions.tolist()] for one in crystals]
    (folder / "crystals.json").write_text(json.dumps(given[:count]))
    return CrystalColumns.of(crystals[:count])


def peer(python: str, folder: Path) -> dict[str, Any]:
    """Run the original."""
    command = [python, str(PEER), str(folder / "crystals.json")]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    if not isinstance(found, dict):
        raise TypeError(f"{PEER} printed {found!r}")
    return found


def measure(crystals: Any, folder: Path, turn: int) -> dict[str, float]:
    """Time ours once."""
    from matlake import embed, import_table, open_lake
    from matlake.encoders.encoder import open_crystal_encoder
    from matlake.encoders.graph_inputs import EDGES_A_RUN, graph_inputs, runs
    from matlake.encoders.registry import find_encoder
    from matlake.materials.graph_recipe import SYMMETRY_RESOLUTION_A

    encoder = open_crystal_encoder(find_encoder(ENCODER).folder)
    layers = [layer.name for layer in encoder.card.layers]
    encoder.encode_inputs(encoder.inputs(crystals.take(np.arange(8))), layers)  # compiles
    outputs = [layer.output for layer in encoder.card.layers]
    found: dict[str, float] = {}
    for what, resolution in (("all atoms", 0.0), ("symmetry", SYMMETRY_RESOLUTION_A)):
        started = time.process_time()
        graphs = encoder.recipe.build(crystals, resolution=resolution)
        built = time.process_time()
        feeds = [graph_inputs(graphs.take(rows)) for rows in runs(graphs, EDGES_A_RUN["cpu"])]
        fed = time.process_time()
        for feed in feeds:
            encoder.session.run(outputs, feed)
        found |= {
            f"graph, {what}": built - started,
            f"inputs, {what}": fed - built,
            f"network, {what}": time.process_time() - fed,
        }
    lake = open_lake(folder / f"lake {turn}", create=True)
    import_table(lake, folder / "sample.parquet", "sample")
    started = time.process_time()
    embed(lake, [f"{ENCODER}@all"])
    return found | {"end to end": (time.process_time() - started) / OURS_A_PEER}


def operators(crystals: Any, folder: Path) -> dict[str, float]:
    """Return the share of each kind of operator in the network's time, on symmetry-distinct atoms."""
    import onnxruntime

    from matlake.encoders.encoder import open_crystal_encoder
    from matlake.encoders.graph_inputs import EDGES_A_RUN, graph_inputs, runs
    from matlake.encoders.registry import find_encoder

    place = find_encoder(ENCODER).folder
    recipe = open_crystal_encoder(place).recipe
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.enable_profiling = 1, True
    settings.profile_file_prefix = str(folder / "profile")
    session = onnxruntime.InferenceSession(str(place / "encoder.onnx"), settings, providers=["CPUExecutionProvider"])
    graphs = recipe.build(crystals)
    for rows in runs(graphs, EDGES_A_RUN["cpu"]):
        session.run(None, graph_inputs(graphs.take(rows)))
    total: Counter[str] = Counter()
    for event in json.loads(Path(session.end_profiling()).read_text()):
        if event.get("cat") == "Node" and event["name"].endswith("kernel_time"):
            total[event["args"]["op_name"]] += event["dur"]
    return {name: spent / total.total() for name, spent in total.most_common(SHOWN)}


def precision() -> dict[str, float]:
    """Return microseconds of the layer behind a message's first one, 64 by 64 for 2,000 messages, by its precision."""
    import onnxruntime
    import torch
    from onnx import TensorProto, helper

    random = np.random.default_rng(0)
    x, w = (random.normal(size=shape).astype(np.float32) for shape in ((ROWS, WIDTH), (WIDTH, WIDTH)))
    quantised = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
        helper.make_node("MatMulInteger", ["q", "w8", "zero"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "scale"], ["y"]),
    ]
    integers = np.round(w / np.abs(w).max() * 127).astype(np.int8)
    graphs = {
        "float32": ([helper.make_node("MatMul", ["x", "w"], ["y"])], helper.make_tensor("w", 1, w.shape, w.ravel())),
        "int8": (quantised, helper.make_tensor("w8", TensorProto.INT8, w.shape, integers.ravel())),
    }
    found = {}
    for name, (nodes, weights) in graphs.items():
        value = helper.make_tensor_value_info
        graph = helper.make_graph(nodes, name, [value("x", 1, x.shape)], [value("y", 1, x.shape)], [weights])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(model.SerializeToString(), settings)
        found[f"{name}, ONNX Runtime"] = _microseconds(session.run, None, {"x": x})
    torch.set_num_threads(1)
    for kind in (torch.float32, torch.bfloat16):
        a, b = torch.from_numpy(x).to(kind), torch.from_numpy(w).to(kind)
        found[f"{str(kind).removeprefix('torch.')}, torch"] = _microseconds(torch.matmul, a, b)
    return found


def _microseconds(function: Callable[..., object], *arguments: object) -> float:
    function(*arguments)
    started = time.process_time()
    for _ in range(REPEATS):
        function(*arguments)
    return (time.process_time() - started) / REPEATS * 1e6


def show(document: dict[str, Any]) -> None:
    """Write the figures, and print crystals a second."""
    count, ours, peers = document["crystals"], document["ours_s"], document["peer_s"]
    rows = [
        [part, f"{count / peers[theirs]:,.0f}", f"{count / ours[part]:,.0f}", f"{peers[theirs] / ours[part]:.1f}"]
        for part, theirs in (
            ("graph, all atoms", "graph"),
            ("graph, symmetry", "graph"),
            ("network, all atoms", "network"),
            ("network, symmetry", "network"),
            ("end to end", "end to end"),
        )
    ]
    report(Path(__file__), document, ["part", "chgnet, crystals/s", "matlake, crystals/s", "times as fast"], rows)


if __name__ == "__main__":
    main()
