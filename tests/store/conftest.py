"""A lake in a store in memory, for tests that send many requests."""

from pathlib import Path

import pytest

from matlake.store.folders import LakeFolders
from matlake.store.storage import copies, remote_path
from matlake.store.storage.remote_path import RemotePath


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> LakeFolders:
    """The folders of a lake in a bucket in memory, which is empty."""
    store = pytest.importorskip("obstore.store", reason="needs the extra cloud").MemoryStore()
    monkeypatch.setenv("MATLAKE_CACHE", str(tmp_path / "cache"))
    for module in (copies, remote_path):
        monkeypatch.setattr(module, "open_store", lambda _: store)
    return LakeFolders(RemotePath("s3://memory", "lake"))
