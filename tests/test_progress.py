"""Progress is shown where someone watches: in a notebook and on a terminal; scripts are silent."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from matlake.progress import SILENT, Progress, watched


class Handle:
    """What a notebook's ``display`` returns, which remembers what was shown."""

    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []

    def display(self, content: dict[str, str], *, raw: bool, display_id: bool) -> "Handle":
        assert raw
        assert display_id
        self.shown.append(content)
        return self

    def update(self, content: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.shown.append(content)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Handle:
    handle = Handle()
    display: Any = SimpleNamespace(display=handle.display)
    shell = SimpleNamespace(kernel="a kernel")
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell, display=display))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return handle


def test_a_script_is_silent_and_what_is_given_is_reported_to(capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[str] = []
    own = Progress(heard.append)
    for progress in (True, False, own):
        with watched(progress, "embedding", "rows") as reporter:
            reporter.note("reading")
            reporter.track(1, 2)
            assert reporter is (own if progress is own else SILENT)
    assert heard == ["reading"]
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar_unless_it_is_turned_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with watched(False, "embedding", "rows") as reporter:
        assert reporter is SILENT
    with watched(True, "embedding", "rows") as reporter:
        reporter.track(1, 2)
    assert "1/2" in capsys.readouterr().err


def test_a_notebook_gets_one_line_that_follows(notebook: Handle) -> None:
    with watched(True, "embedding", "rows") as reporter:
        reporter.track(1, 1000)
        reporter.track(2, 1000)
        reporter.note("reading <b>")
        reporter.track(1000, 1000)
    texts = [content["text/plain"] for content in notebook.shown]
    assert texts[0] == "embedding"
    assert texts[1].startswith("embedding: 1/1,000 rows")
    assert texts[2] == "reading <b>"
    assert texts[3].startswith("reading <b>: 1,000/1,000 rows")
    assert len(texts) == 4  # one that comes at once after another is left out
    assert "reading &lt;b&gt;" in notebook.shown[3]["text/html"]
    assert "<progress value='1000' max='1000'>" in notebook.shown[3]["text/html"]


def test_a_notebook_is_silent_where_that_is_asked_for(notebook: Handle) -> None:
    with watched(False, "embedding", "rows") as reporter:
        reporter.note("reading")
    assert notebook.shown == []
