"""What becomes of an exception: one line that says what was wrong, and a hint."""

import errno
import os
import sys
import traceback
from typing import Final

import click

from matlake import interrupts
from matlake.errors import MatlakeError
from matlake.store.storage.refusals import refusal_in
from matlake.text_tables import in_a_line

TRACEBACK_VARIABLE: Final = "MATLAKE_TRACEBACK"

_LONGEST: Final = 500
_REPORT: Final = (
    "this looks like a fault in matlake: please report it with the output of `matlake doctor` and the traceback, "
    f"which {TRACEBACK_VARIABLE}=1 prints"
)
_NO_SPACE: Final = "free space there, and run the same command again: nothing unfinished was saved"
_PERMISSION: Final = "check the permissions of the folder, or name another one"
_HINTS: Final = {
    errno.ENOSPC: _NO_SPACE,
    errno.EDQUOT: f"your quota is used up: {_NO_SPACE}",
    errno.EFBIG: f"a limit of file sizes is reached (ulimit -f, or the file system's): {_NO_SPACE}",
    errno.EROFS: "the file system is read-only: name a folder that can be written to",
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.EMFILE: "raise the limit of open files: ulimit -n 4096",
    errno.ENFILE: "the machine has too many files open: close other programs",
    errno.ENAMETOOLONG: "use a shorter name or path",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "a part of the path is a file: check it",
    errno.EISDIR: "the path is a folder: name a file",
    errno.EEXIST: "name another path",
    errno.ENOMEM: "close other programs, or use fewer rows",
    errno.EIO: "the disk or the network file system failed: check it, and `matlake doctor`",
    errno.ESTALE: "the network file system lost the file: mount it again, and run the same command again",
}
_ROOM: Final = {_HINTS[number] for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EMFILE)}
_TEXTS: Final = {os.strerror(number): number for number in _HINTS}
"""What libraries that are not written in Python put into a message of their own."""


def explain(error: BaseException) -> tuple[str, str, int]:
    """Return message, hint and exit code for what ended a command."""
    if isinstance(error, click.Abort) and error.__cause__ is not None:
        error = error.__cause__  # click takes the end of a damaged file for that of the input
    stopped = interrupts.last_message()
    if stopped is not None or isinstance(error, KeyboardInterrupt | click.Abort):
        return stopped or "interrupted", interrupts.HINT, interrupts.EXIT_CODE
    if isinstance(error, click.ClickException):
        return error.format_message(), _usage(error), error.exit_code
    if os.environ.get(TRACEBACK_VARIABLE):
        traceback.print_exception(error, file=sys.stderr)
    error = refusal_in(error) or error  # the message of DuckDB, or of ours that quotes it, is long and says less
    if isinstance(error, MatlakeError):
        return str(error), _with_hint_of_system(error), 1
    if isinstance(error, OSError) and error.errno is not None:
        return _system_message(error), _HINTS.get(error.errno, ""), 1
    if isinstance(error, MemoryError):
        return _named("out of memory", error), "use fewer rows or --workers, or a machine with more memory", 1
    hint = _hint_of_system(error)
    return (_named("unexpected error", error) if not hint else _cut(error)), hint or _REPORT, 1


def _usage(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"try '{context.command_path if context else 'matlake'} --help'"


def _system_message(error: OSError) -> str:
    paths = " -> ".join(str(path) for path in (error.filename, error.filename2) if path is not None)
    return f"{paths}: {error.strerror}" if paths else in_a_line(str(error.strerror))


def _with_hint_of_system(error: MatlakeError) -> str:
    """Return the hint of an error, after that for a machine that has no room left where this is behind it."""
    system = _hint_of_system(error)
    if not error.cli_hint:
        return system
    return f"{system}; then: {error.cli_hint}" if system in _ROOM else error.cli_hint


def _hint_of_system(error: BaseException) -> str:
    """Return the hint for an error of the operating system that another error comes from or quotes; else nothing."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _HINTS:
            return _HINTS[cause.errno]
        for text, number in _TEXTS.items():
            if text in str(cause):
                return _HINTS[number]
        cause = cause.__cause__
    return ""


def _named(what: str, error: BaseException) -> str:
    said = _cut(error)
    return f"{what}: {said} ({type(error).__name__})" if said else f"{what} ({type(error).__name__})"


def _cut(error: BaseException) -> str:
    said = in_a_line(str(error))
    return said if len(said) <= _LONGEST else said[:_LONGEST] + " …"
