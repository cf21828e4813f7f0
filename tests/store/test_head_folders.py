"""Heads in a bucket are replaced and deleted as a whole."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from object_store import Fault, ObjectStore

from matlake.errors import HeadError
from matlake.regress.heads.storage import save_files
from matlake.store.folders import LakeFolders
from matlake.store.head_folders import remove_head, replace_head
from matlake.store.storage import claims
from matlake.store.storage.claims import ClaimedError
from matlake.store.storage.places import lake_path
from matlake.store.storage.remote_path import RemotePath

obstore = pytest.importorskip("obstore", reason="needs the extra cloud")

OLD = {"head.onnx": b"old", "plots/parity.png": b"old plot", "plots/old.png": b"old plot", "card.json": b"old card"}
NEW = {"card.json": b"new card", "head.onnx": b"new", "reference.parquet": b"new rows", "plots/parity.png": b"new plot"}
SEVERAL = {"card.json": b"about", "K/card.json": b"card of K", "K/head.onnx": b"K", "G/card.json": b"card of G"}


@pytest.fixture
def lake(in_memory: LakeFolders) -> LakeFolders:
    """A lake in a bucket with a head; in memory, since kills after every request are many."""
    replace_head(in_memory, "gap", OLD)
    return in_memory


def files_of(lake: LakeFolders, name: str = "gap") -> dict[str, bytes] | None:
    """Read a head as a reader does."""
    folder = lake.head_folder(name)
    if folder is None:
        return None
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def keys(lake: LakeFolders) -> list[str]:
    assert isinstance(lake.path, RemotePath)
    return sorted(str(path.relative_to(lake.path)) for path, _ in lake.path.objects())


class Killed(BaseException):
    """The end of a process, as far as a test can have one."""


def killed_after(patch: pytest.MonkeyPatch, requests: int) -> None:
    """Let this process send a number of requests, and none after that."""
    left = [requests]

    def dying(original: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*arguments: Any, **options: Any) -> Any:
            if not left[0]:
                raise Killed
            left[0] -= 1
            return original(*arguments, **options)

        return asked

    for name in ("put", "get", "head", "delete", "copy", "list", "list_with_delimiter"):
        patch.setattr(obstore, name, dying(getattr(obstore, name)))


def kill_everywhere(
    lake: LakeFolders, what: Callable[[], None], check: Callable[[], None], patch: pytest.MonkeyPatch
) -> int:
    """Kill something after each of its requests, check what readers find then, and return the number of kills."""
    patch.setattr(claims, "STALE_SECONDS", -60.0)  # the clocks of a server may be behind
    for requests in range(100):
        remove_all(lake)
        replace_head(lake, "gap", OLD)
        with patch.context() as dying:
            killed_after(dying, requests)
            try:
                what()
            except Killed:
                pass
            else:
                return requests
        check()
    raise AssertionError("it never ends")


def remove_all(lake: LakeFolders) -> None:
    assert isinstance(lake.path, RemotePath)
    for path, _ in lake.path.objects():
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("new", [NEW, SEVERAL])
def test_a_kill_at_any_point_leaves_the_old_head_or_the_new_one(
    lake: LakeFolders, monkeypatch: pytest.MonkeyPatch, new: dict[str, bytes]
) -> None:
    found: list[dict[str, bytes] | None] = []

    def check() -> None:
        found.append(files_of(lake))
        assert found[-1] in (OLD, new)
        assert len({name.partition(":")[0] for name in lake.head_names()}) == 1
        replace_head(lake, "gap", new)  # a rerun finishes the job
        assert files_of(lake) == new
        assert keys(lake) == sorted(f"heads/gap/{path}" for path in new)

    assert kill_everywhere(lake, lambda: replace_head(lake, "gap", new), check, monkeypatch) > 15
    assert found[0] == OLD
    assert found[-1] == new


def test_a_kill_while_a_head_is_deleted_leaves_it_or_not(lake: LakeFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []

    def check() -> None:
        found.append(files_of(lake))
        assert found[-1] in (OLD, None)
        remove_head(lake, "gap")
        assert keys(lake) == []

    kill_everywhere(lake, lambda: remove_head(lake, "gap"), check, monkeypatch)
    assert found[0] == OLD
    assert found[-1] is None


def test_what_a_killed_saver_left_is_deleted_with_the_head(lake: LakeFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> None:
        remove_head(lake, "gap")
        assert lake.head_names() == []
        assert keys(lake) == []

    kill_everywhere(lake, lambda: replace_head(lake, "gap", NEW), check, monkeypatch)


def test_of_two_savers_one_is_told_so(lake: LakeFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    first = obstore.copy

    def second_saver(*arguments: Any) -> None:
        with pytest.raises(HeadError, match="another process is saving or deleting head gap") as caught:
            save_files(lake, "gap", SEVERAL)
        assert "15 minutes" in caught.value.hint
        with pytest.raises(ClaimedError):
            remove_head(lake, "gap")
        first(*arguments)

    monkeypatch.setattr(obstore, "copy", second_saver)
    replace_head(lake, "gap", NEW)
    assert files_of(lake) == NEW


def test_a_saver_whose_claim_was_taken_over_changes_nothing(lake: LakeFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = obstore.copy

    def stalled(*arguments: Any) -> None:
        monkeypatch.setattr(obstore, "copy", copy)
        monkeypatch.setattr(claims, "STALE_SECONDS", -60.0)
        replace_head(lake, "gap", SEVERAL)
        copy(*arguments)

    monkeypatch.setattr(obstore, "copy", stalled)
    with pytest.raises((ClaimedError, FileNotFoundError)):
        replace_head(lake, "gap", NEW)
    assert files_of(lake) == SEVERAL


def test_the_claim_of_a_process_of_this_machine_that_has_ended_counts_no_more(lake: LakeFolders) -> None:
    claim = lake.heads_folder / ".saving" / "gap"
    assert isinstance(claim, RemotePath)
    ended = json.dumps({"host": claims._host(), "process": 2**22 + 1, "mark": ""})
    claim.create(ended.encode())
    replace_head(lake, "gap", NEW)
    claim.create(ended.replace(claims._host(), "elsewhere").encode())
    with pytest.raises(ClaimedError):
        replace_head(lake, "gap", OLD)
    assert files_of(lake) == NEW


def test_a_lost_answer_to_a_claim_is_no_other_process(bucket: str, object_store: ObjectStore) -> None:
    lake = LakeFolders(lake_path(f"{bucket}/lake"))
    with object_store.failing(Fault("lost answer", ("PUT",), key="*/.saving/gap")):
        replace_head(lake, "gap", NEW)
    assert files_of(lake) == NEW


def test_members_are_those_of_the_head_as_a_whole(lake: LakeFolders) -> None:
    replace_head(lake, "gap", SEVERAL)
    assert lake.head_names() == ["gap:G", "gap:K"]
    assert files_of(lake, "gap:K") == {"card.json": b"card of K", "head.onnx": b"K"}
    (lake.heads_folder / "gap" / "card.json").unlink()  # as while it is being replaced
    assert lake.head_folder("gap:K") is None
    assert lake.head_names() == []
