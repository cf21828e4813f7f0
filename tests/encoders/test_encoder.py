"""Encoders of compositions and of crystals keep one protocol: rejections, inputs, layers, vectors that are finite."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from sample_crystals import fcc
from samples import CRYSTAL_ENCODER, ENCODER

from matlake.encoders.composition_encoder import CompositionEncoder
from matlake.encoders.crystal_encoder import CrystalEncoder
from matlake.encoders.encoder import Encoder, open_crystal_encoder, open_encoder
from matlake.encoders.reference import covered_rows, reference_materials
from matlake.encoders.registry import find_encoder
from matlake.errors import EncoderError, NotFiniteError
from matlake.materials.crystal import Crystal, make_crystal
from matlake.materials.formula import Composition, parse_formula

NAMES = [ENCODER, CRYSTAL_ENCODER]
NEON = make_crystal([10], np.eye(3) * 4.0, [[0, 0, 0]])
CLOSE = make_crystal([29, 29], np.eye(3) * 4.0, [[0, 0, 0], [0.01, 0, 0]])


@pytest.fixture(params=NAMES)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    return open_encoder(find_encoder(request.param).folder)


def test_the_card_chooses_the_implementation() -> None:
    classes = [type(open_encoder(find_encoder(name).folder)) for name in NAMES]
    assert classes == [CompositionEncoder, CrystalEncoder]
    assert all(open_encoder(find_encoder(name).folder).input == find_encoder(name).card.input for name in NAMES)
    with pytest.raises(EncoderError, match="takes compositions, not crystals"):
        open_crystal_encoder(find_encoder(ENCODER).folder)


def test_an_element_that_the_encoder_lacks_is_a_reason(encoder: Encoder) -> None:
    columns = encoder.columns([fcc(), NEON, fcc()])
    number = len(encoder.card.input_parameters.elements)
    assert encoder.rejections(columns) == [None, f"element Ne is not among the {number} of this encoder", None]
    assert covered_rows(encoder, columns) == [0, 2]


def test_atoms_on_top_of_each_other_are_a_reason_where_that_is_asked() -> None:
    encoder = open_encoder(find_encoder(CRYSTAL_ENCODER).folder)
    columns = encoder.columns([fcc(), CLOSE])
    assert encoder.rejections(columns) == [None, None]
    first, second = encoder.rejections(columns, overlaps=True)
    assert first is None
    assert second is not None
    assert second.startswith("atoms on top of each other: Cu at ")


def test_an_encoder_of_compositions_takes_those_of_crystals() -> None:
    encoder = open_encoder(find_encoder(ENCODER).folder)
    crystals = open_encoder(find_encoder(CRYSTAL_ENCODER).folder).columns([fcc(), CLOSE])
    expected = encoder.encode(encoder.columns([fcc().composition, CLOSE.composition]))
    np.testing.assert_array_equal(encoder.encode(encoder.columns([fcc(), CLOSE])), expected)
    (vectors,) = encoder.encode_inputs(encoder.inputs(crystals), [encoder.card.default_layer])
    np.testing.assert_array_equal(vectors, expected)


@pytest.mark.parametrize("materials", [[parse_formula("TiO2")], [fcc(), parse_formula("TiO2")]])
def test_an_encoder_of_crystals_refuses_compositions(materials: Sequence[Composition | Crystal]) -> None:
    encoder = open_encoder(find_encoder(CRYSTAL_ENCODER).folder)
    others = open_encoder(find_encoder(ENCODER).folder).columns(materials)
    for refused in (
        lambda: encoder.columns(materials),
        lambda: encoder.inputs(others),
        lambda: encoder.encode(others),
        lambda: encoder.encode_inputs(np.zeros((1, 86), np.float32), ["pooled"]),
    ):
        with pytest.raises(EncoderError, match="takes crystals, not compositions"):
            refused()


def test_several_layers_come_from_one_run(encoder: Encoder) -> None:
    materials = reference_materials(encoder.input)
    materials = materials.take(covered_rows(encoder, materials)[:20])
    layers = [layer.name for layer in encoder.card.layers]
    vectors = encoder.encode_inputs(encoder.inputs(materials), layers)
    assert [matrix.shape for matrix in vectors] == [(20, layer.dim) for layer in encoder.card.layers]
    for name, matrix in zip(layers, vectors, strict=True):
        np.testing.assert_allclose(encoder.encode(materials, name), matrix, rtol=1e-5, atol=1e-6)
    with pytest.raises(EncoderError, match="has no layer 'nowhere'"):
        encoder.encode(materials, "nowhere")


def test_nothing_gives_no_vectors(encoder: Encoder) -> None:
    columns = encoder.columns([])
    assert encoder.rejections(columns, overlaps=True) == []
    assert encoder.encode(columns).shape == (0, encoder.card.layer(None).dim)


def test_rows_that_are_not_finite_are_left_out_and_the_others_run_again(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    materials = reference_materials(encoder.input)
    materials = materials.take(covered_rows(encoder, materials)[:10])
    inputs, layers = encoder.inputs(materials), [layer.name for layer in encoder.card.layers]
    expected = encoder.encode_inputs(inputs, layers)
    home, inner = type(encoder), type(encoder).encode_inputs
    sizes = []

    def overflowing(self: Encoder, some: object, wanted: Sequence[str]) -> list[NDArray[np.float32]]:
        sizes.append(len(some))  # type: ignore[arg-type]
        if len(sizes) < 3:
            raise NotFiniteError(f"overflow {len(sizes)}", [1, 3])
        return inner(self, some, wanted)

    monkeypatch.setattr(home, "encode_inputs", overflowing)
    vectors, reasons = encoder.encode_finite(inputs, layers)
    kept = [0, 4, 6, 7, 8, 9]
    assert sizes == [10, 8, 6]
    assert {row: reason for row, reason in enumerate(reasons) if reason} == {
        1: "overflow 1",
        2: "overflow 2",
        3: "overflow 1",
        5: "overflow 2",
    }
    for matrix, whole in zip(vectors, expected, strict=True):
        np.testing.assert_allclose(matrix, whole[kept], rtol=1e-5, atol=1e-6)


def test_encoders_that_take_the_same_inputs_say_so() -> None:
    def keys(*names: str) -> set[object]:
        return {open_encoder(find_encoder(name).folder).inputs_key for name in names}

    assert len(keys(ENCODER, "magpie", "fractions")) == 1
    assert len(keys(CRYSTAL_ENCODER, "chgnet-mptrj", ENCODER)) == 3
