"""The encoder ``magpie``: matminer's attributes, whatever the batch, from the two inputs that its card describes."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow.parquet as pq
import pytest
from edited_cards import edit_card

import matlake
from matlake.encoders.card import CARD_FILE
from matlake.encoders.encoder import Encoder, open_encoder
from matlake.encoders.listing import card_lines
from matlake.encoders.reference import reference_compositions, reference_fractions
from matlake.encoders.registry import SHIPPED, copy_to_lake, find_encoder
from matlake.errors import EncoderError, FormulaError
from matlake.materials.compositions import check_elements, element_fractions
from matlake.materials.formula import Composition, parse_formula
from matlake.materials.periodic_table import ELEMNET_ELEMENTS

ROWS = 500  # of matminer, each takes 5 ms


@pytest.fixture(scope="module")
def magpie() -> Encoder:
    return open_encoder(SHIPPED / "magpie")


def from_matminer(compositions: list[Composition]) -> np.ndarray:
    """The attributes by matminer, float64 [n, 145]."""
    pytest.importorskip("matminer", reason="needs the extra 'dev'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its dependencies
        from matlake.export.magpie import matminer_attributes

        return matminer_attributes(compositions)


def assert_agree(found: np.ndarray, expected: np.ndarray, names: list[str]) -> None:
    """Each attribute is within 1e-6 of matminer's, relative to the attribute's largest absolute value of the sample."""
    scale = np.abs(expected).max(axis=0)
    scale[scale == 0] = 1.0
    worst = np.abs(found - expected).max(axis=0) / scale
    assert worst.max() <= 1e-6, f"{names[int(worst.argmax())]} differs by {worst.max():.1e}"


def test_it_agrees_with_matminer_on_measured_compounds(magpie) -> None:
    random = np.random.default_rng(1)
    known = reference_compositions()
    compositions = [known[row] for row in random.choice(len(known), ROWS, replace=False)]
    found = magpie.encode(element_fractions(compositions))
    assert_agree(found, from_matminer(compositions), list(magpie.card.training.attributes))


def test_it_agrees_with_matminer_on_oqmd(magpie, oqmd) -> None:
    random = np.random.default_rng(2)
    formulas = pq.read_table(oqmd, columns=["formula"])["formula"]
    compositions = []
    for row in random.permutation(len(formulas)):
        try:
            composition = parse_formula(formulas[int(row)].as_py())
            check_elements(composition)
        except FormulaError:  # noble gases
            continue
        compositions.append(composition)
        if len(compositions) == ROWS:
            break
    found = magpie.encode(element_fractions(compositions))
    assert_agree(found, from_matminer(compositions), list(magpie.card.training.attributes))


def test_it_agrees_with_matminer_on_elements_and_on_many_elements_at_once(magpie) -> None:
    formulas = [*ELEMNET_ELEMENTS, "CoCrFeMnNi", "".join(ELEMNET_ELEMENTS[::4]), "Ga0.3333Al0.3333In0.3334As", "H200C"]
    compositions = [parse_formula(formula) for formula in formulas]
    found = magpie.encode(element_fractions(compositions))
    assert np.isfinite(found).all()
    assert_agree(found, from_matminer(compositions), list(magpie.card.training.attributes))


def test_the_card_names_what_each_column_is(magpie) -> None:
    names = list(magpie.card.training.attributes)
    assert len(names) == len(set(names)) == 145 == magpie.card.layer(None).dim
    hematite = dict(zip(names, magpie.encode(element_fractions([parse_formula("Fe2O3")]))[0].tolist(), strict=True))
    assert hematite["0-norm"] == 2
    assert hematite["2-norm"] == pytest.approx(np.hypot(0.4, 0.6))
    assert hematite["MagpieData mean Number"] == pytest.approx(0.4 * 26 + 0.6 * 8)
    assert hematite["MagpieData mode Number"] == 8
    assert hematite["compound possible"] == 1
    shown = " ".join(" ".join(card_lines(find_encoder("magpie"))).split())
    assert "9 MagpieData mean Number," in shown
    assert "of the reference implementation" in shown


def test_a_vector_is_the_same_bit_for_bit_in_any_batch_and_thread(magpie) -> None:
    fractions = reference_fractions()[:3000]
    whole = magpie.encode(fractions)
    assert all(np.array_equal(magpie.encode(fractions[row : row + 1])[0], whole[row]) for row in range(200))
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(magpie.encode, np.array_split(fractions, 12))
        assert np.array_equal(np.concatenate(list(parts)), whole)


def test_an_element_without_data_is_refused_by_name(lake, write_table) -> None:
    matlake.import_table(lake, write_table(formula=["He", "XeF2", "NaAt"]), "rare")
    report = matlake.embed(lake, ["magpie"], dataset="rare")
    assert (report.embedded, report.failed) == (1, 2)
    reasons = lake.query("SELECT formula, reason FROM failures ORDER BY formula").to_pydict()
    assert [reason.split(" is ")[0] for reason in reasons["reason"]] == ["element He", "element At"]
    assert sorted(reasons["formula"]) == ["He", "NaAt"]


def test_a_card_that_describes_other_inputs_than_the_graph_takes_is_refused(tmp_path) -> None:
    copy = copy_to_lake(find_encoder("magpie"), tmp_path)
    edit_card(copy.folder / CARD_FILE, lambda card: card["input_parameters"].pop("oxidation_states"))
    with pytest.raises(
        EncoderError, match=r"takes charge_neutral, fractions, but by its card it should take fractions$"
    ):
        open_encoder(copy.folder)
