"""Compile what numba compiles, once, before several processes at a time would each do so: a minute of one core.

Run ``python tests/compile_kernels.py`` in a checkout. The machine code stays beside the kernels.
"""

import tempfile
from pathlib import Path

import matlake

CRYSTALS = sorted((Path(__file__).parent / "data" / "awkward_cifs").glob("name_only.cif"))


def main() -> None:
    """Import a crystal, embed it with all encoders, and search."""
    with tempfile.TemporaryDirectory() as folder:
        lake = matlake.open_lake(Path(folder) / "lake", create=True)
        matlake.import_table(lake, CRYSTALS[0], "crystals")
        encoders = [encoder.card.name for encoder in lake.list_encoders()]
        matlake.embed(lake, encoders)
        lake.search(structure=CRYSTALS[0], encoder="cgcnn-mp-formation-energy", k=1)


if __name__ == "__main__":
    main()
