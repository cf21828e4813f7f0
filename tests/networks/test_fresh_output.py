"""The start of an output for another target."""

from typing import Any

import numpy as np
import pytest

from matlake.encoders.reference import reference_crystals
from matlake.networks.architectures import ARCHITECTURES, FINE_TUNABLE

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from matlake.networks.examples import GraphExamples  # noqa: E402
from matlake.networks.fresh_output import start_output, with_fresh_output  # noqa: E402

SMALL: dict[str, dict[str, Any]] = {
    "cgcnn": {"atom_width": 8, "convolutions": 2, "hidden_width": 6, "cutoff": 5.0},
    "schnet": {"hidden_channels": 12, "num_filters": 8, "num_interactions": 2, "num_gaussians": 10, "cutoff": 5.0},
    "dimenet++": {
        "hidden_channels": 8, "num_blocks": 1, "int_emb_size": 4, "out_emb_channels": 4, "cutoff": 5.0,
    },
    "chgnet": {"width": 4, "num_radial": 5, "num_angular": 5, "n_conv": 2, "cutoff": 5.0},
}  # fmt: skip


@pytest.fixture(params=FINE_TUNABLE)
def started(request: pytest.FixtureRequest) -> tuple[Any, Any, Any]:
    """The architecture, a small source, and a network with two targets and its sizes."""
    architecture, sizes = ARCHITECTURES[request.param], SMALL[request.param]
    torch.manual_seed(2)
    source = architecture.network(**sizes)
    sizes = {**sizes, **architecture.fresh_sizes}
    return architecture, source, (with_fresh_output(architecture, sizes, source, 2), sizes)


def examples_of(architecture: Any, network: Any, targets: Any = None) -> Any:
    crystals = reference_crystals().take(np.arange(0, 120, 2))
    recipe = architecture.recipe(network, 5.0, architecture.max_neighbours)
    graphs = recipe.build(crystals, resolution=1e-4)
    return GraphExamples(graphs, np.zeros((len(crystals), 2)) if targets is None else targets, architecture.batch)


def test_all_but_the_output_is_kept(started: tuple[Any, Any, Any]) -> None:
    architecture, source, (network, sizes) = started
    old, new = source.state_dict(), network.state_dict()
    assert new.keys() == architecture.network(**sizes, targets=2).state_dict().keys()
    fresh = {name for name in new if architecture.output_pattern.match(name)}
    assert fresh
    assert all(torch.equal(new[name], old[name]) for name in new.keys() - fresh)
    batch = examples_of(architecture, network).inputs(np.arange(5), "cpu")
    assert network.eval().predict(batch).shape == (5, 2)


def test_the_output_starts_at_what_its_features_say(started: tuple[Any, Any, Any]) -> None:
    architecture, _, (network, _) = started
    network.eval()
    plain = examples_of(architecture, network)
    with torch.no_grad():
        features = torch.cat([network.readout().features(plain.inputs(rows, "cpu")) for rows in plain.chunks()])
    order = np.concatenate(list(plain.chunks()))
    x = np.empty(features.shape)
    x[order] = features.numpy()
    random = np.random.default_rng(0)
    y = 50 + 10 * ((x - x.mean(axis=0)) / x.std(axis=0).clip(1e-3)) @ random.normal(size=(x.shape[1], 2))
    y[::7, 1] = np.nan
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    start_output(network, examples_of(architecture, network, y))
    with torch.no_grad():
        predicted = network.predict(plain.inputs(np.arange(len(x)), "cpu")).numpy()
    wanted = (y - np.nanmean(y, axis=0)) / np.nanstd(y, axis=0)
    assert np.nanmean(np.abs(predicted - wanted), axis=0).max() < 0.1
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert all(architecture.output_pattern.match(name) for name in changed)


def test_noise_is_not_fitted() -> None:
    architecture = ARCHITECTURES["chgnet"]
    torch.manual_seed(0)
    network = architecture.network(**SMALL["chgnet"], linear_output=True, targets=2)
    noise = np.random.default_rng(1).normal(size=(60, 2))
    examples = examples_of(architecture, network, noise)
    start_output(network, examples)
    with torch.no_grad():
        predicted = network.predict(examples.inputs(np.arange(60), "cpu")).numpy()
    assert predicted.std(axis=0).max() < 0.5
