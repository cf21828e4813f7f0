"""ONNX Runtime sessions, made only from audited files and only on the device that was asked for."""

import hashlib
import importlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from matlake.encoders.audit import audit
from matlake.errors import USE_CPU, Hint, MatlakeError, MissingExtraError
from matlake.text_tables import in_a_line

if TYPE_CHECKING:
    import onnx

MAX_MODEL_BYTES: Final = 1 << 30
DEVICES: Final = ("cpu", "cuda")
_SHOWN: Final = 300  # characters of what ONNX Runtime says


def open_session(
    path: Path,
    sha256: str,
    *,
    error: type[MatlakeError],
    device: str = "cpu",
    threads: int = 1,
    outputs: Collection[str] | None = None,
    widths: Mapping[str, int] | None = None,
) -> Any:
    """Audit an ONNX file and open it.

    Args:
        path: The ONNX file.
        sha256: Digest that its card states.
        error: Class to raise when the file is refused.
        device: ``cpu`` or ``cuda``; nothing falls back silently.
        threads: Threads inside one operator on the CPU.
        outputs: The only outputs that are used. Default: all.
        widths: Numbers for each row, of inputs and outputs that the file must have.

    Returns:
        An ``onnxruntime.InferenceSession``.

    Raises:
        MissingExtraError: ONNX Runtime, or the requested device, is not there.
        MatlakeError: Of class ``error``: the file is missing, changed or refused.
    """
    runtime = onnx_runtime(device)
    content = _read(path, sha256, error)
    model = audit(content, path, error, widths)
    if outputs is not None and _prune(model, outputs):
        content = bytes(model.SerializeToString())
    del model
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    if device == "cpu":  # a plan of the memory for each shape costs more time than it saves
        options.enable_mem_pattern = False
    if device == "cuda":
        providers = ["CUDAExecutionProvider"]
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        session = runtime.InferenceSession(content, options, providers=providers)
    except Exception as failure:  # onnxruntime's exceptions share no public base class
        reason = " ".join(str(failure).split())[:_SHOWN]
        raise error(f"ONNX Runtime cannot open {path} on {device}: {reason}") from failure
    if device == "cuda" and "CUDAExecutionProvider" not in session.get_providers():
        raise MissingExtraError(
            "ONNX Runtime could not start its CUDA provider",
            Hint(
                f"check the driver with nvidia-smi, or {USE_CPU}",
                cli=f"check the driver with nvidia-smi, or {USE_CPU.cli}",
            ),
        )
    return session


def read_audited(path: Path, sha256: str, error: type[MatlakeError], widths: Mapping[str, int] | None = None) -> bytes:
    """Read an ONNX file after comparing its digest with the card's and auditing its content.

    Args:
        path: The ONNX file.
        sha256: Digest that its card states.
        error: Class to raise when the file is refused.
        widths: Numbers for each row, of inputs and outputs that the file must have.

    Raises:
        MatlakeError: Of class ``error``: the file is missing, changed or refused.
    """
    content = _read(path, sha256, error)
    audit(content, path, error, widths)
    return content


def _read(path: Path, sha256: str, error: type[MatlakeError]) -> bytes:
    """Read an ONNX file after comparing its digest with the card's."""
    try:
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise error(f"{path} is larger than {MAX_MODEL_BYTES:,} bytes")
        content = path.read_bytes()
    except OSError as failure:
        raise error(f"cannot read {path}: {failure.strerror}") from failure
    if hashlib.sha256(content).hexdigest() != sha256:
        raise error(f"{path} does not match the sha256 of its card", "the file was changed or damaged: restore it")
    return content


def onnx_runtime(device: str = "cpu") -> Any:
    """Import ONNX Runtime after checking that it can serve a device.

    The wheels ``onnxruntime`` and ``onnxruntime-gpu`` write into one module; where both are installed the CPU
    build wins silently, so both together are refused.

    Raises:
        MissingExtraError: It is not installed, installed twice, damaged, or lacks the device.
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
    runtime = _import_runtime(installed[0])
    if device == "cuda" and "CUDAExecutionProvider" not in runtime.get_available_providers():
        install = "pip uninstall -y onnxruntime && pip install 'matlake[gpu]'"
        raise MissingExtraError(
            "device cuda was requested, but the installed ONNX Runtime is a CPU build",
            Hint(f"{install}, or {USE_CPU}", cli=f"{install}, or {USE_CPU.cli}"),
        )
    return runtime


def _import_runtime(distribution: str) -> Any:
    """Import the module; the uninstallation of the other wheel takes files of it along."""
    extra = "gpu" if distribution.endswith("gpu") else "cpu"
    try:
        runtime = importlib.import_module("onnxruntime")
        runtime.InferenceSession  # noqa: B018 - what is left of it may be an empty folder
    except (ImportError, AttributeError) as error:
        raise MissingExtraError(
            f"{distribution} is installed, and cannot be imported: {in_a_line(str(error))[:_SHOWN]}",
            f"pip uninstall -y {distribution} && pip install 'matlake[{extra}]'",
        ) from error
    return runtime


def _prune(model: "onnx.ModelProto", outputs: Collection[str]) -> bool:
    """Leave out what some outputs do not depend on: ONNX Runtime computes every node, whatever it is asked for.

    Returns:
        Whether anything was left out.
    """
    graph, needed = model.graph, set(outputs)
    unneeded = []
    for place in range(len(graph.node) - 1, -1, -1):
        node = graph.node[place]
        if needed.intersection(node.output):
            needed.update(node.input)
        else:
            unneeded.append(place)
    for place in unneeded:
        del graph.node[place]
    found = [_drop(graph.output, lambda value: value.name in outputs)]
    found.append(_drop(graph.initializer, lambda tensor: tensor.name in needed))
    return bool(unneeded) or any(found)


def _drop(field: Any, is_kept: Callable[[Any], bool]) -> bool:
    """Delete messages of a repeated field one by one, as putting the others back would copy their weights."""
    places = [place for place, message in enumerate(field) if not is_kept(message)]
    for place in reversed(places):
        del field[place]
    return bool(places)


def _is_installed(distribution: str) -> bool:
    import importlib.metadata

    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
