"""Conditional puts: what keeps two writers of a table in a bucket from overwriting each other's commits."""

import uuid
from typing import Final

from matlake.errors import StorageError
from matlake.store.storage.places import LakePath
from matlake.store.storage.remote_path import RemotePath

_PROBE: Final = ".matlake-probe-"

_checked: set[str] = set()
"""Buckets that were found to do them; a store does not lose that while a process runs."""


def require_conditional_puts(place: LakePath) -> None:
    """Check, before the first write of this process to a bucket, that its store refuses to create an object twice.

    Args:
        place: Any place in the bucket that may be written to; nothing is left there. Folders need no check.

    Raises:
        StorageError: The store creates it twice, or knows no conditional puts; or it cannot be written to.
    """
    if not isinstance(place, RemotePath) or place.bucket in _checked:
        return
    probe = place / f"{_PROBE}{uuid.uuid4().hex}"
    try:
        probe.create(b"")
        if probe.create(b""):
            raise StorageError(
                f"the store of {place.bucket} does no conditional puts (If-None-Match): two writers would lose rows",
                "use a store that does, such as Amazon S3, Google Cloud Storage, Azure Blob Storage or MinIO",
            )
    finally:
        probe.unlink(missing_ok=True)
    _checked.add(place.bucket)
