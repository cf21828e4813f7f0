"""The one style of plots: colours, markers, fonts, sizes, labels."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from matlake.extras import require_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE: Final = "#0072B2"  # these, and the others of ``COLOURS``, are Okabe and Ito's palette
ORANGE: Final = "#D55E00"
GREEN: Final = "#009E73"
COLOURS: Final = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS: Final = "osD^vPX"
GREY: Final = "#666666"
DENSITY: Final = "viridis"
"""Colour map of densities and properties: it grows lighter evenly, for colour-blind readers and in grey as well."""

MINUS: Final = "\N{MINUS SIGN}"

COLUMN: Final = 3.3
"""Width in inches of one column of a journal."""

STYLE: Final[dict[Any, Any]] = {
    "font.size": 8,
    "axes.titlesize": 7,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.width": 0.5,
    "ytick.minor.width": 0.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 150,
    "pdf.fonttype": 42,  # whole TrueType fonts, which editors and publishers take
    "svg.fonttype": "none",
    "svg.hashsalt": "matlake",
}
_PRINTED_UNITS: Final = {"cm1": "cm⁻¹", "1/cm": "cm⁻¹", "1/K": "K⁻¹", "1/cm³": "cm⁻³", "1/m³": "m⁻³"}
"""Units that papers write with a negative power, and column names without."""

_LETTER: Final = 0.56
"""Mean width of a letter, in font sizes."""

_NOTE: Final = 0.875
"""Size of the letters of notes and legends, where that of axis labels is 1."""

_LINE: Final = 1.25
"""Distance of two lines of text, in font sizes."""

_HANDLE: Final = 0.25
"""Width in inches of what stands before a label of a legend."""

LARGE: Final = 1e5
"""Numbers from here on are shorter as powers of ten."""

_KEPT: Final = "\N{NO-BREAK SPACE}"
"""A space at which no line is broken."""


@contextmanager
def new_figure(width: float, height: float, **style: Any) -> "Iterator[Figure]":
    """Begin a figure in the style; what is drawn on it inside of ``with`` has the style, too.

    Args:
        width: In inches.
        height: In inches.
        **style: Settings of matplotlib that differ, with ``_`` for the dot.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE | {name.replace("_", "."): value for name, value in style.items()}):
        yield Figure(figsize=(width, height), layout="constrained")


@contextmanager
def axes_for(ax: "Axes | None", size: tuple[float, float]) -> "Iterator[Axes]":
    """Yield axes to draw on: those given as they are, or those of a new figure of pyplot's in the style.

    Args:
        ax: The caller's, which keep their fonts.
        size: Width and height of a new figure, in inches.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    if ax is not None:
        yield ax
        return
    require_extra("plots", "a plot")
    import matplotlib.pyplot as plt
    from matplotlib import rc_context

    figure = plt.figure(figsize=size, dpi=STYLE["figure.dpi"], layout="constrained")  # outside: it may set the backend
    with rc_context(STYLE):
        yield figure.add_subplot()


def labelled(quantity: str, unit: str) -> str:
    """Return an axis label: the quantity with its unit, where it has one."""
    return f"{quantity} ({printed(unit)})" if unit else quantity


def printed(unit: str) -> str:
    """Return a unit as papers write it: ``cm⁻¹`` for ``cm1``."""
    return _PRINTED_UNITS.get(unit, unit)


def with_unit(value: float, unit: str) -> str:
    """Return a number of three digits with its unit, where it has one."""
    return f"{value:#.3g} {printed(unit)}".strip() if 0.0 < abs(value) < 1e3 else f"{value:.3g} {printed(unit)}".strip()  # noqa: PLR2004


def set_labels(axes: "Axes", x: str, y: str) -> None:
    """Label both axes, on several lines where a label is longer than its axis."""
    size = _label_size(axes)
    width, height = _inches(axes)
    axes.set_xlabel(_wrapped(x, width, size))
    axes.set_ylabel(_wrapped(y, height, size))


def set_note(axes: "Axes", lines: list[str], columns: int = 1) -> None:
    """Write above the axes, where it hides no data: numbers first, then the legend of what has a label.

    Args:
        axes: The axes, drawn.
        lines: The numbers; a line that is too long goes on in the next one.
        columns: Of the legend.
    """
    from matplotlib.container import Container

    drawn = zip(*axes.get_legend_handles_labels(), strict=True)
    entries = sorted(drawn, key=lambda entry: not isinstance(entry[0], Container))  # results, then lines beside them
    width, size = _inches(axes)[0], _NOTE * _label_size(axes)
    width -= axes.yaxis.label.get_text().count("\n") * _LINE * _label_size(axes) / 72.0
    note = "\n".join(_wrapped(line, width, size) for line in lines)
    if not entries:
        axes.set_title(note, loc="left", fontsize=size)
        return
    labels = [_wrapped(label, (width - _HANDLE) / columns, size) for _, label in entries]
    legend = axes.legend(
        [handle for handle, _ in entries], labels, title=note or None, fontsize=size, title_fontsize=size,
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns, frameon=False, alignment="left", borderpad=0.2,
        borderaxespad=0.2, handlelength=1.6, columnspacing=1.2, labelspacing=0.3,
    )  # fmt: skip
    legend.get_title().set_multialignment("left")


def unbroken(text: str) -> str:
    """Return text that stays on one line of a note."""
    return text.replace(" ", _KEPT)


def set_numbers(axes: "Axes") -> None:
    """Write the numbers of a linear y axis at its ticks, large ones with their power: none stands above the axis."""
    if max(map(abs, axes.get_ylim())) >= LARGE:
        axes.yaxis.set_major_formatter("{x:.3g}")
    else:
        axes.ticklabel_format(axis="y", useOffset=False, style="plain")


def width_of(axes: "Axes") -> float:
    """Return the width of axes in inches."""
    return _inches(axes)[0]


def height_of(axes: "Axes") -> float:
    """Return the height of axes, in widths."""
    width, height = _inches(axes)
    shape = axes.get_box_aspect()
    return float(height / width if shape is None else shape)


def _label_size(axes: "Axes") -> float:
    """Return the size of the letters of axis labels, in points."""
    return float(axes.xaxis.label.get_fontsize())


def _inches(axes: "Axes") -> tuple[float, float]:
    """Return the size of axes before they are laid out, which is about what they get."""
    place = axes.get_position()
    width, height = axes.figure.get_figure(root=True).get_size_inches()
    return place.width * float(width), place.height * float(height)


def _wrapped(text: str, inches: float, size: float) -> str:
    """Return text on lines of a width; unbroken parts are broken only where they are longer than a line."""
    letters = max(12, int(inches * 72.0 / (_LETTER * size)))
    if max(map(len, text.split(" "))) > letters:
        text = text.replace(_KEPT, " ")
    lines = textwrap.wrap(text, letters, break_on_hyphens=False)
    return "\n".join(lines).replace(_KEPT, " ")
