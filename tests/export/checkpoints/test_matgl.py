"""Folders in matgl's format: TensorNet against the original code, and everything that is not such a folder."""

import copy
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from samples import SHARED

from matlake.encoders.encoder import open_encoder
from matlake.encoders.verify import verify_encoder
from matlake.errors import EncoderError
from matlake.materials.crystal import CrystalColumns, make_crystal

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from matlake.export.checkpoints.loaded import Stated, Trained  # noqa: E402 - after the skip
from matlake.export.checkpoints.loading import load_any  # noqa: E402
from matlake.export.packaging import ExportRequest, export_encoder  # noqa: E402

DATA = Path(__file__).parents[2] / "data" / "matgl"
SMALL = DATA / "tensornet-small"
"""Random weights, in the original's files."""

PUBLISHED = SHARED.parent / "weights" / "TensorNet-MatPES-PBE-v2025.1-PES"


def golden(name: str) -> tuple[CrystalColumns, dict[str, np.ndarray]]:
    """Return crystals and what the original code makes of them (``make_golden.py``)."""
    with np.load(DATA / "crystals.npz") as given, np.load(DATA / f"{name}.npz") as found:
        parts = [slice(*given["offsets"][row : row + 2]) for row in found["rows"]]
        crystals = [
            make_crystal(given["numbers"][part], given["lattices"][row], given["positions"][part])
            for row, part in zip(found["rows"], parts, strict=True)
        ]
        layers = {name: found[name] for name in found.files if name != "rows"}
    layers["prediction"] = layers["prediction"][:, None]
    return CrystalColumns.of(crystals), layers


@pytest.fixture(scope="session")
def published() -> Path:
    if not PUBLISHED.is_dir():
        pytest.skip(f"needs the published weights at {PUBLISHED}")
    return PUBLISHED


@pytest.fixture(scope="session")
def small_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder") / "small"
    export_encoder(ExportRequest("matgl", SMALL, "small", folder))
    return folder


def check_against_the_original(trained: Trained, name: str) -> None:
    crystals, expected = golden(name)
    network = copy.deepcopy(trained.network).double()
    with torch.no_grad():
        graphs = trained.recipe.build(crystals, resolution=0.0)
        found = network(trained.architecture.batch(graphs, torch.float64))
    assert found.keys() == expected.keys()
    for layer, values in expected.items():
        difference = np.abs(found[layer].numpy()[: len(values)] - values).max()
        assert difference <= 1e-6 * np.abs(values).max(), layer  # golden vectors are kept in float32


def test_the_reference_is_the_original_function() -> None:
    check_against_the_original(load_any(SMALL, "matgl", Stated()), "tensornet-small")


def test_the_published_network_is_read_exactly(published) -> None:
    trained = load_any(published, "matgl", Stated())
    check_against_the_original(trained, "tensornet")
    assert trained.licence == "BSD 3-Clause"
    assert any("2503.04070" in paper for paper in trained.citation)
    assert len(trained.elements) == 89
    assert trained.recipe.cutoff_A == 5.0
    extra = (95 - len(trained.elements)) * 128  # rows of elements that the table lacks
    assert sum(p.numel() for p in trained.network.parameters()) - extra == 837_378


def test_the_exported_file_is_the_original_function(small_encoder) -> None:
    crystals, expected = golden("tensornet-small")
    encoder = open_encoder(small_encoder)
    assert encoder.card.licence == "not stated"  # random weights are nobody's
    assert encoder.card.architecture == "tensornet"
    assert encoder.card.default_layer == "0"
    means = [str(k) for k in range(3)]
    assert [layer.name for layer in encoder.card.layers] == [*means, *(f"{k}_std" for k in means), "prediction"]
    for layer, values in expected.items():
        found = encoder.encode(crystals, layer)[: len(values)]
        assert np.abs(found - values).max() <= 1e-5 * np.abs(values).max(), layer


def test_an_exported_encoder_keeps_its_contract(small_encoder) -> None:
    checks = verify_encoder(small_encoder)
    assert [check for check in checks if not check.passed] == []


