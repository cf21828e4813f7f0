"""The sources by name: those of matlake, then those of plug-ins."""

import re
from importlib import import_module
from typing import Any, Final

from matlake.errors import PluginError, SourceError
from matlake.files import is_there
from matlake.plugins import PluginKind
from matlake.store.sources.protocol import NamedSource, Opener

_SPEC: Final = re.compile(r"([A-Za-z][A-Za-z0-9_-]+):(?!:)(.*)", re.DOTALL)
"""Two letters or more: ``C:`` is a drive. ``DATABASE::TABLE`` is a table of a file."""

_SCHEMES: Final = frozenset({"http", "https", "ftp", "s3", "file"})

_BUILT_IN: Final = {
    "alexandria": "matlake.store.sources.alexandria:open_alexandria",
    "jarvis": "matlake.store.sources.jarvis:open_jarvis",
    "lemat": "matlake.store.sources.lemat:open_lemat",
    "matbench": "matlake.store.sources.matbench:open_matbench",
    "mp": "matlake.store.sources.materials_project:open_materials_project",
    "optimade": "matlake.store.sources.optimade:open_optimade",
}
"""Name -> module and function, imported when the source is named."""


def _accept(name: str, found: Any) -> Opener:
    """Return what an entry point adds, if it can be called with what stands behind the name."""
    if not callable(found):
        raise PluginError(f"it is of type {type(found).__name__}, not a function that makes a source of {name}:REST")
    opener: Opener = found
    return opener


SOURCE_PLUGINS: Final = PluginKind("matlake.sources", "source", _accept, lambda: _BUILT_IN)
"""Sources of other packages: functions from ``REST`` to a ``NamedSource``."""


def source_names() -> list[str]:
    """Return the names of all sources, those of plug-ins included; these are not loaded."""
    return sorted({*_BUILT_IN, *SOURCE_PLUGINS.names()})


def is_named(text: str) -> bool:
    """Tell whether a text names a source, ``NAME:REST``, rather than a file that is there."""
    return _SPEC.fullmatch(text) is not None and not is_there(text)


def named_source(text: str) -> NamedSource:
    """Return the source that ``NAME:REST`` names; nothing is downloaded yet.

    Raises:
        SourceError: There is none of that name, or what stands behind the name cannot be right.
        PluginError: A plug-in has a source of that name, and it cannot be used.
    """
    found = _SPEC.fullmatch(text)
    name, rest = found.groups() if found else (text, "")
    return _opener(name.lower())(rest.strip())


def _opener(name: str) -> Opener:
    if name in _BUILT_IN:
        module, _, function = _BUILT_IN[name].partition(":")
        opener: Opener = getattr(import_module(module), function)
        return opener
    added = SOURCE_PLUGINS.find(name)
    if added is not None:
        return added
    if name in _SCHEMES:
        hint = "download it and import the file; for a database write optimade: in front of its address"
        raise SourceError(f"an address, {name}:…, is not imported by itself", hint)
    raise SourceError(f"there is no source {name!r}", f"sources: {', '.join(source_names())}; a file needs its path")
