"""The check of a split finds each manner in which one can be wrong."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from matlake.errors import TrainingError
from matlake.regress.features.matrix import Matrix
from matlake.regress.splits import SPLITS, HeldOut, Method, Proposal, Split, parse_split
from matlake.testing import check_split
from matlake.testing.splits import ROWS


class Other(Split):
    """A split that changes what another one holds out."""

    def change(self, held: HeldOut) -> HeldOut:
        return held

    def hold_out(self, matrix: Matrix, seed: int) -> HeldOut:
        return self.change(super().hold_out(matrix, seed))

    def folds(self, matrix: Matrix, seed: int) -> Iterator[HeldOut]:
        return map(self.change, super().folds(matrix, seed))


def made(change: Any = None, text: str = "mine", **fields: Any) -> Method:
    """Return a random split with one thing changed."""
    kind = type("Changed", (Other,), {"change": staticmethod(change)}) if change else Split
    plain = parse_split("random")
    split = kind(text, fields.pop("preferred", plain.preferred), fields.pop("every", plain.every), **fields)
    return Method("mine", lambda _: split)


def proposals(matrix: Matrix, seed: int) -> Iterator[Proposal]:
    yield Proposal("some", "are some", np.arange(len(matrix.y)) < 40 + seed)


def at_random(matrix: Matrix, seed: int) -> Iterator[Proposal]:  # noqa: ARG001 - the signature
    yield Proposal("some", "are some", np.random.default_rng().random(len(matrix.y)) < 0.3)


def published(matrix: Matrix, seed: int) -> Iterator[Proposal]:  # noqa: ARG001 - the signature
    yield Proposal("some", "are some", np.arange(len(matrix.y)) < 40, shared="both")


def careless(matrix: Matrix, seed: int) -> Iterator[Proposal]:
    matrix.y[0] += 1.0
    yield from proposals(matrix, seed)


def test_sound_splits_pass() -> None:
    check_split(made(preferred=proposals, every=proposals))
    check_split(SPLITS["element"], [None, "O"])
    check_split(SPLITS["column"], ["place"], {"place": ["Basel", "Bonn", "Delft", "Kyoto", "Turku"] * (ROWS // 5)})


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        (made(lambda h: replace(h, test=np.sort(np.append(h.test, h.train[0])))), "1 rows are in train and in test"),
        (made(lambda h: replace(h, train=h.train[::-1])), "the rows of train are not in ascending order"),
        (made(lambda h: replace(h, train=h.train[1:])), "train, test and dropped together hold 149 of 150 rows"),
        (made(lambda h: replace(h, description="at random")), "does not say that .* rows are tested"),
        (made(lambda h: replace(h, train=h.train[1:], dropped=h.train[:1], description=said(h))), "1 rows are dropped"),
        (made(preferred=published, every=published), "compositions are trained on and tested"),
        (made(preferred=at_random, every=at_random), "with one seed it holds out other rows each time"),
        (made(preferred=careless, every=careless), "it changes target"),
        (made(text="random"), "the text of the split is 'random', and does not begin with 'mine'"),
        (made(columns=("year",)), "it needs the columns year: give them to check_split"),
        (Method("mine[:X]", lambda x: replace(parse_split("random"), text=f"mine:{x}x")), "makes another split"),
        (Method("mine", lambda _: "random"), "it makes a str"),  # type: ignore[arg-type, return-value]
        (Method("My Split", lambda _: parse_split("random")), "its name 'My Split' is not"),
        (parse_split("random"), r"it is of type Split, not matlake\.regress\.splits\.Method"),
    ],
)
def test_each_fault_is_found(method: Any, reason: str) -> None:
    with pytest.raises(AssertionError, match=reason):
        check_split(method)


def said(held: HeldOut) -> str:
    return f"tests {len(held.test)}, trains on {len(held.train) - 1}"


def test_a_split_that_refuses_the_rows_says_so() -> None:
    def nothing(matrix: Matrix, seed: int) -> Iterator[Proposal]:  # noqa: ARG001 - the signature
        return iter(())

    with pytest.raises(TrainingError, match="proposes no rows to test"):
        check_split(made(preferred=nothing, every=nothing))
