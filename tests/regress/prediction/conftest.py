"""A lake whose materials a head can predict from stored vectors."""

import shutil
from pathlib import Path

import pytest

import matlake
from matlake.regress.heads.train_result import TrainResult


@pytest.fixture
def lake(embedded: matlake.Lake, trained: TrainResult, tmp_path: Path) -> matlake.Lake:
    """307 measured gaps, their embeddings, and the head ``gap``."""
    assert trained.card.name == "gap"
    return matlake.open_lake(shutil.copytree(embedded.path, tmp_path / "gaps"))
