"""Plots that go into a paper as they are: one style, one way to save.

Each ``plot_…`` draws on the matplotlib axes given as ``ax``, or on those of a new figure one column wide, and returns
them. ``save`` writes a figure as SVG, PDF or PNG. matplotlib is imported when the first plot is drawn.
"""

from matlake.plots.coverage import plot_coverage
from matlake.plots.error_by_distance import plot_error_by_distance
from matlake.plots.files import save
from matlake.plots.learning_curve import plot_learning_curve
from matlake.plots.parity import plot_parity
from matlake.plots.reliability import plot_reliability

__all__ = ["plot_coverage", "plot_error_by_distance", "plot_learning_curve", "plot_parity", "plot_reliability", "save"]
