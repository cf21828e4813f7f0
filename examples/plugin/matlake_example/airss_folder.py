"""The results of an AIRSS search: a folder of ``.res`` files that grows while the search goes on.

``matlake import airss:FOLDER --dataset NAME`` takes all of them; again, it takes those that are new or changed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from matlake.errors import SourceError
from matlake.store.importing.readers import File, Record, open_records, records_of
from matlake.store.sources.protocol import Fetch, Fetched, NamedSource, Remembered
from matlake_example.res_files import READER

_NEWEST = "newest_ns"
_LICENCE_FILE = "LICENSE"


@dataclass(frozen=True)
class AirssFolder:
    """A folder of results.

    Attributes:
        folder: Its absolute path.
    """

    folder: Path

    @property
    def origin(self) -> str:
        """The source as the log keeps it."""
        return f"airss:{self.folder}"

    def fetch(self, fetch: Fetch) -> Fetched | None:
        """Bring what was written since the last import; nothing is copied, so that there is nothing to take up."""
        before = int(fetch.before.marks.get(_NEWEST, "0")) if fetch.before else 0
        times = {path: path.stat().st_mtime_ns for path in sorted(self.folder.rglob("*.res"))}
        new = [path for path, time in times.items() if time > before]
        if not times:
            raise SourceError(f"there are no .res files in {self.folder}", "name the folder of the search")
        if not new:
            return None

        def read(structures: bool) -> Iterator[Record]:  # noqa: ARG001 - a file is read whole
            for done, path in enumerate(new, start=1):
                fetch.progress.track(done, len(new))
                yield from records_of(READER, File(path.name, path.read_bytes()), path.stem, fetch.max_atoms)

        newest = max(times.values())
        date = datetime.fromtimestamp(newest / 1e9, UTC).date().isoformat()
        remembered = Remembered(self.origin, date, self._licence(), {_NEWEST: str(newest)})
        return Fetched(open_records(str(self.folder), read), remembered, complete=fetch.before is None)

    def _licence(self) -> str:
        """Return the first line of the file LICENSE: results of one's own have the licence that one gives them."""
        file = self.folder / _LICENCE_FILE
        return file.read_text().partition("\n")[0].strip() if file.exists() else "not stated"


def open_airss(rest: str) -> NamedSource:
    """Return the source ``airss:REST``."""
    folder = Path(rest).expanduser().absolute()
    if not rest or not folder.is_dir():
        raise SourceError(f"there is no folder {rest!r}", "type airss:FOLDER")
    return AirssFolder(folder)
