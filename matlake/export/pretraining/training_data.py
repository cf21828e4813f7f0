"""From a table of materials and values to the rows that an encoder is trained on."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.training_contents import random_parts
from matlake.encoders.training_record import TableAccount, TableRecipe, Teacher
from matlake.errors import FormulaError, Hint, SourceError, StructureError
from matlake.export.teacher.record import read_entry
from matlake.files import sha256_of
from matlake.materials.compositions import check_elements, element_fractions
from matlake.materials.crystal import COLUMNS, Crystal, CrystalColumns
from matlake.materials.formula import Composition, parse_formula

if TYPE_CHECKING:
    import pyarrow as pa

PARTS: Final = ("train", "val", "test")
HELD_OUT: Final = "held_out"
_PART_NAMES: Final = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_EXAMPLES: Final = 5
_STRUCTURE_COLUMNS: Final = ("structure", "cif", "poscar", "structure_json", "atoms")


@dataclass(frozen=True)
class TrainingTable:
    """A table to train on.

    Attributes:
        name: What a card calls it: the name of the file, or of the dataset.
        sha256: Digest of the file, or of the dataset's content.
        table: Its rows.
    """

    name: str
    sha256: str
    table: "pa.Table"

    @classmethod
    def from_file(cls, path: Path) -> "TrainingTable":
        """Read a ``.csv`` or ``.parquet`` file.

        Raises:
            SourceError: It is missing, or of another kind.
        """
        import pyarrow as pa
        from pyarrow import csv, parquet

        readers = {".csv": csv.read_csv, ".parquet": parquet.read_table}
        if path.suffix.lower() not in readers:
            raise SourceError(f"{path} is neither .csv nor .parquet", "convert the table to one of the two")
        try:
            return cls(path.name, sha256_of(path), readers[path.suffix.lower()](path))
        except FileNotFoundError as error:
            raise SourceError(f"no file {path}") from error
        except (pa.ArrowInvalid, OSError) as error:
            raise SourceError(f"cannot read {path}: {error}") from error

    @property
    def teacher(self) -> Teacher | None:
        """Who computed labels of the table; None where nobody did, or where it does not say.

        Raises:
            SourceError: What it says cannot be read.
        """
        found = read_entry(self.table.schema)
        return found[0] if found else None

    def column(self, name: str) -> "pa.ChunkedArray":
        """Return a column.

        Raises:
            SourceError: There is none of that name.
        """
        if name not in self.table.column_names:
            raise SourceError(f"{self.name} has no column {name!r}", f"columns: {', '.join(self.table.column_names)}")
        return self.table[name]


@dataclass(frozen=True)
class Rows:
    """One part of the training data.

    Attributes:
        materials: float32 [n, 86] element fractions, or n crystals.
        targets: float64 [n, t], in the targets' own units; NaN where one of several is missing.
        compositions: Content hashes of the n compositions; rows made otherwise than from a table may lack them.
    """

    materials: NDArray[np.float32] | CrystalColumns
    targets: NDArray[np.float64]
    compositions: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.targets)


@dataclass(frozen=True)
class TrainingData:
    """The parts ``train``, ``val``, ``test`` and ``held_out``, and the account of the table that they came from."""

    parts: dict[str, Rows]
    account: TableAccount


def read_training_data(source: TrainingTable, recipe: TableRecipe) -> TrainingData:
    """Return the rows of each part of a table, in its order, and the account of all rows.

    Raises:
        SourceError: A column is missing, a target is not a number, the split column holds something else than train,
            val and test, or the predicate is not valid.
    """
    targets = np.stack([_numbers(source, name) for name in recipe.target_columns], axis=1)
    held_out = _selected(source, recipe.held_out)
    kept: list[int] = []
    compositions: list[Composition] = []
    crystals: list[Crystal] = []
    bad: list[str] = []
    missing = outliers = 0
    for row, material in enumerate(materials_of(source, recipe)):
        if not np.isfinite(targets[row]).any():
            missing += 1
            continue
        if isinstance(material, str):
            bad.append(f"row {row + 1}: {material}")
            continue
        if recipe.max_abs is not None and (np.abs(targets[row]) > recipe.max_abs).any():
            outliers += 1
            continue
        kept.append(row)
        if isinstance(material, Crystal):
            crystals.append(material)
            compositions.append(material.composition)
        else:
            compositions.append(material)

    parts = _parts(source, recipe, kept, compositions, held_out)
    values = targets[kept]
    found = {}
    for name in (*PARTS, HELD_OUT) if recipe.held_out else PARTS:
        chosen = np.flatnonzero(parts == name)
        found[name] = Rows(
            CrystalColumns.of([crystals[i] for i in chosen])
            if recipe.input == "crystal"
            else element_fractions([compositions[i] for i in chosen]),
            values[chosen],
            tuple(compositions[i].content_hash for i in chosen),
        )
    account = TableAccount(
        file=source.name,
        sha256=source.sha256,
        read=source.table.num_rows,
        missing_target=missing,
        bad_materials=len(bad),
        bad_material_examples=tuple(bad[:_EXAMPLES]),
        outliers=outliers,
        kin_of_held_out=int((parts == "").sum()),
        rows={name: len(rows) for name, rows in found.items()},
    )
    return TrainingData(found, account)


def materials_of(source: TrainingTable, recipe: TableRecipe) -> Iterator[Composition | Crystal | str]:
    """Yield a material for each row, or what is wrong with it.

    Raises:
        SourceError: The column of materials is not there.
    """
    if recipe.input == "composition":
        for formula in source.column(recipe.material_column or "formula").to_pylist():
            try:
                composition = parse_formula(formula)
                check_elements(composition)
                yield composition
            except FormulaError as error:
                yield str(error)
        return
    if recipe.material_column is None and set(COLUMNS.names) <= set(source.table.column_names):
        yield from _stored_crystals(source.table)
        return
    yield from _parsed_crystals(source.column(recipe.material_column or _structure_column(source)).to_pylist())


def _parsed_crystals(texts: list[str | None]) -> list[Crystal | str]:
    """Read structures as an import does, and refuse what it would refuse."""
    from matlake.materials.overlaps import find_overlaps
    from matlake.materials.structure_files.sniff import parse_structure

    found: list[Crystal | str] = []
    places, crystals = [], []
    for row, text in enumerate(texts):
        try:
            crystal = parse_structure(text)
        except StructureError as error:
            found.append(str(error))
        else:
            found.append(crystal)
            places.append(row)
            crystals.append(crystal)
    columns = CrystalColumns.of(crystals)
    for overlap in find_overlaps(columns):
        found[places[overlap.crystal]] = overlap.describe(columns)
    return found


def _stored_crystals(table: "pa.Table") -> Iterator[Crystal | str]:
    import pyarrow.compute as pc

    has_crystal = pc.is_valid(table["lattice_A"]).to_numpy(zero_copy_only=False)
    crystals = CrystalColumns.from_arrow(table.filter(pc.is_valid(table["lattice_A"])).select(COLUMNS.names))
    places = np.cumsum(has_crystal) - 1
    for row, place in enumerate(places):
        yield crystals[place] if has_crystal[row] else "no crystal structure"


def _structure_column(source: TrainingTable) -> str:
    columns = source.table.column_names
    names: dict[str, str] = {name.lower(): name for name in columns}
    for usual in _STRUCTURE_COLUMNS:
        if usual in names:
            return names[usual]
    raise SourceError(
        f"{source.name} has no column of structures by a usual name; its columns: {', '.join(columns)}",
        Hint("name the structure column", cli="name it with --structure-column"),
    )


def _parts(
    source: TrainingTable,
    recipe: TableRecipe,
    kept: list[int],
    compositions: list[Composition],
    held_out: NDArray[np.bool_],
) -> NDArray[np.str_]:
    """Return the part of each row kept, ``""`` for one whose composition is held out though the row is not."""
    if recipe.split_column:
        labels = source.column(recipe.split_column).to_pylist()
        names = [_part_name(labels[row], row, recipe.split_column, source.name) for row in kept]
    else:
        hashes = (composition.content_hash for composition in compositions)
        names = random_parts(hashes, recipe.seed, recipe.shares)
    selected = held_out[kept]
    held = {composition.content_hash for composition, is_held in zip(compositions, selected, strict=True) if is_held}
    return np.array(
        [
            HELD_OUT if is_held else "" if composition.content_hash in held else name
            for name, composition, is_held in zip(names, compositions, selected, strict=True)
        ],
        dtype=np.str_,
    )


def _selected(source: TrainingTable, predicate: str | None) -> NDArray[np.bool_]:
    if predicate is None:
        return np.zeros(source.table.num_rows, dtype=bool)
    import duckdb

    with duckdb.connect(config={"enable_external_access": "false"}) as connection:
        connection.register("source", source.table)
        try:
            found = connection.sql(f"SELECT coalesce(({predicate}\n), false)::BOOLEAN AS held FROM source")
            return np.asarray(found.to_arrow_table()["held"], dtype=bool)
        except duckdb.Error as error:
            raise SourceError(
                f"{predicate!r} is not a valid predicate over the columns of {source.name}: {error}",
                "write it like: year > 2005",
            ) from error


def _numbers(source: TrainingTable, column: str) -> NDArray[np.float64]:
    import pyarrow as pa

    try:
        return np.asarray(source.column(column).cast(pa.float64()), dtype=np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SourceError(f"column {column!r} of {source.name} does not hold numbers: {error}") from error


def _part_name(label: object, row: int, column: str, file: str) -> str:
    name = str(label).strip().lower()
    if name not in _PART_NAMES:
        raise SourceError(
            f"row {row + 1} of {file} has {label!r} in the split column {column!r}", "write train, val or test"
        )
    return _PART_NAMES[name]
