"""What has become of a request of delta-rs that failed: refused by a store, recorded all the same, or not known."""

from collections.abc import Iterator
from contextlib import contextmanager

from deltalake.exceptions import DeltaError

from matlake.errors import CommitUnknownError, StorageError
from matlake.store.storage.places import LakePath
from matlake.store.storage.refusals import refusal
from matlake.store.storage.remote_path import RemotePath
from matlake.store.tables.log_entries import CommitMark


def raise_refusal(root: LakePath, error: BaseException) -> None:
    """Raise StorageError where an error of delta-rs is what a store has answered, and says nothing of the table."""
    refused = refusal(error, root.bucket) if isinstance(root, RemotePath) else None
    if refused is not None:
        raise refused from error


@contextmanager
def asking_delta(root: LakePath) -> Iterator[None]:
    """Raise StorageError where delta-rs fails as a store has refused what it asked."""
    try:
        yield
    except (DeltaError, OSError) as error:
        raise_refusal(root, error)
        raise


def first_line(error: BaseException) -> str:
    """Return what an error of delta-rs says first."""
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__


def resolve(root: LakePath, before: int, mark: CommitMark, error: Exception, hint: str) -> None:
    """Find out what became of a commit that has failed for another reason than another writer.

    Args:
        root: The table's folder.
        before: Version of the table that it followed.
        mark: What it noted.
        error: How it failed.
        hint: What to do if the outcome is not known.

    Raises:
        StorageError: The store has refused it.
        CommitUnknownError: It is not known whether it was recorded.
    """
    refused = refusal(error, root.bucket) if isinstance(root, RemotePath) else None
    said = first_line(error) if refused is None else str(refused)
    unknown = CommitUnknownError(f"it is not known whether the commit to {root} was recorded: {said}", hint)
    try:
        if mark.is_recorded(root, before):
            return
    except (StorageError, OSError):
        raise unknown from error
    if refused is not None and not refused.is_open:
        raise refused from error
    raise unknown from error
