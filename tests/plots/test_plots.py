"""What stands on the axes, that nothing is cut off or hidden, and that files open elsewhere."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from matlake import plots
from matlake.errors import PlotError
from matlake.metrics import measure
from matlake.plots.coverage import draw_coverage
from matlake.plots.density import MANY
from matlake.plots.error_by_distance import draw_error_by_distance
from matlake.plots.files import drawn_files
from matlake.plots.learning_curve import draw_learning_curve
from matlake.plots.parity import ParityExtras, draw_parity, size_with
from matlake.plots.reliability import draw_reliability
from matlake.plots.style import COLUMN, MARKERS, new_figure, printed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Draw = Callable[["Axes"], None]
SMALLEST_FONT = 6.5
LONG = "highest phonon frequency of the relaxed structure at the Gamma point"
BASELINES = {
    "nearest training material": 0.62,
    "same model on element fractions": 0.51,
    "random forest on magpie": 0.45,
    "mean of the training rows": 1.27,
}
GENERATOR = np.random.default_rng(0)
Y = GENERATOR.normal(-1.5, 1.2, 4000)
PREDICTED = 0.9 * Y + GENERATOR.normal(0.0, 0.3, len(Y))
SCORES, LEVELS = GENERATOR.gamma(2.0, 0.3, len(Y)), GENERATOR.random(len(Y))
ERRORS = np.abs(Y - PREDICTED)
WITH_ALL = ParityExtras(BASELINES, PREDICTED[:200] - 0.5, PREDICTED[:200] + 0.7)
CURVES = {
    "magpie": {50: [0.60, 0.55, 0.65], 100: [0.50, 0.45, 0.55], 200: [0.41, 0.40, 0.42]},
    "chgnet-mptrj@all + geometry + magpie": {50: [0.40, 0.38, 0.42], 100: [0.33, 0.32, 0.34], 200: [0.3, 0.29, 0.31]},
}

DRAWINGS: dict[str, Draw] = {
    "parity": lambda axes: draw_parity(axes, Y[:200], PREDICTED[:200], "formation energy", "eV/atom", WITH_ALL),
    "parity of many": lambda axes: draw_parity(axes, Y, PREDICTED, "formation energy", "eV/atom"),
    "parity of three": lambda axes: draw_parity(axes, Y[:3], PREDICTED[:3], "poisson ratio", ""),
    "parity of a long name": lambda axes: draw_parity(axes, Y * 1e6, PREDICTED * 1e6, LONG, "THz", WITH_ALL),
    "parity of a logarithm": lambda axes: draw_parity(
        axes, np.exp(Y), np.exp(PREDICTED), "bulk modulus", "GPa", ParityExtras(BASELINES, log=True)
    ),
    "distance": lambda axes: draw_error_by_distance(axes, SCORES[:300], ERRORS[:300], "band gap", "eV"),
    "distance of many": lambda axes: draw_error_by_distance(axes, SCORES, ERRORS, LONG, "THz"),
    "distance of three": lambda axes: draw_error_by_distance(axes, SCORES[:3], ERRORS[:3], "band gap", "eV"),
    "coverage": lambda axes: draw_coverage(axes, LEVELS, 0.9, SCORES < 1.0),
    "coverage of three": lambda axes: draw_coverage(axes, LEVELS[:3], 0.9, None),
    "learning curve": lambda axes: draw_learning_curve(axes, CURVES, "bulk modulus", "GPa", BASELINES),
    "reliability": lambda axes: draw_reliability(axes, (LEVELS > SCORES) * 1.0, LEVELS, "is metal"),
    "reliability of three": lambda axes: draw_reliability(axes, np.array([0.0, 1.0, 1.0]), LEVELS[:3], "is metal"),
}


def figure_of(draw: Draw, size: tuple[float, float] | None = None) -> "Figure":
    with new_figure(*(size or size_with(WITH_ALL))) as figure:
        draw(figure.add_subplot())
        figure.draw_without_rendering()
    return figure


def note_of(axes: "Axes") -> str:
    legend = axes.get_legend()
    return " ".join((legend.get_title().get_text() if legend else axes.get_title(loc="left")).split())


@pytest.mark.parametrize("name", DRAWINGS)
def test_nothing_is_cut_off_or_hidden_or_too_small_to_read(name: str) -> None:
    from matplotlib.text import Text

    figure = figure_of(DRAWINGS[name])
    axes = figure.axes[0]
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 > 0.0
    assert drawn.x1 < width
    assert drawn.height < height, "the edge below and above is cut to what is drawn"
    letters = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert min(text.get_fontsize() for text in letters) >= SMALLEST_FONT
    legend = axes.get_legend()
    if legend is not None:
        assert legend.get_window_extent().y0 > axes.bbox.y1 - 1.0
    for axis in (axes.xaxis, axes.yaxis):
        boxes = [label.get_window_extent() for label in axis.get_ticklabels() if label.get_text()]
        assert not [box for box, other in pairwise(boxes) if box.overlaps(other)]
    assert axes.bbox.width > 0.4 * COLUMN * figure.dpi


def test_parity_names_the_quantity_and_its_errors() -> None:
    axes = figure_of(DRAWINGS["parity"]).axes[0]
    found = measure(Y[:200], PREDICTED[:200])
    assert axes.get_xlabel() == "True formation energy (eV/atom)"
    assert axes.get_ylabel() == "Predicted formation energy (eV/atom)"
    note = note_of(axes)
    assert note.startswith(f"MAE {found.mae:#.3g} eV/atom, RMSE {found.rmse:#.3g} eV/atom, R² {found.r2:.3f}, 200 mat")
    assert "MAE of baselines (eV/atom): nearest training material 0.620, same" in note


@pytest.mark.parametrize("name", [name for name in DRAWINGS if name.startswith("parity")])
def test_both_axes_of_a_parity_plot_are_alike(name: str) -> None:
    axes = figure_of(DRAWINGS[name]).axes[0]
    assert axes.get_xlim() == axes.get_ylim()
    assert axes.bbox.width == pytest.approx(axes.bbox.height, rel=1e-3)
    left, right = axes.get_xlim()
    shown = [[tick for tick in axis.get_majorticklocs() if left <= tick <= right] for axis in (axes.xaxis, axes.yaxis)]
    assert shown[0] == shown[1]
    diagonal = axes.get_lines()[0]
    assert diagonal.get_xydata().tolist() == [[left, left], [right, right]]


def test_many_materials_are_counted_in_hexagons_and_few_are_points() -> None:
    many, few = (figure_of(DRAWINGS[name]) for name in ("parity of many", "parity of a logarithm"))
    for figure in (many, few):
        (hexagons,) = figure.axes[0].collections
        assert hexagons.get_array().sum() == len(Y) > MANY
        assert [axes.get_ylabel() for axes in figure.axes[0].child_axes] == ["Materials per hexagon"]
    (points,) = figure_of(DRAWINGS["parity of three"]).axes[0].collections
    assert len(points.get_offsets()) == 3


def test_logarithmic_axes_have_plain_numbers() -> None:
    axes = figure_of(DRAWINGS["parity of a logarithm"]).axes[0]
    low, high = axes.get_xlim()
    labels = [
        label.get_text()
        for label in axes.get_xticklabels()
        if label.get_text() and low < label.get_position()[0] < high
    ]
    assert len(labels) >= 2
    assert [f"{float(label):g}" for label in labels] == labels
    with_zero = figure_of(lambda axes: draw_parity(axes, Y, PREDICTED, "x", "", ParityExtras(log=True))).axes[0]
    assert with_zero.get_xscale() == "linear", "negative numbers have no logarithm"


def test_errors_have_medians_and_say_what_is_beyond_the_axes() -> None:
    axes = figure_of(DRAWINGS["distance of many"]).axes[0]
    (medians,) = axes.containers
    assert [len(part) for part in medians[0].get_data()] == [8, 8]
    right, top = axes.get_xlim()[1], axes.get_ylim()[1]
    beyond = (right < SCORES) | (top < ERRORS)
    assert 0 < beyond.sum() < 0.01 * len(Y)
    assert f"4,000 materials, {beyond.sum()} beyond the axes" in note_of(axes)
    assert f"Absolute error of {LONG} (THz)" in " ".join(axes.get_ylabel().split())
    assert not figure_of(DRAWINGS["distance of three"]).axes[0].containers


def test_coverage_says_what_intervals_hold_inside_and_outside_the_domain() -> None:
    axes = figure_of(DRAWINGS["coverage"]).axes[0]
    held = np.mean(LEVELS < 0.9)
    assert note_of(axes) == f"90 % intervals hold {100 * held:.1f} % of 4,000 materials"
    inside = int((SCORES < 1.0).sum())
    labels = axes.get_legend_handles_labels()[1]
    assert f"inside the applicability domain ({inside:,})" in labels
    assert f"outside of it ({4000 - inside:,})" in labels
    _, _, first = axes.get_lines()[:3]
    assert first.get_xdata()[0] == 90.0
    assert first.get_ydata()[0] == pytest.approx(100 * np.mean(LEVELS[SCORES < 1.0] < 0.9))
    assert "all (3: too few to draw)" in figure_of(DRAWINGS["coverage of three"]).axes[0].get_legend_handles_labels()[1]


def test_learning_curves_show_the_spread_over_seeds_and_baselines() -> None:
    axes = figure_of(DRAWINGS["learning curve"]).axes[0]
    assert note_of(axes) == "Mean ± standard deviation over 3 seeds"
    assert axes.get_ylabel() == "MAE of bulk modulus (GPa)"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["50", "100", "200"]
    first = axes.containers[0]
    np.testing.assert_allclose(first[0].get_ydata(), [0.6, 0.5, 0.41])
    (bars,) = first[2]
    low, high = bars.get_segments()[0][:, 1]
    assert (high - low) / 2.0 == pytest.approx(0.05)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [*CURVES, *BASELINES]
    assert axes.get_ylim() == (0.0, pytest.approx(1.06 * 1.27))
    alone = figure_of(lambda axes: draw_learning_curve(axes, {"ridge": {10: 2.0, 20: 1.0}}, "x", "", {})).axes[0]
    assert not note_of(alone)
    assert len(MARKERS) >= len(CURVES)


def test_reliability_names_the_class() -> None:
    axes = figure_of(DRAWINGS["reliability"]).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Predicted probability of metal", "Observed frequency of metal")
    brier = np.mean(((LEVELS > SCORES) - LEVELS) ** 2)
    assert note_of(axes) == f"Brier score {brier:#.3g}; 4,000 materials"


def test_the_callers_axes_are_drawn_on_and_kept() -> None:
    with new_figure(6.9, 3.0) as figure:
        first, second = figure.subplots(1, 2)
        assert plots.plot_parity(Y.tolist(), PREDICTED, quantity="band gap", unit="eV", ax=first) is first
        assert plots.plot_error_by_distance(SCORES, ERRORS, quantity="band gap", unit="eV", ax=second) is second
    assert first.get_ylabel() == "Predicted band gap (eV)"


def test_a_new_figure_is_one_column_wide() -> None:
    import matplotlib.pyplot as plt

    with plt.rc_context({"font.size": 12}):
        axes = plots.plot_coverage(LEVELS)
    assert axes.figure.get_figwidth() == COLUMN
    assert axes.xaxis.label.get_fontsize() == 8
    plt.close(axes.figure)


@pytest.mark.parametrize(
    ("unit", "written"), [("cm1", "cm⁻¹"), ("1/cm", "cm⁻¹"), ("1/K", "K⁻¹"), ("Å³/atom", "Å³/atom"), ("GPa", "GPa")]
)
def test_units_are_written_as_in_papers(unit: str, written: str) -> None:
    assert printed(unit) == written


def test_files_hold_their_fonts_and_are_the_same_each_time(tmp_path: Path) -> None:
    first, again = (drawn_files("p", (COLUMN, 3.3), DRAWINGS["parity"], ("svg", "pdf", "png")) for _ in range(2))
    assert first == again
    assert "Predicted formation energy (eV/atom)" in first["p.svg"].decode()
    assert first["p.pdf"].startswith(b"%PDF")
    assert b"/FontFile2" in first["p.pdf"], "a whole TrueType font"
    assert b"/Type3" not in first["p.pdf"]
    (tmp_path / "p.png").write_bytes(first["p.png"])
    with Image.open(tmp_path / "p.png") as image:
        assert image.size[0] == pytest.approx(300 * COLUMN, abs=1)
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_the_ending_names_the_format(tmp_path: Path) -> None:
    figure = figure_of(DRAWINGS["learning curve"])
    for name, magic in (("a.svg", b"<?xml"), ("a.PDF", b"%PDF"), ("a.png", b"\x89PNG")):
        assert plots.save(figure.axes[0], tmp_path / name) == tmp_path / name
        assert (tmp_path / name).read_bytes().startswith(magic)
    assert b"MAE of bulk modulus (GPa)" in plots.save(figure, str(tmp_path / "b.svg")).read_bytes()
    with pytest.raises(PlotError, match=r"saved as \.svg, \.pdf, \.png, not as a\.eps"):
        plots.save(figure, tmp_path / "a.eps")
    with pytest.raises(PlotError, match="cannot write"):
        plots.save(figure, tmp_path / "absent" / "a.svg")
