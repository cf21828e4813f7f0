"""Encoders that benchmarks compare and that the package may not hold: looked for in ``runs/encoders`` as well.

``matlake encoders pretrain`` and ``export`` make them there: benchmarks/README.md.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from benchmarks.helpers.common import ROOT
from matlake.encoders.registry import RegisteredEncoder, find_encoder
from matlake.store.lake import Lake

ENCODERS: Final[Path] = ROOT / "runs" / "encoders"


def benchmark_encoder(name: str) -> RegisteredEncoder:
    """Find an encoder of this checkout or of the package."""
    return find_encoder(name, ENCODERS)


def keep_encoders(lake: Lake, names: Iterable[str]) -> None:
    """Copy encoders into a lake that does not have them."""
    for name in names:
        lake.keep_encoder(benchmark_encoder(name))
