"""ElemNet inference alone: share of this machine's float32 matrix-multiply peak, and what int8 gains.

    python -m benchmarks.speed.encoder_peak

The peak is the best rate of NumPy's (OpenBLAS) and ONNX Runtime's product of two square matrices of 512 to 2,048 rows
in the same run, with the same number of threads.
"""

import functools
import itertools
import os
import statistics
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from benchmarks.helpers.common import ENCODER, median_time, report
from matlake.encoders.card import MODEL_FILE
from matlake.encoders.registry import SHIPPED, find_encoder
from matlake.encoders.session import open_session
from matlake.errors import EncoderError

WIDTHS = (86, *(1024,) * 4, *(512,) * 3, *(256,) * 3, *(128,) * 3, *(64,) * 2, 32, 1)
SIDES = (512, 1024, 2048)
BATCHES = (1, 64, 512, 1024, 4096)
REPEATS = 9


def onnx_product(threads: int) -> ort.InferenceSession:
    """Return a session that multiplies two square matrices."""
    square = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", "n"]) for name in "abc"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("MatMul", ["a", "b"], ["c"])], "g", square[:2], square[2:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def product_rate(product: ort.InferenceSession, side: int) -> float:
    """Return the better rate of the two libraries in floating-point operations a second."""
    a, b = (np.random.default_rng(seed).random((side, side), dtype=np.float32) for seed in range(2))
    seconds = min(
        median_time(functools.partial(np.matmul, a, b), 3),
        median_time(functools.partial(product.run, None, {"a": a, "b": b}), 3),
    )
    return 2 * side**3 / seconds


def main() -> None:
    """Time the peak and the encoders in turn, and report medians."""
    threads = os.cpu_count() or 1
    generator = np.random.default_rng(0)
    product = onnx_product(threads)
    sessions = {}
    for name in (ENCODER, f"{ENCODER}-int8"):
        if not (SHIPPED / name / MODEL_FILE).exists():
            continue
        registered = find_encoder(name)
        sessions[name] = open_session(
            registered.folder / MODEL_FILE, registered.card.sha256, error=EncoderError, threads=threads
        )
    flops = 2 * sum(x * y for x, y in itertools.pairwise(WIDTHS))
    peaks: list[float] = []
    rates: dict[tuple[str, int], list[float]] = {(name, batch): [] for name in sessions for batch in BATCHES}
    for _ in range(REPEATS):  # all in turn, so that a slow moment of the machine hits them alike
        peaks.append(max(product_rate(product, side) for side in SIDES))
        for (name, batch), found in rates.items():
            x = generator.dirichlet(np.ones(86), batch).astype(np.float32)
            session, repeats = sessions[name], max(1, 2048 // batch)
            run = functools.partial(session.run, ["prediction"], {"fractions": x})
            seconds = median_time(run, min(repeats, 20))
            found.append(batch / seconds)
    peak = statistics.median(peaks)
    median = {key: statistics.median(found) for key, found in rates.items()}
    rows = [
        [
            name.removeprefix("elemnet-oqmd-"),
            f"{batch:,}",
            f"{rate:,.0f}",
            f"{rate * flops / peak:.0%}" if name == ENCODER else f"× {rate / median[ENCODER, batch]:.2f}",
        ]
        for (name, batch), rate in median.items()
    ]
    print(f"float32 peak, {threads} threads: {peak / 1e9:,.0f} GFLOP/s; one row: {flops / 1e6:.2f} MFLOP\n")
    report(
        Path(__file__),
        {
            "peak_gflops": peak / 1e9,
            "rows_per_s": {f"{name}, batch {batch}": rate for (name, batch), rate in median.items()},
        },
        ["encoder", "batch", "rows/s", "share of the peak, or × float32"],
        rows,
    )


if __name__ == "__main__":
    main()
