"""What several tests share: names of real samples, and a way to run the command line."""

import json
from pathlib import Path
from subprocess import CompletedProcess

import forked
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import matlake

ENCODER = "elemnet-oqmd-formation-energy"
CRYSTAL_ENCODER = "cgcnn-mp-formation-energy"
BUNDLED = Path(matlake.__file__).parent / "data"
ELASTIC = BUNDLED / "mp_elasticity.parquet"
GAPS = Path(__file__).parent / "data" / "expt_gap_2018.parquet"
"""4,604 measured gaps, the sample that 0.1.0 came with: tests do not change with the one that is bundled."""

LAKE_0_1_0 = Path(__file__).parent / "data" / "lake_0_1_0" / "lake"
SHARED = Path(__file__).parents[2] / "shared" / "data"

TEMPERATURES_K = (100, 300, 600)


def gap_shift_eV(temperature_K: float) -> float:  # noqa: N802, N803 - units
    """Return by how much a gap is smaller than at 0 K: Varshni, Physica 34, 149 (1967), of GaN-like strength."""
    return -2e-3 * temperature_K**2 / (temperature_K + 600.0)


def temperature_series() -> pa.Table:
    """Measured gaps of 46 real materials at three temperatures by the law, and a column of text."""
    known = pq.read_table(GAPS).filter(pc.field("band_gap_eV") > 1.0)
    known = known.take(list(range(0, len(known), len(known) // 45)))
    rows = [
        {"formula": formula, "temperature_K": kelvin, "band_gap_eV": gap + gap_shift_eV(kelvin), "phase": "alpha"}
        for formula, gap in zip(known["formula"].to_pylist(), known["band_gap_eV"].to_pylist(), strict=True)
        for kelvin in TEMPERATURES_K
    ]
    return pa.Table.from_pylist(rows)


class Cli:
    """Runs ``matlake`` in a process of its own, on one lake, after some Python that is to change it."""

    def __init__(self, lake: Path, patch: str = "") -> None:
        self.lake, self.patch = lake, patch

    def __call__(self, *arguments: str, code: int = 0) -> str:
        return self.run(*arguments, code=code).stdout

    def stderr(self, *arguments: str, code: int = 0) -> str:
        return self.run(*arguments, code=code).stderr

    def run(self, *arguments: str, code: int = 0) -> CompletedProcess[str]:
        done = forked.run(["--lake", str(self.lake), *arguments], self.patch)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    def json(self, *arguments: str, code: int = 0) -> dict[str, object]:
        document = json.loads(self(*arguments, "--json", code=code))
        assert isinstance(document, dict)
        return document
