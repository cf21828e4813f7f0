"""State dicts of PyTorch Geometric and checkpoints of Open Catalyst, against PyTorch Geometric's own forward."""

import warnings
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from matlake.encoders.card import Target
from matlake.errors import EncoderError
from matlake.materials.crystal import Crystal, CrystalColumns, make_crystal

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
with warnings.catch_warnings(action="ignore"):
    pytest.importorskip("torch_geometric", reason="needs torch-geometric, of the extra 'train'")
    from torch_geometric.nn.models import dimenet as their_dimenet
    from torch_geometric.nn.models import schnet as their_schnet

from dimenet_oracle import all_within, angular_graph, geometric_prediction  # noqa: E402 - after the skip

from matlake.export.checkpoints import layouts, pyg  # noqa: E402
from matlake.export.checkpoints.loaded import Stated, Trained  # noqa: E402
from matlake.export.checkpoints.loading import load_published  # noqa: E402
from matlake.export.checkpoints.pyg_reference import messages_of  # noqa: E402
from matlake.networks.batches import angular_batch, pair_batch  # noqa: E402

CUTOFF = 5.0
BOX_A = 60.0
DEGREES = 4
NUMBERS = [8, 1, 1, 6, 7, 26, 16, 1]
ALL = Stated(CUTOFF, max_neighbours=0)


@pytest.fixture(scope="module")
def positions() -> NDArray[np.float64]:
    """Eight atoms, no two closer than 1 Å."""
    rng = np.random.default_rng(3)
    found: list[NDArray[np.float64]] = []
    while len(found) < len(NUMBERS):
        candidate = rng.uniform(0, 5, 3)
        if all(np.linalg.norm(candidate - other) > 1 for other in found):
            found.append(candidate)
    return np.array(found)


@pytest.fixture(scope="module")
def crystal() -> Crystal:
    """Two atoms in a cell so small that every atom has several images of itself in reach."""
    return make_crystal([22, 8], [[2.9, 0, 0], [0.7, 3.1, 0], [0.2, 0.5, 3.6]], [[0, 0, 0], [0.45, 0.55, 0.4]])


def in_a_box(positions: NDArray[np.float64]) -> CrystalColumns:
    box = make_crystal(NUMBERS, np.eye(3) * BOX_A, positions + BOX_A / 3, cartesian=True)
    return CrystalColumns.of([box])


def edges_within(pos: Any, cutoff: float) -> Any:
    distances = torch.cdist(pos, pos)
    return torch.nonzero((distances < cutoff) & (distances > 0)).T


