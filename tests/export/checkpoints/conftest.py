"""Fixtures: one thread for networks that are small."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Graphs of a few atoms are computed faster by one thread than by several that wait for each other."""
    torch = pytest.importorskip("torch", reason="needs the extra 'train'")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
