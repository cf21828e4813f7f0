"""What other packages add to matlake, and which of it cannot be used."""

from collections.abc import Iterator
from dataclasses import replace
from pkgutil import resolve_name
from typing import Any, Final

from matlake.diagnosis.checks import Check, State, caught, joined
from matlake.errors import EncoderError
from matlake.plugins import Plugin, PluginKind, groups, installed, package_of

KINDS: Final = {
    "matlake.readers": ("matlake.store.importing.readers.plugin_readers:READER_PLUGINS",),
    "matlake.sources": ("matlake.store.sources.catalogue:SOURCE_PLUGINS",),
    "matlake.encoders": (
        "matlake.encoders.registry:ENCODER_PLUGINS",
        "matlake.networks.architectures:ARCHITECTURE_PLUGINS",
    ),
    "matlake.graphs": ("matlake.materials.graph_recipe:GRAPH_PLUGINS",),
    "matlake.regressors": ("matlake.regress.regressors.catalogue:REGRESSOR_PLUGINS",),
    "matlake.splits": ("matlake.regress.splits.catalogue:SPLIT_PLUGINS",),
}
"""Groups of entry points, and the catalogues that take them; these are imported if there are any."""


def check_plugins() -> list[Check]:
    """Load all plug-ins, and say which cannot be used and why."""
    found: list[Check] = []
    for group in groups():
        with caught(found, f"plug-ins {group}", State.WARNING, "install the packages that are missing"):
            found += _known(group) if group in KINDS else _unknown(group)
    return found or [Check("plug-ins", State.OK, "none are installed")]


def _unknown(group: str) -> Iterator[Check]:
    for entry in installed(group):
        text = f"{package_of(entry)} adds it to {group}, a group that this matlake does not have"
        yield Check(f"plug-in {entry.name}", State.WARNING, text, f"groups: {joined(KINDS)}")


def _verified(plugin: Plugin[Any]) -> Plugin[Any]:
    """Compare the file of an encoder with the digest on its card, and audit it."""
    from matlake.encoders.card import MODEL_FILE
    from matlake.encoders.registry import RegisteredEncoder
    from matlake.encoders.session import read_audited

    found = plugin.value
    if isinstance(found, RegisteredEncoder):
        try:
            read_audited(found.folder / MODEL_FILE, found.card.sha256, EncoderError)
        except EncoderError as error:
            return replace(plugin, value=None, fault=str(error))
    return plugin


def _known(group: str) -> Iterator[Check]:
    """Yield a finding for each plug-in of a group. One that a catalogue leaves to the other is found there."""
    found: dict[tuple[str, str], tuple[PluginKind[Any], Plugin[Any]]] = {}
    for place in KINDS[group]:
        kind = resolve_name(place)
        for plugin in map(_verified, kind.load()):
            if plugin.value is not None or plugin.fault:
                found.setdefault((plugin.name, plugin.package), (kind, plugin))
    for kind, plugin in found.values():
        name, about = f"plug-in {plugin.name}", f"{kind.noun} of {plugin.package}"
        if plugin.fault:
            hint = f"update or uninstall {plugin.package.partition(' ')[0]}"
            yield Check(name, State.WARNING, f"{about} cannot be used ({group}): {plugin.fault}", hint)
        else:
            yield Check(name, State.OK, f"{about} ({group})")
