"""Structured logs: one JSON object a line, on stderr."""

import json
import logging
import sys
import threading
import time
import traceback
from typing import Any, Final, TextIO

_LOUD: Final = logging.WARNING  # written at once
_DELAY_S: Final = 0.1
_OTHERS: Final = ("uvicorn", "uvicorn.error")


class _Lines:
    """Writes warnings at once, and what is less urgent together with what comes in the next moments."""

    def __init__(self) -> None:
        self.level = logging.INFO
        self.stream: TextIO = sys.stderr
        self._waiting: list[str] = []
        self._some = threading.Event()
        self._lock = threading.Lock()
        self._writer: threading.Thread | None = None

    def add(self, level: int, fields: dict[str, Any]) -> None:
        now = time.time()
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        stamp = {"time": f"{moment}.{int(now % 1 * 1000):03d}Z", "level": logging.getLevelName(level).lower()}
        self._waiting.append(json.dumps(stamp | fields, ensure_ascii=False, default=str) + "\n")
        if level >= _LOUD:
            self.write()
            return
        if self._writer is None:
            self._writer = threading.Thread(target=self._write_later, name="log", daemon=True)
            self._writer.start()
        self._some.set()

    def write(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
            self.stream.write("".join(waiting))
            self.stream.flush()

    def _write_later(self) -> None:
        while self._some.wait():
            self._some.clear()
            time.sleep(_DELAY_S)
            self.write()


class _Handler(logging.Handler):
    """Takes the records of what the server stands on."""

    def emit(self, record: logging.LogRecord) -> None:
        fields = {"event": "message", "message": record.getMessage()}
        if record.exc_info and record.exc_info[1]:
            fields["traceback"] = "".join(traceback.format_exception(record.exc_info[1]))
        _LINES.add(record.levelno, fields)


_LINES: Final = _Lines()


def set_up_logs(level: str) -> None:
    """Send the server's events of a level and above, and warnings of what it stands on, to stderr."""
    _LINES.level = logging.getLevelNamesMapping()[level.upper()]
    _LINES.stream = sys.stderr
    for name in _OTHERS:
        logger = logging.getLogger(name)
        logger.handlers = [_Handler(_LOUD)]
        logger.propagate = False


def log(level: int, event: str, **fields: Any) -> None:
    """Write an event with its fields; an exception given as ``error`` becomes its traceback.

    Never pass keys, formulas or structures: inputs may be confidential.
    """
    if level < _LINES.level:
        return
    error = fields.pop("error", None)
    if isinstance(error, Exception):
        fields["traceback"] = "".join(traceback.format_exception(error))
    _LINES.add(level, {"event": event, **fields})


def flush_logs() -> None:
    """Write what waits."""
    _LINES.write()
