"""The share of one of several jobs that embed a lake, on any machines: by content hash, without any coordination."""

import re
from dataclasses import dataclass
from typing import Final, Self

from matlake.encoders.card import InputKind
from matlake.errors import MatlakeError
from matlake.store.content_keys import STORED_KEYS

_DIGITS: Final = 15
"""Hexadecimal digits of a content hash that make its number: they fit into 64 bits with a sign."""

_FROM_0: Final = "the shards of N jobs are 0/N, 1/N, …; a job array from 0 to N-1 fits: sbatch --array=0-7 for N = 8"


@dataclass(frozen=True)
class JobShard:
    """The contents that one of several jobs embeds: those whose hash modulo ``count`` is ``index``.

    The number of a hash is that of its first 15 hexadecimal digits. A row without a crystal, which an encoder of
    crystals cannot take, goes by its composition.

    Attributes:
        index: Number of the job, from 0.
        count: Number of jobs.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``i/N``.

        Raises:
            MatlakeError: It is not a shard.
        """
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text.strip())
        if found is None:
            raise MatlakeError(f"shard {text!r} is not I/N, such as 0/8", _FROM_0)
        index, count = map(int, found.groups())
        if index >= count:
            raise MatlakeError(f"there is no shard {index} of {count}", _FROM_0)
        return cls(index, count)

    def holds(self, kind: InputKind) -> str:
        """Return the predicate over rows of a dataset that selects those whose content belongs to the shard.

        Args:
            kind: What the encoder sees of them.
        """
        keys = dict.fromkeys([STORED_KEYS[kind], STORED_KEYS[InputKind.COMPOSITION]])
        return f"('0x' || coalesce({', '.join(keys)})[:{_DIGITS}])::BIGINT % {self.count} = {self.index}"
