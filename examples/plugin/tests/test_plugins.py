"""Each plug-in passes the checks of matlake, and does what it says."""

from pathlib import Path

import numpy as np
from matlake_example import MEAN_MASS
from matlake_example.airss_folder import open_airss
from matlake_example.element_count import ELEMENT_COUNT
from matlake_example.huber import HUBER
from matlake_example.reduced_pairs import REDUCED_PAIRS
from matlake_example.res_files import READER

from matlake.errors import StructureError
from matlake.testing import check_encoder, check_graphs, check_reader, check_regressor, check_source, check_split

DATA = Path(__file__).with_name("data")


def test_the_reader_passes() -> None:
    check_reader(READER, DATA)


def test_the_source_passes() -> None:
    check_source(open_airss, str(DATA))


def test_the_encoder_passes() -> None:
    check_encoder(MEAN_MASS)


def test_the_graphs_pass() -> None:
    check_graphs(REDUCED_PAIRS)


def test_the_regressor_passes() -> None:
    check_regressor(HUBER)


def test_the_split_passes() -> None:
    check_split(ELEMENT_COUNT, [None, "2", "3"])


def test_a_cell_and_its_enthalpy_are_read() -> None:
    (record,) = READER.read((DATA / "TiO2-rutile.res").read_bytes(), 100)
    assert record.properties["enthalpy_eV"] == -4951.72
    assert record.crystal.composition.reduced_formula == "TiO2"
    np.testing.assert_allclose(record.crystal.volume, record.properties["volume_A3"], rtol=1e-3)


def test_partly_occupied_sites_are_refused_with_a_reason() -> None:
    _, refused = READER.read((DATA / "carbon.res").read_bytes(), 100)
    assert isinstance(refused.crystal, StructureError)
    assert "C2 is partly occupied (0.5)" in str(refused.crystal)


def test_outliers_among_the_labels_do_not_turn_the_line() -> None:
    x = np.linspace(-1.0, 1.0, 41)[:, None]
    y = 2.0 * x[:, 0]
    y[-4:] = -50.0
    fitted = HUBER.fit({"alpha": 1e-3, "delta": 0.1}, x, y, 0, None)
    np.testing.assert_allclose(fitted.slopes, 2.0, atol=0.1)
