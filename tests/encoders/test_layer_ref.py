"""``NAME@LAYER``: read, written, and resolved against a card in one place."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import CRYSTAL_ENCODER, ENCODER

from matlake.encoders.card import Layer
from matlake.encoders.layer_ref import LayerRef
from matlake.encoders.registry import find_encoder
from matlake.errors import EncoderError

names = st.text(st.characters(exclude_characters="@", exclude_categories=["Z", "C"]), min_size=1)


def test_a_name_alone_means_the_default_layer_of_the_card() -> None:
    card = find_encoder(ENCODER).card
    ref = LayerRef.parse(ENCODER)
    assert (ref, str(ref)) == (LayerRef(ENCODER, None), ENCODER)
    assert card.ref(ref.layer) == LayerRef(ENCODER, card.default_layer)
    assert str(card.ref("4")) == f"{ENCODER}@4"
    with pytest.raises(EncoderError, match="has no layer 'x'"):
        card.ref("x")


@given(names, names | st.none())
def test_what_is_written_is_read(encoder: str, layer: str | None) -> None:
    ref = LayerRef(encoder, layer)
    assert LayerRef.parse(str(ref)) == LayerRef.parse(f"  {ref} ") == ref


@pytest.mark.parametrize("text", ["", "  ", "@", "@4", "name@"])
def test_half_a_reference_is_refused(text: str) -> None:
    with pytest.raises(EncoderError, match="is not NAME or NAME@LAYER"):
        LayerRef.parse(text)


@pytest.mark.parametrize(
    ("written", "layers"),
    [
        (None, ["1"]),
        ("2", ["2"]),
        ("3+1", ["3", "1"]),
        ("hidden+prediction", ["hidden", "prediction"]),
        ("all", ["1", "2", "3", "pooled", "hidden"]),
    ],
)
def test_several_layers_are_joined_by_a_plus_or_meant_by_all(written: str | None, layers: list[str]) -> None:
    card = find_encoder(CRYSTAL_ENCODER).card
    assert [layer.name for layer in card.named_layers(written)] == layers


def test_all_leaves_deviations_over_atoms_out_but_they_can_be_named() -> None:
    card = find_encoder(CRYSTAL_ENCODER).card
    card = replace(card, layers=(*card.layers, Layer("2_std", "2_std", 64)))
    assert [layer.name for layer in card.named_layers("all")] == ["1", "2", "3", "pooled", "hidden"]
    assert [layer.name for layer in card.named_layers("2_std+2")] == ["2_std", "2"]


def test_a_layer_whose_own_name_has_a_plus_is_found_first() -> None:
    card = replace(
        find_encoder("magpie").card, layers=(Layer("a+b", "x", 3), Layer("all", "y", 4)), default_layer="all"
    )
    assert [layer.dim for layer in card.named_layers("a+b")] == [3]
    assert [layer.dim for layer in card.named_layers("all")] == [4]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("2+2", "@2\\+2 names a layer twice"),
        ("2+", "@2\\+ lacks the name of a layer"),
        ("+", "lacks the name of a layer"),
        ("all+0", "joins 'all' and other layers"),
        ("2+x", "has no layer 'x'"),
        ("every", "has no layer 'every'"),
    ],
)
def test_what_names_no_layers_is_refused(written: str, message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        find_encoder(CRYSTAL_ENCODER).card.named_layers(written)


def test_an_encoder_that_only_predicts_has_no_other_layers() -> None:
    card = replace(find_encoder("magpie").card, layers=(Layer("prediction", "y", 1),), default_layer="prediction")
    with pytest.raises(EncoderError, match="no layer but its prediction"):
        card.named_layers("all")


@pytest.mark.parametrize("written", ["1+2", "all"])
def test_several_layers_where_one_is_needed_are_refused(written: str) -> None:
    with pytest.raises(EncoderError, match="means several layers, and this takes one"):
        find_encoder(CRYSTAL_ENCODER).card.layer(written)
