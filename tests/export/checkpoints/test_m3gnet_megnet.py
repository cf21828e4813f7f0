"""M3GNet and MEGNet in matgl's format: the original's layers, crystals at the edges, and folders that are refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sample_crystals import cubic, isolated_atom, rock_salt
from samples import ELASTIC, SHARED

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from matlake.encoders.card import read_card  # noqa: E402 - after the skip
from matlake.encoders.encoder import open_crystal_encoder  # noqa: E402
from matlake.encoders.verify import verify_encoder  # noqa: E402
from matlake.errors import EncoderError  # noqa: E402
from matlake.export.checkpoints.loaded import Stated, Trained  # noqa: E402
from matlake.export.checkpoints.loading import load_any  # noqa: E402
from matlake.export.packaging import ExportRequest, export_encoder  # noqa: E402
from matlake.materials.crystal import CrystalColumns  # noqa: E402
from matlake.materials.structure_files.sniff import parse_structure  # noqa: E402

GOLDEN = Path(__file__).parents[2] / "data" / "matgl"
NETWORKS = ("m3gnet", "megnet")
SMALL = {name: GOLDEN / f"{name}-small" for name in NETWORKS}
PUBLISHED = {
    "m3gnet": SHARED.parent / "weights" / "M3GNet-MatPES-PBE-v2025.1-PES",
    "megnet": SHARED.parent / "weights" / "MEGNet-MP-2018.6.1-Eform",
}


def published(name: str) -> Path:
    if not PUBLISHED[name].is_dir():
        pytest.skip(f"the published weights {PUBLISHED[name].name} are not here")
    return PUBLISHED[name]


def golden(name: str) -> tuple[CrystalColumns, dict[str, np.ndarray]]:
    with np.load(GOLDEN / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    texts = pq.read_table(ELASTIC, columns=["poscar"])["poscar"].to_pylist()
    return CrystalColumns.of([parse_structure(texts[row]) for row in arrays.pop("rows")]), arrays


def layers(trained: Trained, crystals: CrystalColumns, resolution: float | None) -> dict[str, np.ndarray]:
    graphs = trained.recipe.build(crystals, resolution=resolution)
    with torch.no_grad():
        found = trained.network.double()(trained.architecture.batch(graphs, torch.float64))
    return {name: values.numpy() for name, values in found.items()}


def check_against_the_original(folder: Path, name: str) -> None:
    trained = load_any(folder, "matgl", Stated())
    crystals, expected = golden(name)
    defined = np.isfinite(expected["prediction"][:, 0])  # the original has no answer for a crystal without edges
    assert defined.sum() >= len(defined) - 1
    for resolution in (0.0, None):
        found = layers(trained, crystals, resolution)
        assert found.keys() == expected.keys()
        for layer, values in expected.items():
            assert np.isfinite(found[layer]).all()
            difference = np.abs(found[layer] - values)[defined].max()
            assert difference <= 1e-5 * np.abs(values[defined]).max(), (layer, resolution)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_published_network_is_the_original(name) -> None:
    check_against_the_original(published(name), name)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_small_network_of_other_sizes_is_the_original(name) -> None:
    check_against_the_original(SMALL[name], f"{name}-small")


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("encoders")
    for name in NETWORKS:
        export_encoder(ExportRequest("matgl", SMALL[name], f"{name}-small", root / name))
    return {name: root / name for name in NETWORKS}


@pytest.mark.parametrize("name", NETWORKS)
def test_an_exported_network_keeps_the_contract(exported, name) -> None:
    assert not [check for check in verify_encoder(exported[name]) if not check.passed]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_card_says_what_the_encoder_is(exported, name) -> None:
    card = read_card(exported[name])
    assert card.architecture == name
    assert card.default_layer == "1"
    assert max(card.parity.values()) <= card.parity_tolerance == 1e-5
    assert [layer.name for layer in card.layers][:5] == ["0", "1", "2", "0_std", "1_std"]
    assert card.layers[-1].name == "prediction"
    assert card.target.unit == "eV/atom"
    assert len(card.input_parameters.elements) == 89
    graph = card.input_parameters.graph
    assert (graph.kind, graph.cutoff_A, graph.bond_cutoff_A) == {
        "m3gnet": ("triplets", 5.0, 4.0),
        "megnet": ("pairs", 4.0, 0.0),
    }[name]
    assert card.licence == "not stated"  # of weights that nobody published
    assert card.training.scope is None


@pytest.mark.parametrize(("name", "until"), [("m3gnet", "2025"), ("megnet", "2018-06-01")])
def test_published_weights_bring_licence_citation_and_what_they_were_trained_on(name, until) -> None:
    trained = load_any(published(name), "matgl", Stated())
    assert trained.licence == "BSD 3-Clause"
    assert any("matgl" in paper for paper in trained.citation)
    assert trained.training.scope.database == "Materials Project"
    assert trained.training.scope.until == until


@pytest.mark.parametrize("name", NETWORKS)
def test_crystals_at_the_edges_have_vectors_or_a_reason(exported, name) -> None:
    encoder = open_crystal_encoder(exported[name])
    random = np.random.default_rng(0)
    numbers = " ".join(random.choice(["Ti", "O", "Si"], 2000))
    no_bonds = cubic("Ar", 4.5, [(0, 0, 0)])  # for M3GNet edges of 4.5 Å and no bond below 4, for MEGNet nothing
    good = [isolated_atom(), no_bonds, cubic(numbers, 29.0, random.random((2000, 3))), rock_salt()]
    unknown = cubic("Po", 3.35, [(0, 0, 0)])
    columns = CrystalColumns.of([*good, unknown])
    reasons = encoder.rejections(columns)
    assert [reason is None for reason in reasons] == [True] * 4 + [False]
    assert "Po" in reasons[-1]
    vectors = encoder.encode(columns.take(np.arange(4)))
    assert np.isfinite(vectors).all()
    alone = np.concatenate([encoder.encode(CrystalColumns.of([crystal])) for crystal in good])
    np.testing.assert_allclose(vectors, alone, rtol=0, atol=1e-5 * np.abs(alone).max())


def edited(folder: Path, source: Path, **settings: object) -> Path:
    shutil.copytree(source, folder)
    description = json.loads((folder / "model.json").read_text())
    description["kwargs"]["model"]["init_args"].update(settings)
    (folder / "model.json").write_text(json.dumps(description))
    return folder


@pytest.mark.parametrize(
    ("name", "setting", "message"),
    [
        ("m3gnet", {"use_smooth": False}, "use_smooth"),
        ("m3gnet", {"include_state": True}, "include_state"),
        ("m3gnet", {"units": 64}, "shape"),
        ("m3gnet", {"cutoff": "far"}, "cutoff"),
        ("megnet", {"is_classification": True}, "is_classification"),
        ("megnet", {"niters_set2set": 1}, "set2set"),
        ("megnet", {"niters_set2set": 10_000}, "set2set"),
        ("megnet", {"cutoff": None}, "cutoff"),
    ],
)
def test_settings_that_are_not_supported_are_refused_in_one_line(tmp_path, name, setting, message) -> None:
    with pytest.raises(EncoderError, match=message) as caught:
        load_any(edited(tmp_path / "network", SMALL[name], **setting), "matgl", Stated())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NETWORKS)
def test_truncated_weights_and_missing_tensors_are_refused_in_one_line(tmp_path, name) -> None:
    cut = edited(tmp_path / "cut", SMALL[name])
    content = (cut / "state.pt").read_bytes()
    (cut / "state.pt").write_bytes(content[: len(content) // 2])
    lacking = edited(tmp_path / "lacking", SMALL[name])
    state = torch.load(lacking / "state.pt", weights_only=True)
    torch.save(
        {key: tensor for key, tensor in state.items() if "layer_node_embedding" not in key}, lacking / "state.pt"
    )
    other = edited(tmp_path / "other", SMALL[name])
    shutil.copy(SMALL[NETWORKS[1 - NETWORKS.index(name)]] / "state.pt", other / "state.pt")
    for folder in (cut, lacking, other):
        with pytest.raises(EncoderError) as caught:
            load_any(folder, "matgl", Stated())
        assert "\n" not in str(caught.value)


def test_an_energy_that_does_not_grow_with_the_crystal_is_refused(tmp_path) -> None:
    folder = edited(tmp_path / "network", SMALL["m3gnet"])
    state = torch.load(folder / "state.pt", weights_only=True)
    torch.save({**state, "data_mean": torch.tensor(0.5)}, folder / "state.pt")
    with pytest.raises(EncoderError, match="whatever its size"):
        load_any(folder, "matgl", Stated())
