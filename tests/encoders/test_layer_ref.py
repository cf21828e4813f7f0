"""``NAME@LAYER``: read, written, and resolved against a card in one place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import ENCODER

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
