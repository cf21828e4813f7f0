"""The checks that a plug-in must pass, for the tests of the package that brings it.

Each takes what an entry point stands for, raises AssertionError or a MatlakeError that says what is wrong, and returns
nothing. None needs a test runner, a lake or a network. ``docs/inside/extending.md`` shows them in use.
"""

from matlake.testing.encoders import check_encoder
from matlake.testing.graphs import check_graphs
from matlake.testing.readers import check_reader
from matlake.testing.regressors import check_regressor
from matlake.testing.sources import check_source
from matlake.testing.splits import check_split

__all__ = ["check_encoder", "check_graphs", "check_reader", "check_regressor", "check_source", "check_split"]
