"""The crystal encoders that come with the package."""

from dataclasses import replace

import numpy as np
import pytest

from matlake.encoders.base import GraphsToEncode
from matlake.encoders.encoder import open_encoder
from matlake.encoders.reference import reference_crystals
from matlake.encoders.registry import SHIPPED
from matlake.errors import EncoderError
from matlake.materials.pair_graphs import PairGraphs

NAMES = ("cgcnn-mp-formation-energy", "dimenet++-mp-formation-energy")


@pytest.mark.parametrize("name", NAMES)
def test_its_card_tells_where_it_comes_from_and_how_good_it_is(name) -> None:
    card = open_encoder(SHIPPED / name).card
    assert card.default_layer == {"cgcnn": "1", "schnet": "pooled", "dimenet++": "sums_0"}[card.architecture]
    assert any(note.startswith("the default layer was") for note in card.training.notes)
    assert card.licence == "CC BY 4.0"
    assert card.metrics["test_mae_eV_per_atom"] <= {"cgcnn": 0.10, "dimenet++": 0.07}[card.architecture]
    assert card.metrics["held_out_mae_eV_per_atom"] > 0
    assert max(card.parity.values()) <= card.parity_tolerance == 1e-5
    assert card.training.columns.held_out == "year > 2005"
    assert any("Materials Project" in paper for paper in card.citation)


def test_all_of_dimenet_is_what_stands_in_front_of_its_output_blocks() -> None:
    card = open_encoder(SHIPPED / "dimenet++-mp-formation-energy").card
    assert card.version == 2
    in_front = [f"{kind}_{block}" for kind in ("sums", "messages") for block in range(4)]
    assert [layer.name for layer in card.hidden_layers] == in_front
    assert [layer.name for layer in card.layers] == [*in_front, *"0123", "pooled", "prediction"]
    before = replace(card, layers=card.layers[len(in_front) :], default_layer="pooled")  # as version 1 was
    assert [layer.name for layer in before.hidden_layers] == [*"0123", "pooled"]
    other = replace(card, architecture="another")  # whose layers only have such names
    assert [layer.name for layer in other.hidden_layers] == [*in_front, *"0123", "pooled"]


def test_compositions_and_crystals_are_not_mixed_up() -> None:
    crystals = reference_crystals().take([0])
    with pytest.raises(EncoderError, match="takes compositions, not crystals"):
        open_encoder(SHIPPED / "elemnet-oqmd-formation-energy").encode(crystals)


@pytest.mark.parametrize("name", NAMES)
def test_a_crystal_that_is_not_finite_leaves_its_batch_as_it_is(name) -> None:
    encoder = open_encoder(SHIPPED / name)
    layers = [layer.name for layer in encoder.card.layers]
    inputs = encoder.inputs(reference_crystals().take(range(20)))
    graphs = inputs.graphs
    assert len(list(encoder.batches(inputs))) < 20
    edges = graphs.edge_offsets if isinstance(graphs, PairGraphs) else graphs.out_offsets
    distances = graphs.distances.copy()
    distances[edges[graphs.atom_offsets[[7, 12]]]] = np.nan
    spoilt = GraphsToEncode(replace(graphs, distances=distances))
    vectors, reasons = encoder.encode_finite(spoilt, layers)
    assert [row for row, reason in enumerate(reasons) if reason] == [7, 12]
    for found, whole in zip(vectors, encoder.encode_inputs(inputs, layers), strict=True):
        expected = np.delete(whole, [7, 12], axis=0)
        assert abs(found - expected).max() < 1e-5 * abs(expected).max()


def test_a_run_that_does_not_fit_is_halved() -> None:
    encoder = open_encoder(SHIPPED / "cgcnn-mp-formation-energy")
    crystals = reference_crystals().take(range(20))
    expected = encoder.encode(crystals)
    sizes = []

    class Small:
        """A session on a device with little memory."""

        def run(self, outputs, inputs) -> list[np.ndarray]:
            sizes.append(len(inputs["pool"]))
            if len(inputs["pool"]) > 3:
                raise RuntimeError("Failed to allocate memory for requested buffer of size 123")
            return encoder.session.run(outputs, inputs)

    found = replace(encoder, session=Small()).encode(crystals)
    assert abs(found - expected).max() < 1e-5 * abs(expected).max()
    assert max(sizes) > 3
    assert min(sizes) <= 3


def test_a_crystal_that_does_not_fit_alone_is_named() -> None:
    class Full:
        def run(self, *_: object) -> list[np.ndarray]:
            raise RuntimeError("CUDA failure 2: out of memory")

    encoder = open_encoder(SHIPPED / "cgcnn-mp-formation-energy")
    with pytest.raises(EncoderError, match="distinct edges does not fit into the memory of device cpu"):
        replace(encoder, session=Full()).encode(reference_crystals().take([0]))
