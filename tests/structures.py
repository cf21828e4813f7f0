"""What the tests of imported crystals share: small structures, and questions to a lake."""

import json
from pathlib import Path
from typing import Any

from matlake import Lake

AWKWARD = Path(__file__).parent / "data" / "awkward_cifs"
CSCL = (AWKWARD / "no_symmetry.cif").read_text()
HALITE = (AWKWARD / "name_only.cif").read_text()
BROKEN = (AWKWARD / "dummy_species.cif").read_text()
DISORDERED = (AWKWARD / "partial_occupancy.cif").read_text()
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


def vasprun(positions: str = "0.5 0.5 0.5", *, edge: float = 4.0, finished: bool = True) -> str:
    """Return what VASP writes of a run on CsCl: an ionic step with an edge of 4.2 Å, then the end."""

    def structure(name: str, length: float) -> str:
        rows = "".join(f"<v> {' '.join(str(length * (i == j)) for j in range(3))} </v>" for i in range(3))
        return (
            f'<structure{name}><crystal><varray name="basis">{rows}</varray><i name="volume"> 1.0 </i></crystal>'
            f'<varray name="positions"><v> 0.0 0.0 0.0 </v><v> {positions} </v></varray></structure>'
        )

    text = (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling><atominfo><atoms> 2 </atoms><array name="atoms">'
        '<set><rc><c>Cs</c><c> 1</c></rc><rc><c>Cl</c><c> 2</c></rc></set></array><array name="atomtypes"><set><rc>'
        "<c> 1</c><c>Cs</c></rc></set></array></atominfo>"
        f"<calculation>{structure('', 4.2)}</calculation>"
    )
    return text + structure(' name="finalpos"', edge) + "</modeling>" if finished else text + "<calculation><struct"
