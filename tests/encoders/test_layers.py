"""An encoder opened for some of its layers gives the same vectors, and computes no more than they need."""

import numpy as np
import pytest
from sample_crystals import fcc
from samples import CRYSTAL_ENCODER, ENCODER

from matlake.encoders.card import InputKind
from matlake.encoders.encoder import open_encoder
from matlake.encoders.registry import find_encoder
from matlake.materials.crystal import CrystalColumns


@pytest.mark.parametrize(("name", "layers"), [(ENCODER, ["2", "1"]), (CRYSTAL_ENCODER, ["pooled"]), ("magpie", [None])])
def test_what_lies_behind_the_layers_is_left_out(name: str, layers: list[str | None]) -> None:
    whole = open_encoder(find_encoder(name).folder)
    wanted = [whole.card.layer(layer).name for layer in layers]
    part = open_encoder(find_encoder(name).folder, layers=wanted)
    fractions = np.random.default_rng(0).dirichlet(np.ones(86), 5).astype(np.float32)
    materials = CrystalColumns.of([fcc()]) if whole.input is InputKind.CRYSTAL else fractions
    for layer in wanted:
        assert np.allclose(part.encode(materials, layer), whole.encode(materials, layer), rtol=1e-5, atol=1e-6)
    if len(wanted) == 1:
        assert len(open_encoder(find_encoder(name).folder, layers=wanted[0]).session.get_outputs()) == 1
    kept = {output.name for output in part.session.get_outputs()}
    assert kept == {whole.card.layer(layer).output for layer in wanted}
