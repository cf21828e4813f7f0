"""Plots of a head, drawn again from its test rows: what they say is what its card says."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from samples import Cli

import matlake
from matlake.errors import HeadError, PlotError
from matlake.plots.coverage import covered
from matlake.plots.style import new_figure
from matlake.regress.heads.plots import plot_head
from matlake.regress.heads.storage import find_head
from matlake.regress.heads.tested_rows import FILE, read_rows
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.uncertainty.conformal import LEVEL

KINDS = ["parity", "error_by_distance", "coverage", "learning_curve"]


@pytest.fixture(scope="module")
def head(embedded: matlake.Lake, trained: TrainResult) -> matlake.Head:
    return matlake.Head(embedded, trained.card.name)


def note_of(axes: object) -> str:
    legend = axes.get_legend()  # type: ignore[attr-defined]
    text = legend.get_title().get_text() if legend else axes.get_title(loc="left")  # type: ignore[attr-defined]
    return " ".join(text.split())


def test_the_head_keeps_its_test_rows(embedded: matlake.Lake, trained: TrainResult) -> None:
    kept = read_rows(find_head(embedded, "gap") / "plots", "gap")
    assert kept.formula.tolist() == trained.test.formula.tolist()
    np.testing.assert_array_equal(kept.predicted, trained.test.predicted)
    np.testing.assert_array_equal(kept.levels, trained.test.levels)


def test_levels_of_the_test_rows_give_the_coverage_on_the_card(trained: TrainResult) -> None:
    card, levels = trained.card, trained.test.levels
    assert card.calibration is not None
    assert covered(levels, LEVEL) == pytest.approx(card.calibration.coverage)
    assert covered(levels, 0.5) < covered(levels, LEVEL)
    assert ((levels >= 0.0) & (levels <= 1.0)).all()


def test_plots_say_what_the_card_says(head: matlake.Head) -> None:
    with new_figure(12.0, 12.0) as figure:  # panels with room for baselines
        axes = dict(zip(KINDS, figure.subplots(2, 2).flat, strict=True))
        for kind, each in axes.items():
            assert head.plot(kind, ax=each) is each
    metrics, card = head.metrics, head.card
    assert card.calibration is not None
    parity = note_of(axes["parity"])
    r2 = f"{metrics.r2:.3f}".replace("-", "−")
    assert f"MAE {metrics.mae:#.3g} eV, RMSE {metrics.rmse:#.3g} eV, R² {r2}" in parity
    assert f"mean of the training rows {card.evaluation.baseline.mae:#.3g}" in parity
    assert "nearest training material" in parity
    assert axes["parity"].get_ylabel() == "Predicted band gap (eV)"
    assert f"hold {100 * card.calibration.coverage:.1f} %" in note_of(axes["coverage"])
    assert card.domain is not None
    assert f"Rank correlation {card.domain.rank_correlation:.2f}" in note_of(axes["error_by_distance"])
    (curve,) = axes["learning_curve"].containers
    assert curve[0].get_ydata().tolist() == [point.mae for point in card.full_curve]
    lines = {line.get_label(): line.get_ydata()[0] for line in axes["learning_curve"].get_lines()}
    assert lines["mean of the training rows"] == card.evaluation.baseline.mae


def test_the_command_writes_one_plot_or_all(head: matlake.Head, tmp_path: Path) -> None:
    run = Cli(head.lake.path)
    (one,) = run.json("heads", "plot", "gap", "--output", str(tmp_path / "fig2.pdf"))["files"]  # type: ignore[misc]
    assert Path(one).read_bytes().startswith(b"%PDF")
    paths = head.plot(output=tmp_path / "figures")
    assert sorted(path.name for path in paths) == sorted(
        f"{kind}.{end}" for kind in KINDS for end in ("svg", "pdf", "png")
    )
    assert all(path.stat().st_size > 3000 for path in paths)
    assert [path.stem for path in head.plot("coverage", output=tmp_path / "figures")] == ["coverage"] * 3
    assert "not as a.eps" in run.stderr("heads", "plot", "gap", "--output", str(tmp_path / "a.eps"), code=1)


def test_what_a_head_does_not_have_is_refused(head: matlake.Head, tmp_path: Path) -> None:
    with pytest.raises(HeadError, match="no plot 'reliability'") as caught:
        head.plot("reliability")
    assert caught.value.hint == f"its plots: {', '.join(KINDS)}"
    with pytest.raises(PlotError, match="cannot write"):
        head.plot(output=tmp_path / "absent" / "a.svg")
    folder = find_head(head.lake, "gap")
    older = folder.with_name("older")
    shutil.copytree(folder, older)
    try:
        (older / "plots" / FILE).write_bytes(b"PAR1")
        with pytest.raises(HeadError, match="is damaged"):
            plot_head(head.lake, "older")
        (older / "plots" / FILE).unlink()
        with pytest.raises(HeadError, match="keeps no test rows") as caught:
            plot_head(head.lake, "older")
        assert caught.value.hint == "train it again"
    finally:
        shutil.rmtree(older)
