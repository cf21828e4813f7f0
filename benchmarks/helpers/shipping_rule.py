"""When an encoder ships: it adds to what has learned nothing, plainly, on at least one evaluation set.

A *case* compares errors on one property, kind of folds and number of labels with those of a *reference*: the baseline
of descriptors, or this together with a network with random weights (a *control*), whichever has the smaller error. An
encoder *adds* in a case where all of these hold:

- The ratio of the errors is at most 1 - ``SMALLEST_GAIN``.
- It is below one with each seed: another draw of labels or folds would not undo it. Where clusters are left out, the
  ratio to the baseline is below one in all clusters but one at most: the bootstrap says what other materials of these
  clusters would change, and nothing of other clusters.
- It is below one plainly, the number of cases considered: p-values of the paired bootstrap over formulas, one-sided,
  pass Holm's procedure at ``LEVEL`` over all cases that count (S. Holm, Scand. J. Stat. 6, 65 (1979)).

It adds on a *set*, which is a property and a kind of folds, where it adds with any number of labels. Cases whose label
the encoder was trained on are shown and do not count: they say nothing of transfer.

The rule was stated before anything was measured, but for the controls in the reference. They came in after the first
measurements: networks with random weights passed too, for one a SchNet on bulk moduli with 50 labels.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import exp, hypot, log
from typing import Any, Final, Self

from matlake.encoders.card import EncoderCard
from matlake.encoders.label_kinds import label_kind

SMALLEST_GAIN: Final = 0.02
"""A gain that is worth naming, as a share of the baseline's error."""

LEVEL: Final = 0.025
"""Probability that anything passes where nothing is better; one-sided, as 95 % intervals have it."""

WEIGHTS_MB: Final = 60
"""All shipped weights together at most."""

_HALF_WIDTH: Final = 1.96
_EXCEPTIONS: Final = 1
"""Clusters in which an encoder may do harm."""


@dataclass(frozen=True)
class Case:
    """Errors of baseline and encoder together over those of a reference, which is the baseline alone as measured.

    Attributes:
        target: The property, as tables show it.
        folds: Kind of the folds.
        labels: Training rows at most.
        ratio: Mean absolute error over the reference's; both averaged over seeds.
        deviation: Standard deviation of the ratio's logarithm in the bootstrap.
        seeds: The ratio with each seed.
        clusters: The ratio in each cluster, where whole clusters are left out.
        learned: Whether the encoder was trained on this label.
    """

    target: str
    folds: str
    labels: int
    ratio: float
    deviation: float
    seeds: tuple[float, ...]
    clusters: tuple[float, ...] = ()
    learned: bool = False

    @classmethod
    def read(cls, entries: Mapping[str, Any]) -> Self:
        """Read what ``as_entries`` wrote."""
        return cls(**{**entries, "seeds": tuple(entries["seeds"]), "clusters": tuple(entries["clusters"])})

    def as_entries(self) -> dict[str, Any]:
        """Return what a JSON file holds."""
        return asdict(self)

    @property
    def set(self) -> tuple[str, str]:
        """Property and kind of folds."""
        return self.target, self.folds

    @property
    def p(self) -> float:
        """Probability of such a ratio or a smaller one, were the encoder worth nothing."""
        from scipy.stats import norm

        return float(norm.sf(-log(self.ratio) / self.deviation)) if self.deviation else 1.0

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of the 95 % interval of the ratio."""
        width = exp(_HALF_WIDTH * self.deviation)
        return self.ratio / width, self.ratio * width

    @property
    def worth_naming(self) -> bool:
        """Whether the gain is large enough, and the same with each seed and, but for one, in each cluster."""
        return (
            self.ratio <= 1 - SMALLEST_GAIN
            and max(self.seeds) < 1
            and sum(ratio >= 1 for ratio in self.clusters) <= _EXCEPTIONS
        )

    def beyond(self, controls: Iterable["Case"]) -> "Case":
        """Return the case with the better of baseline and controls as its reference.

        The interval is that of independent errors, which is too wide where both fail on the same materials.

        Args:
            controls: Cases of networks with random weights.
        """
        same = (one for one in controls if (one.set, one.labels) == (self.set, self.labels))
        best = min(same, key=lambda one: one.ratio, default=self)
        if best is self or best.ratio >= 1:
            return self
        seeds = tuple(own / other for own, other in zip(self.seeds, best.seeds, strict=True))
        deviation = hypot(self.deviation, best.deviation)
        return replace(self, ratio=self.ratio / best.ratio, deviation=deviation, seeds=seeds)


@dataclass(frozen=True)
class Verdict:
    """What follows for an encoder.

    Attributes:
        adds: Cases in which it adds, those with the largest gain first.
        sets: Sets that count.
    """

    adds: tuple[Case, ...]
    sets: tuple[tuple[str, str], ...]

    @property
    def added_sets(self) -> tuple[tuple[str, str], ...]:
        """Sets on which it adds."""
        return tuple(dict.fromkeys(case.set for case in self.adds))

    @property
    def ships(self) -> bool:
        """Whether it is worth its place."""
        return bool(self.adds)

    def __str__(self) -> str:
        """Return what the table says."""
        return "ships" if self.ships else "does not ship"


def judge(cases: Iterable[Case], controls: Iterable[Case] = ()) -> Verdict:
    """Apply the rule to the cases of one encoder.

    Args:
        cases: Of the encoder.
        controls: Of networks with random weights, added to the same baseline.
    """
    counted, known = [case for case in cases if not case.learned], list(controls)
    compared = [(case, case.beyond(known)) for case in counted]
    passed = _plainly_below([beyond for _, beyond in compared])
    adds = (case for case, beyond in compared if beyond in passed and beyond.worth_naming)
    sets = dict.fromkeys(case.set for case in counted)
    return Verdict(tuple(sorted(adds, key=lambda case: case.ratio)), tuple(sets))


def _plainly_below(cases: Sequence[Case]) -> list[Case]:
    """Return the cases that pass Holm's procedure."""
    passed = []
    for place, case in enumerate(sorted(cases, key=lambda case: case.p)):
        if case.p > LEVEL / (len(cases) - place):
            break
        passed.append(case)
    return passed


def is_learned(card: EncoderCard, column: str, *, measured: bool) -> bool:
    """Return whether an encoder was trained on a label.

    Args:
        card: Of the encoder.
        column: Name of the property's column.
        measured: Whether its values come from experiments. Encoders learn from calculations: what they make of
            measurements is transfer.
    """
    return not measured and label_kind(column) in set(map(label_kind, card.trained_on))
