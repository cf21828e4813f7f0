"""Real crystals in many dialects of CIF: read as they are or refused, never read as another crystal."""

from functools import cache

import numpy as np
import pyarrow.parquet as pq
import pytest
from cif_dialects import RIGHT, SAFE, Setting, settings_of, sites_differ
from samples import ELASTIC

from matlake.errors import StructureError
from matlake.materials.structure_files.cif import parse_cif
from matlake.materials.structure_files.poscar import parse_poscar

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:spglib")

ROWS = (0, 6, 12, 36, 72, 126, 234, 300, 348, 486, 570, 593, 654, 684, 1052, 1074)
"""Of the bundled sample: all crystal systems, centred cells, two origins, both kinds of axes, two hydrides."""

NEVER_READ = (
    "hydrogen missing",
    "hydrogen partly missing",
    "hydrogen missing, formula of the cell",
    "hydrogen missing, brackets",
    "a site missing",
    "alternatives",
    "alternatives without groups",
    "attached hydrogen",
    "element replaced",
    "formula of twice an element",
    "Z doubled",
    "cell of another volume",
)


@cache
def settings() -> tuple[Setting, ...]:
    texts = pq.read_table(ELASTIC, columns=["poscar"])["poscar"].to_pylist()
    return tuple([setting for row in ROWS for setting in settings_of(parse_poscar(texts[row]), most=2)])


def test_the_sample_has_all_that_symmetry_can_bring() -> None:
    names = {setting.group.xhm() for setting in settings()}
    assert {"F d -3 m:1", "F d -3 m:2", "R -3 c:H", "R -3 c:R", "P 1 21/n 1", "P 1 1 21/m"} <= names
    assert len(names) > 20


@pytest.mark.parametrize("dialect", RIGHT)
def test_a_file_that_says_enough_is_read(dialect: str) -> None:
    made = [(setting, RIGHT[dialect](setting, np.random.default_rng(3))) for setting in settings()]
    found = [(setting, parse_cif(file.text())) for setting, file in made if file is not None]
    assert found
    assert [sites_differ(crystal, setting.crystal) for setting, crystal in found] == [""] * len(found)


@pytest.mark.parametrize("dialect", SAFE)
def test_a_file_with_a_fault_is_read_rightly_or_refused(dialect: str) -> None:
    random = np.random.default_rng(5)
    wrong, read = [], 0
    for setting in settings():
        file = SAFE[dialect](setting, random)
        if file is None:
            continue
        try:
            crystal = parse_cif(file.text())
        except StructureError:
            continue
        read += 1
        if difference := sites_differ(crystal, setting.crystal):
            wrong.append((setting.group.xhm(), difference))
    assert not wrong
    assert not read or dialect not in NEVER_READ
