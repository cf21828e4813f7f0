"""How often, and by how much, the best that transfers beats the best from scratch."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from matlake.encoders.card import DESCRIPTORS
from matlake.encoders.layer_ref import LayerRef
from matlake.studies.statistics import geometric_mean, mean, sign_test
from matlake.studies.transfer.cells import Cell

TEST_ROWS: Final = "test"
"""All test rows."""

OUTSIDE_ROWS: Final = "unseen"
"""Those test rows whose composition is outside the training set."""


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


def compare(pairs: Sequence[Pair], rows: str, *, scratch: str, transfer: str) -> Comparison:
    """Count on how many targets the one that transfers has the smaller error.

    Args:
        pairs: One for each target.
        rows: ``TEST_ROWS`` or ``OUTSIDE_ROWS``.
        scratch: What the best from scratch are the best of, for people.
        transfer: What the best that transfer are the best of, for people.
    """
    errors = [pair.errors(rows) for pair in pairs]
    known = [of_pair for of_pair in errors if of_pair is not None]
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
        left_out=len(errors) - len(known),
        p=sign_test(wins, losses),
        mean_ratio=mean(ratios),
        geometric_mean_ratio=geometric_mean(ratios),
    )


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
