"""When predictions fail."""

import numpy as np
import pytest

from matlake.studies.extrapolation.error_analysis import RowErrors, failure_report, pooled

TESTED = RowErrors(
    errors=np.array([1.0, 2.0, 3.0, 10.0, 20.0]),
    scores=np.array([0.2, 0.5, 1.5, 1.0, 3.0]),
    rarest=np.array([200, 40, 12, 0, 3]),
    discontinuous=np.array([False, False, False, True, True]),
    spread=np.full(5, 5.0),
    expected=np.full(5, 2.0),
)


def test_errors_are_grouped_by_what_is_known_before_trusting() -> None:
    found = failure_report("svr on A", TESTED)
    assert (found.everything.rows, found.everything.mae) == (5, 7.2)
    assert (found.continuous.mae, found.discontinuous.mae) == (2.0, 15.0)
    assert (found.near.rows, found.near.mae) == (3, pytest.approx(13 / 3))
    assert (found.far.rows, found.far.mae) == (2, 11.5)
    assert (found.trusted.rows, found.trusted.mae, found.trusted.failed) == (2, 1.5, 0.0)
    assert found.trusted.over_expected == 0.75
    assert (found.low_confidence.rows, found.low_confidence.failed) == (3, pytest.approx(2 / 3))
    assert found.caught == 1.0
    assert [(part.first, part.last, part.group.mae) for part in found.by_count] == [
        (0, 0, 10.0),
        (1, 4, 20.0),
        (10, 29, 3.0),
        (30, 99, 2.0),
        (100, 299, 1.0),
    ]


def test_the_score_is_judged_by_how_it_ranks_errors() -> None:
    found = failure_report("svr on A", TESTED)
    assert found.score_correlation == pytest.approx(0.9)
    assert found.count_correlation == pytest.approx(-0.9)


def test_nothing_is_said_of_no_rows() -> None:
    one = RowErrors(*(getattr(TESTED, name)[:2] for name in TESTED.__dataclass_fields__))
    found = failure_report("mean", one)
    assert (found.discontinuous.rows, found.discontinuous.mae) == (0, None)
    assert found.caught is None
    assert failure_report("both", pooled([one, one])).everything.rows == 4
