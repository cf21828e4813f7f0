"""ONNX Runtime sessions, made only from audited files and only on the device that was asked for."""

import hashlib
import importlib
import importlib.metadata
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from matlake.errors import USE_CPU, Hint, MatlakeError, MissingExtraError

if TYPE_CHECKING:
    import onnx

MAX_MODEL_BYTES: Final = 1 << 30
STANDARD_DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml"})
DEVICES: Final = ("cpu", "cuda")


def open_session(
    path: Path,
    sha256: str,
    *,
    error: type[MatlakeError],
    device: str = "cpu",
    threads: int = 1,
    outputs: Collection[str] | None = None,
) -> Any:
    """Audit an ONNX file and open it.

    Args:
        path: The ONNX file.
        sha256: Digest that its card states.
        error: Class to raise when the file is refused.
        device: ``cpu`` or ``cuda``; nothing falls back silently.
        threads: Threads inside one operator on the CPU.
        outputs: The only outputs that are used. Default: all.

    Returns:
        An ``onnxruntime.InferenceSession``.

    Raises:
        MissingExtraError: ONNX Runtime, or the requested device, is not there.
        MatlakeError: Of class ``error``: the file is missing, changed or refused.
    """
    runtime = onnx_runtime(device)
    content = read_audited(path, sha256, error)
    if outputs is not None:
        content = _pruned(content, outputs)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    if device == "cuda":
        providers = ["CUDAExecutionProvider"]
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        session = runtime.InferenceSession(content, options, providers=providers)
    except Exception as failure:  # onnxruntime's exceptions share no public base class
        raise error(f"ONNX Runtime cannot open {path} on {device}: {failure}") from failure
    if device == "cuda" and "CUDAExecutionProvider" not in session.get_providers():
        raise MissingExtraError(
            "ONNX Runtime could not start its CUDA provider",
            Hint(
                f"check the driver with nvidia-smi, or {USE_CPU}",
                cli=f"check the driver with nvidia-smi, or {USE_CPU.cli}",
            ),
        )
    return session


def read_audited(path: Path, sha256: str, error: type[MatlakeError]) -> bytes:
    """Read an ONNX file after comparing its digest with the card's and auditing its content.

    Args:
        path: The ONNX file.
        sha256: Digest that its card states.
        error: Class to raise when the file is refused.

    Raises:
        MatlakeError: Of class ``error``: the file is missing, changed or refused.
    """
    try:
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise error(f"{path} is larger than {MAX_MODEL_BYTES:,} bytes")
        content = path.read_bytes()
    except OSError as failure:
        raise error(f"cannot read {path}: {failure.strerror}") from failure
    if hashlib.sha256(content).hexdigest() != sha256:
        raise error(f"{path} does not match the sha256 of its card", "the file was changed or damaged: restore it")
    audit(content, path, error)
    return content


def onnx_runtime(device: str = "cpu") -> Any:
    """Import ONNX Runtime after checking that it can serve a device.

    The wheels ``onnxruntime`` and ``onnxruntime-gpu`` write into one module; where both are installed the CPU
    build wins silently, so both together are refused.

    Raises:
        MissingExtraError: It is not installed, installed twice, or lacks the device.
    """
    if device not in DEVICES:
        raise MissingExtraError(f"unknown device {device!r}", f"devices: {', '.join(DEVICES)}")
    installed = [name for name in ("onnxruntime", "onnxruntime-gpu") if _is_installed(name)]
    if not installed:
        raise MissingExtraError("ONNX Runtime is not installed", "pip install 'matlake[cpu]' (or 'matlake[gpu]')")
    if len(installed) > 1:
        raise MissingExtraError(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other",
            "pip uninstall -y onnxruntime onnxruntime-gpu, then install one: 'matlake[cpu]' or 'matlake[gpu]'",
        )
    runtime = importlib.import_module("onnxruntime")
    if device == "cuda" and "CUDAExecutionProvider" not in runtime.get_available_providers():
        install = "pip uninstall -y onnxruntime && pip install 'matlake[gpu]'"
        raise MissingExtraError(
            "device cuda was requested, but the installed ONNX Runtime is a CPU build",
            Hint(f"{install}, or {USE_CPU}", cli=f"{install}, or {USE_CPU.cli}"),
        )
    return runtime


def audit(content: bytes, path: Path, error: type[MatlakeError]) -> None:
    """Refuse an ONNX file that could run foreign code or read other files.

    Only standard operators are allowed, and all weights must be inside the file.

    Raises:
        MatlakeError: Of class ``error``.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError) as failure:
        raise error(f"{path} is not an ONNX file") from failure
    if not model.graph.node:
        raise error(f"{path} is not an ONNX file, or an empty one")
    if model.functions:
        raise error(f"{path} defines functions of its own", "export it again with functions inlined")
    for graph in _graphs(model.graph):
        tensors = [*graph.initializer, *(a.t for n in graph.node for a in n.attribute if a.HasField("t"))]
        for tensor in tensors:
            if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
                raise error(f"{path} keeps tensor {tensor.name!r} in another file", "export it with weights inline")
        for node in graph.node:
            if node.domain not in STANDARD_DOMAINS:
                raise error(f"{path} uses the custom operator {node.domain}::{node.op_type}")


def _pruned(content: bytes, outputs: Collection[str]) -> bytes:
    """Leave out what some outputs do not depend on: ONNX Runtime computes every node, whatever it is asked for."""
    import onnx

    model = onnx.load_model_from_string(content)
    graph, needed = model.graph, set(outputs)
    kept_nodes = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept_nodes.append(node)
            needed.update(node.input)
            needed.update(name for inner in _inner_graphs(node) for n in inner.node for name in n.input)
    for field, kept in (
        (graph.node, kept_nodes[::-1]),
        (graph.output, [output for output in graph.output if output.name in outputs]),
        (graph.initializer, [tensor for tensor in graph.initializer if tensor.name in needed]),
    ):
        del field[:]
        field.extend(kept)
    return bytes(model.SerializeToString())


def _graphs(graph: "onnx.GraphProto") -> "Iterator[onnx.GraphProto]":
    yield graph
    for node in graph.node:
        yield from _inner_graphs(node)


def _inner_graphs(node: "onnx.NodeProto") -> "Iterator[onnx.GraphProto]":
    """Yield the graphs of a node such as ``If``, and those inside of them."""
    for attribute in node.attribute:
        for inner in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
            yield from _graphs(inner)


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
