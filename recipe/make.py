"""Write ``recipe.yaml``, the recipe for conda-forge, from what ``pyproject.toml`` asks for.

Run ``python recipe/make.py`` after a change of the dependencies, and ``python recipe/make.py SDIST`` for a release.
"""

import hashlib
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
RECIPE: Final = HERE / "recipe.yaml"
NO_SDIST: Final = "0" * 64
"""Digest of an sdist that is not there yet."""

CONDA_NAMES: Final = {"duckdb": "python-duckdb"}
"""Names on conda-forge that differ from those on PyPI."""

EXTRA: Final = "cpu"
"""A package of conda has no extras: it brings the runtime for processors."""

TEMPLATE: Final = """\
# yaml-language-server: $schema=https://raw.githubusercontent.com/prefix-dev/recipe-format/main/schema.json
# Written by recipe/make.py from pyproject.toml; the sdist and its digest are those of the release.
schema_version: 1

context:
  version: {version}
  python_min: "{python}"

package:
  name: {name}
  version: ${{{{ version }}}}

source:
  url: https://pypi.org/packages/source/{name[0]}/{name}/{name}-${{{{ version }}}}.tar.gz
  sha256: "{sha256}"

build:
  number: 0
  noarch: python
  script: ${{{{ PYTHON }}}} -m pip install . -vv --no-deps --no-build-isolation
  python:
    entry_points:
      - {entry_point}

requirements:
  host:
    - python ${{{{ python_min }}}}.*
    - pip
{host}
  run:
    - python >=${{{{ python_min }}}}
{run}

tests:
  - python:
      imports:
        - matlake
        - matlake.api.lake
      pip_check: true
      python_version: ${{{{ python_min }}}}.*
  - requirements:
      run:
        - python ${{{{ python_min }}}}.*
    script:
      - matlake --version
      - matlake encoders list
      - matlake encoders verify fractions

about:
  homepage: https://pypi.org/project/{name}/
  summary: {summary}
  license: {licence}
  license_file:
{licence_files}

extra:
  recipe-maintainers:
    - matlake-developers
"""


def project() -> dict[str, Any]:
    """Return the table ``project`` of pyproject.toml, with the version that it takes from the package."""
    found: dict[str, Any] = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))
    init = (HERE.parent / found["tool"]["hatch"]["version"]["path"]).read_text("utf-8")
    version = re.search(r'^__version__ = "(.+)"$', init, re.MULTILINE)
    if version is None:
        raise ValueError("the package states no version")
    about: dict[str, Any] = found["project"]
    return about | {"version": version[1], "host": found["build-system"]["requires"]}


def conda_requirement(requirement: str) -> str:
    """Return a requirement as conda writes it, whatever the system: one package is for all of them."""
    match = re.fullmatch(r"([\w.-]+)((?:[<>=!~]=?[\w.]+,?)*)", requirement.partition(";")[0].strip())
    if match is None:
        raise ValueError(f"{requirement} is not a plain requirement")
    name, bounds = match.groups()
    return f"{CONDA_NAMES.get(name.lower(), name.lower())} {bounds}".strip()


def recipe(sha256: str) -> str:
    """Return the recipe.

    Args:
        sha256: Digest of the sdist, hexadecimal.
    """
    about = project()
    wanted = [*about["dependencies"], *about["optional-dependencies"][EXTRA]]
    licences = sorted(path for glob in about["license-files"] for path in HERE.parent.glob(glob))
    (script,) = about["scripts"].items()
    return TEMPLATE.format(
        name=about["name"],
        version=about["version"],
        python=about["requires-python"].removeprefix(">="),
        sha256=sha256,
        entry_point=" = ".join(script),
        host=_listed(about["host"]),
        run=_listed(wanted),
        summary=json.dumps(about["description"]),
        licence=about["license"],
        licence_files="\n".join(f"    - {path.relative_to(HERE.parent).as_posix()}" for path in licences),
    )


def _listed(requirements: list[str]) -> str:
    return "\n".join(f"    - {one}" for one in sorted(map(conda_requirement, requirements)))


def main() -> None:
    """Write the recipe, for an sdist that is named."""
    digest = hashlib.sha256(Path(sys.argv[1]).read_bytes()).hexdigest() if sys.argv[1:] else NO_SDIST
    RECIPE.write_text(recipe(digest), "utf-8")


if __name__ == "__main__":
    main()
