"""Sources of records, each a structure or a formula with any number of properties: JSON, extended XYZ, ASE databases.

Nothing says beforehand which properties there are and of which type, so that a source is gone through twice.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias

import pyarrow as pa

from matlake.errors import SourceError, StructureError
from matlake.materials.crystal import Crystal
from matlake.materials.periodic_table import ATOMIC_NUMBER
from matlake.store.importing.readers.source import (
    FORMULA_COLUMNS,
    NO_NAMES,
    Batch,
    KeyColumns,
    Source,
    UnreadCell,
    bounded,
    key_columns,
    refuse_double_names,
    usual_column,
)
from matlake.store.importing.readers.values import Values, read_values

MOST_PROPERTIES: Final = 1000
Place: TypeAlias = tuple[str] | tuple[str, str]

_SPECIES: Final = re.compile(r"([A-Z][a-z]?)\d*\.?\d*[+-]", re.ASCII)
_NUMBERS: Final = (int, float)
_SINGLE: Final = (str, float, int, bool)
_MOST_HELD: Final = 30_000  # records that need not be read again, and atoms in them
_MOST_ATOMS_HELD: Final = 1_000_000
_MOST_NESTED: Final = 100  # fields of an object; one with more has ids for names
_NAMES_SHOWN: Final = 8


@dataclass(frozen=True)
class Record:
    """A row of such a source.

    Attributes:
        properties: Name and value; those that are neither number nor truth value nor text are left out.
        crystal: Its structure, or what is wrong with it; None where structures were not asked for.
        has_structure: Whether it has a place for one.
    """

    properties: Mapping[str, Any]
    crystal: Crystal | StructureError | None
    has_structure: bool = True


@dataclass(frozen=True)
class _Column:
    """A column that records become.

    Attributes:
        name: Its name.
        place: The property, or the property and the field in it.
        kind: Its type.
        written: Whether it holds formulas or ids, which stay as written.
    """

    name: str
    place: Place
    kind: pa.DataType
    written: bool

    def given(self, properties: Mapping[str, Any]) -> Any:
        """Return what a record has there."""
        value = properties.get(self.place[0])
        if len(self.place) == 1:
            return _plain(value)
        return value.get(self.place[1]) if isinstance(value, dict) else None


@dataclass
class _Survey:
    """What the properties of all records are.

    Attributes:
        found: Place -> its values.
        left_out: Properties that are not single values.
    """

    found: dict[Place, Values] = field(default_factory=dict)
    left_out: dict[str, None] = field(default_factory=dict)
    _nested: Counter[str] = field(default_factory=Counter)

    def add(self, properties: Mapping[str, Any]) -> None:
        """Take note of a record; fields of an object are properties of their own."""
        for name, given in properties.items():
            value = _plain(given)
            if isinstance(value, _SINGLE):
                self._add((name,), value)
            elif isinstance(value, dict) and not is_amounts(value):
                for inner, single in value.items():
                    self._add_nested(name, inner, single)
            elif value is not None:
                self.left_out[name] = None

    def _add(self, place: Place, value: float | str) -> None:
        if (values := self.found.get(place)) is None:
            values = self.found[place] = Values()
        values.add(value)

    def _add_nested(self, name: str, inner: str, value: Any) -> None:
        if isinstance(value, _SINGLE) and self._nested[name] <= _MOST_NESTED:
            if (name, inner) not in self.found:
                self._nested[name] += 1
                if self._nested[name] > _MOST_NESTED:
                    self._leave_out(name)
                    return
            self._add((name, inner), value)
        elif value is not None:
            self.left_out[f"{name}_{inner}" if self._nested[name] <= _MOST_NESTED else name] = None

    def _leave_out(self, name: str) -> None:
        """Leave out an object that has other fields in every record."""
        self.found = {place: values for place, values in self.found.items() if place[0] != name or len(place) == 1}
        self.left_out[name] = None

    def columns(self, source: str, named: KeyColumns) -> tuple[list[_Column], list[str]]:
        """Return the columns, and remarks on names."""
        single = [place[0] for place in self.found if len(place) == 1]
        refuse_double_names(source, single)
        taken = {name.lower() for name in single}
        names: dict[Place, str] = {(name,): name for name in single}
        notes: list[str] = []
        for place in self.found:
            if len(place) == 1:
                continue
            name, number = "_".join(place), 1
            while name.lower() in taken:
                number += 1
                name = f"{'_'.join(place)}_{number}"
            if number > 1:
                notes.append(f"field {place[1]} of {place[0]} renamed to {name}: there is another {'_'.join(place)}")
            taken.add(name.lower())
            names[place] = name
        keys = key_columns(list(names.values()), named)
        columns = [
            _Column(name, place, pa.string() if name in keys else self.found[place].kind(), name in keys)
            for place in self.found
            if (name := names[place])
        ]
        return columns, notes


def open_records(name: str, read: Callable[[bool], Iterator[Record]], named: KeyColumns = NO_NAMES) -> Source:
    """Go through records once, to find their number, their properties and the types of those.

    Those of a small source are kept; a larger one is read again for its batches.

    A property that is an object gives a column for each of its fields, ``symmetry_number`` for ``number`` in
    ``symmetry``. Objects within it are left out, and so are lists.

    Args:
        name: What messages call the source.
        read: Yields its records; takes whether structures are wanted.
        named: Properties that are formulas or ids, besides those by usual names: they are kept as written.

    Raises:
        SourceError: There are none, or more than ``MOST_PROPERTIES`` properties, or two that SQL cannot tell apart.
    """
    held = _held(read)
    if held is not None:
        read = lambda _: iter(held)  # noqa: E731
    survey = _Survey()
    rows, structures = 0, False
    for record in read(False):
        rows += 1
        structures |= record.has_structure
        survey.add(record.properties)
        if len(survey.found) + len(survey.left_out) > MOST_PROPERTIES:
            raise SourceError(f"{name} has more than {MOST_PROPERTIES:,} different properties", "make a table of it")
    if not rows:
        raise SourceError(f"{name} holds no structures")
    columns, notes = survey.columns(name, named)
    names = [column.name for column in columns]
    structures |= usual_column(names, FORMULA_COLUMNS) is None and named.formula is None
    schema = pa.schema([(column.name, column.kind) for column in columns])
    batches = partial(_batches, columns, schema, read, structures=structures)
    source = Source(name, schema, rows, batches, has_structures=structures, notes=notes)
    if survey.left_out:
        shown = list(survey.left_out)
        listed = ", ".join(shown[:_NAMES_SHOWN]) + (", …" if len(shown) > _NAMES_SHOWN else "")
        source.notes.append(f"properties left out because they are not single values: {listed}")
    return source


def _held(read: Callable[[bool], Iterator[Record]]) -> list[Record] | None:
    """Return all records with their structures where they fit into memory, so that they are read once; else None."""
    held: list[Record] = []
    atoms = 0
    for record in read(True):
        atoms += len(record.crystal.numbers) if isinstance(record.crystal, Crystal) else 0
        if len(held) >= _MOST_HELD or atoms > _MOST_ATOMS_HELD:
            return None
        held.append(Record(_light(record.properties), record.crystal, record.has_structure))
    return held


def _light(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return properties without the contents of those that are not single values."""
    return {
        name: value if value is None or isinstance(value, _SINGLE) else _light(value) if isinstance(value, dict) else ()
        for name, value in properties.items()
    }


