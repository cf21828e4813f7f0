"""Checkpoints of CHGNet: what is read from them, and what is refused."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matlake.encoders.verify import verify_encoder
from matlake.errors import EncoderError
from matlake.materials.graph_recipe import GraphRecipe
from matlake.networks.architectures import FINE_TUNABLE, TRAINABLE

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from matlake.export.checkpoints.loaded import Stated  # noqa: E402
from matlake.export.checkpoints.loading import load_published  # noqa: E402
from matlake.export.packaging import ExportRequest, export_encoder  # noqa: E402
from matlake.networks.chgnet import CHGNet  # noqa: E402
from matlake.networks.reading import read_network  # noqa: E402

SETTINGS = {"atom_graph_cutoff": 5.0, "bond_graph_cutoff": 3, "cutoff_coeff": 6, "mlp_first": True}
SIZES: dict[str, Any] = {"width": 8, "num_radial": 5, "num_angular": 7, "n_conv": 3, "cutoff": 5.0, "energy_layers": 2}


def save(folder: Path, settings: dict[str, Any] | None = None, *, drop: str = "", **sizes: Any) -> Path:
    """Write a small network with random weights in the format of the published code."""
    torch.manual_seed(3)
    network = CHGNet(**SIZES, cutoff_exponent=6, **sizes)
    state = {name: tensor + 0.01 for name, tensor in network.state_dict().items() if name != drop}
    state |= {"site_wise.weight": torch.ones(1, 8), "site_wise.bias": torch.ones(1)}
    last = {name.replace("angle_layers.0", "angle_layers.1"): tensor for name, tensor in state.items()}
    content = {"model": {"state_dict": last | state, "model_args": SETTINGS | (settings or {})}}
    torch.save(content, folder / "small.pth.tar")
    return folder / "small.pth.tar"


OLD = {"norms": False, "update_bias": True}
"""The form of version 0.2.0."""


def test_sizes_are_read_from_the_weights_and_the_settings(tmp_path: Path) -> None:
    trained = load_published(save(tmp_path), "chgnet")
    form = {"bond_cutoff": 3.0, "cutoff_exponent": 6, "norms": True, "update_bias": False}
    assert trained.training.sizes == SIZES | form
    assert trained.recipe == GraphRecipe("bonds", 5.0, 0, blocks=3, bond_cutoff_A=3.0)
    assert (len(trained.elements), trained.elements[-1]) == (94, "Pu")
    assert trained.licence is None
    assert "no neighbour within the cutoff" in " ".join(trained.training.notes)


def test_an_older_network_becomes_an_encoder_that_keeps_the_contract(tmp_path: Path) -> None:
    path = save(tmp_path, **OLD)
    request = ExportRequest(architecture="chgnet", name="small", checkpoint=path, folder=tmp_path / "small")
    card = export_encoder(request)
    assert card.training.sizes is not None
    assert card.training.sizes.items() >= OLD.items()
    assert "bonds of a crystal without angles" in " ".join(card.training.notes)
    assert not [check for check in verify_encoder(tmp_path / "small") if not check.passed]
    read_network(tmp_path / "small")  # which compares it with the file


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"non_linearity": "relu"}, "a CHGNet with non_linearity = 'relu'"),
        ({"mlp_first": False}, "mlp_first = False"),
        ({"cutoff_coeff": "eight"}, "cutoff_coeff = 'eight'"),
        ({"atom_graph_cutoff": 50}, "a cutoff of 50 Å"),
        ({"bond_graph_cutoff": 5.5}, "bonds of up to 5.5 Å, but messages within 5 Å"),
    ],
)
def test_settings_that_change_the_function_are_refused(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(EncoderError, match=said):
        load_published(save(tmp_path, settings), "chgnet")


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"missing mlp\.layers\.2\.bias"):
        load_published(save(tmp_path, drop="mlp.layers.2.bias"), "chgnet")


def test_what_the_file_says_of_its_graphs_is_not_contradicted(tmp_path: Path) -> None:
    path = save(tmp_path)
    assert load_published(path, "chgnet", Stated(cutoff=5.0, max_neighbours=0)).recipe is not None
    with pytest.raises(EncoderError, match="cutoff of 5, not 6"):
        load_published(path, "chgnet", Stated(cutoff=6.0))
    with pytest.raises(EncoderError, match="neighbour cap of 0, not 12"):
        load_published(path, "chgnet", Stated(max_neighbours=12))


def test_files_that_are_no_chgnet_are_one_line(tmp_path: Path) -> None:
    path = save(tmp_path)
    with pytest.raises(EncoderError, match="holds a chgnet, not a cgcnn"):
        load_published(path, "cgcnn")
    (tmp_path / "half.pth.tar").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(EncoderError, match="damaged"):
        load_published(tmp_path / "half.pth.tar", "chgnet")
    (tmp_path / "code.pth.tar").write_bytes(pickle.dumps({"model": np.random.default_rng}))
    with pytest.raises(EncoderError, match=r"nothing of it was run|not a checkpoint"):
        load_published(tmp_path / "code.pth.tar", "chgnet")
    torch.save({"model": {"state_dict": {"fc.weight": torch.ones(2)}, "model_args": {}}}, tmp_path / "other.pth.tar")
    with pytest.raises(EncoderError, match="of no known format"):
        load_published(tmp_path / "other.pth.tar", "chgnet")


def test_it_is_exported_and_fine_tuned_but_not_trained_here() -> None:
    assert "chgnet" in FINE_TUNABLE
    assert "chgnet" not in TRAINABLE
