"""Figures as files: in the formats asked for, and the same bytes for the same figure."""

from pathlib import Path
from typing import TYPE_CHECKING

from matlake.plots.files import figure_files, save_files
from matlake.plots.style import labelled, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def drawn() -> "Figure":
    with new_figure(3.0, 2.0, font_size=7) as figure:
        axes = figure.add_subplot()
        axes.plot([1.0, 2.0], [3.0, 4.0])
        axes.set_xlabel(labelled("band gap", "eV"))
    return figure


def test_the_caller_chooses_the_formats(tmp_path: Path) -> None:
    assert list(figure_files(drawn(), "gap")) == ["gap.png", "gap.svg"]
    folder = tmp_path / "new" / "plots"
    assert save_files(folder, figure_files(drawn(), "gap.v1", ["svg"])) == [folder / "gap.v1.svg"]
    assert "band gap (eV)" in (folder / "gap.v1.svg").read_text()
    assert labelled("refractive index", "") == "refractive index"


def test_equal_figures_are_equal_files() -> None:
    assert figure_files(drawn(), "gap") == figure_files(drawn(), "gap")
