"""How many rows a dataset has, as its log has recorded it: no part is opened, but for those of earlier versions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from matlake.store.storage.parquet import read_schema, read_table
from matlake.store.tables.parts import LivePart

_ERROR = "import_error"
_CRYSTAL = "crystal_hash"
_UNREAD = "unread_cells"


@dataclass(frozen=True)
class RowCounts:
    """Rows of a dataset.

    Attributes:
        materials: Those that are materials.
        failures: Those that are not.
        crystals: Materials that have a crystal structure.
    """

    materials: int
    failures: int
    crystals: int


def count_dataset(parts: Sequence[LivePart]) -> RowCounts:
    """Count the rows of some parts of a dataset.

    Raises:
        OSError: A part of an earlier version cannot be read.
        pyarrow.ArrowException: It is damaged.
    """
    materials = sum(_nulls(part, _ERROR) for part in parts)
    crystals = sum(part.rows - _nulls(part, _CRYSTAL) for part in parts)
    return RowCounts(materials, sum(part.rows for part in parts) - materials, crystals)


def count_unread_cells(parts: Sequence[LivePart]) -> list[tuple[str, int]]:
    """Return the properties of some parts of a dataset that have cells that were not read, each with their number.

    Raises:
        OSError: A part cannot be read.
        pyarrow.ArrowException: It is damaged.
    """
    found: Counter[str] = Counter()
    for part in parts:
        if _nulls(part, _UNREAD) < part.rows:
            import pyarrow.compute as pc  # takes a tenth of a light command to import

            cells = pc.list_flatten(read_table(part.path, [_UNREAD])[_UNREAD])
            found.update(pc.struct_field(cells, "property").to_pylist())
    return sorted(found.items())


def count_reasons(parts: Sequence[LivePart]) -> int:
    """Return in how many rows of some predictions a reason stands in place of a value; see ``count_dataset``."""
    return sum(part.rows - _nulls(part, "reason") for part in parts)


def _nulls(part: LivePart, column: str) -> int:
    """Return how many values of a column are null: all of them where a part lacks it."""
    recorded = part.nulls.get(column)
    if recorded is not None:
        return recorded
    recorded_others = any(count is not None for count in part.nulls.values())
    if recorded_others or column not in read_schema(part.path).names:
        return part.rows
    return int(read_table(part.path, [column])[column].null_count)
