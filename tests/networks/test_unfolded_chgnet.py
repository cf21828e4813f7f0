"""CHGNet read back from its rearranged form, and the gradients that a training of it takes."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matlake.encoders.registry import find_encoder
from matlake.materials.crystal import CrystalColumns
from matlake.networks.architectures import ARCHITECTURES, FINE_TUNABLE

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from matlake.networks.chgnet import CHGNet  # noqa: E402
from matlake.networks.examples import TRAINING_RESOLUTION_A  # noqa: E402
from matlake.networks.reading import read_network  # noqa: E402
from matlake.networks.writing import sample_crystals  # noqa: E402

CHGNET = ARCHITECTURES["chgnet"]
SIZES: dict[str, Any] = {"width": 8, "num_radial": 5, "num_angular": 7, "cutoff": 5.0, "energy_layers": 2}
FORMS = {
    "0.3.0": {"n_conv": 4},
    "0.2.0": {"n_conv": 3, "norms": False, "update_bias": True},
    "several targets": {"n_conv": 2, "targets": 3},
    "linear output": {"n_conv": 3, "targets": 2, "linear_output": True},
}
GOLDEN = Path(__file__).parents[1] / "data" / "chgnet" / "golden.npz"


def small(**form: Any) -> Any:
    """A small network, every weight random."""
    torch.manual_seed(4)
    network = CHGNet(**SIZES, **form)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.double()


def batch_of(network: Any, crystals: CrystalColumns, resolution: float = 0.0) -> Any:
    recipe = CHGNET.recipe(network, network.cutoff, 0)
    return CHGNET.batch(recipe.build(crystals, resolution=resolution), torch.float64)


def hard_crystals(rows: Any) -> CrystalColumns:
    with np.load(GOLDEN) as file:
        columns = CrystalColumns(*(file[name] for name in ("offsets", "numbers", "lattices", "positions")))
    return columns.take(np.asarray(rows))


def file_of(network: Any) -> dict[str, Any]:
    """The weights as the exporter names them: some become constants, and biases that are zero are left out."""
    weights = {name: tensor.double() for name, tensor in CHGNET.fast(network).state_dict().items()}
    if not len(network.angle_layers):  # it is multiplied into what takes it
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith("angular.linear.")}
    if network.output is None:
        weights["permute_1"] = weights.pop("network.composition_model.fc.weight").T
    for number, name in enumerate(("ag", "bg")):
        weights[f"unsqueeze_{number}"] = weights.pop(f"network.bond_basis_expansion.rbf_expansion_{name}.frequencies")[
            None
        ]
    return {name: tensor for name, tensor in weights.items() if not name.endswith(".bias") or tensor.any()}


@pytest.mark.parametrize("form", FORMS)
def test_all_layers_come_back(form: str) -> None:
    network = small(**FORMS[form]).float()
    back = CHGNet(**SIZES, **FORMS[form])
    CHGNET.unfold(back, file_of(network))
    batch = batch_of(network, sample_crystals())
    with torch.no_grad():
        expected, found = network.double()(batch), back.double()(batch)
    assert expected["prediction"].shape == (3, FORMS[form].get("targets", 1))
    for name, layer in expected.items():
        assert (found[name] - layer).abs().max() <= 2e-5 * layer.abs().max(), name


@pytest.mark.parametrize("form", FORMS)
def test_targets_get_their_scale_back(form: str) -> None:
    network = small(**FORMS[form])
    targets = FORMS[form].get("targets", 1)
    mean, std = (torch.tensor(values).double()[:targets] for values in ([1.0, -2.0, 30.0], [2.0, 0.5, 10.0]))
    batch = batch_of(network, sample_crystals())
    with torch.no_grad():
        scaled = network.predict(batch)
        network.fold_target_scaling(mean, std)
        assert torch.allclose(network.predict(batch), scaled * std + mean)


def test_the_output_is_what_makes_the_prediction_and_nothing_else() -> None:
    for name in FINE_TUNABLE:
        architecture = ARCHITECTURES[name]
        network = architecture.network(**architecture.sizes)
        graphs = architecture.recipe(network, 5.0, architecture.max_neighbours).build(sample_crystals())
        with torch.no_grad():
            before = network.eval()(architecture.batch(graphs))
            for parameter, value in network.named_parameters():
                if re.match(architecture.output, parameter):
                    value.add_(1.0)
            after = network(architecture.batch(graphs))
        changed = {layer for layer, values in after.items() if not torch.equal(values, before[layer])}
        assert changed == {"prediction"}


def test_symmetric_copies_count_in_the_gradient_as_often_as_they_occur() -> None:
    network = small(**FORMS["0.3.0"])
    crystals = hard_crystals(range(0, 60, 10))
    gradients, sizes = [], []
    for resolution in (0.0, TRAINING_RESOLUTION_A):
        batch = batch_of(network, crystals, resolution)
        sizes.append(len(batch.angles))
        gradients.append(torch.autograd.grad((network.predict(batch) ** 2).sum(), [*network.parameters()]))
    assert sizes[1] < 0.7 * sizes[0]
    for every, distinct in zip(*gradients, strict=True):
        assert (every - distinct).abs().max() <= 1e-3 * every.abs().max()


@pytest.mark.filterwarnings("ignore:Converting a tensor")
def test_gradients_are_those_of_the_original() -> None:
    if importlib.util.find_spec("chgnet") is None:
        pytest.skip("needs chgnet, of the extra 'dev'")
    import chgnet.graph.converter
    import chgnet.graph.crystalgraph
    import chgnet.model.model
    from pymatgen.core import Lattice, Structure

    crystals = hard_crystals([3, 40])
    modules = (chgnet.graph.converter, chgnet.graph.crystalgraph, chgnet.model.model)
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            patch.setattr(module, "TORCH_DTYPE", torch.float64)
        original = chgnet.model.model.CHGNet.load(model_name="0.3.0", use_device="cpu", verbose=False).double()
        # the fractions of elements are float32 otherwise
        original.composition_model.fc.register_forward_pre_hook(lambda _, given: (given[0].double(),))
        rows = [slice(*pair) for pair in zip(crystals.offsets[:-1], crystals.offsets[1:], strict=True)]
        structures = [
            Structure(Lattice(lattice), crystals.numbers[row], crystals.positions[row])
            for row, lattice in zip(rows, crystals.lattices, strict=True)
        ]
        energies = original([original.graph_converter(one) for one in structures], task="e")["e"]
        (energies**2).sum().backward()
    card = find_encoder("chgnet-mptrj").card
    network = CHGNet(**card.training.sizes).double()
    state = original.state_dict()
    network.load_state_dict({name: state[name] for name in network.state_dict()})
    predicted = network.predict(batch_of(network, crystals))
    assert torch.allclose(predicted[:, 0], energies.double(), rtol=1e-6)
    (predicted**2).sum().backward()
    of_original = dict(original.named_parameters())
    compared = 0
    for name, parameter in network.named_parameters():
        expected = of_original[name].grad
        if expected is None:
            assert name == "composition_model.fc.weight"  # published as a constant
            continue
        compared += 1
        assert (parameter.grad - expected).abs().max() <= 1e-5 * expected.abs().max(), name
    assert compared > 100


def test_the_shipped_file_gives_a_network_to_fine_tune() -> None:
    network = read_network(find_encoder("chgnet-mptrj").folder)
    batch = CHGNET.batch(find_encoder("chgnet-mptrj").card.input_parameters.graph.build(sample_crystals()))
    loss = network.predict(batch).square().mean()
    loss.backward()
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    assert all(gradient.abs().max() > 0 for name, gradient in gradients.items() if "norm" not in name)
