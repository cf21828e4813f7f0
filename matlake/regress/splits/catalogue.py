"""All splits by name, and how to type them. ``docs/science/splits.md`` says what each is for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from matlake.errors import TrainingError
from matlake.plugins import PluginKind, check_kind, check_same_name
from matlake.regress.splits.by_column import column_split
from matlake.regress.splits.chemistry import chemical_system_split, element_split, group_element_split, period_split
from matlake.regress.splits.density_and_clusters import cluster_split, sparse_split
from matlake.regress.splits.matfold import matfold_split
from matlake.regress.splits.ordered import time_split, value_split
from matlake.regress.splits.random_groups import random_split
from matlake.regress.splits.split import Split
from matlake.regress.splits.symmetry import crystal_system_split, space_group_split


@dataclass(frozen=True)
class Method:
    """A kind of split.

    Attributes:
        usage: How to type it; what is in brackets may be left out.
        make: From the argument, or None, to the split.
    """

    usage: str
    make: Callable[[str | None], Split]

    @property
    def name(self) -> str:
        """What stands before the colon."""
        return self.usage.partition("[")[0].partition(":")[0]


SPLITS: Final[dict[str, Method]] = {
    "random": Method("random", random_split),
    "formula": Method("formula", random_split),
    "chemical-system": Method("chemical-system[:A-B-C]", chemical_system_split),
    "element": Method("element[:SYMBOL]", element_split),
    "group": Method("group[:NUMBER|FAMILY]", group_element_split),
    "period": Method("period[:NUMBER]", period_split),
    "space-group": Method("space-group[:NUMBER]", space_group_split),
    "crystal-system": Method("crystal-system[:NAME]", crystal_system_split),
    "cluster": Method("cluster[:NUMBER]", cluster_split),
    "sparse": Method("sparse[:map|x]", sparse_split),
    "value": Method("value[:high|low]", value_split),
    "time": Method("time:COLUMN[>MOMENT]", time_split),
    "column": Method("column:NAME[:VALUE]", column_split),
    "matfold": Method("matfold:SCHEME[:K]", matfold_split),
}
"""Name -> split. One composition is one group in every split, so ``formula`` is another name for ``random``."""


def _accept(name: str, found: Any) -> Method:
    """Return what an entry point adds, if it is a split of its name."""
    check_kind(found, Method, "matlake.regress.splits.Method")
    method: Method = found
    check_same_name(name, method.name)
    return method


SPLIT_PLUGINS: Final = PluginKind("matlake.splits", "split", _accept, lambda: SPLITS)
"""Splits of other packages."""


def parse_split(text: str | Split) -> Split:
    """Read a split as users type it, such as ``element:O``; one that has been made is returned as it is.

    Raises:
        TrainingError: Unknown split, or its argument is not valid.
        MissingExtraError: A package that it needs is not installed.
        PluginError: A plug-in has a split of this name, and it cannot be used.
    """
    if isinstance(text, Split):
        return text
    if not isinstance(text, str):
        raise TrainingError(
            f"a {type(text).__name__} is not a split that train knows", "give text, such as 'cluster' or 'element:O'"
        )
    typed, colon, argument = text.strip().partition(":")
    name = typed.strip().lower().replace("_", "-")
    method = SPLITS.get(name) or SPLIT_PLUGINS.find(name)
    if method is None:
        usages = [*(method.usage for method in SPLITS.values()), *SPLIT_PLUGINS.names()]
        raise TrainingError(f"unknown split {text!r}", f"splits: {', '.join(usages)}")
    argument = argument.strip()
    required = "[" not in method.usage.partition(":")[0] and ":" in method.usage
    if not argument and (colon or required):
        raise TrainingError(f"split {text!r} lacks what comes after the colon", f"type {method.usage}")
    if argument and ":" not in method.usage:
        raise TrainingError(f"split {name!r} takes no argument, such as {argument!r}", f"type {method.usage}")
    return method.make(argument or None)
