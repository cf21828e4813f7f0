"""How many materials are encoded together: few enough that workers end together and that memory is bounded."""

from collections.abc import Sequence
from typing import Final

from matlake.encoders.base import Encoder
from matlake.encoders.card import InputKind

SHARD_BYTES: Final = 32 << 20
"""Vectors of one encoder in a shard."""

MOST_CONTENTS: Final = {
    InputKind.COMPOSITION: {"cpu": 16_384, "cuda": 16_384},
    InputKind.CRYSTAL: {"cpu": 1024, "cuda": 2048},
}
"""Contents in a shard: few enough that workers end together, and that little is lost when a run is killed."""

FEWEST_CONTENTS: Final = 256
"""Contents in a shard, however long the vectors."""

INPUT_BYTES: Final = {"cpu": 96 << 20, "cuda": 192 << 20}
"""Inputs of a shard if no cell had any symmetry; graphs of real crystals are several times smaller."""


def most_contents(encoders: Sequence[Encoder], dims: Sequence[int]) -> int:
    """Return the contents that fill a shard.

    Args:
        encoders: All of one kind of input and one device.
        dims: How many numbers the layers of each make of a content.
    """
    most = MOST_CONTENTS[encoders[0].input][encoders[0].device]
    return min(most, max(FEWEST_CONTENTS, SHARD_BYTES // (4 * max(dims))))


def most_sites(encoders: Sequence[Encoder]) -> int:
    """Return the atoms of crystals, or the elements of compositions, that fill a shard; see ``most_contents``."""
    return max(1, int(INPUT_BYTES[encoders[0].device] / max(encoder.bytes_a_site for encoder in encoders)))
