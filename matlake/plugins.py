"""What other packages add to matlake: readers, sources, encoders, graphs, regressors and splits, by their entry points.

A catalogue looks a name up among its own first. Plug-ins are loaded when it does not have it, by ``doctor``, and to
list encoders: who uses none of them pays nothing, and one that is broken harms nobody who does not ask for it.
``docs/inside/extending.md`` says how one is written.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from matlake.errors import Hint, MatlakeError, PluginError
from matlake.text_tables import in_a_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

NAME: Final = re.compile(r"[a-z0-9][a-z0-9+._-]{0,99}")
"""What a plug-in may be called: it stands before a colon, between commas, and as the name of a folder."""

_PREFIX: Final = "matlake."
_LONGEST_REASON: Final = 300

T = TypeVar("T")


@dataclass(frozen=True)
class Plugin(Generic[T]):
    """An entry point of an installed package, and what it stands for.

    Attributes:
        name: Its name.
        package: Name and version of the distribution that it belongs to.
        value: What it adds; None if it cannot be used, or adds something of another kind.
        fault: Why it cannot be used; empty if it can.
    """

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
        return list(dict.fromkeys(entry.name for entry in installed(self.group)))

    def package(self, name: str) -> str | None:
        """Return the distribution that has an entry point of a name; None if there is none. Nothing is loaded."""
        found = (entry.dist for entry in installed(self.group) if entry.name == name)
        return next((package.name for package in found if package is not None), None)

    def load(self) -> list[Plugin[T]]:
        """Load all of them; those that cannot be used are there with the reason."""
        entries = installed(self.group)
        return [self._load(entry, entries) for entry in entries]

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
        entries = installed(self.group)
        entry = next((one for one in entries if one.name == name), None)
        if entry is None:
            return None
        plugin = self._load(entry, entries)
        if plugin.fault:
            update = f"update or uninstall {plugin.package.partition(' ')[0]}"
            raise PluginError(
                f"the {self.noun} {name!r} of the package {plugin.package} cannot be used: {plugin.fault}",
                Hint(f"{update}; matlake.doctor() lists plug-ins", cli=f"{update}; `matlake doctor` lists plug-ins"),
            )
        return plugin.value

    def _load(self, entry: "EntryPoint", entries: "Sequence[EntryPoint]") -> Plugin[T]:
        value, fault = None, ""
        try:
            self._check_name(entry, entries)
            value = self.accept(entry.name, entry.load())
        except MatlakeError as error:
            fault = str(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever another package does must not stop matlake
            fault = f"{type(error).__name__}: {error}"
        return Plugin(entry.name, package_of(entry), value, in_a_line(fault)[:_LONGEST_REASON])

    def _check_name(self, entry: "EntryPoint", entries: "Sequence[EntryPoint]") -> None:
        if not NAME.fullmatch(entry.name):
            raise PluginError("its name is not of lower-case letters, digits, '.', '_', '+' and '-'")
        if entry.name in self.built_in():
            raise PluginError("matlake itself has one of this name")
        rivals = [package_of(other) for other in entries if other.name == entry.name and other is not entry]
        if rivals:
            raise PluginError(f"{' and '.join(rivals)} adds one of this name, too")


def groups() -> list[str]:
    """Return the groups of entry points that are meant for matlake, whether it has them or not."""
    import importlib.metadata  # takes as long to import as the rest of a light command

    return sorted(group for group in importlib.metadata.entry_points().groups if group.startswith(_PREFIX))


def installed(group: str) -> "list[EntryPoint]":
    """Return the entry points of a group; nothing is loaded."""
    import importlib.metadata

    return sorted(importlib.metadata.entry_points(group=group), key=lambda entry: (entry.name, package_of(entry)))


def package_of(entry: "EntryPoint") -> str:
    """Return name and version of the distribution that an entry point belongs to."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"


def check_kind(value: object, kind: type, written: str) -> None:
    """Raise PluginError unless what an entry point stands for is of a class.

    Args:
        value: What it stands for.
        kind: The class.
        written: Where authors of plug-ins import the class from.
    """
    if not isinstance(value, kind):
        raise PluginError(f"it is of type {type(value).__name__}, not {written}")


def check_same_name(name: str, own: str) -> None:
    """Raise PluginError unless an object has the name of its entry point."""
    if own != name:
        raise PluginError(f"it calls itself {own!r}, its entry point {name!r}")