def randomised(model: Any) -> Any:
    """Give a model weights that a training could have left; zeros would hide mistakes."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.endswith("freq"):
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def schnet(**changes: Any) -> Any:
    def graph(pos: Any, _: Any) -> tuple[Any, Any]:
        row, column = edge_index = edges_within(pos, CUTOFF)
        return edge_index, (pos[row] - pos[column]).norm(dim=1)

    torch.manual_seed(1)
    sizes = {"hidden_channels": 16, "num_filters": 12, "num_interactions": 3, "num_gaussians": 20, "cutoff": CUTOFF}
    return randomised(their_schnet.SchNet(**(sizes | {"interaction_graph": graph} | changes)))


@cache
def built_dimenet() -> Any:
    """Built once: PyTorch Geometric derives its basis with sympy."""
    torch.manual_seed(2)
    model = their_dimenet.DimeNetPlusPlus(
        hidden_channels=16,
        out_channels=2,
        num_blocks=2,
        int_emb_size=10,
        basis_emb_size=6,
        out_emb_channels=14,
        num_spherical=DEGREES,
        num_radial=3,
        cutoff=CUTOFF,
        num_before_skip=2,
        num_after_skip=1,
        num_output_layers=2,
        output_initializer="glorot_orthogonal",
    )
    return randomised(model)


def dimenet(*, lin_up_bias: bool = False) -> Any:
    model = deepcopy(built_dimenet())
    if lin_up_bias:
        for block in model.output_blocks:
            block.lin_up = torch.nn.Linear(16, 14)
    return model


def saved(model: Any, tmp_path: Path, *, prefix: str = "", **content: Any) -> Path:
    """Save the weights bare, or with more content as Open Catalyst does."""
    state = {prefix + name: value for name, value in model.state_dict().items()}
    path = tmp_path / "weights.pt"
    torch.save({"state_dict": state, **content} if content else state, path)
    return path


def predicted(loaded: Trained, crystals: CrystalColumns, dtype: Any = None) -> NDArray[np.float64]:
    """Return what the network predicts for the first crystal, on graphs of its recipe."""
    dtype = dtype or torch.float32
    collate = pair_batch if loaded.recipe.kind == "pairs" else angular_batch
    with torch.no_grad():
        batch = collate(loaded.recipe.build(crystals, resolution=0.0), dtype)
        return loaded.network.to(dtype).predict(batch)[0].double().numpy()


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-8)])
def test_schnet_sums_to_what_pytorch_geometric_predicts_for_a_molecule(dtype, tolerance, positions, tmp_path) -> None:
    model, dtype = schnet(), getattr(torch, dtype)
    path = saved(model, tmp_path)
    with torch.no_grad():
        expected = model.to(dtype)(torch.tensor(NUMBERS), torch.from_numpy(positions).to(dtype)).item()
    loaded = load_published(path, "schnet", Stated(max_neighbours=0))
    # PyTorch Geometric takes ln 2 in float32
    assert len(NUMBERS) * predicted(loaded, in_a_box(positions), dtype)[0] == pytest.approx(expected, rel=tolerance)
    assert loaded.recipe.cutoff_A == CUTOFF
    assert any("multiply it by the number of atoms" in note for note in loaded.training.notes)


def test_schnet_agrees_with_pytorch_geometric_on_a_crystal(crystal, tmp_path) -> None:
    given = messages_of(crystal, CUTOFF)
    edges = torch.from_numpy(np.stack([given.source, given.target]))
    lengths = torch.from_numpy(np.linalg.norm(given.vectors, axis=1)).float()
    model = schnet(interaction_graph=lambda *_: (edges, lengths), readout="mean")
    with torch.no_grad():
        expected = model(torch.tensor(given.numbers), torch.zeros(len(given.numbers), 3)).item()
    loaded = load_published(saved(model, tmp_path), "schnet", Stated(max_neighbours=0))
    assert predicted(loaded, CrystalColumns.of([crystal]))[0] == pytest.approx(expected, rel=1e-5)


def test_schnet_with_atom_references_says_that_it_leaves_them_out(tmp_path) -> None:
    path = saved(schnet(atomref=torch.ones(100, 1)), tmp_path)
    loaded = load_published(path, "schnet", Stated(max_neighbours=0))
    assert any("atomref" in note for note in loaded.training.notes)


def plain_triplets(edge_index: Any, **_: Any) -> tuple[Any, ...]:
    """What PyTorch Geometric makes with torch_sparse: all pairs of messages k to j to i with k other than i."""
    source, target = edge_index.tolist()
    pairs = [(e, f) for e, j in enumerate(source) for f, t in enumerate(target) if t == j and source[f] != target[e]]
    later, earlier = torch.tensor(pairs).T
    ends = edge_index[1][later], edge_index[0][later], edge_index[0][earlier]
    return edge_index[1], edge_index[0], *ends, earlier, later


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dimenet_sums_to_what_pytorch_geometric_predicts_for_a_molecule(
    dtype, positions, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(their_dimenet, "radius_graph", lambda pos, r, **_: edges_within(pos, r))
    monkeypatch.setattr(their_dimenet, "triplets", plain_triplets)
    model, dtype = dimenet(), getattr(torch, dtype)
    loaded = load_published(saved(model, tmp_path), "dimenet++", ALL)
    with torch.no_grad():
        expected = model.double()(torch.tensor(NUMBERS), torch.from_numpy(positions)).numpy()
    found = len(NUMBERS) * predicted(loaded, in_a_box(positions), dtype)
    # the couplings of a graph are float32
    np.testing.assert_allclose(found, expected, rtol=1e-5 if dtype == torch.float32 else 1e-6)
    assert any("number of atoms" in note for note in loaded.training.notes)


def test_the_oracle_on_given_messages_is_pytorch_geometrics_forward(positions, monkeypatch) -> None:
    monkeypatch.setattr(their_dimenet, "radius_graph", lambda pos, r, **_: edges_within(pos, r))
    monkeypatch.setattr(their_dimenet, "triplets", plain_triplets)
    model = dimenet().double()
    given = all_within(NUMBERS, positions, CUTOFF)
    with torch.no_grad():
        expected = model(torch.tensor(NUMBERS), torch.from_numpy(positions))
        found = geometric_prediction(model, given, lambda e, f: given.source[f] != given.target[e]).sum(dim=0)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("keep_images", [False, True])
def test_dimenet_on_a_crystal_takes_the_angles_that_its_recipe_names(keep_images, crystal, tmp_path) -> None:
    model = dimenet()
    given = messages_of(crystal, CUTOFF)

    def kept(e: int, f: int) -> bool:
        """Open Catalyst leaves out the way back only, PyTorch Geometric every image of the atom."""
        way_back = np.abs(given.vectors[e] + given.vectors[f]).max() < 1e-6
        return not way_back if keep_images else given.source[f] != given.target[e]

    stated = Stated(CUTOFF, max_neighbours=0, keep_images=keep_images)
    loaded = load_published(saved(model, tmp_path), "dimenet++", stated)
    with torch.no_grad():
        expected = geometric_prediction(model.double(), given, kept).mean(dim=0).numpy()
        ours = loaded.network.predict(angular_batch(angular_graph(given, DEGREES, kept)))[0].numpy()
    assert loaded.recipe.keep_images == keep_images
    np.testing.assert_allclose(ours, expected, rtol=1e-5)
    np.testing.assert_allclose(predicted(loaded, CrystalColumns.of([crystal])), expected, rtol=1e-5)


def open_catalyst(model: str, attributes: dict[str, Any], began: str = "2021-02-03-04-05-06") -> dict[str, Any]:
    """What stands beside the weights."""
    return {
        "epoch": 20,
        "config": {
            "task": {"labels": ["relaxed energy"]},
            "model": model,
            "model_attributes": attributes,
            "cmd": {"timestamp_id": began, "commit": "abc1234"},
        },
        "normalizers": {"target": {"mean": torch.tensor(-1.5), "std": torch.tensor(2.25)}},
        "val_metrics": {"energy_mae": {"metric": 0.5}},
    }


@pytest.mark.parametrize("prefix", ["module.", "module.module."])
def test_open_catalyst_schnet_predicts_the_mean_contribution_in_electron_volts(prefix, positions, tmp_path) -> None:
    model = schnet()
    model.register_buffer("atomic_mass", torch.ones(119))
    path = saved(model, tmp_path, prefix=prefix, **open_catalyst("schnet", {"cutoff": CUTOFF, "use_pbc": True}))
    loaded = load_published(path, "schnet")
    with torch.no_grad():
        total = 2.25 * model(torch.tensor(NUMBERS), torch.from_numpy(positions).float()).item()
    assert len(NUMBERS) * predicted(loaded, in_a_box(positions))[0] == pytest.approx(total, rel=1e-5)
    assert loaded.target == Target("relaxed energy per atom", "eV/atom")
    assert loaded.recipe.max_neighbours == 50
    assert any("predicts -1.5 plus the sum" in note for note in loaded.training.notes)


def test_open_catalyst_schnet_that_averages_keeps_its_mean(positions, tmp_path) -> None:
    model = schnet(readout="mean")
    path = saved(model, tmp_path, prefix="module.", **open_catalyst("schnet", {"readout": "mean"}))
    with torch.no_grad():
        expected = -1.5 + 2.25 * model(torch.tensor(NUMBERS), torch.from_numpy(positions).float()).item()
    assert predicted(load_published(path, "schnet"), in_a_box(positions))[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("began", "keep_images"), [("2021-02-03-04-05-06-run", False), ("2022-05-01-00-00-00", True), ("", False)]
)
def test_open_catalyst_dimenet_takes_angles_as_the_code_of_its_time(began, keep_images, positions, tmp_path) -> None:
    model = dimenet(lin_up_bias=True)
    attributes = {"cutoff": CUTOFF, "hidden_channels": 16, "max_neighbors": 40}
    path = saved(model, tmp_path, prefix="module.module.", **open_catalyst("dimenetplusplus", attributes, began))
    loaded = load_published(path, "dimenet++")
    assert (loaded.recipe.keep_images, loaded.recipe.max_neighbours) == (keep_images, 40)
    assert loaded.training.sizes["lin_up_bias"]
    given = all_within(NUMBERS, positions, CUTOFF)
    with torch.no_grad():
        atoms = geometric_prediction(model.double(), given, lambda e, f: given.source[f] != given.target[e])
    expected = 2.25 * atoms.mean(dim=0).numpy()
    np.testing.assert_allclose(predicted(loaded, in_a_box(positions)), expected, rtol=1e-5)


def without(model: Any, *names: str) -> dict[str, Any]:
    return {name: value for name, value in model.state_dict().items() if name not in names}


@pytest.mark.parametrize(
    ("architecture", "stated", "message", "option"),
    [
        ("schnet", Stated(), r"does not say the neighbour cap", "--max-neighbours"),
        ("schnet", Stated(6.0, 0), r"trained with a cutoff of 5, not 6", "leave"),
        ("dimenet++", Stated(max_neighbours=0), r"does not say the cutoff", "--cutoff"),
        ("dimenet++", Stated(CUTOFF), r"does not say the neighbour cap", "--max-neighbours"),
    ],
)
def test_graph_parameters_are_never_guessed(architecture, stated, message, option, tmp_path) -> None:
    path = saved(schnet() if architecture == "schnet" else dimenet(), tmp_path)
    with pytest.raises(EncoderError, match=message) as caught:
        load_published(path, architecture, stated)
    assert "weights.pt" in str(caught.value)
    assert option in caught.value.cli_hint


def test_an_option_that_the_architecture_lacks_is_refused(tmp_path) -> None:
    with pytest.raises(EncoderError, match=r"keep_images is stated, which schnet does not have"):
        load_published(saved(schnet(), tmp_path), "schnet", Stated(keep_images=True))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (lambda: without(schnet(), "lin2.bias"), r"does not fit schnet: missing lin2.bias$"),
        (lambda: without(schnet(), "embedding.weight"), r"lacks embedding.weight"),
        (lambda: without(schnet(), "distance_expansion.offset"), r"lacks distance_expansion.offset"),
        (lambda: schnet().state_dict() | {"head.weight": torch.ones(2)}, r"unknown head.weight"),
        (lambda: schnet().state_dict() | {"lin1.bias": torch.ones(5)}, r"another shape lin1.bias \[5\] for \[8\]"),
        (lambda: schnet().state_dict() | {"lin1.bias": torch.full((8,), torch.nan)}, r"not finite: lin1.bias"),
        (lambda: schnet().state_dict() | {"lin1.bias": torch.ones(1).expand(8)}, r"empty or not finite: lin1.bias"),
        (
            lambda: schnet().state_dict() | {"interactions.0.conv.nn.0.bias": torch.ones(12)},
            r"conv.nn.0.bias and interactions.0.mlp.0.bias differ",
        ),
        (
            lambda: schnet().state_dict() | {"distance_expansion.offset": torch.logspace(-1, 0.69897, 20)},
            r"do not stand evenly",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(state, message, tmp_path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(state(), path)
    with pytest.raises(EncoderError, match=message) as caught:
        load_published(path, "schnet", Stated(CUTOFF, max_neighbours=0))
    assert str(path) in str(caught.value)


def test_another_architecture_is_named_before_anything_is_asked_for(tmp_path) -> None:
    with pytest.raises(EncoderError, match=r"holds a dimenet\+\+, not a schnet"):
        load_published(saved(dimenet(), tmp_path), "schnet")


def test_loading_leaves_the_random_generator_where_it_was(tmp_path) -> None:
    path = saved(dimenet(), tmp_path)
    torch.manual_seed(11)
    expected = torch.rand(1)
    torch.manual_seed(11)
    load_published(path, "dimenet++", ALL)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("architecture", ["schnet", "dimenet++"])
def test_a_network_that_is_not_pytorch_geometrics_is_refused(architecture, tmp_path, monkeypatch) -> None:
    path = saved(schnet() if architecture == "schnet" else dimenet(), tmp_path)
    load_published(path, architecture, ALL)
    whole = layouts.build_network

    def changed(*arguments: Any, **more: Any) -> Any:
        built = whole(*arguments, **more)
        with torch.no_grad():
            next(iter(built.network.parameters())).mul_(1.01)
        return built

    monkeypatch.setattr(pyg, "build_network", changed)
    with pytest.raises(EncoderError, match=r"differs by .* from PyTorch Geometric's own"):
        load_published(path, architecture, ALL)
