"""What the shell offers when someone presses Tab: names of datasets, heads, encoders and properties of the lake.

A shell waits for it, so nothing is imported that takes time: names of folders are read, and the log of a dataset as the
JSON that it is. ``tests/cli/test_completion.py`` compares them with what the lake says.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from matlake.platforms import is_portable

if TYPE_CHECKING:
    import click

_CARD: Final = "card.json"
_LOG: Final = "_delta_log"
_SHIPPED: Final = Path(__file__).parents[1] / "encoders" / "shipped"
_ENTRIES: Final = 50
"""Of a log, from its end, that are looked through for the columns of a dataset."""

_NUMBERS: Final = frozenset({"byte", "short", "integer", "long", "float", "double", "boolean"})
_NOT_PROPERTIES: Final = frozenset({"source_row", "nelements", "nsites"})

Complete = Callable[["click.Context", "click.Parameter", str], list[str]]


def datasets(ctx: "click.Context", param: "click.Parameter", incomplete: str) -> list[str]:  # noqa: ARG001 - click's
    """Return the datasets of the lake that begin so."""
    return _beginning(incomplete, _dataset_names(_lake(ctx)))


def heads(ctx: "click.Context", param: "click.Parameter", incomplete: str) -> list[str]:  # noqa: ARG001
    """Return the heads of the lake that begin so."""
    lake = _lake(ctx)
    return _beginning(incomplete, () if lake is None else _with_cards(lake / "heads"))


def encoders(ctx: "click.Context", param: "click.Parameter", incomplete: str) -> list[str]:  # noqa: ARG001
    """Return the encoders that begin so, those shipped among them; behind a comma the next one of a list."""
    lake = _lake(ctx)
    known = {*_with_cards(_SHIPPED), *(() if lake is None else _with_cards(lake / "encoders"))}
    return _next_of_list(incomplete, known)


def properties(ctx: "click.Context", param: "click.Parameter", incomplete: str) -> list[str]:  # noqa: ARG001
    """Return the columns of numbers that begin so, of the dataset that is named or of all."""
    lake = _lake(ctx)
    named = ctx.params.get("dataset")
    names = [named] if isinstance(named, str) else _dataset_names(lake)
    found = () if lake is None else {column for name in names for column in _columns(lake / "datasets" / name)}
    return _next_of_list(incomplete, found)


OF_OPTIONS: Final[dict[str, Complete]] = {
    "--dataset": datasets,
    "--encoder": encoders,
    "--features": encoders,
    "--head": heads,
    "--target": properties,
    "--targets": properties,
}
"""What completes the value of an option, whichever command has it."""


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))


def _next_of_list(incomplete: str, names: Iterable[str]) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    taken = before.split(",")
    return [f"{before}{comma}{name}" for name in _beginning(last, names) if name not in taken]


def _lake(ctx: "click.Context") -> Path | None:
    """Return the folder of the lake; None for one in a bucket, which takes too long to ask."""
    given = ctx.find_root().params.get("lake")
    if given is None or callable(given):  # the default
        given = os.environ.get("MATLAKE_LAKE", "lake")
    if isinstance(given, str) and "://" not in given:
        return Path(given).expanduser()
    return given if isinstance(given, Path) else None


def _with_cards(folder: Path) -> Iterator[str]:
    with suppress(OSError):
        yield from (card.parent.name for card in folder.glob(f"*/{_CARD}"))


def _dataset_names(lake: Path | None) -> list[str]:
    with suppress(OSError):
        if lake is not None:
            return [log.parent.name for log in (lake / "datasets").glob(f"*/{_LOG}") if log.parent.name[0] != "."]
    return []


def _columns(dataset: Path) -> Iterator[str]:
    """Yield the columns of numbers of a dataset, as the last entry of its log that names columns has them."""
    if not is_portable(dataset.name):
        return
    with suppress(OSError, ValueError, KeyError, TypeError):
        for entry in sorted((dataset / _LOG).glob("*.json"), reverse=True)[:_ENTRIES]:
            for line in entry.read_bytes().splitlines():
                if line.startswith(b'{"metaData"'):
                    fields = json.loads(json.loads(line)["metaData"]["schemaString"])["fields"]
                    yield from (
                        field["name"]
                        for field in fields
                        if str(field["type"]) in _NUMBERS and field["name"] not in _NOT_PROPERTIES
                    )
                    return
