"""Check what a user gets: the wheel with its CPU runtime in an empty environment.

Run ``python tests/installed/check_installed.py`` in a checkout; it takes two minutes and needs a package index.
It imports, embeds, queries, searches and predicts, compositions first, then crystals, and measures what is installed.
Then it runs the steps of the Dockerfile in the same environment and serves a head.
The heads are those of a lake that version 0.1.0 made; the answers are compared with those of that time.
"""

import json
import math
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import docker_steps
from environments import ROOT, installed_MB, make_environment, pip

LIMIT_MB = 900
"""Most that an installation may take; 850 when this was written, of which numba with LLVM 210 and pyarrow 170."""

OLD = ROOT / "tests" / "data" / "lake_0_1_0"
CRYSTALS = ("name_only", "hall_only", "rounded_thirds")
COMPOSITION_ENCODER = "elemnet-oqmd-formation-energy"
CRYSTAL_ENCODER = "cgcnn-mp-formation-energy"


class Installed:
    """The command ``matlake`` of an environment, in a folder with a lake."""

    def __init__(self, python: Path, folder: Path) -> None:
        self._matlake, self._folder = python.with_name("matlake"), folder
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("MATLAKE")}
        self._environment.pop("PYTHONPATH", None)

    def run(self, *arguments: str, code: int = 0) -> Any:
        """Run a command; return its JSON answer."""
        command = [self._matlake, "--lake", "lake", *arguments]
        done = subprocess.run(
            command, cwd=self._folder, env=self._environment, capture_output=True, text=True, check=False
        )
        print(f"+ matlake {' '.join(arguments)}", flush=True)
        if done.returncode != code:
            raise SystemExit(f"exit code {done.returncode} instead of {code}:\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout)


def check_compositions(installed: Installed, folder: Path) -> None:
    """Import formulas, embed, query, search and predict."""
    (folder / "new.csv").write_text("formula,band_gap_eV\nTiO2,3.0\nCa(OH)2,5.2\nCuSO4·5H2O,2.9\n", encoding="utf-8")
    assert installed.run("import", "new.csv", "--dataset", "new", "--json")["rows"] == 3
    embedded = installed.run("embed", "--encoder", COMPOSITION_ENCODER, "--dataset", "new", "--json")
    assert embedded["embedded"] + embedded["skipped"] == 3, embedded
    rows = installed.run("sql", "SELECT formula FROM new WHERE list_contains(elements, 'H')", "--format", "json")
    assert [row["formula"] for row in rows] == ["Ca(OH)2", "CuSO4·5H2O"], rows
    neighbours = installed.run("search", "--formula", "TiO2", "--encoder", COMPOSITION_ENCODER, "-k", "1", "--json")
    assert neighbours["neighbours"][0]["distance"] < 1e-3, neighbours
    check_prediction(installed, "predict-gap-ridge")


def check_crystals(installed: Installed, folder: Path) -> None:
    """Import structure files, embed, query and predict."""
    (folder / "files").mkdir()
    for name in CRYSTALS:
        shutil.copy(ROOT / "tests" / "data" / "awkward_cifs" / f"{name}.cif", folder / "files")
    assert installed.run("import", "files", "--dataset", "files", "--json")["rows"] == len(CRYSTALS)
    embedded = installed.run("embed", "--encoder", CRYSTAL_ENCODER, "--dataset", "files", "--json")
    assert embedded["embedded"] == len(CRYSTALS), embedded
    query = "SELECT count(*) AS n, min(nsites) AS fewest FROM files"
    assert installed.run("sql", query, "--format", "json") == [{"n": 3, "fewest": 2}]
    check_prediction(installed, "predict-modulus")


def check_prediction(installed: Installed, name: str) -> None:
    """Predict, and compare with what version 0.1.0 answered."""
    then = json.loads((OLD / "answers.json").read_text())[name]
    compare(installed.run(*then["arguments"], code=then["exit_code"]), then["answer"])


def compare(answer: dict[str, Any], then: dict[str, Any]) -> None:
    """Compare an answer with that of version 0.1.0."""
    for now, old in zip(answer["predictions"], then["predictions"], strict=True):
        for key in ("value", "lower", "upper"):
            same = now[key] == old[key] or math.isclose(now[key], old[key], rel_tol=1e-3)
            assert same, f"{key} of {now['input'][:40]}: {now[key]} where there was {old[key]}"


def check_refusal(installed: Installed) -> None:
    """Training needs an extra, and says which."""
    refusal = installed.run(
        "train", "--target", "band_gap_eV", "--features", COMPOSITION_ENCODER, "--dataset", "new", "--json", code=1
    )
    assert refusal["hint"] == "pip install 'matlake[heads]'", refusal


def check_size(python: Path) -> None:
    """Print what is installed, largest first, and hold it against the limit."""
    sizes = installed_MB(python)
    print("\n".join(f"{size:7.0f} MB  {name}" for name, size in sizes.most_common(12)))
    print(f"{sizes.total():7.0f} MB  in all; the limit is {LIMIT_MB} MB")
    assert sizes.total() < LIMIT_MB, "too much is installed"


def check_image(environment: Path, folder: Path) -> None:
    """Run the steps of the Dockerfile in the environment, and ask what serves a head."""
    build, image = docker_steps.stages()
    source = folder / "image"
    source.mkdir()
    docker_steps.follow(build, source, environment)
    then = json.loads((OLD / "answers.json").read_text())["predict-gap-ridge"]
    lake = Path(shutil.copytree(OLD / "lake", folder / "mounted"))
    before = state(lake)
    body = json.dumps({"formulas": [one["input"] for one in then["answer"]["predictions"]]}).encode()
    with docker_steps.serve(image, environment, lake, then["answer"]["head"]) as address:
        request = Request(f"{address}/v1/predict", body, {"Content-Type": "application/json"})  # noqa: S310 - http
        with urlopen(request, timeout=60) as answer:  # noqa: S310 - of this machine
            compare(json.load(answer), then["answer"])
    assert state(lake) == before, "the server has written to the lake"
    print("the steps of the Dockerfile serve a head, and leave the lake as it was", flush=True)


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of everything below a folder; permissions would not keep root from writing."""
    found = {str(path): path.stat() for path in (folder, *folder.rglob("*"))}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in found.items()}


def main() -> None:
    """Build the wheel, install it, use it, weigh it; then do what the image does."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        python = make_environment(folder / "environment")
        pip(python, "wheel", "-q", "--no-deps", "-w", folder / "dist", ROOT)
        (wheel,) = (folder / "dist").glob("*.whl")
        pip(python, "install", "-q", f"{wheel}[cpu]")
        shutil.copytree(OLD, folder / "work")
        installed = Installed(python, folder / "work")
        check_compositions(installed, folder / "work")
        check_crystals(installed, folder / "work")
        check_refusal(installed)
        check_size(python)
        check_image(folder / "environment", folder)


if __name__ == "__main__":
    main()
