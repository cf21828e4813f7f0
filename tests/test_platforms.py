"""Linux, macOS and Windows: what they do differently stands in one file, and commands run where Windows would refuse.

No Windows and no macOS runs these tests. Which names a system lacks is read from typeshed, which mypy brings.
"""

import ast
import errno
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace

import pytest
from samples import LAKE_0_1_0

from matlake import platforms
from matlake.encoders.card import check_new_name
from matlake.errors import EncoderError, HeadError, LakeError
from matlake.files import fsync_file, fsync_folder
from matlake.platforms import is_portable, path_in_uri, rename
from matlake.regress.heads import storage
from matlake.store.lake import open_lake
from matlake.store.storage.places import lake_path
from matlake.store.tables import delta

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "matlake"

SEAM = {"matlake/platforms.py"}
"""Where names stand that a system lacks."""

ELSEWHERE = {
    ("matlake/store/write_barrier.py", "os.O_DIRECTORY"),  # Landlock: it returns first unless this is Linux
    ("matlake/store/searching/stored_rows.py", "mmap.MADV_DONTNEED"),  # it returns first without ``madvise``
}
"""Where they stand as well, with the reason."""

LOOKED_AT = ("os", "signal", "mmap", "time", "socket", "select", "errno", "shutil", "sys", "pathlib", "asyncio")
NOT_ON_WINDOWS = ("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog", "crypt", "readline", "posix")
NOT_ELSEWHERE = ("msvcrt", "winreg", "winsound", "_winapi", "nt")
DANGEROUS = {"os.kill": "ends the process on Windows, whatever the signal"}
ITS_NAME = {("matlake/store/storage/claims.py", "os.kill")}  # of hosts with Linux's /proc alone


@cache
def lacking(system: str) -> dict[str, list[str]]:
    """Return what modules of the standard library lack on a system, by the branches of typeshed."""
    mypy = pytest.importorskip("mypy", reason="needs the extra 'dev'")
    stubs = Path(mypy.__file__).parent / "typeshed" / "stdlib"
    found: dict[str, list[str]] = {}
    for module in LOOKED_AT:
        path = next(p for p in (stubs / f"{module}.pyi", stubs / module / "__init__.pyi") if p.exists())
        there, absent = set(), set()
        for names, is_there in _declared(ast.parse(path.read_text("utf-8")).body, system):
            (there if is_there else absent).update(names)
        found[module] = sorted(absent - there)
    return found


def _declared(body: list[ast.stmt], system: str, *, is_there: bool = True) -> Iterator[tuple[set[str], bool]]:
    for node in body:
        match node:
            case ast.If(test=test, body=then, orelse=other):
                holds = _holds(test, system)
                yield from _declared(then, system, is_there=is_there and holds is not False)
                yield from _declared(other, system, is_there=is_there and holds is not True)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield {name}, is_there
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield {name}, is_there
            case ast.Assign(targets=targets):
                yield {one.id for one in targets if isinstance(one, ast.Name)}, is_there
            case ast.ImportFrom(names=names):
                yield {one.asname or one.name for one in names}, is_there


def _holds(test: ast.expr, system: str) -> bool | None:
    """Evaluate a condition on ``sys.platform``; None for what does not depend on it, such as the version."""
    match test:
        case ast.Compare(
            left=ast.Attribute(attr="platform"), ops=[ast.Eq() | ast.NotEq() as op], comparators=[ast.Constant(value)]
        ):
            return (system == value) is isinstance(op, ast.Eq)
        case ast.BoolOp(op=ast.And(), values=values):
            known = [_holds(one, system) for one in values]
            return False if False in known else None if None in known else True
        case ast.BoolOp(op=ast.Or(), values=values):
            known = [_holds(one, system) for one in values]
            return True if True in known else None if None in known else False
    return None


@cache
def sources() -> dict[str, ast.Module]:
    """Return the trees of all files of the package."""
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8")) for path in sorted(HOUSE.rglob("*.py"))
    }


