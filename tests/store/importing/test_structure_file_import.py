"""Folders and archives of structure files: every file is imported or explained, and none does harm."""

import gzip
import io
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import Cli
from structures import AWKWARD, BROKEN, CSCL, HALITE, POSCAR, ids, reasons

from matlake import Lake, import_table, open_lake
from matlake.errors import SourceError
from matlake.store.importing.readers import containers, streams


@pytest.fixture
def empty(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


FILES = {
    "a.cif": CSCL,
    "deep/er/b.cif": HALITE,
    "deep/a.cif": HALITE,
    "mp-1/POSCAR": POSCAR,
    "mp-2/POSCAR": POSCAR,
    "mp-2/CONTCAR": POSCAR,
    "c.vasp": POSCAR,
    "broken.cif": BROKEN,
    "two.cif": (AWKWARD / "several_blocks.cif").read_text(),
    "notes.txt": "mine",
    ".hidden.cif": CSCL,
    "__MACOSX/a.cif": CSCL,
}
IDS = ["a", "b", "c", "deep/a", "mp-1", "mp-2", "two-halite", "two-sylvite"]


def write_folder(root: Path) -> Path:
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "d.cif.gz").write_bytes(gzip.compress(CSCL.encode()))
    return root


def write_zip(path: Path, files: dict[str, str] = FILES) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def write_tar(path: Path, mode: Any, files: dict[str, str] = FILES) -> Path:
    with tarfile.open(path, mode) as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def test_a_folder_is_imported_with_ids_from_its_paths(empty: Lake, tmp_path: Path) -> None:
    root = write_folder(tmp_path / "crystals")
    report = import_table(empty, root, "d")
    assert (report.rows, report.failed) == (9, 1)
    assert ids(empty) == sorted([*IDS, "d"])
    assert reasons(empty) == {"broken": "unknown species 'X'"}
    runs, left_out = report.notes
    assert runs.startswith("1 VASP runs with several structure files, one material each: the end of vasprun.xml, or")
    assert left_out == "1 files that are neither CIF nor POSCAR left out: 1 .txt"


