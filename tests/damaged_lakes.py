"""The kinds of damage that a file of a lake can suffer."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import matlake
from matlake.store.tables import delta, writing
from matlake.store.tables.parts import LivePart

FEATURE = "elemnet-oqmd-formation-energy@15"
ROWS = 90
OXIDES = 3000


def parts(root: Path) -> list[LivePart]:
    """The parts of a table."""
    table = delta.open_table(root)
    assert table is not None
    return delta.live_parts(table)


def write_oxides(lake: matlake.Lake, number: int) -> None:
    """Import iron oxides as the dataset ``oxides``, in a number of parts."""
    source = lake.path.parent / "oxides.parquet"
    formulas = [f"Fe{n}O{m}" for n in range(1, 51) for m in range(1, 61)]
    pq.write_table(pa.table({"formula": formulas, "gap_eV": [float(n) for n in range(OXIDES)]}), source)
    matlake.import_table(lake, source, "oxides")
    root = lake.dataset("oxides")
    table = delta.read_rows(root)
    cuts = range(0, OXIDES, OXIDES // number)
    written = [writing.write_part(root, table.slice(start, OXIDES // number), {}) for start in cuts]
    delta.replace_all(root, table.schema, written, {})


def part_of(lake: matlake.Lake, kind: str) -> Path:
    """One of the parts of a kind."""
    root = lake.dataset("a") if kind == "dataset" else lake.path / kind
    return min(part.path for part in parts(root))


def _flip(place: Callable[[int], int]) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[place(len(content))] ^= 0x10
        path.write_bytes(content)

    return flip


def _write(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(change(path.read_bytes()))

    return write


def _replace(path: Path) -> None:
    pq.write_table(pa.table({"other": [1, 2, 3]}), path)


LOUD: dict[str, Callable[[Path], None]] = {
    "cut": _write(lambda content: content[: len(content) // 2]),
    "emptied": _write(lambda _: b""),
    "deleted": Path.unlink,
    "zeros": _write(lambda content: bytes(len(content))),
    "noise": _write(lambda content: b"\xa5" * len(content)),
    "another file": _replace,
    "no end": _flip(lambda size: size - 1),
}
"""Damage that a reader notices by itself."""

SILENT: dict[str, Callable[[Path], None]] = {
    "flip at the start": _flip(lambda _: 1),
    "flip in the first page": _flip(lambda _: 60),
    "flip in a quarter": _flip(lambda size: size // 4),
    "flip in the middle": _flip(lambda size: size // 2),
    "flip in the footer": _flip(lambda size: size - 40),
    "flip in the length of the footer": _flip(lambda size: size - 7),
}
"""Damage that a reader may not notice before it compares with the digest."""
