"""The shipped descriptors are what their generators make, by the calls in training-encoders.md."""

import importlib.util
import json

import pytest

from matlake.encoders.card import CARD_FILE, MODEL_FILE
from matlake.encoders.reference import reference_compositions
from matlake.encoders.registry import SHIPPED
from matlake.errors import EncoderError, MissingExtraError
from matlake.export import geometry, magpie
from matlake.export.descriptors import export_fractions
from matlake.export.geometry import export_geometry
from matlake.export.magpie import export_magpie

MEASURED = {"parity", "tool_versions", "digest"}


def assert_same(folder, name) -> None:
    """Files are equal byte for byte, cards apart from what was measured and by which versions."""
    assert (folder / MODEL_FILE).read_bytes() == (SHIPPED / name / MODEL_FILE).read_bytes()
    made, shipped = (json.loads((place / CARD_FILE).read_text()) for place in (folder, SHIPPED / name))
    assert made.keys() == shipped.keys()
    assert {key for key in made if made[key] != shipped[key]} <= MEASURED


def test_fractions_are_made_again(tmp_path) -> None:
    export_fractions(tmp_path / "fractions")
    assert_same(tmp_path / "fractions", "fractions")


def test_geometry_is_made_again(tmp_path) -> None:
    export_geometry(tmp_path / "geometry")
    assert_same(tmp_path / "geometry", "geometry")


def test_another_table_of_elements_is_another_file(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(geometry, "MASSES_U", (1.0, *geometry.MASSES_U[1:]))
    export_geometry(tmp_path / "geometry")
    assert (tmp_path / "geometry" / MODEL_FILE).read_bytes() != (SHIPPED / "geometry" / MODEL_FILE).read_bytes()


@pytest.mark.filterwarnings("ignore")  # of matminer and its dependencies
class TestMagpie:
    @pytest.fixture(autouse=True)
    def few_compositions(self, monkeypatch) -> None:
        pytest.importorskip("matminer", reason="needs the extra 'dev'")
        monkeypatch.setattr(magpie, "reference_compositions", lambda: reference_compositions()[:100])

    def test_it_is_made_again(self, tmp_path) -> None:
        card = export_magpie(tmp_path / "magpie")
        assert_same(tmp_path / "magpie", "magpie")
        assert {"matminer", "pymatgen-core"} <= card.tool_versions.keys()

    def test_attributes_that_differ_from_matminer_are_not_written(self, tmp_path, monkeypatch) -> None:
        original = magpie.matminer_attributes
        monkeypatch.setattr(magpie, "matminer_attributes", lambda compositions: original(compositions) * 1.00001)
        with pytest.raises(EncoderError, match="magpie differs by"):
            export_magpie(tmp_path / "magpie")
        assert not (tmp_path / "magpie" / CARD_FILE).exists()

    def test_a_gap_in_a_table_is_named(self, tmp_path, monkeypatch) -> None:
        from matminer.utils.data import MagpieData

        original = MagpieData.get_elemental_property

        def with_gap(self, element, name) -> float:
            return float("nan") if (element.symbol, name) == ("Pu", "MeltingT") else original(self, element, name)

        monkeypatch.setattr(MagpieData, "get_elemental_property", with_gap)
        with pytest.raises(EncoderError, match="matminer has no MeltingT of Pu"):
            export_magpie(tmp_path / "magpie")


def test_without_matminer_the_extra_is_named(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="tables of Magpie needs matminer"):
        export_magpie(tmp_path / "magpie")