def test_crystals_that_it_cannot_take_are_named_and_the_rest_encoded(small_encoder) -> None:
    encoder = open_encoder(small_encoder)
    iron = make_crystal([26], np.eye(3) * 2.5, [[0, 0, 0]])
    uranium = make_crystal([92], np.eye(3) * 2.5, [[0, 0, 0]])
    alone = make_crystal([26], np.eye(3) * 40, [[0, 0, 0]])
    crystals = CrystalColumns.of([iron, uranium, alone])
    reasons = encoder.rejections(crystals)
    assert reasons[0] is reasons[2] is None
    assert "U" in reasons[1]
    vectors = encoder.encode(crystals.take([0, 2]), "2")
    assert np.isfinite(vectors).all()
    assert np.abs(vectors[0] - vectors[1]).max() > 0


def edited(tmp_path: Path, change) -> Path:
    folder = tmp_path / "folder"
    shutil.copytree(SMALL, folder)
    text = json.loads((folder / "model.json").read_text())
    change(text)
    (folder / "model.json").write_text(json.dumps(text))
    return folder


def network_of(text: dict) -> dict:
    return text["kwargs"]["model"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: network_of(text).update({"@class": "QET"}), "holds a QET"),
        (lambda text: text.pop("kwargs"), "it has no kwargs"),
        (lambda text: network_of(text).pop("init_args"), "does not say the arguments of the network"),
        (lambda text: network_of(text)["init_args"].update(units=16), "does not fit tensornet: of another shape"),
        (lambda text: network_of(text)["init_args"].update(nblocks=10**9), "num_blocks = 1000000000 is not a valid"),
        (lambda text: network_of(text)["init_args"].update(cutoff="far"), "cutoff = 'far' is not a valid float"),
        (lambda text: network_of(text)["init_args"].update(cutoff=50.0), "a cutoff of 50 Å"),
        (lambda text: network_of(text)["init_args"].update(rbf_type="Gaussian"), "with rbf_type = 'Gaussian'"),
        (lambda text: network_of(text)["init_args"].update(element_types=["H", "Xx"]), "Xx in element_types"),
        (lambda text: network_of(text)["init_args"].update(element_types=["H", "O"]), r"element_refs has shape \[12\]"),
    ],
)  # fmt: skip
def test_a_description_that_does_not_fit_is_refused(change, message, tmp_path) -> None:
    with pytest.raises(EncoderError, match=message):
        load_any(edited(tmp_path, change), "matgl", Stated())


@pytest.mark.parametrize("name", ["model.json", "state.pt"])
def test_a_missing_file_is_named(name, tmp_path) -> None:
    folder = edited(tmp_path, lambda _: None)
    (folder / name).unlink()
    with pytest.raises(EncoderError, match=f"lacks {name}"):
        load_any(folder, "matgl", Stated())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("state.pt", lambda whole: whole[: len(whole) // 2], "is not a checkpoint, or a damaged one"),
        ("state.pt", lambda _: b"", "is not a checkpoint, or a damaged one"),
        ("state.pt", lambda _: pickle.dumps({"weights": np.ones(2)}), "is not a checkpoint|weights do not need"),
        ("model.json", lambda whole: whole[:100], "cannot be read"),
        ("model.json", lambda _: b"[" * 100_000, "cannot be read"),
        ("model.json", lambda _: b"[]", "it has no kwargs"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused(name, content, message, tmp_path) -> None:
    path = edited(tmp_path, lambda _: None) / name
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(EncoderError, match=message):
        load_any(path.parent, "matgl", Stated())


def test_a_state_that_needs_pickle_is_refused_and_not_run(tmp_path) -> None:
    folder, witness = edited(tmp_path, lambda _: None), tmp_path / "ran"

    class Payload:
        def __reduce__(self) -> tuple:
            return Path.touch, (witness,)

    torch.save({"model.x": torch.ones(1), "args": Payload()}, folder / "state.pt")
    with pytest.raises(EncoderError, match="which weights do not need: nothing of it was run"):
        load_any(folder, "matgl", Stated())
    assert not witness.exists()


@pytest.mark.parametrize("path", [SMALL, SMALL / "state.pt"])
def test_another_architecture_points_to_the_format(path) -> None:
    with pytest.raises(EncoderError, match="is in matgl's format, not a schnet") as caught:
        load_any(path, "schnet", Stated())
    assert caught.value.hint == "export it as matgl"


def test_a_file_in_place_of_the_folder_and_settings_beside_it_are_refused() -> None:
    with pytest.raises(EncoderError, match="no folder"):
        load_any(SMALL / "state.pt", "matgl", Stated())
    with pytest.raises(EncoderError, match="says the settings of its graphs itself"):
        load_any(SMALL, "matgl", Stated(cutoff=6.0))
