"""From a table of formulas and values to the rows that a composition encoder is trained on."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import FormulaError, SourceError
from matlake.files import sha256_of
from matlake.materials.formula import Composition, check_elements, element_fractions, parse_formula

if TYPE_CHECKING:
    import pyarrow as pa

PARTS: Final = ("train", "val", "test")
RANDOM_SHARES: Final = (0.70, 0.15, 0.15)
_PART_NAMES: Final = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_EXAMPLES: Final = 5


@dataclass(frozen=True)
class Rows:
    """One part of the training data.

    Attributes:
        fractions: float32 [n, 86].
        target: float64 [n], in the target's own unit.
    """

    fractions: NDArray[np.float32]
    target: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.target)


@dataclass(frozen=True)
class TableRecipe:
    """How a table becomes training data.

    Attributes:
        formula_column: Column of formulas.
        target_column: Column of numbers, its unit at the end of its name.
        split_column: Column of ``train``, ``val`` and ``test``; None for a random split by composition.
        max_abs: Rows with a larger absolute target are dropped as outliers; None keeps all.
        seed: Seeds the random split.
    """

    formula_column: str
    target_column: str
    split_column: str | None = None
    max_abs: float | None = None
    seed: int = 1234567


@dataclass(frozen=True)
class TableAccount:
    """Where every row of the table went.

    Attributes:
        file: Name of the file.
        sha256: Its digest, hexadecimal.
        read: Rows in the table.
        missing_target: Rows dropped because the target is empty or not finite.
        bad_formulas: Rows dropped because the formula cannot be read or has an element without a column.
        bad_formula_examples: Messages for the first few of them.
        outliers: Rows dropped because the absolute target is larger than allowed.
        rows: Rows in each part.
    """

    file: str
    sha256: str
    read: int
    missing_target: int
    bad_formulas: int
    bad_formula_examples: tuple[str, ...]
    outliers: int
    rows: dict[str, int]


@dataclass(frozen=True)
class TrainingData:
    """The parts ``train``, ``val`` and ``test``, and the account of the table that they came from."""

    parts: dict[str, Rows]
    account: TableAccount


def read_training_data(path: Path, recipe: TableRecipe) -> TrainingData:
    """Read a CSV or Parquet table.

    Args:
        path: A ``.csv`` or ``.parquet`` file.
        recipe: Columns, split and limits.

    Returns:
        The rows of each part, in the order of the table, and the account.

    Raises:
        SourceError: The file is missing or of another kind, lacks a column, the target is no number, or the
            split column holds something else than train, val and test.
    """
    wanted = [recipe.formula_column, recipe.target_column]
    table = _read_columns(path, wanted + ([recipe.split_column] if recipe.split_column else []))
    target = _numbers(table, recipe.target_column, path)
    kept: list[int] = []
    compositions: list[Composition] = []
    missing = bad = outliers = 0
    examples: list[str] = []
    for row, (formula, value) in enumerate(zip(table[recipe.formula_column].to_pylist(), target, strict=True)):
        if not np.isfinite(value):
            missing += 1
            continue
        try:
            composition = parse_formula(formula)
            check_elements(composition)
        except FormulaError as error:
            bad += 1
            if len(examples) < _EXAMPLES:
                examples.append(f"row {row + 1}: {error}")
            continue
        if recipe.max_abs is not None and abs(value) > recipe.max_abs:
            outliers += 1
            continue
        kept.append(row)
        compositions.append(composition)

    fractions = element_fractions(compositions)
    values = target[kept]
    if recipe.split_column:
        labels = table[recipe.split_column].to_pylist()
        part = np.array([_part_name(labels[row], row, recipe.split_column, path) for row in kept], dtype=np.str_)
    else:
        part = np.array(random_parts(compositions, recipe.seed), dtype=np.str_)
    parts = {name: Rows(fractions[part == name], values[part == name]) for name in PARTS}
    account = TableAccount(
        file=path.name,
        sha256=sha256_of(path),
        read=table.num_rows,
        missing_target=missing,
        bad_formulas=bad,
        bad_formula_examples=tuple(examples),
        outliers=outliers,
        rows={name: len(rows) for name, rows in parts.items()},
    )
    return TrainingData(parts, account)


def random_parts(compositions: Iterable[Composition], seed: int) -> list[str]:
    """Assign compositions to train, val and test in the proportion 70 : 15 : 15.

    The part depends on the seed and the composition alone: equal compositions never stand on both sides of
    the split, and a row's part does not change when the table grows or is sorted.
    """
    train, val, _ = RANDOM_SHARES
    parts = []
    for composition in compositions:
        digest = hashlib.blake2b(f"{seed}:{composition.content_hash}".encode(), digest_size=8).digest()
        u = int.from_bytes(digest) / 2**64
        parts.append("train" if u < train else "val" if u < train + val else "test")
    return parts


def _read_columns(path: Path, columns: list[str]) -> "pa.Table":
    import pyarrow as pa
    from pyarrow import csv, parquet

    readers = {".csv": csv.read_csv, ".parquet": parquet.read_table}
    if path.suffix.lower() not in readers:
        raise SourceError(f"{path} is neither .csv nor .parquet", "convert the table to one of the two")
    try:
        table = readers[path.suffix.lower()](path)
    except FileNotFoundError as error:
        raise SourceError(f"no file {path}") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"cannot read {path}: {error}") from error
    for name in columns:
        if name not in table.column_names:
            raise SourceError(f"{path} has no column {name!r}", f"columns: {', '.join(table.column_names)}")
    return table.select(columns)


def _numbers(table: "pa.Table", column: str, path: Path) -> NDArray[np.float64]:
    import pyarrow as pa

    try:
        numbers = table[column].cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SourceError(f"column {column!r} of {path} does not hold numbers: {error}") from error
    values: NDArray[np.float64] = numbers.to_numpy(zero_copy_only=False).astype(np.float64)
    return values


def _part_name(label: object, row: int, column: str, path: Path) -> str:
    name = _PART_NAMES.get(str(label).strip().lower())
    if name is None:
        raise SourceError(
            f"row {row + 1} of {path} has {label!r} in the split column {column!r}", "write train, val or test"
        )
    return name
