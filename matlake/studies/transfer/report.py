"""What a transfer study found: per target, and over all of them."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from matlake.encoders.card import DESCRIPTORS
from matlake.encoders.layer_ref import LayerRef
from matlake.studies.measurement import Measurement, State
from matlake.studies.report import document
from matlake.studies.statistics import geometric_mean, mean, sign_test
from matlake.studies.transfer.cells import (
    Cell,
    best_cell,
    cells_of,
)
from matlake.studies.transfer.configurations import BASE, SC_DL_EF, SC_ML_EF, goes_beyond

TEST_ROWS: Final = "test"
"""All test rows."""

OUTSIDE_ROWS: Final = "unseen"
"""Those test rows whose composition is outside the training set."""

PAPER_SC: Final = "SC"
"""Of the study's configurations from scratch."""

FRACTIONS_SC: Final = "SC(EF)"
"""Of those on element fractions alone."""

ALL_SC: Final = "SC or SC+"
"""Of all from scratch, the study's or not."""

PAPER_TL: Final = "TL"
"""Of the study's configurations that transfer."""

ALL_TL: Final = "TL or TL+"
"""Of all that transfer, the study's or not."""

_AMONG: Final[dict[str, tuple[str, ...]]] = {
    PAPER_SC: ("SC:",),
    FRACTIONS_SC: (SC_ML_EF, SC_DL_EF),
    ALL_SC: ("SC",),
    PAPER_TL: ("TL:",),
    ALL_TL: ("TL",),
}
"""How the names of the configurations begin that the best is sought among."""

_COMPARED: Final = ((PAPER_SC, PAPER_TL), (FRACTIONS_SC, PAPER_TL), (PAPER_SC, ALL_TL), (ALL_SC, ALL_TL))


@dataclass(frozen=True)
class Pair:
    """What is compared on one target.

    Attributes:
        scratch: The best from scratch by validation; None where there is none.
        transfer: The best that transfers by validation; None where there is none.
    """

    scratch: Cell | None
    transfer: Cell | None

    def errors(self, rows: str = TEST_ROWS) -> tuple[float, float] | None:
        """Return the MAE from scratch and that of the one that transfers; None where one is missing.

        Args:
            rows: ``TEST_ROWS`` or ``OUTSIDE_ROWS``.
        """
        if self.scratch is None or self.transfer is None:
            return None
        name = "outside_mae" if rows == OUTSIDE_ROWS else "test_mae"
        scratch, transfer = getattr(self.scratch, name), getattr(self.transfer, name)
        return None if scratch is None or transfer is None else (scratch, transfer)

    def ratio(self, rows: str = TEST_ROWS) -> float | None:
        """Return the error by transfer over that from scratch; None where one is missing or 0 is beaten."""
        errors = self.errors(rows)
        if errors is None:
            return None
        scratch, transfer = errors
        if scratch == 0.0:
            return 1.0 if transfer == 0.0 else None
        return transfer / scratch


@dataclass(frozen=True)
class Comparison:
    """The best that transfers against the best from scratch, over targets.

    Attributes:
        scratch: Which configurations are the best from scratch sought among.
        transfer: Which configurations is the best that transfers sought among.
        rows: ``TEST_ROWS`` or ``OUTSIDE_ROWS``.
        wins: Targets on which the one that transfers has the smaller MAE.
        losses: Targets on which it has the larger one.
        ties: Targets on which both are equal.
        left_out: Targets on which one of the two was not measured.
        p: One-tailed sign test: the probability of so many wins by chance.
        mean_ratio: Mean over targets of the ratio of the errors; None where there is none.
        geometric_mean_ratio: Their geometric mean.
    """

    scratch: str
    transfer: str
    rows: str
    wins: int
    losses: int
    ties: int
    left_out: int
    p: float
    mean_ratio: float | None
    geometric_mean_ratio: float | None


@dataclass(frozen=True)
class Tally:
    """On how many targets what had a part in the best that transfers, most often first.

    Attributes:
        configurations: By configuration.
        sources: By encoder; descriptors count where there is nothing else. A winner of several encoders counts for
            each, a fine-tuned network for the one that it started from.
        layers: By layer of an encoder that is not a descriptor, likewise.
        models: By kind of regressor, or how an encoder's weights are used.
    """

    configurations: dict[str, int]
    sources: dict[str, int]
    layers: dict[str, int]
    models: dict[str, int]


