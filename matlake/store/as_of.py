"""Finding moments of a lake: by time, by versions of its datasets, and by what a head was trained from.

Each table has versions of its own. A time means for each table the last version that was committed before it. Times are
those that the log notes of each commit, not those of files, which copying a lake changes.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from deltalake import DeltaTable

from matlake.documents import from_document, opened, read_json
from matlake.encoders.card import CARD_FILE
from matlake.errors import Hint, LakeError
from matlake.store.folders import MEMBER, LakeFolders
from matlake.store.moment import Moment, TableVersion, place_of
from matlake.store.storage.places import LakePath
from matlake.store.tables import delta
from matlake.store.tables.log_entries import has_table
from matlake.store.tables.parts import split_damaged

HEAD: Final = "head:"
"""Before the name of a head, where a moment is what it was trained from."""

_VERSION: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_-]*)\s*=\s*([0-9]{1,18})\s*")
_WHAT: Final = Hint(
    "give a time such as '2026-11-01T12:00Z', 'head:NAME', or versions such as 'DATASET=3'; datasets.show(…) has them",
    cli="give a time such as 2026-11-01T12:00Z, head:NAME, or versions such as DATASET=3; `datasets show` has them",
)
_KEPT: Final = Hint(
    "versions that heads were trained from are kept; retention_hours of compact and check keeps others for longer",
    cli="versions that heads were trained from are kept; --retention-hours of `compact` and `check` keeps others for "
    "longer",
)


def find_moment(lake: LakeFolders, as_of: str | datetime) -> Moment:
    """Return the moment of a lake that is meant.

    Args:
        lake: The lake.
        as_of: A time: ISO 8601, in UTC unless it names another zone, or a ``datetime`` likewise. ``head:NAME``: what
            this head was trained from, whatever the datasets are called now. ``NAME=VERSION,…``: these versions of
            datasets, or of ``embeddings``, beside the present ones of all other tables.

    Raises:
        LakeError: It means none of these; the time is before the first version or in the future; there is no such
            head, dataset or version; or files of the version were removed.
    """
    if isinstance(as_of, str) and as_of.startswith(HEAD):
        moment = _of_head(lake, as_of.removeprefix(HEAD))
    elif isinstance(as_of, str) and "=" in as_of:
        moment = _of_versions(lake, as_of)
    else:
        moment = _of_time(lake, _parse(as_of))
    for place, found in moment.versions.items():
        _check_kept(lake.path / place, found)
    return moment


def present_moment(lake: LakeFolders) -> Moment:
    """Return the latest versions of datasets, embeddings and failures; warn of tables whose logs are damaged."""
    if lake.moment is not None:
        return lake.moment
    names = lake.dataset_names()
    tables = {place_of(name): delta.snapshot_or_warn(lake.dataset(name)) for name in names}
    for root in (lake.embeddings, lake.failures_table):
        tables[lake.place(root)] = delta.shared_snapshot_or_warn(root)
    versions = {place: TableVersion(place, one.id, one.version) for place, one in tables.items() if one is not None}
    return Moment("", versions, {name: name for name in names})


def _tables(lake: LakeFolders) -> Iterator[tuple[str, DeltaTable]]:
    """Yield the tables that SQL reads, as they are now, by their folders."""
    roots = [lake.dataset(name) for name in lake.dataset_names()]
    for root in [*roots, lake.embeddings, lake.failures_table, lake.predictions]:
        table = delta.open_table(root) if has_table(root) else None
        if table is not None:
            yield lake.place(root), table


def _moment(lake: LakeFolders, name: str, versions: Iterable[TableVersion]) -> Moment:
    found = {one.table: one for one in versions}
    return Moment(name, found, {dataset: dataset for dataset in lake.dataset_names() if place_of(dataset) in found})


def _parse(as_of: str | datetime) -> datetime:
    """Return the time that is meant, with its zone."""
    try:
        time = as_of if isinstance(as_of, datetime) else datetime.fromisoformat(str(as_of).strip())
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
        in_utc = time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise LakeError(f"{str(as_of)!r} is not a moment of a lake", _WHAT) from error
    if in_utc > datetime.now(UTC):
        raise LakeError(f"{_shown(in_utc)} is in the future", _WHAT)
    return in_utc


def _shown(time: datetime) -> str:
    return f"{time.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ', timespec='seconds')} UTC"


def _of_time(lake: LakeFolders, time: datetime) -> Moment:
    versions, first = [], []
    for place, table in _tables(lake):
        commits = _commits(table)
        before = _last_before(commits, time)
        if before is not None:
            versions.append(TableVersion(place, str(table.metadata().id), before))
        elif commits and commits[0][0] > 0:
            raise LakeError(
                f"the log of {place} goes back to {_shown(commits[0][1])} only, not to {_shown(time)}", _KEPT
            )
        elif commits:
            first.append(commits[0][1])
    if not versions:
        began = f": its first version is of {_shown(min(first))}" if first else ""
        raise LakeError(f"the lake at {lake.path} was not there on {_shown(time)}{began}", _WHAT)
    return _moment(lake, _shown(time), versions)


def _commits(table: DeltaTable) -> list[tuple[int, datetime]]:
    """Return the versions that the log still has, ascending, with the times at which they were committed."""
    return sorted(
        (commit["version"], datetime.fromtimestamp(commit["timestamp"] / 1000, UTC))
        for commit in table.history()
        if commit.get("timestamp") is not None
    )


def _last_before(commits: Iterable[tuple[int, datetime]], time: datetime) -> int | None:
    """Return the last version up to a time, or None.

    What follows a later commit is later, too, whatever the clock of the machine that wrote it said.
    """
    found = None
    for version, committed in commits:
        if committed > time:
            break
        found = version
    return found


def _of_versions(lake: LakeFolders, text: str) -> Moment:
    wanted: dict[str, int] = {}
    shared = {root.name for root in (lake.embeddings, lake.failures_table, lake.predictions)}
    for part in text.split(","):
        found = _VERSION.fullmatch(part)
        if found is None:
            raise LakeError(f"{part.strip()!r} is not a version of a dataset", _WHAT)
        name, version = found.groups()
        if name not in shared:
            lake.check_dataset(name)
        place = name if name in shared else place_of(name)
        if place in wanted:
            raise LakeError(f"{text.strip()!r} names {name} more than once", "give one version of each table")
        wanted[place] = int(version)
    versions = []
    for place, table in _tables(lake):
        version = wanted.pop(place, table.version())
        if version != table.version():
            _check_known(place, table, version)
        versions.append(TableVersion(place, str(table.metadata().id), version))
    if wanted:
        raise LakeError(f"the lake has no table of {', '.join(wanted)} yet", _WHAT)
    return _moment(lake, text.strip(), versions)


def _check_known(place: str, table: DeltaTable, version: int) -> None:
    known = [number for number, _ in _commits(table)]
    if version not in known:
        name = place.rpartition("/")[2]
        kept = f"versions {known[0]} to {known[-1]}" if known else "no version but the last"
        raise LakeError(f"{name} has no version {version}: its log has {kept}", _WHAT)


def _of_head(lake: LakeFolders, name: str) -> Moment:
    heads = lake.head_folders()
    folders_of_head = [folder for one, folder in heads.items() if name in (one, one.partition(MEMBER)[0])]
    if not folders_of_head:
        raise LakeError(f"there is no head {name!r}", f"heads: {', '.join(heads) or 'none yet'}")
    trained_from = _trained_from(folders_of_head[0])
    if not trained_from:
        raise LakeError(
            f"head {name} does not name the versions of tables that it was trained from: an older version trained it",
            "train it again, or give a time",
        )
    versions, folders = {}, {}
    for one in trained_from:
        place = _find_place(lake, one)
        dataset = one.table.rpartition("/")[2]
        if place is None:
            raise LakeError(
                f"head {name} was trained from {one.text}, and that table is there no more: "
                "what is deleted cannot be read back",
                "import the dataset again and train again",
            )
        versions[place] = TableVersion(place, one.id, one.version)
        if "/" in one.table:
            folders[dataset] = place.rpartition("/")[2]
    return Moment(f"the training of head {name}", versions, folders)


def _trained_from(folder: Path) -> tuple[TableVersion, ...]:
    """Return the versions of tables that the head in a folder was trained from; none where its card names none.

    Raises:
        LakeError: Its card cannot be read.
    """
    path = folder / CARD_FILE
    try:
        card = read_json(path)
        tables = card.get("training", {}).get("tables") if isinstance(card.get("training"), dict) else None
        if not tables:
            return ()
        return tuple(from_document(TableVersion, one) for one in opened(card)["training"]["tables"])
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise LakeError(f"cannot read {path}: {error}", "restore the file, or train the head again") from error


def kept_versions(lake: LakeFolders) -> dict[str, set[int]]:
    """Return the versions of tables that heads of the lake were trained from, by the folders of the tables.

    Raises:
        LakeError: The card of a head cannot be read: it is not known what that head needs.
    """
    found: dict[str, set[int]] = {}
    for one in {one for folder in lake.head_folders().values() for one in _trained_from(folder)}:
        place = _find_place(lake, one)
        if place is not None:
            found.setdefault(place, set()).add(one.version)
    return found


def _find_place(lake: LakeFolders, wanted: TableVersion) -> str | None:
    """Return the folder of the table that has a version, which may have been renamed; None where none has."""
    roots = [lake.path / wanted.table]
    if "/" in wanted.table:
        roots += [root for root in map(lake.dataset, lake.dataset_names()) if root != roots[0]]
    for root in roots:
        with suppress(LakeError):
            table = delta.open_table(root, wanted.version) if has_table(root) else None
            if table is not None and str(table.metadata().id) == wanted.id:
                return lake.place(root)
    return None


def _check_kept(root: LakePath, wanted: TableVersion) -> None:
    """Raise LakeError where a version cannot be read any more."""
    latest = delta.open_table(root)
    if latest is None or latest.version() == wanted.version:
        return
    try:
        table = delta.open_table(root, wanted.version)
    except LakeError as error:
        raise _gone(wanted, str(error.__cause__ or error).splitlines()[0]) from error
    if table is None:
        raise _gone(wanted, "the log does not go back to it")
    live = set(delta.live_files(latest))
    former = [part for part in delta.live_parts(table) if part.path not in live]
    _, lost = split_damaged(former)
    if lost:
        raise _gone(wanted, f"{len(lost):,} of its files were removed")


def _gone(wanted: TableVersion, reason: str) -> LakeError:
    return LakeError(f"{wanted.text} cannot be read any more: {reason}", _KEPT)
