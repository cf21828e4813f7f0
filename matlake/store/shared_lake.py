"""A lake as several machines see it: they must all reach it, by the same address."""

import socket
from dataclasses import replace
from typing import Final

from matlake.errors import LakeError
from matlake.store.lake import Lake, open_lake

SHARED: Final = "the lake must be on a file system that all nodes share, or in a bucket"


def to_send(lake: Lake) -> Lake:
    """Return a lake by its full address, for another machine."""
    return Lake(lake.path.absolute(), lake.verify, lake.moment)


def open_sent(lake: Lake) -> Lake:
    """Open a lake that another machine has named, as of the same moment if it has one.

    Raises:
        LakeError: It is not there.
    """
    try:
        return replace(open_lake(lake.path, verify=lake.verify), moment=lake.moment)
    except LakeError as error:
        raise LakeError(f"node {socket.gethostname()} cannot open the lake: {error}", SHARED) from error
