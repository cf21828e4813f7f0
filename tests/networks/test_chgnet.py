"""CHGNet: what the original code makes of 200 real crystals, from its checkpoint and from the shipped file."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from matlake.encoders.card import Layer
from matlake.encoders.encoder import open_crystal_encoder
from matlake.encoders.registry import find_encoder
from matlake.materials.crystal import CrystalColumns
from matlake.materials.graph_recipe import SYMMETRY_RESOLUTION_A

DATA = Path(__file__).parents[1] / "data" / "chgnet"
EVERY = {"0.3.0": 1, "0.2.0": 10, "r2scan": 10}
A_BATCH = 25
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def golden() -> Mapping[str, NDArray[Any]]:
    with np.load(DATA / "golden.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def crystals(golden: Mapping[str, NDArray[Any]]) -> CrystalColumns:
    return CrystalColumns(*(golden[name] for name in ("offsets", "numbers", "lattices", "positions")))


def checkpoint(version: str) -> Path:
    """The file that the original package brings."""
    found = importlib.util.find_spec("chgnet")
    if found is None or found.origin is None:
        pytest.skip("needs chgnet, of the extra 'dev'")
    (path,) = (Path(found.origin).parent / "pretrained" / version).glob("*.pth.tar")
    return path


def worst(expected: NDArray[Any], found: list[NDArray[Any]]) -> float:
    """The largest difference in any layer, relative to the layer's largest value."""
    ends = np.cumsum([layer.shape[1] for layer in found])
    assert ends[-1] == expected.shape[1]
    parts = np.split(expected, ends[:-1], axis=1)
    return max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in zip(parts, found, strict=True))


def test_the_crystals_hold_the_hard_cases(crystals: CrystalColumns) -> None:
    from matlake.materials.bond_graphs import build_bond_graphs

    graphs = build_bond_graphs(crystals, 6.0, 3.0)
    sizes = np.diff(crystals.offsets)
    assert len(crystals) == 200
    assert (np.diff(graphs.bond_offsets) == 0).sum() >= 10
    assert (sizes == 1).any()
    assert sizes.max() >= 40
    assert (crystals.numbers == 1).sum() >= 20


def test_the_shipped_encoder_gives_what_the_original_gives(golden, crystals) -> None:
    encoder = open_crystal_encoder(find_encoder("chgnet-mptrj").folder)
    layers = encoder.card.layers
    assert [layer.name for layer in layers] == [*"01234", *(f"{k}_std" for k in range(5)), "prediction"]
    assert layers[0] == Layer("0", "layer_0", 64)
    found = encoder.encode_inputs(encoder.inputs(crystals), [layer.name for layer in layers])
    assert worst(golden["0.3.0"], found) < TOLERANCE


@pytest.mark.parametrize("resolution", [0.0, SYMMETRY_RESOLUTION_A])
@pytest.mark.parametrize("version", EVERY)
def test_the_reference_network_gives_what_the_original_gives(golden, crystals, version, resolution) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra 'train'")
    path = checkpoint(version)
    from matlake.export.checkpoints.loading import load_published

    trained = load_published(path, "chgnet")
    rows = np.arange(0, len(crystals), EVERY[version] if resolution else max(5, EVERY[version]))
    network, found = trained.network.double(), []
    assert trained.recipe is not None
    for start in range(0, len(rows), A_BATCH):
        graphs = trained.recipe.build(crystals.take(rows[start : start + A_BATCH]), resolution=resolution)
        with torch.no_grad():
            layers = network(trained.architecture.batch(graphs, torch.float64))
        found.append([layer.numpy() for layer in layers.values()])
    together = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    expected = golden[version][rows // EVERY[version]]
    # crystals that are symmetric within the resolution only are what is off by more than rounding
    assert worst(expected, together) < (1e-6 if not resolution else TOLERANCE)


def test_the_published_file_of_version_0_2_0_is_exported(tmp_path, monkeypatch) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    path = checkpoint("0.2.0")
    from matlake.export.packaging import ExportRequest, export_encoder
    from matlake.networks import parity

    every = parity.reference_crystals()
    hard = every.take(np.arange(len(every) - 5, len(every)))  # one atom with hundreds of neighbours, and with none
    monkeypatch.setattr(parity, "reference_crystals", lambda: hard)
    card = export_encoder(ExportRequest("chgnet", path, "other", tmp_path / "other"))
    assert max(card.parity.values()) < TOLERANCE
    assert card.licence == "BSD-3-Clause-LBNL"
