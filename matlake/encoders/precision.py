"""Which precision an encoder runs in: vectors of another precision are those of another encoder, ``NAME-int8``."""

import math
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Final

from matlake.encoders.card import EncoderCard, Precision
from matlake.encoders.layer_ref import LayerRef
from matlake.encoders.registry import RegisteredEncoder
from matlake.errors import EncoderError

AS_NAMED: Final = "as-named"
AUTO: Final = "auto"
PRECISIONS: Final = (AS_NAMED, AUTO)

_INT8: Final = "-int8"
_INSTRUCTIONS: Final = frozenset({"avx512_vnni", "avx_vnni", "i8mm"})
"""Sums of products of 8-bit integers, of x86 and Arm: three times as fast as float32. Without them, int8 gains less."""

_LOSS: Final = 1.01
"""Largest ratio of an error on the card to that of the network in float32: no property is predicted worse by it."""

_ERROR: Final = "test_mae_"
_ERROR_IN_FLOAT32: Final = "test_mae_of_float32_network_"


def in_precision(
    features: Iterable[str], precision: str, find: Callable[[str], RegisteredEncoder], device: str = "cpu"
) -> dict[str, str]:
    """Return which features to embed for those that are named.

    ``auto`` takes ``NAME-int8`` for ``NAME`` where there is one, its card shows no loss, and the processor has the
    instructions. A lake that has used one of the two, on whatever processor, keeps to it.

    Args:
        features: ``NAME``, ``NAME@LAYER``, ``NAME@LAYER+LAYER`` or ``NAME@all``, each.
        precision: One of ``PRECISIONS``.
        find: Finds an encoder by its name.
        device: ``cpu`` or ``cuda``, where int8 gains nothing.

    Raises:
        EncoderError: There is no such precision or encoder.
    """
    if precision not in PRECISIONS:
        raise EncoderError(f"there is no precision {precision!r}", f"precisions: {', '.join(PRECISIONS)}")
    if precision == AS_NAMED:
        return {feature: feature for feature in features}
    return {feature: _fastest(LayerRef.parse(feature), find, device) for feature in features}


def _fastest(ref: LayerRef, find: Callable[[str], RegisteredEncoder], device: str) -> str:
    named = find(ref.encoder)
    try:
        other = find(f"{ref.encoder}{_INT8}")
    except EncoderError:
        return str(ref)
    in_use, other_in_use = (not one.shipped and not one.plugin for one in (named, other))
    is_faster = not in_use and device == "cpu" and has_int8_products()
    takes_other = is_faster if in_use == other_in_use else other_in_use
    if takes_other and named.card.layers == other.card.layers and loses_nothing(other.card):
        return str(LayerRef(other.card.name, ref.layer))
    return str(ref)


def loses_nothing(card: EncoderCard) -> bool:
    """Say whether a card shows errors in int8 on test rows, and none is above that of the network in float32."""
    metrics = card.metrics
    pairs = [
        (metrics.get(name.replace(_ERROR_IN_FLOAT32, _ERROR), math.inf), error)
        for name, error in metrics.items()
        if name.startswith(_ERROR_IN_FLOAT32)
    ]
    return card.precision is Precision.INT8 and bool(pairs) and all(own <= _LOSS * error for own, error in pairs)


@cache
def has_int8_products() -> bool:
    """Say whether the processor has instructions for int8, as far as Linux lists them."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return False
    found = {word for line in lines if line.startswith(("flags", "Features")) for word in line.split()}
    return not _INSTRUCTIONS.isdisjoint(found)
