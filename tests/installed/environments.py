"""Virtual environments in a folder of their own, and what they weigh."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]

NOT_OURS = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence.pth")
"""What an empty environment has already, by the beginning of its name."""


def make_environment(folder: Path) -> Path:
    """Make an empty environment, and return its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder / "bin" / "python"


def pip(python: Path, *arguments: str | Path) -> None:
    """Run the pip of an environment."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([python, "-m", "pip", *arguments], check=True, env=environment)


def make_quickly(folder: Path, *requirements: str) -> Path:
    """Make an environment and install into it with uv, which resolves hundreds of packages in seconds."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([*uv, "pip", "install", "-q", "--python", python, *requirements], check=True, env=environment)
    return python


def installed_MB(python: Path) -> Counter[str]:  # noqa: N802 - a unit
    """Return what each folder or file of an environment's packages takes on the disk, in units of 2^20 bytes.

    The sum is that of ``du -sm site-packages`` without pip and setuptools.
    """
    site = next(python.parents[1].glob("lib/python*/site-packages"))
    sizes: Counter[str] = Counter()
    for path in [path for path in site.iterdir() if not path.name.startswith(NOT_OURS)]:
        parts = [path, *path.rglob("*")] if path.is_dir() else [path]
        sizes[path.name] = sum(part.lstat().st_blocks for part in parts) * 512 / 2**20
    return sizes
