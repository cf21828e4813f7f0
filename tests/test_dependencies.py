"""What pyproject.toml asks for, what the lock pins, and what is said where an extra is missing."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from matlake.extras import EXTRAS

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements-dev.lock").read_text()


def name_of(requirement: str) -> str:
    return re.split(r"[<>=!;\[ ]", requirement)[0].lower().replace("_", "-")


def test_the_lock_pins_all_that_development_needs_with_hashes_and_names_no_index() -> None:
    pinned = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", LOCK, re.MULTILINE))
    extras = PROJECT["optional-dependencies"]
    wanted = {name_of(one) for one in PROJECT["dependencies"]}
    wanted |= {name_of(one) for extra in extras if extra != "gpu" for one in extras[extra]}
    assert wanted - {"matlake", "torch"} <= set(pinned)  # torch is installed first, in the build that suits the machine
    assert LOCK.count("--hash=sha256:") >= len(pinned)
    assert "://" not in LOCK
    assert "--index" not in LOCK


def test_every_extra_that_is_asked_for_in_a_hint_exists() -> None:
    assert set(EXTRAS) <= set(PROJECT["optional-dependencies"])


ASK = """
import sys
sys.modules[sys.argv[1]] = None
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == sys.argv[1] else find(name, *rest)
from matlake.errors import MissingExtraError
try:
    exec(sys.argv[2])
except MissingExtraError as error:
    print(error, error.hint, sep="; ")
"""

QUICKSTART = "from matlake.quickstart import quickstart; quickstart(None, print, print, 1)"


def test_a_missing_extra_is_named() -> None:
    command = [sys.executable, "-c", ASK, "matplotlib", QUICKSTART]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = "the quickstart needs matplotlib, .*; pip install 'matlake.quickstart.'"
    assert re.fullmatch(said, done.stdout.strip())
