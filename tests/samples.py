"""Names that several tests share."""

from pathlib import Path

import matlake

ENCODER = "elemnet-oqmd-formation-energy"
BUNDLED = Path(matlake.__file__).parent / "data"
SHARED = Path(__file__).parents[2] / "shared" / "data"
