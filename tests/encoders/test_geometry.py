"""The shipped structural descriptor."""

from dataclasses import replace

import numpy as np
import pytest

from matlake.encoders.card import read_card, write_card
from matlake.encoders.encoder import open_encoder
from matlake.encoders.listing import card_lines
from matlake.encoders.reference import reference_crystals
from matlake.encoders.registry import SHIPPED, copy_to_lake, find_encoder
from matlake.encoders.verify import verify_encoder
from matlake.errors import EncoderError
from matlake.materials.geometry.attributes import ATTRIBUTES, describe_geometry
from matlake.materials.graph_recipe import GraphRecipe


def test_it_keeps_the_contract_of_encoders_of_crystals() -> None:
    checks = verify_encoder(SHIPPED / "geometry")
    assert len(checks) == 16
    assert [check for check in checks if not check.passed] == []


def test_the_file_hands_on_what_the_kernel_computes() -> None:
    encoder = open_encoder(SHIPPED / "geometry")
    crystals = reference_crystals()
    expected = describe_geometry(crystals, encoder.recipe.cutoff_A).attributes
    assert np.array_equal(encoder.encode(crystals), expected.astype(np.float32))


def test_its_card_names_every_attribute_with_its_unit() -> None:
    card = read_card(SHIPPED / "geometry")
    assert card.is_descriptor
    assert len(card.training.attributes) == card.layer(None).dim == len(ATTRIBUTES)
    assert card.training.attributes[0] == "volume per atom (Å³)"
    assert len(set(card.training.attributes)) == len(ATTRIBUTES)
    assert "covalent_radius_A" in card.training.element_tables
    assert "density (g/cm³)" in "\n".join(card_lines(find_encoder("geometry", None)))


def test_a_card_of_another_definition_is_refused(tmp_path) -> None:
    """A changed definition is another kind of graph: numbers of two definitions never get mixed up."""
    folder = copy_to_lake(find_encoder("geometry", None), tmp_path).folder
    card = read_card(folder)
    changed = replace(card.input_parameters, graph=GraphRecipe("geometry-2", 8.0, max_neighbours=0, blocks=0))
    write_card(replace(card, input_parameters=changed), folder)
    with pytest.raises(EncoderError, match="graphs of kind 'geometry-2' on the card are not known"):
        open_encoder(folder)
