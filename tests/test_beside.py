"""In one process with the packages of the field that the development environment has."""

import importlib

import numpy as np
import pytest

import matlake
from matlake.encoders.registry import find_encoder
from matlake.extras import is_installed
from matlake.materials.crystal import CrystalColumns

OTHERS = (  # chgnet has no wheels for Python 3.13
    "torch",
    "pymatgen.core",
    "matminer.featurizers.composition",
    "chgnet.model",
)


def test_encoders_give_the_same_after_others_were_imported() -> None:
    """Libraries of threads that come in several copies are what goes wrong in such processes."""
    encoder = matlake.open_encoder(find_encoder("chgnet-mptrj").folder)
    salt = matlake.parse_structure("salt\n1.0\n5.64 0 0\n0 5.64 0\n0 0 5.64\nNa Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n")
    before = encoder.encode(CrystalColumns.of([salt]))
    others = [name for name in OTHERS if is_installed(name.partition(".")[0])]
    if not others:
        pytest.skip("needs the extra 'dev'")
    for name in others:
        importlib.import_module(name)
    again = matlake.open_encoder(find_encoder("chgnet-mptrj").folder, threads=2)
    np.testing.assert_allclose(again.encode(CrystalColumns.of([salt])), before, rtol=1e-4, atol=1e-5)
