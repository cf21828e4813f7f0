"""Which columns of a table hold ids, and which vectors."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from matlake.encoders.layer_ref import LayerRef
from matlake.errors import Hint, SourceError
from matlake.store.external.tables import IDS, VECTOR, Kind, VectorTable
from matlake.store.external.vectors import Cells, side_by_side
from matlake.store.importing.readers.source import usual_column
from matlake.text_tables import some_of

_INDEX: Final = ("__index_level_0__", "index", "")
"""What pandas calls the index of a table that it writes: ids, where it is text."""
_USUAL: Final = (VECTOR, "vectors", "embedding", "embeddings", "features", "descriptor", "descriptors")
_NUMBERED: Final = re.compile(r"(.*?)(\d+)")
_ALL_OF: Final = "*"
_SEPARATORS: Final = ("", "_", "-", ".")
"""What stands between a name and the number of a counted column."""

_SAY_WHICH: Final = Hint(
    "say which one: vector='NAME', or 'PREFIX*' for a column for each number",
    cli="say which one with --vector-column NAME, or 'PREFIX*' for a column for each number",
)


@dataclass(frozen=True)
class VectorColumns:
    """Where the vectors of a table are.

    Attributes:
        names: One column of vectors; or several columns, one for each number.
    """

    names: tuple[str, ...]

    @property
    def is_wide(self) -> bool:
        """Whether there is a column for each number."""
        return len(self.names) > 1

    def of(self, block: Mapping[str, Cells]) -> Cells:
        """Return the vectors of a block of rows."""
        if self.is_wide:
            return side_by_side({name: block[name] for name in self.names})
        return block[self.names[0]]


def choose_ids(table: VectorTable, named: str | None) -> str:
    """Return the column of ids.

    Raises:
        SourceError: There is none.
    """
    names = list(table.kinds)
    found = named if named in names else None
    if named is None:
        texts = [name for name, kind in table.kinds.items() if kind is Kind.TEXT]
        found = usual_column(names, IDS) or usual_column(texts, _INDEX)
    if found is None:
        wanted = f"column {named!r}" if named is not None else "column of ids"
        raise SourceError(
            f"{table.name} has no {wanted}; its columns: {some_of(names)}",
            Hint("name it: id='NAME'", cli="name it with --id-column NAME"),
        )
    return found


def choose_vectors(table: VectorTable, ids: str, named: str | None, ref: LayerRef) -> VectorColumns:
    """Return the columns of vectors.

    Args:
        table: The table.
        ids: Its column of ids.
        named: Name of the column, or the beginning of several names with a ``*`` behind it. By default the column that
            is called like the layer, the encoder, or ``vector``, ``embedding``, …; else the only column of vectors;
            else columns of numbers that are counted: ``x0``, ``x1``, ….
        ref: The layer.

    Raises:
        SourceError: There is no such column, it holds something else, or there are several.
    """
    kinds = {name: kind for name, kind in table.kinds.items() if name != ids}
    if named is not None:
        return _named(table, kinds, named)
    lists = [name for name, kind in kinds.items() if kind is Kind.VECTORS]
    found = usual_column(list(kinds), [str(ref).lower(), ref.encoder, *_USUAL])
    if found is not None and kinds[found] is not Kind.NUMBERS:
        return VectorColumns((_checked(table, found, kinds[found]),))
    if len(lists) > 1:
        raise SourceError(f"several columns of {table.name} hold vectors: {some_of(lists)}", _SAY_WHICH)
    if lists:
        return VectorColumns((lists[0],))
    counted = _counted([name for name, kind in kinds.items() if kind is Kind.NUMBERS])
    if found is not None and not counted:
        _checked(table, found, kinds[found])  # which says that it holds numbers
    if len(counted) != 1:
        families = f", and several kinds of counted columns: {', '.join(f'{one}*' for one in counted)}" * bool(counted)
        raise SourceError(f"{table.name} has no column of vectors{families}; its columns: {some_of(kinds)}", _SAY_WHICH)
    ((prefix, family),) = counted.items()
    return VectorColumns(_in_order(table, prefix, family))


def column_of(table: VectorTable, names: Sequence[str]) -> VectorColumns | None:
    """Return the vectors that have one of some names, capitals aside; None where there are none.

    They are one column of vectors, or columns of numbers that are counted behind the name: ``NAME0``, ``NAME_1``, ….

    Raises:
        SourceError: The column holds something else, or a number of the counted ones is missing.
    """
    columns = list(table.kinds)
    found = next((name for name in names if name in columns), None)
    found = found or usual_column(columns, [name.lower() for name in names])
    if found is not None:
        return VectorColumns((_checked(table, found, table.kinds[found]),))
    counted = _counted([name for name, kind in table.kinds.items() if kind is Kind.NUMBERS])
    wanted = {f"{name.lower()}{separator}" for name in names for separator in _SEPARATORS}
    prefix = next((prefix for prefix in counted if prefix.lower() in wanted), None)
    return None if prefix is None else VectorColumns(_in_order(table, prefix, counted[prefix]))


def _named(table: VectorTable, kinds: Mapping[str, Kind], named: str) -> VectorColumns:
    if named in kinds:
        return VectorColumns((_checked(table, named, kinds[named]),))
    prefix = named.removesuffix(_ALL_OF)
    family = [name for name in kinds if name.startswith(prefix)] if named.endswith(_ALL_OF) else []
    if not family:
        raise SourceError(f"{table.name} has no column {named!r}", f"its columns: {some_of(kinds)}")
    for name in family:
        if kinds[name] is not Kind.NUMBERS:
            raise SourceError(f"column {name!r} of {table.name} holds {kinds[name].value}, not numbers", _SAY_WHICH)
    if len(family) == 1:
        raise SourceError(f"{family[0]!r} is the only column of {table.name} that begins with {prefix!r}", _SAY_WHICH)
    counted = _counted(family)
    if list(counted) == [prefix] and len(counted[prefix]) == len(family):
        return VectorColumns(_in_order(table, prefix, counted[prefix]))
    return VectorColumns(tuple(family))


def _checked(table: VectorTable, name: str, kind: Kind) -> str:
    if kind is not Kind.VECTORS:
        raise SourceError(
            f"column {name!r} of {table.name} holds {kind.value}, not vectors",
            "a vector is a list of numbers; save the table as Parquet, Feather, npz or JSON lines",
        )
    return name


def _counted(names: Sequence[str]) -> dict[str, list[str]]:
    """Return columns whose names end in a number, by what stands before it; those that stand alone are left out."""
    found: dict[str, list[str]] = {}
    for name in names:
        match = _NUMBERED.fullmatch(name)
        if match:
            found.setdefault(match[1], []).append(name)
    return {prefix: family for prefix, family in found.items() if len(family) > 1}


def _in_order(table: VectorTable, prefix: str, family: Sequence[str]) -> tuple[str, ...]:
    """Return counted columns in the order of their numbers.

    Raises:
        SourceError: A number between the first and the last is missing, the first is neither 0 nor 1, or two columns
            have one number.
    """
    numbers: dict[int, str] = {}
    for name in family:
        number = int(name.removeprefix(prefix))
        if number in numbers:
            raise SourceError(
                f"{table.name} has two columns for number {number} of its vectors: {numbers[number]} and {name}",
                _SAY_WHICH,
            )
        numbers[number] = name
    first = min(numbers)
    wanted = range(min(first, 1), max(numbers) + 1)
    lacking = next((number for number in wanted if number not in numbers), None)
    if lacking is not None:
        raise SourceError(
            f"{table.name} has the columns {numbers[first]} to {numbers[max(numbers)]}, but no {prefix}{lacking}",
            "leave no number of the vectors out",
        )
    return tuple(numbers[number] for number in wanted)
