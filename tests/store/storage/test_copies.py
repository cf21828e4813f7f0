"""Local copies of folders in a bucket."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from object_store import ObjectStore, traffic

from matlake.errors import StorageError
from matlake.store.storage.copies import CACHE, cache_folder, local_copies, local_copy
from matlake.store.storage.places import lake_path
from matlake.store.storage.remote_path import ObjectStatus, RemotePath

obstore = pytest.importorskip("obstore", reason="needs the extra cloud")

CARD = "card.json"


@pytest.fixture
def heads(bucket: str) -> RemotePath:
    """Two folders with cards in a bucket, and one without."""
    root = lake_path(f"{bucket}/lake/heads")
    assert isinstance(root, RemotePath)
    for name in ("gap", "modulus"):
        for file in (CARD, "head.onnx", "plots/parity.png"):
            root.joinpath(name, *file.split("/")).write_bytes(f"{file} of {name}".encode())
    (root / "half" / "head.onnx").write_bytes(b"no card yet")
    return root


def files_of(folder: Path | None) -> dict[str, str]:
    assert folder is not None
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_copy_has_the_files_that_are_wanted_and_gets_the_others_later(heads: RemotePath) -> None:
    copy = local_copy(heads / "gap", CARD, (CARD,))
    assert files_of(copy) == {CARD: "card.json of gap"}
    whole = local_copy(heads / "gap", CARD)
    assert whole == copy
    assert files_of(whole) == {name: f"{name} of gap" for name in (CARD, "head.onnx", "plots/parity.png")}


def test_a_second_look_costs_one_request(heads: RemotePath, object_store: ObjectStore) -> None:
    assert set(local_copies(heads, CARD, (CARD,))) == {"gap", "modulus"}
    with object_store.recording() as requests:
        assert set(local_copies(heads, CARD, (CARD,))) == {"gap", "modulus"}
    assert traffic(requests)[0] == 1
    (heads / "gap" / CARD).write_bytes(b"another card")
    with object_store.recording() as requests:
        assert files_of(local_copies(heads, CARD, (CARD,))["gap"]) == {CARD: "another card"}
    assert traffic(requests)[0] == 2


def test_what_was_replaced_is_never_given(heads: RemotePath) -> None:
    before = local_copy(heads / "gap", CARD)
    (heads / "gap" / "head.onnx").write_bytes(b"HEAD.onnx of gap")  # of the same size
    assert files_of(local_copy(heads / "gap", CARD))["head.onnx"] == "HEAD.onnx of gap"
    assert files_of(before)["head.onnx"] == "head.onnx of gap"  # for whoever is reading it


def test_a_folder_that_is_replaced_while_it_is_read_is_read_again(
    heads: RemotePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    get, left = obstore.get, ["new card", "newer card"]

    def replacing(store: object, key: str) -> object:
        if left:
            (heads / "gap" / CARD).write_bytes(left.pop(0).encode())
        return get(store, key)

    monkeypatch.setattr(obstore, "get", replacing)
    assert files_of(local_copy(heads / "gap", CARD, (CARD,)))[CARD] == "newer card"


def test_a_folder_that_changes_all_the_time_is_an_error(heads: RemotePath, monkeypatch: pytest.MonkeyPatch) -> None:
    get = obstore.get

    def replacing(store: object, key: str) -> object:
        old = bytes(get(store, key).bytes())
        (heads / "gap" / CARD).write_bytes(old + b".")
        return get(store, key)

    monkeypatch.setattr(obstore, "get", replacing)
    with pytest.raises(StorageError, match="heads/gap changes whenever it is read"):
        local_copy(heads / "gap", CARD, (CARD,))


@pytest.mark.parametrize("damage", [b"card.json of GAP", b"half", b""])
def test_a_damaged_copy_is_fetched_again(heads: RemotePath, damage: bytes) -> None:
    copy = local_copy(heads / "gap", CARD)
    assert copy is not None
    (copy / CARD).write_bytes(damage)
    assert files_of(local_copy(heads / "gap", CARD))[CARD] == "card.json of gap"


def test_threads_and_processes_can_share_a_cache(heads: RemotePath) -> None:
    with ThreadPoolExecutor(6) as threads:
        found = set(threads.map(lambda _: local_copy(heads / "gap", CARD), range(6)))
    (copy,) = found
    assert len(files_of(copy)) == 3
    assert not list(cache_folder().rglob("*.part"))


def test_a_folder_without_a_card_is_not_there(heads: RemotePath) -> None:
    assert local_copy(heads / "half", CARD) is None
    assert local_copy(heads / "nothing", CARD) is None


def test_folders_of_this_machine_are_their_own_copies(tmp_path: Path) -> None:
    for name in ("gap", ".replaced/gap", ".replaced/old", "half"):
        (tmp_path / name).mkdir(parents=True)
        if name != "half":
            (tmp_path / name / CARD).write_bytes(b"{}")
    found = local_copies(tmp_path, CARD, (CARD,), ("", ".replaced"))
    assert found["gap"] == tmp_path / "gap"
    assert found["old"] == tmp_path / ".replaced" / "old"
    assert local_copy(tmp_path / "half", CARD) is None


def test_a_key_that_leads_out_of_the_cache_is_left_alone(heads: RemotePath, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = RemotePath.objects

    def hostile(path: RemotePath) -> Iterator[tuple[RemotePath, ObjectStatus]]:
        for found, status in listed(path):
            yield found, status
            yield RemotePath(found.bucket, f"{path.key}/../../../{found.name}"), status

    monkeypatch.setattr(RemotePath, "objects", hostile)
    before = cache_folder()
    assert len(files_of(local_copy(heads / "gap", CARD))) == 3
    assert {path.name for path in before.parent.iterdir()} == {before.name}


def test_copies_of_former_states_go_after_a_day(heads: RemotePath, monkeypatch: pytest.MonkeyPatch) -> None:
    before = local_copy(heads / "gap", CARD)
    assert before is not None
    monkeypatch.setattr("matlake.store.storage.copies._KEPT_SECONDS", -1)
    (heads / "gap" / CARD).write_bytes(b"another card")
    assert local_copy(heads / "gap", CARD) != before
    assert not before.exists()


def test_a_cache_that_cannot_be_written_is_one_clear_error(
    heads: RemotePath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv(CACHE, str(tmp_path / "file"))
    with pytest.raises(StorageError, match="cannot keep a copy at") as caught:
        local_copy(heads / "gap", CARD)
    assert CACHE in caught.value.hint
    monkeypatch.delenv(CACHE)
    monkeypatch.setattr(Path, "home", _no_home)
    with pytest.raises(StorageError, match="no folder for copies"):
        local_copy(heads / "gap", CARD)


def _no_home() -> Path:
    raise RuntimeError("could not determine home directory")
