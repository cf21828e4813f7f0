"""The sources by name: those of matlake, then those of plug-ins."""

import re
from importlib import import_module
from pathlib import Path
from typing import Final

from matlake.errors import SourceError
from matlake.store.importing.sources.protocol import NamedSource, Opener

GROUP: Final = "matlake.sources"
"""Group of entry points."""

_SPEC: Final = re.compile(r"([A-Za-z][A-Za-z0-9_-]+):(?!\\)(.*)", re.DOTALL)
"""Two letters or more: ``C:`` is a drive."""

_BUILT_IN: Final = {
    "alexandria": "matlake.store.importing.sources.alexandria:open_alexandria",
    "jarvis": "matlake.store.importing.sources.jarvis:open_jarvis",
    "lemat": "matlake.store.importing.sources.lemat:open_lemat",
    "matbench": "matlake.store.importing.sources.matbench:open_matbench",
    "mp": "matlake.store.importing.sources.materials_project:open_materials_project",
    "optimade": "matlake.store.importing.sources.optimade:open_optimade",
}
"""Name -> module and function, imported when the source is named."""


def source_names() -> list[str]:
    """Return the names of matlake's own sources."""
    return sorted(_BUILT_IN)


def is_named(text: str) -> bool:
    """Tell whether a text names a source, ``NAME:REST``, rather than a file that is there."""
    return _SPEC.fullmatch(text) is not None and not Path(text).exists()


def named_source(text: str) -> NamedSource:
    """Return the source that ``NAME:REST`` names; nothing is downloaded yet.

    Raises:
        SourceError: There is none of that name, or what stands behind the name cannot be right.
    """
    found = _SPEC.fullmatch(text)
    name, rest = found.groups() if found else (text, "")
    return _opener(name.lower())(rest.strip())


def _opener(name: str) -> Opener:
    if name in _BUILT_IN:
        module, _, function = _BUILT_IN[name].partition(":")
        opener: Opener = getattr(import_module(module), function)
        return opener
    raise SourceError(f"there is no source {name!r}", f"sources: {', '.join(source_names())}; a file needs its path")
