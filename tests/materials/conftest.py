"""Fixtures: real crystals."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sample_crystals import read_materials_project

from matlake.materials.crystal import Crystal


@pytest.fixture(scope="session")
def real_crystals(development_data: Callable[[str], Path]) -> list[Crystal]:
    """400 crystals of the Materials Project."""
    return read_materials_project(development_data("mp_structures.parquet"), 400)