def tally(winners: Iterable[Cell | None]) -> Tally:
    """Count what the winners are made of.

    Args:
        winners: Of each target the best that transfers, or None.
    """
    cells = [cell for cell in winners if cell is not None]
    return Tally(
        configurations=_counted(cell.configuration for cell in cells),
        sources=_counted(source for cell in cells for source in _sources(cell)),
        layers=_counted(layer for cell in cells for layer in _layers(cell)),
        models=_counted(cell.model.partition(":")[0] for cell in cells),
    )


def _sources(cell: Cell) -> set[str]:
    """Return the encoders behind a winner: of its features, and those that ``fine-tune:SOURCE`` and its kin name."""
    members = (cell.parameters or {}).get("members", [])
    started = {model.partition(":")[2] for model in (cell.model, *(member["model"] for member in members))}
    sources = {LayerRef.parse(feature).encoder for feature in cell.features} | started - {""}
    return sources - DESCRIPTORS or sources


def _layers(cell: Cell) -> set[str]:
    refs = map(LayerRef.parse, cell.features)
    return {ref.layer for ref in refs if ref.layer is not None and ref.encoder not in DESCRIPTORS}


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items(), key=lambda item: (-item[1], len(item[0]), item[0])))


@dataclass(frozen=True)
class TargetFacts:
    """What a target is, whoever predicts it.

    Attributes:
        unit: Its unit; may be empty.
        n_train: Training rows.
        n_validation: Rows that the choice is made on.
        n_test: Test rows.
        n_outside: Test rows whose composition is outside the training set.
        copy_of: A target of the same values, where there is one; empty otherwise.
    """

    unit: str
    n_train: int
    n_validation: int
    n_test: int
    n_outside: int
    copy_of: str = ""

    @property
    def rows(self) -> int:
        """All rows."""
        return self.n_train + self.n_validation + self.n_test


@dataclass(frozen=True)
class TargetReport:
    """What was found on one target. All that is "best" has the smallest validation error in the last round.

    Attributes:
        target: Property column.
        facts: Its unit and rows.
        cells: One for each configuration.
    """

    target: str
    facts: TargetFacts
    cells: tuple[Cell, ...]

    def cell(self, configuration: str) -> Cell:
        """Return what a configuration comes to; "not run" of one that nobody knows."""
        return next((cell for cell in self.cells if cell.configuration == configuration), Cell(configuration))

    @property
    def base_mae(self) -> float | None:
        """Test MAE of the training rows' mean."""
        return self.cell(BASE).test_mae

    @property
    def best(self) -> Cell | None:
        """The best of all, from scratch or not."""
        return best_cell(self.cells, *_AMONG[ALL_SC], *_AMONG[ALL_TL])

    def best_of(self, among: str) -> Cell | None:
        """Return the best of some configurations; None where none of them was measured.

        Args:
            among: ``PAPER_SC``, ``FRACTIONS_SC``, ``ALL_SC``, ``PAPER_TL`` or ``ALL_TL``.
        """
        return best_cell(self.cells, *_AMONG[among])

    def pair(self, scratch: str, transfer: str) -> Pair:
        """Return the best of some configurations from scratch beside the best of some that transfer."""
        return Pair(self.best_of(scratch), self.best_of(transfer))

    def document(self) -> dict[str, Any]:
        """Return it for scripts."""
        chosen = {"best": self.best} | {f"best {among}": self.best_of(among) for among in _AMONG}
        return {
            "target": self.target,
            **document(self.facts),
            "base": {"mae": self.base_mae},
            "cells": [document(cell) for cell in self.cells],
            **{name: cell.configuration if cell else None for name, cell in chosen.items()},
            "ratios": {f"{tl} / {sc}": self.pair(sc, tl).ratio() for sc, tl in _COMPARED},
        }


