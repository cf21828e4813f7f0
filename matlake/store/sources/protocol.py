"""What a source by name is: ``NAME:REST``, opened as any other source once its records are on this machine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from matlake.materials.crystal import MAX_ATOMS
from matlake.progress import SILENT, Progress
from matlake.store.importing.readers import Source
from matlake.store.sources.http import Client, Credential

SOURCE, SOURCE_ID, SOURCE_VERSION, SOURCE_LICENCE = "source", "source_id", "source_version", "source_licence"
PROVENANCE: Final = (SOURCE, SOURCE_ID, SOURCE_VERSION, SOURCE_LICENCE)
"""Columns of every row of a source by name: the source without secrets, the row's id there, its version or date, and
its licence."""


@dataclass(frozen=True)
class Remembered:
    """What the log of a dataset keeps of the source by name that it came from.

    Attributes:
        origin: The source, without secrets: ``optimade:mp?filter=…``.
        version: Of the database, or the date of the import.
        licence: Of the database; empty where it states none.
        marks: By what the source finds what is new, such as the newest ``last_modified`` or an ETag.
    """

    origin: str
    version: str = ""
    licence: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)


ClientMaker = Callable[[Credential | None, Callable[[str], None]], Client]
"""Makes a client, of a credential and what hears of long pauses."""


def make_client(credential: Credential | None = None, note: Callable[[str], None] = lambda _: None) -> Client:
    """Return a client that keeps to the pauses between requests."""
    return Client(credential=credential, note=note)


@dataclass(frozen=True)
class Fetch:
    """What a source by name gets to work with.

    Attributes:
        folder: For what arrives. It is in the lake, belongs to this import alone, and is there again when an
            interrupted import is taken up; it goes after the commit.
        before: What the dataset remembers of the same source; None for a first import.
        max_atoms: Larger cells become failures.
        progress: Receives the number of rows done, and notes.
        client: Makes the client that asks the server; tests give one that does not wait.
    """

    folder: Path
    before: Remembered | None = None
    max_atoms: int = MAX_ATOMS
    progress: Progress = SILENT
    client: ClientMaker = make_client


@dataclass(frozen=True)
class Fetched:
    """What a source by name has brought.

    Attributes:
        source: Its rows, opened by one of the readers. Columns of ``PROVENANCE`` that it has itself are kept; the
            others are added.
        remembered: What the log of the dataset is to keep of it.
        id_column: Column of the ids; None for one by a usual name.
        formula_column: Column of the formulas, likewise.
        version_column: Column of what ``source_version`` says of a row; where it says nothing, and by default, that is
            ``remembered.version``.
        complete: Whether the rows are all that the source has, not only those that are new or changed since.
        total: Number of rows that the source has now, as far as it says.
    """

    source: Source
    remembered: Remembered
    id_column: str | None = None
    formula_column: str | None = None
    version_column: str | None = None
    complete: bool = True
    total: int | None = None


class NamedSource(Protocol):
    """A source by name. A plug-in's is a function in the group ``matlake.sources`` that makes one of ``REST``."""

    @property
    def origin(self) -> str:
        """The source as the log keeps it: canonical, without secrets."""

    def fetch(self, fetch: Fetch) -> Fetched | None:
        """Bring the records, or those that are new or changed since ``fetch.before``; None where there are none such.

        Raises:
            SourceError: The source cannot be reached, refuses, or holds something else.
        """


Opener = Callable[[str], NamedSource]
"""Makes a source of what stands behind ``NAME:``; raises SourceError where that cannot be right. It opens nothing."""
