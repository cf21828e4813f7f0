"""Packages that bring plug-ins, written to a folder of the path as an installer would."""

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest


def add_package(
    folder: Path, name: str, code: str, entry_points: Mapping[str, Mapping[str, str]], version: str = "1.0"
) -> None:
    """Write a distribution ``NAME`` with one module of that name, ``-`` as ``_``.

    Args:
        folder: The folder of the path.
        name: Of the distribution.
        code: Of its module.
        entry_points: Group -> name -> object in the module.
        version: Of the distribution.
    """
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(code)
    about = folder / f"{module}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = []
    for group, found in entry_points.items():
        lines += [f"[{group}]", *(f"{entry} = {module}:{place}" for entry, place in found.items())]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")


@contextmanager
def on_the_path(folder: Path) -> Iterator[None]:
    """Have the packages of a folder installed for a while."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        before = set(sys.modules)
        yield
        for name in set(sys.modules) - before:
            place = getattr(sys.modules[name], "__file__", None)
            if place is not None and Path(place).is_relative_to(folder):
                del sys.modules[name]
    importlib.invalidate_caches()
