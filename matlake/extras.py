"""The optional dependencies that making encoders needs."""

import importlib.metadata
import importlib.util
from collections.abc import Sequence
from typing import Final

from matlake.errors import MissingExtraError

TRAINING_MODULES: Final = ("torch", "onnxscript")
_TOOLS: Final = ("matlake", "numpy", "torch", "onnx", "onnxscript", "onnxruntime", "onnxruntime-gpu")


def require_training_extra() -> None:
    """Raise MissingExtraError unless everything that the extra ``train`` brings is installed."""
    missing = [name for name in TRAINING_MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"making encoders needs {' and '.join(missing)}, which this installation lacks",
            "pip install 'matlake[train]'",
        )


def tool_versions(names: Sequence[str] = _TOOLS) -> dict[str, str]:
    """Return the versions of those packages that are installed; by default all that make an encoder's file."""
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
