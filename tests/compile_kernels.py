"""Compile what numba compiles, once, before several processes at a time would each do so: a minute of one core.

Run ``python tests/compile_kernels.py`` in a checkout. The machine code stays beside the kernels.
"""

import tempfile
from importlib.util import find_spec
from pathlib import Path

import matlake
from matlake.materials.crystal import CrystalColumns
from matlake.materials.graph_recipe import GraphRecipe
from matlake.materials.structure_files.sniff import parse_structure

CRYSTALS = sorted((Path(__file__).parent / "data" / "awkward_cifs").glob("name_only.cif"))


RECIPES = (
    GraphRecipe("pairs", 6.0, 12, 3),
    GraphRecipe("angles", 6.0, 12, 3, degrees=7),
    GraphRecipe("bonds", 6.0, 0, 3, bond_cutoff_A=3.0),
    GraphRecipe("triplets", 5.0, 0, 3, bond_cutoff_A=4.0),
    GraphRecipe("vectors", 5.0, 0, 3),
)
"""A graph of each kind: tests with torch make those of encoders that do not ship as well."""


def main() -> None:
    """Import a crystal, embed it with all encoders, search, and build graphs of all kinds."""
    with tempfile.TemporaryDirectory() as folder:
        lake = matlake.open_lake(Path(folder) / "lake", create=True)
        matlake.import_table(lake, CRYSTALS[0], "crystals")
        encoders = [encoder.card.name for encoder in lake.list_encoders()]
        matlake.embed(lake, encoders)
        lake.search(structure=CRYSTALS[0], encoder="cgcnn-mp-formation-energy", k=1)
    crystal = CrystalColumns.of([parse_structure(CRYSTALS[0].read_text())])
    for recipe in RECIPES if find_spec("torch") else ():
        for resolution in (None, 0.0):
            recipe.build(crystal, resolution=resolution)


if __name__ == "__main__":
    main()
