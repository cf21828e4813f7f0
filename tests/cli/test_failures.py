"""Whatever ends a command is one line and a hint, or one JSON document: no traceback, no escape sequence gets out."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import forked
import pytest
from commands import run, start

import matlake
from matlake.cli.failures import explain
from matlake.cli.main import wants_json
from matlake.errors import LakeError
from matlake.files import naming, write_whole
from matlake.text_tables import Column, TextTable, printable

RAISE = """
import matlake.store.status as module
class PanicException(BaseException):
    pass
def failing(lake):
    {body}
module.status = failing
"""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "raise PanicException('called `unwrap()` on a `None` value')",
            "unexpected error: called `unwrap()` on a `None`",
        ),
        ("raise ValueError('first\\nsecond\\x1b[31mred')", "unexpected error: first second"),
        ("return failing(lake)", "unexpected error: maximum recursion depth exceeded"),
        ("raise MemoryError", "out of memory (MemoryError)"),
        ("raise KeyError", "unexpected error (KeyError)"),
        ("raise EOFError('Compressed file ended')", "unexpected error: Compressed file ended (EOFError)"),
        ("raise GeneratorExit", "unexpected error (GeneratorExit)"),
        ("raise OSError(28, 'No space left on device')", "No space left on device"),
        (
            "raise RuntimeError('IO: No space left on device (os error 28)')",
            "IO: No space left on device (os error 28)",
        ),
    ],
)
def test_what_nobody_foresaw_is_one_line(lake: matlake.Lake, body: str, message: str) -> None:
    for more in ([], ["--json"]):
        done = forked.run(["--lake", str(lake.path), "status", *more], RAISE.format(body=body))
        assert done.returncode == 1
        assert "Traceback" not in done.stderr + done.stdout
        if more:
            said = json.loads(done.stdout)
            assert set(said) == {"error", "hint"}
        else:
            lines = done.stderr.strip().splitlines()
            assert len(lines) == 2
            said = {"error": lines[0].removeprefix("error: "), "hint": lines[1].removeprefix("hint: ")}
        assert said["error"].startswith(message)
        assert "\x1b" not in said["error"]
        assert said["hint"]
        if message.startswith("unexpected"):
            assert "MATLAKE_TRACEBACK=1" in said["hint"]


def test_the_traceback_is_there_for_who_asks_for_it(lake: matlake.Lake) -> None:
    done = run(["--lake", lake.path, "status"], RAISE.format(body="raise ValueError('x')"), MATLAKE_TRACEBACK="1")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-2] == "error: unexpected error: x (ValueError)"


def test_a_thread_that_fails_says_so_on_a_line(lake: matlake.Lake) -> None:
    body = (
        "import threading; t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join(); raise PanicException('p')"
    )
    done = run(["--lake", lake.path, "status"], RAISE.format(body=body))
    assert "warning: unexpected error: division by zero (ZeroDivisionError)" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["status", "--json"], True),
        (["--json"], True),
        (["status", "--json=yes"], True),
        (["nonsense", "--json", "--other"], True),
        (["--lake", "--json", "status"], False),
        (["predict", "h", "--formula", "--json"], False),
        (["predict", "h", "--formula=GaN", "--json"], True),
        (["search", "-k", "3", "--json"], True),
        (["finetune", "h", "--target-rows", "--json"], False),
        (["heads", "show", "--", "--json"], False),
        (["heads", "show", "--json", "x"], True),
        (["sql", "SELECT '--json'"], False),
        ([], False),
    ],
)
def test_json_is_wanted_where_it_is_an_option(arguments: list[str], wanted: bool) -> None:
    assert wants_json(arguments) is wanted


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nonsense", "--json"], 2),
        (["status", "--json", "--nonsense"], 2),
        (["train", "--json"], 2),
        (["status", "--json=3"], 2),
        (["heads", "show", "none", "--json"], 1),
    ],
)
def test_bad_usage_is_json_too(tmp_path: Path, arguments: list[str], code: int) -> None:
    done = forked.run(["--lake", str(tmp_path / "lake"), *arguments])
    assert done.returncode == code
    assert set(json.loads(done.stdout)) == {"error", "hint"}


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_output_that_cannot_be_written_is_a_line(lake: matlake.Lake, more: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "matlake", "--lake", str(lake.path), "status", *more],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: standard output: No space left on device\nhint: free space there")


def test_a_reader_that_has_gone_is_no_error(lake: matlake.Lake) -> None:
    with start(["--lake", lake.path, "sql", "SELECT * FROM range(100000)", "--format", "csv"]) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""


def test_escape_sequences_do_not_reach_a_terminal() -> None:
    evil = "a\x1b[2Jb\x1b]0;title\x07c\x1b]52;c;aGk=\x1b\\d\x9b31me\u202ef\x08g\rh"
    assert printable(evil) == "abcdefgh"
    assert printable("two\nlines\tand µ·⁻ü") == "two\nlines\tand µ·⁻ü"
    assert TextTable([Column(evil)], [[evil + "\nnext"]]).cells() == [["abcdefgh"], ["abcdefgh next"]]


def test_a_file_name_with_escape_sequences_is_shown_without_them(tmp_path: Path) -> None:
    done = run(["--lake", tmp_path / "lake", "import", tmp_path / "x\x1b[31m.csv", "--dataset", "d"])
    assert done.returncode == 1
    assert "x.csv" in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "free space"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permissions"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENAMETOOLONG, "shorter"),
        (errno.EFBIG, "ulimit -f"),
    ],
)
def test_errors_of_the_system_name_the_path_and_what_to_do(number: int, hint: str, tmp_path: Path) -> None:
    error = OSError(number, os.strerror(number), str(tmp_path / "file"))
    assert explain(error)[0] == f"{tmp_path / 'file'}: {os.strerror(number)}"
    assert hint in explain(error)[1]
    wrapped = LakeError("cannot write the table at lake/datasets/x")
    wrapped.__cause__ = RuntimeError(f"Generic LocalFileSystem error: {os.strerror(number)} (os error {number})")
    assert hint in explain(wrapped)[1]


def test_an_open_file_on_a_full_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="place"), naming(tmp_path / "place"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_that_may_not_grow_so_large_leaves_nothing(tmp_path: Path) -> None:
    patch = f"""