@dataclass(frozen=True)
class TransferReport:
    """What a transfer study found.

    Attributes:
        targets: One report a target.
        comparisons: The best that transfers against the best from scratch, by what each is sought among, over the test
            rows and over those of compositions outside the training set.
        distinct_comparisons: The same without targets that are a copy of another here; empty where none is.
        paper_winners: What the best of the study's configurations that transfer are made of.
        winners: What the best of all that transfer are made of.
    """

    targets: tuple[TargetReport, ...]
    comparisons: tuple[Comparison, ...]
    distinct_comparisons: tuple[Comparison, ...]
    paper_winners: Tally
    winners: Tally

    @property
    def goes_beyond(self) -> bool:
        """Whether a configuration that the study lacks was tried on any target."""
        return any(goes_beyond(cell.configuration) for cell in self._tried())

    @property
    def copies(self) -> list[TargetReport]:
        """Targets with the values of another one that is here, too."""
        names = {target.target for target in self.targets}
        return [target for target in self.targets if target.facts.copy_of in names]

    @property
    def seconds(self) -> float:
        """What all measurements took."""
        return math.fsum(cell.seconds for cell in self._tried())

    def comparison(self, scratch: str = PAPER_SC, transfer: str = PAPER_TL, rows: str = TEST_ROWS) -> Comparison:
        """Return one of the comparisons.

        Args:
            scratch: ``PAPER_SC``, ``FRACTIONS_SC`` or ``ALL_SC``.
            transfer: ``PAPER_TL`` or ``ALL_TL``.
            rows: ``TEST_ROWS`` or ``OUTSIDE_ROWS``.

        Raises:
            StopIteration: The two are not compared.
        """
        return next(c for c in self.comparisons if (c.scratch, c.transfer, c.rows) == (scratch, transfer, rows))

    def document(self) -> dict[str, Any]:
        """Return the JSON document of ``evaluate transfer``."""
        return document(self) | {"targets": [target.document() for target in self.targets], "seconds": self.seconds}

    def _tried(self) -> list[Cell]:
        return [cell for target in self.targets for cell in target.cells if cell.state != State.NOT_RUN]


def summarise(measurements: Sequence[Measurement], facts: Mapping[str, TargetFacts]) -> TransferReport:
    """Lay out what was measured.

    Args:
        measurements: In any order; those of targets without facts are left aside.
        facts: Of each target to report on, in the order of the report.
    """
    of_target: dict[str, list[Measurement]] = {name: [] for name in facts}
    for measurement in measurements:
        if measurement.target in of_target:
            of_target[measurement.target].append(measurement)
    targets = tuple(TargetReport(name, facts[name], cells_of(measured)) for name, measured in of_target.items())
    distinct = tuple(target for target in targets if target.facts.copy_of not in facts)
    return TransferReport(
        targets=targets,
        comparisons=_comparisons(targets),
        distinct_comparisons=_comparisons(distinct) if len(distinct) < len(targets) else (),
        paper_winners=tally(target.best_of(PAPER_TL) for target in targets),
        winners=tally(target.best_of(ALL_TL) for target in targets),
    )


def _comparisons(targets: Sequence[TargetReport]) -> tuple[Comparison, ...]:
    return tuple(
        _compare(targets, scratch, transfer, rows)
        for scratch, transfer in _COMPARED
        for rows in (TEST_ROWS, OUTSIDE_ROWS)
    )


def _compare(targets: Sequence[TargetReport], scratch: str, transfer: str, rows: str) -> Comparison:
    """Count on how many targets the one that transfers has the smaller error."""
    pairs = [target.pair(scratch, transfer) for target in targets]
    known = [errors for pair in pairs if (errors := pair.errors(rows)) is not None]
    wins = sum(transferred < scratched for scratched, transferred in known)
    losses = sum(transferred > scratched for scratched, transferred in known)
    ratios = [ratio for pair in pairs if (ratio := pair.ratio(rows)) is not None]
    return Comparison(
        scratch=scratch,
        transfer=transfer,
        rows=rows,
        wins=wins,
        losses=losses,
        ties=len(known) - wins - losses,
        left_out=len(pairs) - len(known),
        p=sign_test(wins, losses),
        mean_ratio=mean(ratios),
        geometric_mean_ratio=geometric_mean(ratios),
    )
