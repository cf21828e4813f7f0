"""The optional dependencies: what each extra brings, and the refusal where it is missing."""

import importlib.util
from collections.abc import Sequence
from typing import Final

from matlake.errors import MissingExtraError

_HEADS: Final = ("sklearn", "scipy", "skl2onnx", "spglib", "spox", "threadpoolctl")
_PLOTS: Final = ("matplotlib",)

EXTRAS: Final = {
    "cloud": ("obstore",),
    "dev": ("matminer",),
    "heads": _HEADS,
    "index": ("faiss",),
    "map": ("plotly", "umap"),
    "matfold": ("MatFold",),
    "plots": _PLOTS,
    "quickstart": (*_HEADS, *_PLOTS),
    "ray": ("ray",),
    "serve": ("fastapi", "uvicorn", "httptools", "plotly", "prometheus_client", "threadpoolctl"),
    "train": ("torch", "onnxscript"),
}
"""Modules of each extra that its features cannot do without."""

_TOOLS: Final = ("matlake", "numpy", "torch", "onnx", "onnxscript", "onnxruntime", "onnxruntime-gpu")


def require_extra(extra: str, purpose: str, *modules: str) -> None:
    """Raise MissingExtraError unless the modules of an extra are installed; nothing is imported.

    Args:
        extra: Key of ``EXTRAS``.
        purpose: What needs them: ``"making encoders"``.
        modules: Those of the extra that are needed; by default all.
    """
    missing = [name for name in modules or EXTRAS[extra] if not is_installed(name)]
    if missing:
        raise MissingExtraError(
            f"{purpose} needs {', '.join(missing)}, which this installation lacks", f"pip install 'matlake[{extra}]'"
        )


def is_installed(module: str) -> bool:
    """Say whether a module can be found."""
    return importlib.util.find_spec(module) is not None


def tool_versions(names: Sequence[str] = _TOOLS) -> dict[str, str]:
    """Return the versions of those packages that are installed; by default all that make an encoder's file."""
    import importlib.metadata  # takes as long to import as the rest of a light command

    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
