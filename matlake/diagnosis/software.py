"""Python, packages against the versions that matlake asks for, extras, ONNX Runtime."""

import importlib.metadata
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from matlake.diagnosis.checks import Check, State, caught, joined

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_PACKAGE: Final = "matlake"
_ENABLES: Final = {
    "cpu": "embed and predict",
    "gpu": "embed and predict on an NVIDIA GPU",
    "heads": "train heads",
    "plots": "plots",
    "quickstart": "quickstart",
    "serve": "serve heads over HTTP",
    "train": "make encoders, fine-tune, heads that are networks",
    "matfold": "the splits of MatFold",
    "cloud": "lakes in buckets",
    "index": "approximate search",
    "ray": "embed on a Ray cluster",
}
_RUNTIMES: Final = ("cpu", "gpu")
_SMALL: Final = "fractions"
"""The smallest encoder: whether it opens is a matter of ONNX Runtime alone."""


def check_software() -> list[Check]:
    """Check what is installed; nothing heavy is imported but ONNX Runtime."""
    found: list[Check] = []
    with caught(found, "packages", State.BROKEN, "install matlake again"):
        from packaging.requirements import Requirement
        from packaging.specifiers import SpecifierSet

        about = importlib.metadata.metadata(_PACKAGE)
        wanted = about["Requires-Python"] or ""
        fits = SpecifierSet(wanted).contains(platform.python_version(), prereleases=True)
        found.append(
            Check("python", State.OK, _python())
            if fits
            else Check("python", State.BROKEN, _python(), f"install Python {wanted}")
        )
        found.append(Check("matlake", State.OK, f"{about['Version']} on {platform.platform()}"))
        requirements = [Requirement(text) for text in importlib.metadata.requires(_PACKAGE) or []]
        found += _packages(requirements)
        found += _extras(requirements)
    found += _onnx_runtime()
    return found


def _packages(requirements: "list[Requirement]") -> Iterator[Check]:
    """Check the packages that every installation has."""
    versions = []
    for requirement in requirements:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        wrong = wrong_version(requirement)
        if wrong is None:
            versions.append(f"{requirement.name} {importlib.metadata.version(requirement.name)}")
        else:
            yield Check(f"package {requirement.name}", State.BROKEN, wrong, _install(requirement))
    yield Check("packages", State.OK, joined(versions))


def _extras(requirements: "list[Requirement]") -> Iterator[Check]:
    """Check the packages of each extra, and say what it is for."""
    for extra, purpose in _ENABLES.items():
        own = [r for r in requirements if r.marker and r.marker.evaluate({"extra": extra})]
        own = [r for r in own if not r.marker or not r.marker.evaluate({"extra": ""})]
        missing = [r for r in own if installed_version(r.name) is None]
        wrong = {r: text for r in own if r not in missing and (text := wrong_version(r)) is not None}
        name, install = f"extra {extra}", f"pip install 'matlake[{extra}]'"
        if missing:
            lacking = f"not installed ({purpose}): lacks {joined(r.name for r in missing)}"
            yield Check(name, State.NOTE, lacking, "" if extra in _RUNTIMES else install)
        elif wrong:
            yield Check(name, State.WARNING, f"{joined(wrong.values())} ({purpose})", f"{install} --upgrade")
        else:
            versions = joined(f"{r.name} {installed_version(r.name)}" for r in own if r.name != _PACKAGE)
            yield Check(name, State.OK, f"{purpose}: {versions}")


def _python() -> str:
    """Return version and implementation of Python, and what kind of environment it is in."""
    if (Path(sys.prefix) / "conda-meta").is_dir():
        place = "a conda environment"
    elif sys.prefix != sys.base_prefix:
        place = "a virtual environment"
    else:
        place = "no environment of its own"
    return f"{platform.python_version()} ({platform.python_implementation()}, in {place})"


def installed_version(name: str) -> str | None:
    """Return the version of a distribution; None if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def wrong_version(requirement: "Requirement") -> str | None:
    """Return what is wrong with the installed version of a requirement; None if nothing is."""
    version = installed_version(requirement.name)
    if version is None:
        return f"{requirement.name} is not installed"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{requirement.name} {version} is installed, {requirement.specifier} is needed"
    return None


def _install(requirement: "Requirement") -> str:
    return f"pip install '{requirement.name}{requirement.specifier}'"


def _onnx_runtime() -> list[Check]:
    """Check that ONNX Runtime is there once, and runs the smallest encoder on each device that it offers."""
    found: list[Check] = []
    name = "ONNX Runtime"
    with caught(found, name, State.BROKEN):
        from matlake.encoders.encoder import open_encoder
        from matlake.encoders.registry import find_encoder
        from matlake.encoders.session import onnx_runtime

        providers = onnx_runtime().get_available_providers()
        open_encoder(find_encoder(_SMALL).folder)
        found.append(Check(name, State.OK, joined(providers)))
        if "CUDAExecutionProvider" not in providers:
            found.append(Check("CUDA", State.NOTE, "this ONNX Runtime is a CPU build"))
            return found
        with caught(found, "CUDA", State.WARNING, "check the driver with nvidia-smi"):
            open_encoder(find_encoder(_SMALL).folder, device="cuda")
            found.append(Check("CUDA", State.OK, "works"))
    return found
