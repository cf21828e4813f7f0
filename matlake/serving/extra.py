"""The optional dependencies that serving needs."""

import importlib.util
from typing import Final

from matlake.errors import MissingExtraError

MODULES: Final = ("fastapi", "uvicorn", "httptools", "plotly", "prometheus_client")


def require_serve_extra() -> None:
    """Raise MissingExtraError unless everything that the extra ``serve`` brings is installed."""
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"serving needs {' and '.join(missing)}, which this installation lacks", "pip install 'matlake[serve]'"
        )
