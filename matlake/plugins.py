"""What other packages add to matlake: readers, sources, encoders, regressors and splits, found by their entry points.

A catalogue looks a name up among its own first. Plug-ins are loaded when it does not have it, and by ``doctor``: who
uses none of them pays nothing, and one that is broken harms nobody who does not ask for it. ``docs/extending.md`` says
how one is written.
"""

import importlib.metadata
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from matlake.errors import MatlakeError, PluginError
from matlake.text_tables import in_a_line

NAME: Final = re.compile(r"[a-z0-9][a-z0-9+._-]{0,99}")
"""What a plug-in may be called: it stands before a colon, between commas, and as the name of a folder."""

_LONGEST_REASON: Final = 300

T = TypeVar("T")


@dataclass(frozen=True)
class Plugin(Generic[T]):
    """An entry point of an installed package, and what it stands for.

    Attributes:
        group: Its group, such as ``matlake.regressors``.
        name: Its name.
        package: Name and version of the distribution that it belongs to.
        value: What it adds; None if it cannot be used, or adds something of another kind.
        fault: Why it cannot be used; empty if it can.
    """

    group: str
    name: str
    package: str
    value: T | None = None
    fault: str = ""


@dataclass(frozen=True)
class PluginKind(Generic[T]):
    """A kind of thing that other packages may add.

    Attributes:
        group: Its group of entry points.
        noun: What one is called: ``regressor``.
        accept: From the name of an entry point and the object that it loads to what is used of it; None for an object
            that another kind of the same group takes. Raises MatlakeError where it is not what a plug-in has to be.
        built_in: Returns the names that plug-ins may not take.
    """

    group: str
    noun: str
    accept: Callable[[str, Any], T | None]
    built_in: Callable[[], Collection[str]]

    def names(self) -> list[str]:
        """Return the names of all entry points of the group; nothing is loaded."""
        return sorted({entry.name for entry in _entries(self.group)})

    def load(self) -> list[Plugin[T]]:
        """Load all of them; those that cannot be used are there with the reason."""
        return [self._load(entry, rivals) for entry, rivals in self._with_rivals()]

    def usable(self) -> Iterator[tuple[str, T]]:
        """Yield name and value of those that can be used."""
        for plugin in self.load():
            if plugin.value is not None:
                yield plugin.name, plugin.value

    def find(self, name: str) -> T | None:
        """Load what plug-ins have of a name; None if they have nothing.

        Raises:
            PluginError: There is one, and it cannot be used.
        """
        for entry, rivals in self._with_rivals():
            if entry.name == name:
                plugin = self._load(entry, rivals)
                if plugin.fault:
                    raise PluginError(
                        f"the {self.noun} {name!r} of the package {plugin.package} cannot be used: {plugin.fault}",
                        f"update or uninstall {plugin.package.partition(' ')[0]}; `matlake doctor` lists all plug-ins",
                    )
                return plugin.value
        return None

    def _with_rivals(self) -> list[tuple[importlib.metadata.EntryPoint, list[str]]]:
        """Return the entry points by name, each with the packages that add others of its name."""
        entries = sorted(_entries(self.group), key=lambda entry: (entry.name, _package(entry)))
        return [
            (entry, [_package(other) for other in entries if other.name == entry.name and other is not entry])
            for entry in entries
        ]

    def _load(self, entry: importlib.metadata.EntryPoint, rivals: list[str]) -> Plugin[T]:
        value, fault = None, ""
        try:
            value = self._accepted(entry, rivals)
        except MatlakeError as error:
            fault = str(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever another package does must not stop matlake
            fault = f"{type(error).__name__}: {error}"
        return Plugin(self.group, entry.name, _package(entry), value, in_a_line(fault)[:_LONGEST_REASON])

    def _accepted(self, entry: importlib.metadata.EntryPoint, rivals: list[str]) -> T | None:
        if not NAME.fullmatch(entry.name):
            raise PluginError("its name is not of lower-case letters, digits, '.', '_', '+' and '-'")
        if entry.name in self.built_in():
            raise PluginError(f"matlake has a {self.noun} of this name")
        if rivals:
            raise PluginError(f"{' and '.join(rivals)} adds one of this name, too")
        return self.accept(entry.name, entry.load())


def check_kind(value: object, kind: type, written: str) -> None:
    """Raise PluginError unless what an entry point stands for is of a class.

    Args:
        value: What it stands for.
        kind: The class.
        written: Where authors of plug-ins import the class from.
    """
    if not isinstance(value, kind):
        raise PluginError(f"it is a {type(value).__name__}, not a {written}")


def check_same_name(name: str, own: str) -> None:
    """Raise PluginError unless an object has the name of its entry point."""
    if own != name:
        raise PluginError(f"it calls itself {own!r}, its entry point {name!r}")


def _entries(group: str) -> importlib.metadata.EntryPoints:
    return importlib.metadata.entry_points(group=group)


def _package(entry: importlib.metadata.EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"
