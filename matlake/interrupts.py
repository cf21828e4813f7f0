"""Interrupts: Ctrl-C, SIGTERM and SIGHUP end a command with one line, and what it was making is not saved.

Python raises KeyboardInterrupt where the main thread happens to be, and code there may swallow it: scikit-learn's
perceptron returns what it has half trained, and a destructor drops every exception. So an interrupt is noted as well,
and raised again where a fit ends (``not_swallowed``) and before anything gets its final name (``hold``). A command that
has not ended after ``GRACE_S``, because compiled code does not return, is ended without waiting for it; that is as safe
as a crash.
"""

import contextlib
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Final, NoReturn

from matlake.platforms import on_windows

GRACE_S: Final = 5.0
"""Seconds for an interrupted command to clean up."""

EXIT_CODE: Final = 1

_AGAIN_S: Final = 0.5
"""A second signal within this time is the same one: a terminal sends Ctrl-C to a wrapper and to what it runs."""

HINT: Final = "run the same command again: embed, evaluate and imports of sources by name go on after what is done"

_MESSAGES: Final = {
    "SIGINT": "interrupted",
    "SIGTERM": "terminated",
    "SIGHUP": "terminated: the terminal was closed",
    "SIGBREAK": "terminated: Ctrl-Break, or the console was closed",  # of Windows, as SIGHUP is of the others
}


class Interrupted(KeyboardInterrupt):
    """A KeyboardInterrupt with our exit code: after a plain one that has passed an ``exec``, Python kills itself."""


@dataclass
class _State:
    """What became of the signals of this process.

    Attributes:
        received: The first signal; None so far.
        held: Whether a signal comes too late: what was asked for is saved, and only its report is left.
        report: Prints the last line of a command that is ended without waiting; None before it has begun.
        is_set_up: Whether the handlers are in place.
    """

    received: int | None = None
    held: bool = False
    report: Callable[[str, str], None] | None = None
    is_set_up: bool = False


_state = _State()


def stop_at_signals(report: Callable[[str, str], None] | None = None) -> None:
    """Let signals end this process: it calls this before it imports what takes time, and again when it is set up.

    Signals that the process was started to ignore, as ``nohup`` does, stay ignored.

    Args:
        report: Prints message and hint. Without it nothing has begun, and a signal ends the process at once.
    """
    _state.received, _state.held, _state.report = None, False, report
    if _state.is_set_up:
        return
    _state.is_set_up = True
    for number in _numbers():
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _note)
    reader, writer = os.pipe()
    if not on_windows():  # there a pipe cannot be set so, and need not
        os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reader,), name="signals", daemon=True).start()
    sys.unraisablehook = _unraisable


def ignore_signals() -> None:
    """Let signals pass: all is done and reported, and Python, while it ends, would die of one."""
    if _state.is_set_up:
        for number in _numbers():
            signal.signal(number, signal.SIG_IGN)


def last_message() -> str | None:
    """Let further signals wait, and return what to say about the one that was received; None if there was none."""
    _state.held = True
    return None if _state.received is None else _message_of(_state.received)


def check() -> None:
    """Raise KeyboardInterrupt if a signal was received that still counts."""
    if _state.received is not None and not _state.held:
        raise Interrupted


def hold() -> None:
    """Let signals wait from here on: what follows makes a result final and reports it.

    Raises:
        KeyboardInterrupt: A signal was received before, and swallowed.
    """
    check()
    _state.held = True


def release() -> None:
    """Let signals end the command again, since it goes on.

    Raises:
        KeyboardInterrupt: A signal waited.
    """
    _state.held = False
    check()


@contextlib.contextmanager
def not_swallowed() -> Iterator[None]:
    """Raise KeyboardInterrupt at the end of a block if one was swallowed in it, by whatever library."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield  # signals reach the main thread alone
        return
    noting = _Noting(before)
    signal.signal(signal.SIGINT, noting)
    try:
        yield
    except Exception as error:
        if noting.came:
            raise Interrupted from error
        raise
    finally:
        signal.signal(signal.SIGINT, before)
    if noting.came:
        raise Interrupted
    check()


@dataclass
class _Noting:
    """A handler that notes that a signal came, and passes it on."""

    before: Callable[[int, FrameType | None], object]
    came: bool = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        self.before(number, frame)


def _numbers() -> list[signal.Signals]:
    return [signal.Signals[name] for name in _MESSAGES if hasattr(signal, name)]


def _message_of(number: int) -> str:
    return _MESSAGES[signal.Signals(number).name]


def _note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's signature
    """Raise KeyboardInterrupt, once: what cleans up after it must not be interrupted in turn."""
    first = _state.received is None
    _state.received = _state.received or number
    if _state.report is None:
        _end(number)
    if first and not _state.held:
        raise Interrupted


def _watch(reader: int) -> None:
    """End the process when it does not end by itself, or when it is interrupted again."""
    began, first = -math.inf, 0
    while True:
        number = os.read(reader, 1)[0]
        if _state.held or not _is_ours(number):
            continue
        passed = time.monotonic() - began
        if passed > GRACE_S:
            began, first = time.monotonic(), number
            grace = threading.Timer(GRACE_S, _end_unless_held, (first,))
            grace.daemon = True
            grace.start()
        elif passed > _AGAIN_S:
            _end(first)


def _end_unless_held(number: int) -> None:
    if not _state.held:
        _end(number)


def _is_ours(number: int) -> bool:
    """Say whether a signal ends the command; a server has handlers of its own."""
    handler = signal.getsignal(number)
    return handler is _note or (isinstance(handler, _Noting) and handler.before is _note)


def _end(number: int) -> NoReturn:
    """End the process with its last line, whatever the main thread is doing."""
    said = _message_of(number)
    with contextlib.suppress(OSError, ValueError):
        if _state.report is not None:
            _state.report(said, HINT)
        elif "--json" in sys.argv:
            os.write(1, (json.dumps({"error": said, "hint": HINT}) + "\n").encode())
        else:
            os.write(2, f"error: {said}\nhint: {HINT}\n".encode())
    os._exit(EXIT_CODE)


def _unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """Say nothing of an interrupt that a destructor has dropped: it is noted."""
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