import resource, signal
from pathlib import Path
from matlake.files import write_whole
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_whole(Path({str(tmp_path / "file")!r}), bytes(5000))
except OSError as error:
    print(error.filename)
raise SystemExit
"""
    assert run([], patch).stdout == f"{tmp_path / 'file'}\n"
    assert not list(tmp_path.iterdir())
    write_whole(tmp_path / "file", b"x")


def test_a_full_disk_is_named_wherever_it_happens(tmp_path: Path, band_gaps: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["/usr/bin/env", "mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        lake = ["--lake", disk / "lake"]
        assert run([*lake, "import", band_gaps, "--dataset", "d"]).returncode == 0
        with pytest.raises(OSError, match="No space"):
            (disk / "fill").write_bytes(bytes(1 << 20))
        for arguments in (
            ["import", band_gaps, "--dataset", "e"],
            ["embed", "--encoder", "magpie"],
            ["sql", "SELECT * FROM d", "--format", "csv", "--output", disk / "out.csv"],
        ):
            done = run([*lake, *arguments])
            assert done.returncode == 1
            assert done.stderr.splitlines()[-2].startswith(f"error: {disk}")
            assert "No space left on device" in done.stderr
            assert "hint: free space there" in done.stderr
        (disk / "fill").unlink()
        assert run([*lake, "import", band_gaps, "--dataset", "e"]).returncode == 0
        assert not list(disk.rglob(".*.tmp")) + list(disk.rglob(".*.part")) + list(disk.glob("out*"))
    finally:
        subprocess.run(["/usr/bin/env", "umount", str(disk)], check=True)
