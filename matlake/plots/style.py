"""The one style of plots: colours, markers, fonts, labels."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE: Final = "#0072B2"  # these, and the others of ``COLOURS``, are Okabe and Ito's palette
ORANGE: Final = "#D55E00"
GREEN: Final = "#009E73"
COLOURS: Final = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS: Final = "osD^vPX"
GREY: Final = "#666666"
STYLE: Final[dict[Any, Any]] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "matlake",
}


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


def labelled(quantity: str, unit: str) -> str:
    """Return an axis label: the quantity with its unit, where it has one."""
    return f"{quantity} ({unit})" if unit else quantity