@pytest.mark.parametrize("name", ["c.zip", "c.tar", "c.tar.gz", "c.tgz", "c.tar.bz2", "c.tar.xz"])
def test_an_archive_is_imported_like_its_folder(empty: Lake, tmp_path: Path, name: str) -> None:
    modes = {"tar": "w", "gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}
    kind = name.rpartition(".")[2]
    path = write_zip(tmp_path / name) if kind == "zip" else write_tar(tmp_path / name, modes[kind])
    report = import_table(empty, path, "d")
    assert (report.rows, report.failed) == (8, 1)
    assert ids(empty) == IDS
    assert reasons(empty) == {"broken": "unknown species 'X'"}


def test_one_file_is_a_dataset(empty: Lake) -> None:
    import_table(empty, AWKWARD / "several_blocks.cif", "d")
    assert ids(empty) == ["several_blocks-halite", "several_blocks-sylvite"]


def test_links_lead_nowhere_outside_of_the_folder(empty: Lake, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/s.cif").write_text(CSCL)
    root = tmp_path / "crystals"
    root.mkdir()
    (root / "a.cif").write_text(CSCL)
    (root / "inside.cif").symlink_to(root / "a.cif")
    (root / "outside.cif").symlink_to(tmp_path / "secret/s.cif")
    (root / "folder").symlink_to(tmp_path / "secret", target_is_directory=True)
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "dangling.cif").symlink_to(root / "nothing.cif")
    import_table(empty, root, "d")
    assert ids(empty) == ["a", "inside"]
    assert reasons(empty) == {
        "outside": "a link to a file outside of the folder",
        "dangling": "cannot be read: No such file or directory",
    }


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_path_in_an_archive_is_only_a_name(empty: Lake, tmp_path: Path, kind: str) -> None:
    files = {"../../x.cif": CSCL, "/etc/y.cif": CSCL, "a/../z.cif": CSCL}
    inner = tmp_path / "in/ner"
    inner.mkdir(parents=True)
    path = write_zip(inner / "c.zip", files) if kind == "zip" else write_tar(inner / "c.tar", "w", files)
    import_table(empty, path, "d")
    assert ids(empty) == ["x", "y", "z"]
    assert sorted(p for p in tmp_path.rglob("*") if not p.is_relative_to(empty.path)) == [inner.parent, inner, path]


def test_links_in_archives_are_left_out(empty: Lake, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "c.tar", "w", {"a.cif": CSCL})
    with tarfile.open(path, "a") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo(f"link{kind!r}.cif")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    import_table(empty, path, "d")
    assert ids(empty) == ["a"]


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.xz"])
def test_a_bomb_is_one_clear_error(empty: Lake, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_ALWAYS_ALLOWED", 1 << 20)
    files = {f"{n}.cif": " " * (10 << 20) for n in range(4)}
    path = tmp_path / f"c.{kind}"
    if kind == "zip":
        write_zip(path, files)
    else:
        write_tar(path, {"tar.gz": "w:gz", "tar.xz": "w:xz"}[kind], files)
    started = time.monotonic()
    with pytest.raises(SourceError, match="decompression bomb"):
        import_table(empty, path, "d")
    assert time.monotonic() - started < 10
    assert empty.dataset_names() == []


def test_a_file_too_large_is_a_failure_and_not_read(empty: Lake, tmp_path: Path) -> None:
    with (tmp_path / "big.cif").open("wb") as file:
        file.truncate(1 << 40)
    (tmp_path / "a.cif").write_text(CSCL)
    (tmp_path / "z.cif.gz").write_bytes(gzip.compress(bytes(40 << 20)))
    import_table(empty, tmp_path, "d")
    assert ids(empty) == ["a"]
    assert set(reasons(empty)) == {"big", "z"}
    assert all("MB of text for one structure" in reason for reason in reasons(empty).values())


def test_files_that_are_none_are_failures(empty: Lake, tmp_path: Path) -> None:
    contents = {
        "empty.cif": b"",
        "binary.cif": bytes(range(256)) * 4,
        "random.cif": np.random.default_rng(0).bytes(5000),
        "text.cif": b"hello",
        "word.vasp": b"\xd0\xcf\x11\xe0" * 100,
        "bad.cif.gz": b"\x1f\x8b junk",
        "good.cif": CSCL.encode("utf-16"),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    import_table(empty, tmp_path, "d")
    assert ids(empty) == ["good"]
    assert len(reasons(empty)) == 6


def test_encrypted_and_damaged_members_are_failures(empty: Lake, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "c.zip", {"a.cif": CSCL, "b.cif": CSCL, "c.cif": HALITE})
    content = bytearray(path.read_bytes())
    start = content.index(b"b.cif") + len("b.cif")
    content[start : start + 20] = bytes(20)
    directory = content.index(b"PK\x01\x02")
    content[directory + 8] |= 1  # a.cif is encrypted, says its entry
    path.write_bytes(content)
    import_table(empty, path, "d")
    assert ids(empty) == ["c"]
    assert reasons(empty)["a"] == "encrypted"
    assert reasons(empty)["b"].startswith("damaged in the archive")


@pytest.mark.parametrize("name", ["c.zip", "c.tar", "c.tar.gz"])
def test_a_damaged_archive_is_one_clear_error(empty: Lake, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "c.zip":
        write_zip(path)
        path.write_bytes(path.read_bytes()[:-30])
    elif name == "c.tar":
        write_tar(path, "w")
        content = bytearray(path.read_bytes())
        content[1536 + 100 :: 7] = bytes(len(content[1536 + 100 :: 7]))
        path.write_bytes(content)
    else:
        write_tar(path, "w:gz")
        path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(SourceError, match="damaged"):
        import_table(empty, path, "d")


def test_a_folder_without_structures_is_an_error(empty: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(SourceError, match="no CIF or POSCAR file"):
        import_table(empty, folder, "d")


def test_too_many_files_are_one_clear_error(empty: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_FILES", 5)
    with pytest.raises(SourceError, match="holds more than 5 files"):
        import_table(empty, write_zip(tmp_path / "c.zip"), "d")


def test_the_command_counts_failures_and_exits_with_3(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "crystals")
    cli = Cli(tmp_path / "lake")
    document = cli.json("import", str(root), "--dataset", "d", "--max-atoms", "7", code=3)
    assert (document["rows"], document["failed"]) == (5, 5)
    table = tmp_path / "t.parquet"
    pq.write_table(pa.table({"relaxed": [CSCL]}), table)
    assert cli.json("import", str(table), "--dataset", "t", "--structure-column", "relaxed")["failed"] == 0
    assert cli.json("import", str(tmp_path / "nothing"), "--dataset", "n", code=1)["hint"]
