"""The one way to save figures: as the content of files, in the formats that the caller wants."""

from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from matlake.errors import PlotError
from matlake.files import write_whole
from matlake.plots.style import STYLE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS: Final = ("png", "svg")
"""What is kept with a head, and shown by pages."""

ALL_FORMATS: Final = ("svg", "pdf", "png")

_DPI: Final = 300
_EDGE: Final = 0.04
"""Inches of paper above and below what is drawn."""

_NO_DATES: Final[dict[str, dict[str, Any]]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""The same figure gives the same bytes."""


def figure_files(figure: "Figure", name: str, formats: Iterable[str] = FORMATS) -> dict[str, bytes]:
    """Return a figure as files, by name; the same figure gives the same bytes.

    Args:
        figure: The figure.
        name: Of the files, without their endings.
        formats: Of ``ALL_FORMATS``: SVG with letters, PDF with its fonts, PNG with 300 dots per inch.
    """
    from matplotlib import rc_context
    from matplotlib.transforms import Bbox

    files = {}
    with rc_context(STYLE):
        figure.draw_without_rendering()
        drawn, width = figure.get_tightbbox(), figure.get_figwidth()
        frame = Bbox.from_extents(0.0, drawn.y0 - _EDGE, width, drawn.y1 + _EDGE)  # as wide as a column, not higher
        layout = figure.get_layout_engine()
        figure.set_layout_engine("none")  # what has been laid out once is not laid out again for each file
        for ending in formats:
            content = BytesIO()
            figure.savefig(content, format=ending, dpi=_DPI, bbox_inches=frame, metadata=_NO_DATES.get(ending))
            files[f"{name}.{ending}"] = content.getvalue()
        figure.set_layout_engine(layout)
    return files


def drawn_files(
    name: str, size: tuple[float, float], draw: "Callable[[Axes], None]", formats: Iterable[str] = FORMATS
) -> dict[str, bytes]:
    """Return as files what is drawn on the axes of a new figure; see ``figure_files``.

    Args:
        name: Of the files, without their endings.
        size: Width and height in inches.
        draw: Draws on the axes.
        formats: Of ``ALL_FORMATS``.
    """
    with new_figure(*size) as figure:
        draw(figure.add_subplot())
        return figure_files(figure, name, formats)


def save_files(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files, made by ``figure_files``, into a folder, which is made if need be; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_whole(folder / name, content)
    return [folder / name for name in files]


def save(plot: "Axes | Figure", path: str | Path) -> Path:
    """Write a figure to a file, in the format that its ending names, and return the path.

    Args:
        plot: The figure, or axes of it.
        path: ``.svg`` with letters that can be edited, ``.pdf`` with its fonts, or ``.png`` with 300 dots per inch.

    Raises:
        PlotError: Another extension, or the file cannot be written.
    """
    from matplotlib.axes import Axes

    target = Path(path)
    ending = format_of(target)
    figure = plot.get_figure(root=True) if isinstance(plot, Axes) else plot
    if figure is None:
        raise PlotError("these axes belong to no figure", "draw again")
    return write_picture(target, figure_files(figure, target.stem, [ending])[f"{target.stem}.{ending}"])


def write_picture(target: Path, content: bytes) -> Path:
    """Write a picture whole or not at all, and return its path.

    Raises:
        PlotError: The file cannot be written.
    """
    try:
        write_whole(target, content)
    except OSError as error:
        raise PlotError(f"cannot write {target}: {error.strerror}", "check the path and the disk") from error
    return target


def format_of(path: Path) -> str:
    """Return the format that the ending of a path names.

    Raises:
        PlotError: It names none.
    """
    ending = path.suffix.lower().removeprefix(".")
    if ending not in ALL_FORMATS:
        endings = ", ".join(f".{one}" for one in ALL_FORMATS)
        raise PlotError(f"plots are saved as {endings}, not as {path.name}", f"choose a name with one of {endings}")
    return ending
