"""pymatgen's dictionaries: the same crystals as pymatgen makes of them, and none of its classes."""

import json
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest
from pymatgen_referee import difference, from_pymatgen

from matlake.errors import StructureError
from matlake.materials.structure_files.dictionaries import crystal_of, parse_structure_json


@pytest.fixture
def halite() -> dict[str, Any]:
    from pymatgen.core import Lattice, Structure

    structure = Structure(Lattice.cubic(4.123), ["Cs+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    document = json.loads(structure.to_json())
    assert isinstance(document, dict)
    return document


def test_real_crystals_agree_with_pymatgen(development_data: Callable[[str], Any]) -> None:
    from pymatgen.core import Structure

    texts = pq.read_table(development_data("matbench_phonons.parquet"))["structure"].to_pylist()[::25]
    theirs = [from_pymatgen(Structure.from_dict(json.loads(text))) for text in texts]
    mine = [parse_structure_json(text) for text in texts]
    assert [difference(one, other) for one, other in zip(mine, theirs, strict=True)] == [""] * len(texts)


def test_an_entry_holds_its_structure(halite: dict[str, Any]) -> None:
    entry = {"@class": "ComputedStructureEntry", "energy": -1.0, "structure": halite}
    assert crystal_of(entry).composition.reduced_formula == "CsCl"


def test_sites_with_cartesian_positions_only_are_read(halite: dict[str, Any]) -> None:
    for site in halite["sites"]:
        del site["abc"]
    assert crystal_of(halite).positions[1].tolist() == pytest.approx([0.5, 0.5, 0.5])


def test_no_class_is_constructed(halite: dict[str, Any]) -> None:
    halite["@module"], halite["@class"] = "os", "system"
    assert len(crystal_of(halite).numbers) == 2


def broken(document: dict[str, Any], *path: Any, value: Any) -> str:
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("sites", 0, "species", 0, "occu"), 0.5, "disordered: a site holds Cs 0.5"),
        (("sites", 0, "species"), [], "disordered"),
        (("sites", 0, "species", 0, "element"), "X0+", "unknown species 'X0\\+'"),
        (("sites", 0, "species"), 7, "damaged"),
        (("sites", 0), None, "damaged"),
        (("sites",), [], "no atoms"),
        (("lattice", "pbc"), [True, True, False], "not periodic"),
        (("lattice", "matrix"), [[1, 0, 0], [0, 1, 0]], "not three vectors"),
        (("lattice", "matrix"), [["a", 0, 0], [0, 1, 0], [0, 0, 1]], "damaged"),
        (("lattice", "matrix"), [[float("nan")] * 3] * 3, "not finite"),
        (("lattice",), "cubic", "damaged"),
        (("sites",), [{}] * 20_000, "20,000 atoms"),
    ],
)
def test_what_is_wrong_is_said(halite: dict[str, Any], path: tuple[Any, ...], value: Any, reason: str) -> None:
    with pytest.raises(StructureError, match=reason):
        parse_structure_json(broken(halite, *path, value=value))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a structure"),
        ('{"a": 1}', "not a structure of pymatgen, JARVIS, OPTIMADE or OQMD: it has the fields a"),
        ('{"sites": []}', "a molecule"),
    ],
)
def test_other_json_is_refused(text: str, reason: str) -> None:
    with pytest.raises(StructureError, match=reason):
        parse_structure_json(text)
