"""What ``doctor`` reports: a check, and all of them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from matlake.errors import MatlakeError
from matlake.reports import Report
from matlake.text_tables import Line, in_a_line


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing; nothing is wrong."""
    WARNING = "warning"
    """Something will not work, or will be slow."""
    BROKEN = "broken"
    """Something that every user needs does not work."""


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        name: What was looked at.
        state: How it ended.
        found: What was found.
        hint: What to do about it; empty if there is nothing to do.
    """

    name: str
    state: State
    found: str
    hint: str = ""


@dataclass(frozen=True, repr=False)
class DoctorReport(Report):
    """What this machine can run.

    Attributes:
        checks: All findings.
    """

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing is broken."""
        return all(check.state is not State.BROKEN for check in self.checks)

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the contract."""
        return {"passed": self.passed, "checks": [asdict(check) for check in self.checks]}

    def lines(self) -> list[Line]:
        """Return the text for people."""
        wide = max(len(check.name) for check in self.checks)
        lines: list[Line] = []
        for check in self.checks:
            lines.append(f"{check.state:7}  {check.name:{wide}}  {check.found}")
            if check.hint:
                lines.append(f"{'':7}  {'':{wide}}  -> {check.hint}")
        broken = sum(check.state is State.BROKEN for check in self.checks)
        return [
            *lines,
            "",
            f"{broken} of {len(self.checks)} checks failed" if broken else "everything that matlake needs works",
        ]


@contextmanager
def caught(found: list[Check], name: str, state: State, hint: str = "") -> Iterator[None]:
    """Add a finding instead of failing: one check that fails must not hide the others."""
    try:
        yield
    except MatlakeError as error:
        found.append(Check(name, state, str(error), error.cli_hint or hint))
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        found.append(Check(name, state, f"{place}{error.strerror or error}", hint))
    except Exception as error:  # noqa: BLE001 - see above
        found.append(Check(name, state, in_a_line(f"{type(error).__name__}: {error}")[:300], hint))


def joined(parts: Iterable[str]) -> str:
    """Return names as a list, or a dash."""
    return ", ".join(parts) or "-"
