"""Files of the page of a map; those that draw crystals and formulas are for the page of a server, too."""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).with_name("page")
SHARED: Final = ("crystal.js", "formula.js")
"""Modules that depend on nothing of the page."""

PLOTLY: Final = "plotly.min.js"


def plotly_script() -> Path:
    """Return plotly.js, which the Python package brings along for its own offline use."""
    found = find_spec("plotly")
    (folder,) = found.submodule_search_locations if found and found.submodule_search_locations else ("",)
    return Path(folder) / "package_data" / PLOTLY