def is_amounts(value: Mapping[str, Any]) -> bool:
    """Tell whether an object holds amounts of elements, perhaps with charges, as a composition of pymatgen does."""
    return bool(value) and all(_SPECIES.sub(r"\1", species) in ATOMIC_NUMBER for species in value)


def amounts_text(value: Mapping[str, Any]) -> str:
    """Return amounts of elements as a formula, ``""`` where they are not."""
    if not is_amounts(value) or not all(isinstance(amount, _NUMBERS) for amount in value.values()):
        return ""
    elements = [_SPECIES.sub(r"\1", species) for species in value]
    return "".join(f"{element}{amount:.10g}" for element, amount in zip(elements, value.values(), strict=True))


def _plain(value: Any) -> Any:
    """Return the value in an object such as ``{"$date": …}``, by which MongoDB writes types."""
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)).startswith("$"):
        return next(iter(value.values()))
    return value


def _batches(
    columns: Sequence[_Column],
    schema: pa.Schema,
    read: Callable[[bool], Iterator[Record]],
    *,
    structures: bool,
) -> Iterator[Batch]:
    rows = ((record.properties, record.crystal or StructureError("no structure")) for record in read(structures))
    for properties, crystals in bounded(rows):
        arrays: list[pa.Array] = []
        unread: list[UnreadCell] = []
        for column in columns:
            given = [column.given(values) for values in properties]
            array, places = read_values(given, column.kind, as_written=column.written)
            arrays.append(array)
            unread += [UnreadCell(row, column.name, str(given[row])) for row in places]
        yield Batch(pa.RecordBatch.from_arrays(arrays, schema=schema), crystals if structures else None, unread)
