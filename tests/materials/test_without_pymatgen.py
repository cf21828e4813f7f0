"""What is read, and what is refused, does not depend on whether pymatgen is installed."""

import json
import subprocess
import sys
from pathlib import Path

AWKWARD = Path(__file__).parents[1] / "data" / "awkward_cifs"

FORMULAS = [
    "TiO2", "Ca(OH)2", "K4[Fe(CN)6]", "K4[Fe(CN)6]·3H2O", "Al2{SO4}3", "CuSO4*5H2O", "CaSO4·0.5H2O",
    "(TiO2)0.1(ZrO2)0.2",
    "2H2O", "(Na", "Na)", "()2", "Xx(OH)2", "H(0)", "Ca(OH]2", "(H)1e3O", "(H)1e999O", "Na+", "NaCl·", "Ca(OH)2.5.3",
]  # fmt: skip

READ = """
import hashlib, json, pathlib, sys
if sys.argv[1] == "blocked":
    sys.modules["pymatgen"] = None
else:
    import pymatgen.core, pymatgen.io.cif
from matlake.errors import MatlakeError
from matlake.materials.formula import parse_formula
from matlake.materials.structure_files.cif import read_cif
from matlake.materials.structure_files.text import decode

def outcome(read, text):
    try:
        return read(text)
    except MatlakeError as error:
        return f"{error} ({error.hint})"

def crystals(text):
    return [(name, getattr(found, "content_hash", str(found))) for name, found in read_cif(text)]

texts = {path.stem: decode(path.read_bytes()) for path in sorted(pathlib.Path(sys.argv[2]).glob("*.cif"))}
broken = {name: text.replace("_cell_length_b", "rock 'salt\\n_cell_length_b") for name, text in texts.items()}
found = [outcome(lambda text: parse_formula(text).canonical, text) for text in json.loads(sys.argv[3])]
found += [outcome(crystals, text) for text in [*texts.values(), *broken.values()]]
print(json.dumps(found))
"""


def outcomes(pymatgen: str) -> list[object]:
    command = [sys.executable, "-W", "ignore", "-c", READ, pymatgen, str(AWKWARD), json.dumps(FORMULAS)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_formulas_and_files_are_read_alike_with_and_without_pymatgen() -> None:
    without = outcomes("blocked")
    assert len(without) == len(FORMULAS) + 2 * len(list(AWKWARD.glob("*.cif")))
    assert sum(isinstance(found, list) for found in without) > 60
    assert without == outcomes("installed")
