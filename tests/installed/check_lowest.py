"""Run the core tests with the lowest versions of direct dependencies that pyproject.toml allows.

Run ``python tests/installed/check_lowest.py`` in a checkout; it takes some minutes and needs a package index. What the
dependencies depend on themselves is installed as new as it may be.
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from environments import ROOT, make_quickly

EXTRAS = ("cloud", "cpu", "heads", "index", "plots")
# pyarrow 20 reads times with a time zone by what pandas 3.1 warns of
TOOLS = ("ase", "moto[server]>=5.2", "pytest", "pytest-xdist", "hypothesis", "pandas<3", "polars", "pymatgen")
CORE = (
    "tests/materials/test_formula.py",
    "tests/materials/test_crystal.py",
    "tests/materials/test_objects.py",
    "tests/materials/structure_files",
    "tests/encoders/test_encode.py",
    "tests/encoders/test_shipped_crystal_encoders.py",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "store").glob("test_*.py")),
    "tests/store/embedding",
    "tests/store/importing/readers",
    "tests/store/importing/test_importer.py",
    "tests/store/importing/test_in_memory.py",
    "tests/store/importing/test_merging.py",
    "tests/store/maintenance/test_compact.py",
    "tests/store/searching",
    "tests/store/sources/test_http.py",
    "tests/store/storage/test_object_scan.py",
    "tests/regress/prediction/test_predict.py",
    "tests/regress/prediction/test_predict_dataset.py",
    "tests/test_imports.py",
    "tests/test_lake_of_0_1_0.py",
)
"""What calls the dependencies in each of the manners that matlake does; the test command runs all others."""

PASSED_OVER = " and ".join(
    f"not {one}"
    for one in (
        "kill",
        "odd_folder",
        "each_tenth_formula",
        "slip_anywhere",
        "job_shards",
        "test_sidecar",
        "test_dedupe",
        "memory_does_not_grow",
        "types_have_one_in_common",
        "test_names",
        "waits_for",
    )
)
"""What takes long and depends on our own code: the order of writes, names of folders and columns, many formulas and
faulty files, the shards of a job, segments of vectors, memory. And what new versions do not import any more: old ones
of pyarrow import pandas."""


def lowest_versions() -> list[str]:
    """Return ``NAME==VERSION`` for each lower bound of the core's dependencies and those of the extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(one for extra in EXTRAS for one in project["optional-dependencies"][extra])]
    return [f"{bound[1]}=={bound[2]}" for one in wanted if (bound := re.match(r"([\w.-]+)>=([\w.]+)", one))]


def main() -> None:
    """Install the lowest versions, show them, run the tests."""
    pinned = lowest_versions()
    print("\n".join(pinned), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        package = f"{ROOT}[{','.join(EXTRAS)}]"
        python = make_quickly(Path(scratch) / "environment", *pinned, *TOOLS, "-e", package)
        environment = {**os.environ, "PYTEST_ADDOPTS": ""}
        subprocess.run([python, ROOT / "tests" / "compile_kernels.py"], check=True, env=environment)
        tests = [python, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", "-k", PASSED_OVER, *CORE]
        sys.exit(subprocess.run(tests, cwd=ROOT, env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