def named(tree: ast.Module) -> Iterator[str]:
    """Yield ``module.name`` for all uses of modules of the standard library, by import or as attributes."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                yield f"{module}.{name}"
            case ast.ImportFrom(module=str(module), names=names):
                yield from (f"{module}.{one.name}" for one in names)
                yield module
            case ast.Import(names=names):
                yield from (one.name for one in names)


def test_typeshed_says_what_systems_lack() -> None:
    windows, macos = lacking("win32"), lacking("darwin")
    assert {"fork", "getuid", "sysconf", "O_DIRECTORY", "O_NOFOLLOW", "sched_getaffinity"} <= set(windows["os"])
    assert {"SIGHUP", "SIGKILL", "setitimer"} <= set(windows["signal"])
    assert not {"open", "fsync", "replace", "cpu_count", "link", "getpid"} & set(windows["os"])
    assert "sched_getaffinity" in macos["os"]
    assert "fork" not in macos["os"]


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_no_file_but_one_uses_what_a_system_lacks(system: str) -> None:
    absent = {f"{module}.{name}" for module, names in lacking(system).items() for name in names}
    absent |= set(NOT_ELSEWHERE if system == "darwin" else NOT_ON_WINDOWS)
    wrong = {
        (path, name) for path, tree in sources().items() if path not in SEAM for name in named(tree) if name in absent
    }
    assert wrong - ELSEWHERE == set()
    if system == "win32":
        assert wrong >= ELSEWHERE, "an exception is no longer needed"


def test_what_does_something_else_on_windows_is_not_called() -> None:
    calls = {(path, name) for path, tree in sources().items() for name in named(tree) if name in DANGEROUS}
    assert calls == ITS_NAME


def test_text_is_read_and_written_in_an_encoding_that_is_named() -> None:
    """The default of Windows is a code page."""
    wrong = []
    for path, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and not any(one.arg == "encoding" for one in node.keywords):
                match node.func, node.args:
                    case ast.Attribute(attr="read_text"), []:
                        wrong.append(f"{path}:{node.lineno}")
                    case ast.Attribute(attr="write_text"), [_]:
                        wrong.append(f"{path}:{node.lineno}")
                    case ast.Name(id="open"), [_, *mode] if "b" not in _constant(mode):
                        wrong.append(f"{path}:{node.lineno}")
                    case ast.Attribute(value=ast.Name(id="io" | "os"), attr="fdopen" | "TextIOWrapper"), [_]:
                        wrong.append(f"{path}:{node.lineno}")
    assert wrong == []


def test_the_public_names_are_plain_ascii() -> None:
    """lazy-loader reads the stub in the default encoding."""
    assert (HOUSE / "__init__.pyi").read_bytes().isascii()


def _constant(mode: list[ast.expr]) -> str:
    return str(mode[0].value) if mode and isinstance(mode[0], ast.Constant) else ""


@pytest.fixture
def old_lake(tmp_path: Path) -> Path:
    """A lake that 0.1.0 made."""
    return Path(shutil.copytree(LAKE_0_1_0, tmp_path / "lake"))


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("matlake.platforms", "matlake.files", "matlake.locks", "matlake.cli.output"):
        monkeypatch.setattr(f"{place}.on_windows", lambda: True)
    monkeypatch.setattr(platforms, "_PAUSE_S", 0.001)


@pytest.mark.usefixtures("windows")
def test_windows_is_asked_again_to_rename_what_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "new").write_text("new")
    (tmp_path / "old").write_text("old")
    real, asked = Path.replace, []

    def busy(path: Path, target: Path) -> Path:
        asked.append(target)
        if len(asked) < 4:
            raise PermissionError(errno.EACCES, "in use", str(path))
        return real(path, target)

    monkeypatch.setattr(Path, "replace", busy)
    rename(tmp_path / "new", tmp_path / "old")
    assert ((tmp_path / "old").read_text(), len(asked)) == ("new", 4)
    monkeypatch.setattr(platforms, "PATIENCE_S", 0.01)
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(PermissionError(errno.EACCES, "in use")))
    with pytest.raises(PermissionError):
        rename(tmp_path / "old", tmp_path / "new")


def test_other_systems_are_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def refused(path: Path, _: Path) -> Path:
        asked.append(path)
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(PermissionError):
        rename(tmp_path / "a", tmp_path / "b")
    assert len(asked) == 1


@pytest.mark.usefixtures("windows")
def test_windows_syncs_files_that_are_open_for_writing_and_no_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    synced = []

    def syncing(descriptor: int) -> None:
        assert fcntl.fcntl(descriptor, fcntl.F_GETFL) & 3 == os.O_RDWR
        synced.append(descriptor)

    monkeypatch.setattr(os, "fsync", syncing)
    (tmp_path / "file").write_bytes(b"x")
    fsync_file(tmp_path / "file")
    fsync_folder(tmp_path)
    assert len(synced) == 1
    assert (tmp_path / "file").read_bytes() == b"x"


def test_macos_empties_the_cache_of_the_disk_where_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    asked, synced = [], []

    def control(_: int, command: int) -> int:
        asked.append(command)
        if len(asked) > 1:
            raise OSError(errno.ENOTSUP, "Operation not supported")
        return 0

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", control)
    monkeypatch.setattr(os, "fsync", synced.append)
    fsync_folder(tmp_path)
    assert (asked, synced) == ([51], [])
    fsync_folder(tmp_path)  # a network drive
    assert (asked, len(synced)) == ([51, 51], 1)


def test_cores_are_those_that_a_scheduler_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 12))
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    assert platforms.usable_cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    assert platforms.usable_cores() == 64
    monkeypatch.setattr(sys, "version_info", (3, 13))
    monkeypatch.setattr(os, "process_cpu_count", lambda: 7, raising=False)
    assert platforms.usable_cores() == 7


def test_memory_and_owners_are_known_without_sysconf_and_uids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    psutil = pytest.importorskip("psutil", reason="needs the extra 'dev'")
    by_system = platforms.machine_memory()
    monkeypatch.delattr(os, "sysconf")
    monkeypatch.delattr(os, "getuid")
    monkeypatch.setattr(platforms, "on_windows", lambda: True)
    assert platforms.machine_memory() == pytest.approx(by_system, rel=1e-3)
    assert platforms.free_memory() == pytest.approx(psutil.virtual_memory().available, rel=0.5)
    assert platforms.is_own(tmp_path)
    assert platforms.open_files_limit() is None


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize(
    ("host", "path", "found"),
    [
        ("", "/C:/Users/Åsa/my lake", "C:/Users/Åsa/my lake"),
        ("", "/d:/lake", "d:/lake"),
        ("server", "/share/lake", "//server/share/lake"),
        ("", "/no/drive", "/no/drive"),
    ],
)
def test_addresses_of_files_name_drives_and_shares(host: str, path: str, found: str) -> None:
    assert path_in_uri(host, path) == found
    assert PureWindowsPath(found).as_posix() == found


@pytest.mark.usefixtures("windows")
def test_a_lake_on_a_drive_is_opened_by_its_address() -> None:
    assert lake_path("file:///C:/my%20lakes/a") == Path("C:/my lakes/a")
    assert lake_path(r"C:\lakes\a") == Path(r"C:\lakes\a")


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("start", ["C:/Users/my%20name/lake/embeddings/", "/C:/Users/my%20name/lake/embeddings/"])
def test_parts_are_found_below_a_drive_whatever_delta_rs_puts_before_it(start: str) -> None:
    names = ["encoder=dimenet++-x/encoder_sha256=ab/layer=sums_0/part-1.parquet", "b%20.parquet"]
    table = SimpleNamespace(
        table_uri="file:///C:/Users/my%20name/lake/embeddings/",
        file_uris=lambda **_: [f"{start}{name}" for name in names],
    )
    found = [path.as_posix() for path in delta.live_files(table)]
    assert found == [f"C:/Users/my name/lake/embeddings/{name}" for name in reversed(names)]


@pytest.mark.parametrize(
    "name", ["con", "NUL", "aux.v2", "com1", "LPT9.x", "gap.", "a:b", "a|b", "a\\b", "tab\t", "blank ", "what?"]
)
def test_names_that_windows_does_not_take_are_refused(name: str, tmp_path: Path) -> None:
    assert not is_portable(name)
    lake = open_lake(tmp_path / "lake", create=True)
    with pytest.raises(HeadError):
        storage.check_new_name(lake, name)
    with pytest.raises(EncoderError):
        check_new_name(name)
    with pytest.raises(LakeError):
        lake.check_new_dataset(name)


@pytest.mark.parametrize("name", ["dimenet++-mp", "console", "gap-1.5eV", "com10", "null", "a_b"])
def test_names_of_every_system_are_taken(name: str, tmp_path: Path) -> None:
    assert is_portable(name)
    storage.check_new_name(open_lake(tmp_path / "lake", create=True), name)


def test_two_heads_do_not_differ_in_capitals_alone(old_lake: Path) -> None:
    lake = open_lake(old_lake)
    known = min(path.name for path in lake.heads_folder.iterdir() if path.name[0] != ".")
    storage.check_new_name(lake, known)
    with pytest.raises(HeadError, match=f"there is a head '{known}' already"):
        storage.check_new_name(lake, known.upper())


def test_on_windows_no_other_process_can_listen_at_the_port_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("uvicorn", reason="needs the extra 'serve'")
    from matlake.serving import server

    for windows in (True, False):
        monkeypatch.setattr(server, "on_windows", lambda windows=windows: windows)
        with server._listen("127.0.0.1", 0) as listener:
            assert bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)) is not windows


COMMANDS = [
    ["import", "new.csv", "--dataset", "new", "--json"],
    ["import", "cifs", "--dataset", "files", "--json"],
    ["embed", "--encoder", "elemnet-oqmd-formation-energy", "--dataset", "new", "--workers", "1", "--json"],
    ["embed", "--encoder", "cgcnn-mp-formation-energy", "--dataset", "files", "--workers", "1", "--json"],
    ["sql", "SELECT formula FROM new ORDER BY formula", "--format", "json"],
    ["search", "--formula", "TiO2", "--encoder", "elemnet-oqmd-formation-energy", "-k", "2", "--json"],
    ["train", "--target", "band_gap_eV", "--features", "magpie", "--dataset", "gaps", "--model", "ridge"],
    ["train", "--target", "band_gap_eV", "--features", "magpie", "--dataset", "gaps", "--model", "ridge", "--json"],
    ["predict", "band_gap_eV-ridge", "--formula", "CuSO4·5H2O", "--json"],
    ["predict", "band_gap_eV-ridge", "--dataset", "new", "--save", "--json"],
    ["predict", "band_gap_eV-ridge", "--input", "new.csv", "--output", "out.csv", "--json"],
    ["import", "new.csv", "--dataset", "new", "--json"],
    ["datasets", "rename", "new", "newer"],
    ["datasets", "export", "newer", "--output", "newer.parquet"],
    ["datasets", "delete", "files", "--yes"],
    ["heads", "export", "band_gap_eV-ridge", "--output", "copy"],
    ["heads", "delete", "band_gap_eV-ridge"],
    ["compact", "--retention-hours", "0", "--json"],
    ["check", "--repair", "--json"],
    ["status", "--json"],
    ["doctor", "--json"],
]


def test_commands_run_where_windows_would_refuse(old_lake: Path) -> None:
    pytest.importorskip("skl2onnx", reason="needs the extra 'heads'")
    folder = old_lake.parent
    (folder / "new.csv").write_text("formula,band_gap_eV\nTiO2,3.0\nCa(OH)2,5.2\nCuSO4·5H2O,2.9\n", "utf-8")
    (folder / "cifs").mkdir()
    for name in ("name_only", "hall_only"):
        cif = ROOT / "tests" / "data" / "awkward_cifs" / f"{name}.cif"
        (folder / "cifs" / cif.name).write_bytes(cif.read_bytes())
    names = {module: found for module, found in lacking("win32").items() if found and module != "sys"}
    names |= {module: [] for module in NOT_ON_WINDOWS}
    commands = [["--lake", old_lake.name, *command] for command in COMMANDS]
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", ROOT / "tests" / "as_windows.py", folder],
        input=json.dumps({"names": names, "commands": commands}),
        env=os.environ | {"PYTHONUTF8": "0", "NUMBA_DISABLE_JIT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    failed = [
        f"{' '.join(command)}: {answer['code']} {answer['out'][-500:]} {answer['err'][-500:]}"
        for command, answer in zip(COMMANDS, answers, strict=True)
        if answer["code"] != 0
    ]
    assert failed == []
    pairs = zip(COMMANDS, answers, strict=True)
    by_name = {command[0]: json.loads(answer["out"]) for command, answer in pairs if {"--json", "json"} & {*command}}
    assert [row["formula"] for row in by_name["sql"]] == ["Ca(OH)2", "CuSO4·5H2O", "TiO2"]
    assert by_name["compact"]["removed"] >= 1
    assert by_name["check"]["damaged"] == []
    for path in old_lake.rglob("*"):
        assert is_portable(path.name), path
        assert len(path.relative_to(old_lake).as_posix()) < LONGEST, path


LONGEST = 240
"""Of the 259 characters that Windows takes where long paths are not switched on."""
