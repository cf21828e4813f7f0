"""Crystals to the text of a POSCAR, which ``poscar`` reads back to the last digit."""

from collections.abc import Sequence
from itertools import groupby

from matlake.materials.periodic_table import SYMBOLS


def poscar_text(title: str, numbers: Sequence[int], lattice: Sequence[float], positions: Sequence[float]) -> str:
    """Return the text of a POSCAR.

    Args:
        title: The comment in the first line.
        numbers: [n], atomic numbers; atoms keep their order.
        lattice: [9], cell vectors in Å, one after the other.
        positions: [3n], fractional.
    """
    runs = [(SYMBOLS[number - 1], len(list(run))) for number, run in groupby(numbers)]
    return "\n".join(
        [
            " ".join(title.split()),
            "1.0",
            *_rows(lattice),
            " ".join(symbol for symbol, _ in runs),
            " ".join(str(count) for _, count in runs),
            "Direct",
            *_rows(positions),
            "",
        ]
    )


def _rows(values: Sequence[float]) -> list[str]:
    return [f"{x!r} {y!r} {z!r}" for x, y, z in zip(values[::3], values[1::3], values[2::3], strict=True)]
