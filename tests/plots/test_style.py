from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from matlake.plots.embedding_map import embedding_map
from matlake.plots.error_by_distance import error_by_distance_plot
from matlake.plots.files import save_files
from matlake.plots.parity import READABLE_INTERVALS, ParityExtras, parity_plot

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]


def test_plots_come_as_png_and_svg_with_units_on_their_axes(tmp_path: Path, vectors: Vectors) -> None:
    x, y = vectors
    for paths in (
        save_files(tmp_path, parity_plot("parity.v1", y, y + 0.5, quantity="band gap", unit="eV")),
        save_files(tmp_path, embedding_map("map", x, y, quantity="band gap", unit="eV")),
        save_files(tmp_path, error_by_distance_plot("error", np.abs(y), np.abs(y), quantity="band gap", unit="eV")),
    ):
        png, svg = paths
        assert png.read_bytes().startswith(b"\x89PNG")
        assert " gap (eV)" in svg.read_text()
    assert "MAE 0.500 eV" in (tmp_path / "parity.v1.svg").read_text()


def test_the_line_of_the_training_rows_is_in_sight_where_all_scores_are_small() -> None:
    errors = np.linspace(
        0.0, 1.0, 40
    )  # a line far outside would leave no room for the axes: a warning, and so an error
    assert error_by_distance_plot("error", errors * 0.01, errors, quantity="band gap", unit="eV")


def test_errors_are_drawn_by_group_where_there_are_groups(vectors: Vectors) -> None:
    y = np.abs(vectors[1])
    groups = {"continuous": y < np.median(y), "discontinuous": y >= np.median(y)}
    svg = error_by_distance_plot("error", y, y, groups, quantity="band gap", unit="eV")["error.svg"].decode()
    assert all(
        label in svg for label in (*groups, "median and quartiles of each eighth", "Absolute error of band gap (eV)")
    )


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_values_that_do_not_vary_can_be_drawn(tmp_path: Path, vectors: Vectors, value: float) -> None:
    same = np.full(12, value)
    assert all(path.exists() for path in save_files(tmp_path, parity_plot("parity", same, same, quantity="x", unit="")))
    x = vectors[0][:12]
    assert all(path.exists() for path in save_files(tmp_path, embedding_map("map", x, same, quantity="x", unit="")))


def test_a_parity_plot_shows_intervals_where_they_are_readable() -> None:
    y = np.linspace(1.0, 100.0, READABLE_INTERVALS)
    extras = ParityExtras(lower=y - 1.0, upper=y + 2.0)
    svg = parity_plot("parity", y, y + 0.5, quantity="band gap", unit="eV", extras=extras)["parity.svg"].decode()
    assert "LineCollection" in svg
    many = np.linspace(1.0, 100.0, READABLE_INTERVALS + 1)
    extras = ParityExtras(lower=many - 1.0, upper=many + 2.0)
    svg = parity_plot("parity", many, many + 0.5, quantity="modulus", unit="GPa", extras=extras)["parity.svg"].decode()
    assert "LineCollection" not in svg
