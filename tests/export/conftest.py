"""Fixtures: a tiny table, and a short run on it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from matlake.encoders.training_record import TableRecipe
from matlake.export.pretraining.training_data import TrainingTable

if TYPE_CHECKING:
    from matlake.export.pretraining.run import PretrainRequest
    from matlake.networks.training_config import TrainingConfig

TARGET = "formation_energy_eV_per_atom"
EPOCHS = 4


@pytest.fixture(scope="session")
def recipe() -> TableRecipe:
    return TableRecipe((TARGET,))


@pytest.fixture(scope="session")
def table(tmp_path_factory) -> Path:
    """Two hundred oxides whose energy is smooth in the composition."""
    metals = "Li Be Na Mg Al Si K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge".split()
    lines = [f"formula,{TARGET}"]
    lines += [
        f"{metal}3O{oxygen},{-0.1 * z - 2.0 * oxygen / (oxygen + 3):.4f}"
        for z, metal in enumerate(metals)
        for oxygen in range(1, 11)
    ]
    path = tmp_path_factory.mktemp("data") / "oxides.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def config() -> "TrainingConfig":
    pytest.importorskip("torch", reason="needs the extra 'train'")
    from matlake.networks.training_config import TrainingConfig

    return TrainingConfig(epochs=EPOCHS, batch_size=64)


@pytest.fixture(scope="session")
def request_in(table, recipe, config) -> "Callable[[Path], PretrainRequest]":
    """Makes a request to train in a folder."""
    from matlake.export.pretraining.run import PretrainRequest

    return lambda folder: PretrainRequest("elemnet", TrainingTable.from_file(table), recipe, config, folder)


@pytest.fixture(scope="session")
def run_folder(request_in, tmp_path_factory) -> Path:
    """A finished run."""
    from matlake.export.pretraining.run import run_pretraining

    folder = tmp_path_factory.mktemp("runs") / "whole"
    run_pretraining(request_in(folder), lambda _: None, lambda _: None)
    return folder
