"""Figures as the content of files."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from matlake.plots.style import save

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure_files(figure: "Figure", name: str) -> dict[str, bytes]:
    """Return a figure as PNG and SVG, by file name.

    Args:
        figure: The figure.
        name: Of the files, without their endings.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # what has been laid out once is not laid out again for each file
    with tempfile.TemporaryDirectory() as folder:
        return {path.name: path.read_bytes() for path in save(figure, Path(folder) / name)}
