"""Descriptors: encoders like the others that have learned nothing."""

import numpy as np

import matlake
from matlake.encoders.encoder import open_encoder
from matlake.encoders.reference import reference_fractions
from matlake.encoders.registry import SHIPPED, list_encoders
from matlake.materials.periodic_table import ELEMNET_ELEMENTS


def test_three_of_the_shipped_encoders_are_descriptors() -> None:
    assert [encoder.card.name for encoder in list_encoders() if encoder.card.is_descriptor] == [
        "fractions",
        "geometry",
        "magpie",
    ]


def test_their_cards_say_that_nothing_was_learned() -> None:
    for name in ("fractions", "magpie"):
        card = open_encoder(SHIPPED / name).card
        assert card.training.learned == "nothing"
        assert not card.target
        assert card.licence
        assert card.citation
        assert card.parity[card.default_layer] <= card.parity_tolerance


def test_fractions_are_the_element_fractions() -> None:
    encoder = open_encoder(SHIPPED / "fractions")
    assert np.array_equal(encoder.encode(reference_fractions()), reference_fractions())
    assert encoder.card.training.attributes == ELEMNET_ELEMENTS


def test_descriptors_can_be_embedded_and_queried(lake) -> None:
    assert matlake.embed(lake, ["fractions", "magpie@attributes"]).embedded == 600
    rows = lake.query(
        "SELECT encoder, layer, min(len(vector)) AS dim FROM embeddings GROUP BY 1, 2 ORDER BY 1"
    ).to_pylist()
    assert rows == [
        {"encoder": "fractions", "layer": "fractions", "dim": 86},
        {"encoder": "magpie", "layer": "attributes", "dim": 145},
    ]
