"""Plots of ``adversarial.py``: errors by number of labels, and before and after tuning."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmarks.helpers.common import save_picture
from matlake.plots.style import COLOURS, STYLE

Record = dict[str, Any]

SPREAD = 0.12
"""Natural logarithm of how far a method's points stand aside: equal errors would hide each other."""


def draw(folder: Path, features: str, fits: list[Record], tuned: list[Record], shifts: list[str]) -> dict[str, str]:
    """Draw what was measured on one set of features.

    Args:
        folder: Where the files go.
        features: Name of the features, part of the files' names.
        fits: Measurements of networks fitted.
        tuned: Measurements of networks tuned.
        shifts: The test sets, one panel each.

    Returns:
        Names of the files, by ``labels`` and ``tuned``.
    """
    pictures = {}
    for name, records, x, label in (
        ("labels", fits, "labels", "labels trained on"),
        ("tuned", tuned, "target_labels", "labels of the target domain"),
    ):
        if records:
            path = folder / f"adversarial-{name}-{features}.svg"
            pictures[name] = _panels(path, records, x, label, shifts)
    return pictures


def _panels(path: Path, records: list[Record], x: str, label: str, shifts: list[str]) -> str:
    shown = [shift for shift in shifts if any(record["shift"] == shift for record in records)]
    cases = sorted({record["method"] for record in records})
    apart = np.linspace(-SPREAD, SPREAD, len(cases))
    with rc_context(STYLE):
        figure = Figure(figsize=(2.5 * len(shown) + 1.8, 2.9), layout="constrained")
        for number, shift in enumerate(shown, start=1):
            axes = figure.add_subplot(1, len(shown), number)
            for case, colour, aside in zip(cases, COLOURS, apart, strict=False):
                mine = [record for record in records if record["shift"] == shift and record["method"] == case]
                counts = sorted({record[x] for record in mine})
                errors = [[record["mae"] for record in mine if record[x] == count] for count in counts]
                axes.errorbar(
                    [count * math.exp(aside) for count in counts],
                    [float(np.mean(each)) for each in errors],
                    [float(np.std(each)) for each in errors],
                    color=colour, marker="o", markersize=3, linewidth=1.0, capsize=2, label=case,
                )  # fmt: skip
            axes.set_xscale("log")
            axes.set_xticks(sorted({record[x] for record in records}), minor=False)
            axes.get_xaxis().set_major_formatter(lambda value, _: f"{value:,.0f}")
            axes.minorticks_off()
            axes.set_xlabel(f"{label}\n{shift}")
            if number == 1:
                axes.set_ylabel("MAE of formation energy (eV/atom)")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=7)
        return save_picture(figure, path)
