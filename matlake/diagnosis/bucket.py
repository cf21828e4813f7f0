"""The bucket of a lake: which store it is in, whether it answers, and whether commits are safe there."""

import os
import time
from typing import Final

from matlake.diagnosis.checks import Check, State, caught
from matlake.errors import StorageError
from matlake.store.storage.conditional_puts import require_conditional_puts
from matlake.store.storage.copies import CACHE, cache_folder
from matlake.store.storage.remote_path import RemotePath

_STORES: Final = {
    "s3": "Amazon S3 or a store of its protocol",
    "gs": "Google Cloud Storage",
    "az": "Azure Blob Storage",
}
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL", "AZURE_STORAGE_ENDPOINT")


def check_bucket(place: RemotePath) -> list[Check]:
    """Check the bucket of a lake; an object that is put for that is deleted."""
    found: list[Check] = []
    with caught(found, "bucket", State.BROKEN):
        started = time.monotonic()
        place.is_dir()  # asks for a list, which distinguishes a missing bucket from a missing object
        found.append(Check("bucket", State.OK, f"{_named(place)}, answered in {time.monotonic() - started:.2f} s"))
        found.append(_commits(place))
        found.append(Check("local copies", State.OK, f"in {cache_folder()}; ${CACHE} names another folder"))
    return found


def _named(place: RemotePath) -> str:
    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")
    store = _STORES[place.bucket.partition("://")[0]]
    return f"{place.bucket}: {store}{f' at {endpoint}' if endpoint else ''}"


def _commits(place: RemotePath) -> Check:
    try:
        require_conditional_puts(place)
    except StorageError as error:
        return Check("commits", State.WARNING, str(error), error.cli_hint)
    return Check("commits", State.OK, "conditional puts work: two writers cannot make one commit")
