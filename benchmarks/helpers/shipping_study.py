"""The run of ``encoders.py --shipping``: measure what is missing, judge, and fill the page."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.helpers.common import fill_page
from benchmarks.helpers.evaluation_sets import SOURCES, load_sources
from benchmarks.helpers.feature_sets import BASELINE
from benchmarks.helpers.shipping import COMPOSITION_BASELINE, Contender, Shipping
from benchmarks.helpers.shipping_record import (
    CONTROL,
    OTHER,
    RECORD,
    SHIPPED,
    Row,
    merged,
    read_record,
    write_record,
)
from benchmarks.helpers.shipping_rule import Case
from benchmarks.helpers.shipping_tables import set_table, verdict_table
from benchmarks.helpers.untrained import export_untrained
from matlake.encoders.registry import registered_encoders

BEGIN: Final = "<!-- what ships -->"
END: Final = "<!-- end of what ships -->"

CONTROLS: Final = (("cgcnn", 0), ("schnet", 0), ("elemnet", 0), ("elemnet", 1))
"""Architecture, and seed of the weights."""


def shipped_encoders() -> list[Contender]:
    """Return the encoders in the package that have learned something."""
    return [Contender.of(one.folder) for one in registered_encoders() if not one.card.is_descriptor]


def controls(cache: Path) -> Iterator[Contender]:
    """Yield networks with random weights; of compositions also without fractions in the baseline."""
    for architecture, seed in CONTROLS:
        control = Contender.of(export_untrained(architecture, seed, cache / "controls"))
        yield control
        if control.baseline == COMPOSITION_BASELINE and seed == 0:
            yield Contender.of(control.folder, COMPOSITION_BASELINE[:1])


def judge_encoders(shared: Path, cache: Path, candidates: Sequence[Path], page: Path, *, with_shipped: bool) -> None:
    """Measure encoders, write the record and fill the page.

    Args:
        shared: Folder of the development data.
        cache: Keeps vectors and predictions.
        candidates: Folders of encoders that might ship.
        page: The study's page.
        with_shipped: Whether to measure what ships and the controls, or candidates alone.
    """
    roles = [(Contender.of(folder), OTHER) for folder in candidates]
    if with_shipped:
        roles += [(one, SHIPPED) for one in shipped_encoders()] + [(one, CONTROL) for one in controls(cache)]
    cases = _measure(shared, cache, [one for one, _ in roles])
    rows = [Row.of(one, role, found) for (one, role), found in zip(roles, cases, strict=True)]
    write_record(merged(read_record(), rows, [one.card.sha256 for one in shipped_encoders()]))
    record = read_record()
    print(verdict_table(record, [row for row in record if row.key in {one.key for one in rows}]))
    fill_ships(page, record)


def _measure(shared: Path, cache: Path, contenders: Sequence[Contender]) -> list[list[Case]]:
    """Return the cases of each encoder, going through the sources once."""
    shipping, found = Shipping(cache), [list[Case]() for _ in contenders]
    started = time.perf_counter()
    for name in SOURCES:
        (source,) = load_sources(shared, [name])
        own = [one for one in contenders if (one.card.input == "crystal") == source.is_crystals]
        for baseline in dict.fromkeys(one.baseline for one in own):
            shipping.measure(source, [one for one in own if one.baseline == baseline])
        for place, one in enumerate(contenders):
            if one in own:
                found[place] += shipping.cases(source, one)
        print(f"{name}: {time.perf_counter() - started:.0f} s, {shipping.seconds:.0f} of the processor", flush=True)
    return found


def fill_ships(page: Path, rows: Sequence[Row]) -> None:
    """Fill the section of the page."""
    crystals = [row for row in rows if row.baseline == BASELINE]
    compositions = [row for row in rows if row.baseline == COMPOSITION_BASELINE]
    parts = [verdict_table(rows), "Crystals:", set_table(crystals), "Compositions:", set_table(compositions)]
    fill_page(page, parts, BEGIN, END)


def refill(page: Path) -> None:
    """Fill the section from the record, without measuring."""
    fill_ships(page, read_record(RECORD))
