"""What a fit with a sum of kernels over blocks costs beside scikit-learn's fit of the same sum.

    python -m benchmarks.speed.block_kernels

OQMD compositions, eight hidden layers of ElemNet side by side. scikit-learn gets a StandardScaler, the same sum of
rational quadratic kernels from its squared distances, and SVR or KernelRidge with this as a precomputed kernel and the
same parameters. Rounds alternate; medians of processor seconds, as other programs share the machine.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

from benchmarks.helpers.common import ENCODER, OQMD, needs_oqmd, report
from matlake.encoders.encoder import open_encoder
from matlake.encoders.registry import find_encoder
from matlake.materials.compositions import element_fractions
from matlake.materials.formula import parse_formula
from matlake.regress.regressors import MODELS, Parameters, fit_model

ROWS: Final = 3000
LAYERS: Final = ("8", "9", "10", "11", "12", "13", "14", "15")
TARGET: Final = "volume_A3_per_atom"
COMPARED: Final = ("svr", "kernel-ridge")
ROUNDS: Final = 3
SEED: Final = 0


def main() -> None:
    """Fit each model with both, in turn."""
    needs_oqmd()
    x, lengths, y = read()
    rows, document = [], {}
    for name in COMPARED:
        parameters = MODELS[name].grid_of(lengths)[0]
        seconds: dict[str, list[float]] = {"matlake": [], "scikit-learn": []}
        for _ in range(ROUNDS):
            seconds["matlake"].append(spent(partial(fit_model, MODELS[name], parameters, x, y, SEED)))
            seconds["scikit-learn"].append(spent(partial(plain, name, parameters, x, lengths, y)))
        ours, theirs = (statistics.median(found) for found in seconds.values())
        document[name] = {"parameters": parameters, "processor_s": seconds, "ratio": ours / theirs}
        rows.append([name, f"{ours:.2f}", f"{theirs:.2f}", f"{ours / theirs:.2f}"])
    header = ["model", "fit, s", "scikit-learn, s", "ratio"]
    report(Path(__file__), {"rows": ROWS, "blocks": lengths, "fits": document}, header, rows)


def read() -> tuple[np.ndarray, tuple[int, ...], np.ndarray]:
    """Embed compositions drawn at random; return features, lengths of the layers, and the target."""
    table = pq.read_table(OQMD, columns=["formula", TARGET]).drop_null()
    table = table.take(np.sort(np.random.default_rng(SEED).permutation(len(table))[:ROWS]))
    encoder = open_encoder(find_encoder(ENCODER).folder)
    fractions = element_fractions([parse_formula(formula) for formula in table["formula"].to_pylist()])
    layers = encoder.encode_inputs(fractions, LAYERS)
    return np.concatenate(layers, axis=1), tuple(layer.shape[1] for layer in layers), table[TARGET].to_numpy()


def spent(call: Callable[[], Any]) -> float:
    """Return the processor seconds that a call takes."""
    started = time.process_time()
    call()
    return time.process_time() - started


def plain(name: str, parameters: Parameters, x: np.ndarray, lengths: tuple[int, ...], y: np.ndarray) -> None:
    """Fit the same model with scikit-learn."""
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    z, target = StandardScaler().fit_transform(x.astype(np.float64)), (y - y.mean()) / y.std()
    gram = block_sum(z, lengths, parameters["gamma"] * x.shape[1], parameters["linear"] * x.shape[1])
    if name == "svr":
        SVR(kernel="precomputed", C=parameters["C"], epsilon=parameters["epsilon"], cache_size=1000).fit(gram, target)
    else:
        KernelRidge(alpha=parameters["alpha"], kernel="precomputed").fit(gram, target)


def block_sum(z: np.ndarray, lengths: tuple[int, ...], gamma: float, linear: float) -> np.ndarray:
    """Return the kernel of docs/science/models.md, [n, n], with scikit-learn's distances and products."""
    from sklearn.metrics.pairwise import euclidean_distances, linear_kernel

    blocks = np.split(z, np.cumsum(lengths)[:-1], axis=1)
    squares = [gamma * euclidean_distances(block, squared=True) / block.shape[1] for block in blocks]
    alone = sum(1.0 / (1.0 + one) for one in squares) / len(blocks)
    together = 1.0 / (1.0 + sum(squares) / len(blocks))
    products = sum(linear_kernel(block) / block.shape[1] for block in blocks) / len(blocks)
    kernel: np.ndarray = (alone + together) / 2.0 + linear * products
    return kernel


if __name__ == "__main__":
    main()
