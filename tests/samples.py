"""What several tests share: names of real samples, and a way to run the command line."""

import json
from pathlib import Path
from subprocess import CompletedProcess

import forked

import matlake

ENCODER = "elemnet-oqmd-formation-energy"
CRYSTAL_ENCODER = "cgcnn-mp-formation-energy"
BUNDLED = Path(matlake.__file__).parent / "data"
ELASTIC = BUNDLED / "mp_elasticity.parquet"
GAPS = Path(__file__).parent / "data" / "expt_gap_2018.parquet"
"""4,604 measured gaps, the sample that 0.1.0 came with: tests do not change with the one that is bundled."""

LAKE_0_1_0 = Path(__file__).parent / "data" / "lake_0_1_0" / "lake"
SHARED = Path(__file__).parents[2] / "shared" / "data"


class Cli:
    """Runs ``matlake`` in a process of its own, on one lake."""

    def __init__(self, lake: Path) -> None:
        self.lake = lake

    def __call__(self, *arguments: str, code: int = 0) -> str:
        return self.run(*arguments, code=code).stdout

    def stderr(self, *arguments: str, code: int = 0) -> str:
        return self.run(*arguments, code=code).stderr

    def run(self, *arguments: str, code: int = 0) -> CompletedProcess[str]:
        done = forked.run(["--lake", str(self.lake), *arguments])
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    def json(self, *arguments: str, code: int = 0) -> dict[str, object]:
        document = json.loads(self(*arguments, "--json", code=code))
        assert isinstance(document, dict)
        return document
