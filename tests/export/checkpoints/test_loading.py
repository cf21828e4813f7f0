"""Checkpoints as files: our own, damaged ones, and hostile ones."""

import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matlake.encoders.card import Target
from matlake.errors import EncoderError, TrainingError
from matlake.materials.crystal import CrystalColumns, make_crystal

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from matlake.export.checkpoints.loaded import Stated  # noqa: E402
from matlake.export.checkpoints.loading import load_any, load_published  # noqa: E402
from matlake.export.checkpoints.reading import read_checkpoint  # noqa: E402
from matlake.networks.architectures import ARCHITECTURES  # noqa: E402 - after the skip

SIZES: dict[str, dict[str, Any]] = {
    "cgcnn": {"atom_width": 8, "convolutions": 2, "hidden_width": 6, "cutoff": 6.0, "targets": 2},
    "schnet": {"hidden_channels": 8, "num_filters": 8, "num_interactions": 2, "cutoff": 5.0, "targets": 2},
    "dimenet++": {"hidden_channels": 8, "num_blocks": 1, "int_emb_size": 4, "out_emb_channels": 8, "targets": 2},
}


@pytest.fixture
def rock_salt() -> CrystalColumns:
    half = 5.64 / 2
    lattice = half * (1 - np.eye(3))
    return CrystalColumns.of([make_crystal([11, 17], lattice, [[0, 0, 0], [0.5, 0.5, 0.5]])])


def own_run(tmp_path: Path, architecture: str, changes: dict[str, Any] | None = None) -> Path:
    """Return the folder of a run as ``encoders pretrain`` leaves it, without its record."""
    torch.manual_seed(7)
    network = ARCHITECTURES[architecture].network(**SIZES[architecture])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02)
    identity = {
        "architecture": architecture,
        "sizes": {name: size for name, size in SIZES[architecture].items() if name != "targets"},
        "graph": {"cutoff_A": 5.0, "max_neighbours": 12},
        "targets": ["formation_energy_eV_per_atom", "band_gap_eV"],
    }
    scaling = {"target_mean": [-1.0, 2.0], "target_std": [0.5, 3.0]}
    content = {"network": network.state_dict(), **scaling, "identity": identity | (changes or {}), "epoch": 3}
    torch.save(content, tmp_path / "best.pt")
    return tmp_path


@pytest.mark.parametrize("architecture", SIZES)
def test_own_runs_predict_in_the_units_of_their_targets(architecture, rock_salt, tmp_path) -> None:
    folder = own_run(tmp_path, architecture)
    loaded = load_any(folder, architecture, Stated())
    plain = ARCHITECTURES[architecture].network(**SIZES[architecture])
    plain.load_state_dict(torch.load(folder / "best.pt", weights_only=True)["network"])
    batch = ARCHITECTURES[architecture].batch(loaded.recipe.build(rock_salt))
    with torch.no_grad():
        scaled = plain.eval().predict(batch)
        found = loaded.network.predict(batch)
    torch.testing.assert_close(found, scaled * torch.tensor([0.5, 3.0]) + torch.tensor([-1.0, 2.0]))
    assert loaded.target == Target("formation_energy_eV_per_atom, band_gap_eV", "eV/atom, eV")
    assert (loaded.recipe.cutoff_A, loaded.recipe.max_neighbours) == (5.0, 12)
    assert loaded.recipe.keep_images


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes": {"atom_width": 8}}, r"is not the checkpoint of a run"),
        ({"sizes": {"width": 8}}, r"unexpected keyword argument 'width'"),
        ({"sizes": {"convolutions": 10**9}}, r"convolutions = 1000000000 is not a valid size"),
        ({"graph": {}}, r"is not the checkpoint of a run: 'cutoff_A'"),
        ({"architecture": "schnet", "sizes": {}}, r"is not the checkpoint of a run"),
    ],
)
def test_a_run_that_does_not_fit_itself_is_refused(changes, message, tmp_path) -> None:
    with pytest.raises(TrainingError, match=message):
        load_any(own_run(tmp_path, "cgcnn", changes), "cgcnn", Stated())


def test_a_run_of_another_architecture_is_refused(tmp_path) -> None:
    with pytest.raises(TrainingError, match="holds a network of architecture cgcnn, not schnet"):
        load_any(own_run(tmp_path, "cgcnn"), "schnet", Stated())


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.witness}",)


def hostile(kind: str, payload: Payload) -> bytes:
    content = {"state_dict": {"embedding.weight": torch.ones(2)}, "args": payload}
    buffer = io.BytesIO()
    if kind == "pickle":
        return pickle.dumps(content, protocol=2)
    torch.save(content, buffer, _use_new_zipfile_serialization=kind == "zip")
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle"])
def test_code_in_a_checkpoint_is_refused_and_does_not_run(kind, tmp_path) -> None:
    path, witness = tmp_path / "weights.pt", tmp_path / "ran"
    path.write_bytes(hostile(kind, Payload(witness)))
    with pytest.raises(EncoderError, match=r"weights.pt") as caught:
        load_published(path, "cgcnn")
    assert not witness.exists()
    assert "weights_only" not in str(caught.value)
    if kind != "pickle":
        assert "posix.system, which weights do not need" in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:40],
        lambda _: b"",
        lambda _: b"<html>404 Not Found</html>\n",
        lambda _: pickle.dumps([1, 2, 3]),
    ],
    ids=["half", "head", "empty", "page", "pickle"],
)
def test_damaged_files_are_refused(content, tmp_path) -> None:
    path = own_run(tmp_path, "schnet") / "best.pt"
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(EncoderError, match=r"best.pt is not a checkpoint, or a damaged one"):
        load_published(path, "schnet")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], r"it holds a list"),
        ({}, r"it holds no keys"),
        ({"epoch": 1, "weights": {}}, r"it holds epoch, weights"),
        ({f"layer{k}.weight": torch.ones(1) for k in range(12)}, r"layer7.weight and 4 more keys"),
        ({"state_dict": {"interactions.0.x": 3}}, r"of no known format"),
    ],
)
def test_files_of_another_kind_are_described(content, message, tmp_path) -> None:
    path = tmp_path / "other.pt"
    torch.save(content, path)
    with pytest.raises(EncoderError, match=message):
        load_published(path, "schnet")


def test_a_missing_file_and_an_unknown_architecture_are_named(tmp_path) -> None:
    with pytest.raises(EncoderError, match=r"no checkpoint .*weights.pt"):
        load_published(tmp_path / "weights.pt", "schnet")
    with pytest.raises(EncoderError, match=r"no published format holds a elemnet"):
        load_published(tmp_path, "elemnet")


@pytest.mark.parametrize("stated", [Stated(cutoff=0), Stated(cutoff=21), Stated(max_neighbours=-1)])
def test_options_out_of_range_are_refused(stated, tmp_path) -> None:
    with pytest.raises(EncoderError):
        load_published(own_run(tmp_path, "schnet"), "schnet", stated)


def test_numpy_scalars_in_a_checkpoint_are_left_alone(tmp_path) -> None:
    path = tmp_path / "scalar.pt"
    torch.save({"best": np.float64(0.5), "weights": torch.ones(1)}, path)
    assert torch.equal(read_checkpoint(path)["weights"], torch.ones(1))
