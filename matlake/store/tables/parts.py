"""Parquet parts on disk: their names carry a digest of their bytes, and damaged ones are found and left out.

A look at a part is cheap: is the file there, and of the size that its table has recorded. Its bytes are compared with
the digest when a reader asks for it, or when reading has failed. What is found damaged stays left out for the rest of
the process, unless the file changes.
"""

import hashlib
import os
import posixpath
import re
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import pyarrow as pa

from matlake.errors import DamageWarning
from matlake.files import sha256_of
from matlake.platforms import usable_cores
from matlake.store.storage.parquet import count_rows, open_parquet
from matlake.store.storage.places import LakePath
from matlake.store.storage.remote_path import ObjectStatus, RemotePath

DIGEST_CHARACTERS: Final = 32
"""Hexadecimal, the first half of a sha256: damage is to be found, not forgery."""

_DIGEST: Final = re.compile(rf"-([0-9a-f]{{{DIGEST_CHARACTERS}}})\.parquet$")

_MISSING: Final = "is missing"

PartitionKey: TypeAlias = tuple[tuple[str, str], ...]

_Signature = tuple[str, int, float, int | str | None]
_compared: dict[_Signature, str | None] = {}
"""What comparing with the digest has found, by path, size, time of the last change and inode or, in a bucket, tag."""


@dataclass(frozen=True)
class LivePart:
    """A part that a snapshot of a table names.

    Attributes:
        path: The file.
        size: Bytes that the table has recorded.
        rows: Rows that the table has recorded.
        partition: Values of the partition columns.
        nulls: Column -> how many of its values are null, of those columns of which the table has recorded it.
    """

    path: LakePath
    size: int
    rows: int
    partition: dict[str, str]
    nulls: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def digest(self) -> str | None:
        """The digest in its name; None for parts of 0.1.0."""
        return digest_in(self.path.name)


@dataclass(frozen=True)
class Damage:
    """A part that is damaged.

    Attributes:
        part: The part.
        problem: What is wrong with it.
    """

    part: LivePart
    problem: str

    def __str__(self) -> str:
        """Say what is wrong where."""
        return f"{self.part.path} {self.problem}"


def part_name(digest: str | None) -> str:
    """Return a new name for a part."""
    return f"part-{uuid.uuid4()}-{digest}.parquet" if digest else f"part-{uuid.uuid4()}.parquet"


def digest_in(name: str) -> str | None:
    """Return the digest that a name carries, or None."""
    found = _DIGEST.search(name)
    return found.group(1) if found else None


def digest_of(path: LakePath) -> str:
    """Return the digest of a file's bytes."""
    if isinstance(path, Path):
        return sha256_of(path)[:DIGEST_CHARACTERS]
    digest = hashlib.sha256()
    for piece in path.read_pieces():
        digest.update(piece)
    return digest.hexdigest()[:DIGEST_CHARACTERS]


def find_damage(part: LivePart, *, verify: bool = False) -> str | None:
    """Say what is wrong with a part, or return None.

    Args:
        part: The part.
        verify: Compare its bytes with its digest; read it whole where it has none. Otherwise only its size is
            looked at, and what was found before.
    """
    try:
        return _problem(part, part.path.stat(), verify=verify)
    except FileNotFoundError:
        return _MISSING
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _problem(part: LivePart, state: os.stat_result | ObjectStatus, *, verify: bool = False) -> str | None:
    if state.st_size != part.size:
        return f"has {state.st_size:,} bytes, not {part.size:,}"
    if not verify and not _compared:
        return None
    mark = state.e_tag if isinstance(state, ObjectStatus) else state.st_ino
    signature = str(part.path), state.st_size, state.st_mtime, mark
    if verify and signature not in _compared:
        _compared[signature] = _compare(part)
    return _compared.get(signature)


def _compare(part: LivePart) -> str | None:
    try:
        if part.digest is None:
            return _read_whole(part)
        if digest_of(part.path) != part.digest:
            return "does not match its digest"
        rows = count_rows(part.path)
    except (OSError, pa.ArrowException) as error:
        return f"cannot be read: {str(error).splitlines()[0]}"
    return _wrong_number(part, rows)


def _read_whole(part: LivePart) -> str | None:
    """Decode every page of a part without a digest."""
    try:
        with open_parquet(part.path) as file:
            rows = sum(batch.num_rows for batch in file.iter_batches())
    except (pa.ArrowException, OSError, ValueError) as error:
        return f"cannot be decoded: {str(error).splitlines()[0]}"
    return _wrong_number(part, rows)


def _wrong_number(part: LivePart, rows: int) -> str | None:
    return None if rows == part.rows else f"holds {rows:,} rows, not the {part.rows:,} that its table has recorded"


def forget_comparisons() -> None:
    """Compare every part anew when it is next verified: a disk may have changed what nobody wrote."""
    _compared.clear()


def split_damaged(parts: Iterable[LivePart], *, verify: bool = False) -> tuple[list[LivePart], list[Damage]]:
    """Return the parts that are sound, as far as one has looked, and those that are damaged; see ``find_damage``."""
    parts = list(parts)
    if verify:
        with ThreadPoolExecutor(usable_cores()) as pool:
            problems = list(pool.map(lambda part: find_damage(part, verify=True), parts))
    else:
        problems = [*_look(parts)]
    pairs = list(zip(parts, problems, strict=True))
    return (
        [part for part, problem in pairs if problem is None],
        [Damage(part, problem) for part, problem in pairs if problem is not None],
    )


def _look(parts: Sequence[LivePart]) -> Iterator[str | None]:
    """Yield what a look at each part finds. Those in a bucket are listed, as each look would be a request."""
    listed: dict[RemotePath, ObjectStatus] = {}
    folders = {part.path.parent for part in parts if isinstance(part.path, RemotePath)}
    if folders:
        shared = posixpath.commonpath([f"/{folder.key}" for folder in folders])
        listed = dict(RemotePath(next(iter(folders)).bucket, shared.lstrip("/")).objects())
    for part in parts:
        if isinstance(part.path, RemotePath):
            state = listed.get(part.path)
            yield _MISSING if state is None else _problem(part, state)
        else:
            yield find_damage(part)


def sound(parts: Iterable[LivePart], *, verify: bool = False) -> list[LivePart]:
    """Return the parts that are sound, and warn of the others; see ``find_damage``."""
    found, damaged = split_damaged(parts, verify=verify)
    warn_of(damaged)
    return found


def partition_key(partition: Mapping[str, str]) -> PartitionKey:
    """Return the columns and values of a partition, in order, as ``by_partition`` has them."""
    return tuple(sorted(partition.items()))


def by_partition(parts: Iterable[LivePart]) -> dict[PartitionKey, list[LivePart]]:
    """Return parts by their partition."""
    found: dict[PartitionKey, list[LivePart]] = {}
    keys: dict[int, PartitionKey] = {}  # parts of a snapshot share the dictionaries of their partitions
    for part in parts:
        if id(part.partition) not in keys:
            keys[id(part.partition)] = partition_key(part.partition)
        found.setdefault(keys[id(part.partition)], []).append(part)
    return found


@contextmanager
def without_warnings() -> Iterator[None]:
    """Warn of no damage: the report of what runs here names it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamageWarning)
        yield


def warn_of(damaged: Sequence[Damage]) -> None:
    """Warn of parts that are left out."""
    for damage in damaged:
        warnings.warn(DamageWarning(str(damage)), stacklevel=2)
