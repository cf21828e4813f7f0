"""The original CHGNet in an environment of its own: prints the processor seconds of its parts as JSON.

PYTHON benchmarks/helpers/chgnet_peer.py CRYSTALS.json
"""

import contextlib
import io
import json
import sys
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any, Final

BATCHES: Final = (16, 32, 64)


def main() -> None:
    """Time graphs, network and both together on one thread, for the energy alone: nothing is differentiated."""
    warnings.simplefilter("ignore")
    import chgnet
    import torch
    from chgnet.model.model import CHGNet
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure

    torch.set_num_threads(1)
    with contextlib.redirect_stdout(io.StringIO()):
        model = CHGNet.load(use_device="cpu", verbose=False).eval()
    given = json.loads(Path(sys.argv[1]).read_text())
    crystals = [Structure(Lattice(lattice), numbers, positions) for numbers, lattice, positions in given]
    found: dict[str, Any] = {"chgnet": chgnet.__version__, "torch": torch.__version__}
    with torch.no_grad():
        model.predict_structure(crystals[:32], task="e", batch_size=16)
        graphs: list[Any] = []
        found["graph"] = _seconds(lambda: graphs.extend(model.graph_converter(crystal) for crystal in crystals))
        found["network"] = {
            size: _seconds(partial(model.predict_graph, graphs, task="e", batch_size=size)) for size in BATCHES
        }
        size = min(BATCHES, key=found["network"].__getitem__)
        found["end_to_end"] = _seconds(lambda: model.predict_structure(crystals, task="e", batch_size=size))
    print(json.dumps(found))


def _seconds(function: Any) -> float:
    started = time.process_time()
    function()
    return time.process_time() - started


if __name__ == "__main__":
    main()
