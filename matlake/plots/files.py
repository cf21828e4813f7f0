"""The one way to save figures: as the content of files, in the formats that the caller wants."""

from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from matlake.files import write_whole
from matlake.plots.style import STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS: Final = ("png", "svg")

_DPI: Final = 200


def figure_files(figure: "Figure", name: str, formats: Iterable[str] = FORMATS) -> dict[str, bytes]:
    """Return a figure as files, by name; the same figure gives the same bytes.

    Args:
        figure: The figure.
        name: Of the files, without their endings.
        formats: Of ``FORMATS``.
    """
    from matplotlib import rc_context

    files = {}
    with rc_context(STYLE):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # what has been laid out once is not laid out again for each file
        for ending in formats:
            content = BytesIO()
            figure.savefig(content, format=ending, dpi=_DPI, metadata={"Date": None} if ending == "svg" else None)
            files[f"{name}.{ending}"] = content.getvalue()
    return files


def save_files(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files, made by ``figure_files``, into a folder, which is made if need be; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_whole(folder / name, content)
    return [folder / name for name in files]
