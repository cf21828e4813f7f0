"""Ids that come again are found, in one batch or across many."""

import random

from matlake.store.importing.known_ids import KnownIds


def test_the_first_of_equal_ids_is_new() -> None:
    known = KnownIds()
    assert known.add(["a", "b", "a", "c", "b", "a"]) == [2, 4, 5]
    assert known.add(["d", "c", "e", "a"]) == [1, 3]
    assert known.add([]) == []
    assert known.add(["", "e", ""]) == [1, 2]


def test_many_batches_are_as_one_set() -> None:
    some = random.Random(0)  # noqa: S311 - of tests
    known, found = KnownIds(), set[str]()
    for _ in range(50):
        ids = [str(some.randint(0, 3000)) for _ in range(some.randint(0, 200))]
        expected = []
        for place, name in enumerate(ids):
            expected += [place] if name in found else []
            found.add(name)
        assert known.add(ids) == expected
