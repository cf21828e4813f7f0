"""What the tests of imported crystals share: small structures, and questions to a lake."""

import json
from pathlib import Path
from typing import Any

from matlake import Lake

AWKWARD = Path(__file__).parent / "data" / "awkward_cifs"
CSCL = (AWKWARD / "no_symmetry.cif").read_text()
HALITE = (AWKWARD / "name_only.cif").read_text()
BROKEN = (AWKWARD / "partial_occupancy.cif").read_text()
POSCAR = "CsCl\n1.0\n4.123 0 0\n0 4.123 0\n0 0 4.123\nCs Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"


def rows(lake: Lake, statement: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lake.query(statement).to_pylist()
    return found


def reasons(lake: Lake) -> dict[str, str]:
    """Return the reason of each failure by id."""
    return {row["material_id"]: row["reason"] for row in rows(lake, "SELECT material_id, reason FROM failures")}


def ids(lake: Lake, dataset: str = "d") -> list[str]:
    return [row["material_id"] for row in rows(lake, f"SELECT material_id FROM {dataset} ORDER BY 1")]


def pymatgen_dict() -> dict[str, Any]:
    """Return CsCl as pymatgen writes it."""
    from pymatgen.core import Lattice, Structure

    structure = Structure(Lattice.cubic(4.123), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    document: dict[str, Any] = json.loads(structure.to_json())
    return document
