"""What commands print beside their result: notes and progress, on stderr."""

import click
import pytest

from matlake.cli.output import progress
from matlake.progress import SILENT, Progress


def test_notes_go_to_stderr_and_a_pipe_gets_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("embedding", "rows") as reporter:
        reporter.note("reading")
        reporter.track(1, 2)
    assert capsys.readouterr() == ("", "reading\n")


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress("embedding", "rows") as reporter:
        reporter.note("reading [1]")
        reporter.track(1, 2)
    out, err = capsys.readouterr()
    assert out == ""
    assert "reading [1]" in click.unstyle(err)
    assert "embedding" in err
    assert "1/2" in click.unstyle(err)


def test_functions_are_silent_unless_they_are_given_something_to_report_to(
    capsys: pytest.CaptureFixture[str],
) -> None:
    SILENT.note("reading")
    SILENT.track(1, 2)
    heard: list[str] = []
    Progress(heard.append).note("reading")
    assert (capsys.readouterr(), heard) == (("", ""), ["reading"])
