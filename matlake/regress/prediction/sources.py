"""Where the materials to predict come from: a table of formulas, a table of structures, files of structures."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa

from matlake.errors import Hint, SourceError
from matlake.materials.crystal import Crystal
from matlake.regress.features.own_columns import given_values
from matlake.regress.prediction.given_vectors import VectorStream, open_vectors
from matlake.regress.prediction.opened_head import ColumnValues, OpenedHead
from matlake.regress.prediction.prediction_columns import PredictionColumns
from matlake.store.importing.importer import find_formula_column
from matlake.store.importing.readers import Batch, Source, is_table, open_source, open_table
from matlake.store.importing.readers.source import ID_COLUMNS, KeyColumns, usual_column

Names: TypeAlias = list[str | None]
NOTHING_SET: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True)
class PredictionSource:
    """A source whose rows a head can predict.

    Attributes:
        source: The source.
        formula_column: Column of formulas; None where structures are used.
        vectors: Vectors of external encoders, for each of its rows; None where the head needs none.
    """

    source: Source
    formula_column: str | None
    vectors: VectorStream | None = None

    def predict(
        self, head: OpenedHead, columns: Mapping[str, Any] = NOTHING_SET
    ) -> Iterator[tuple[pa.RecordBatch, Names, list[PredictionColumns]]]:
        """Predict in batches of bounded size, in the order of the source.

        Columns among the head's features are those of the source.

        Args:
            head: The head.
            columns: Name -> value for all rows, of columns that the source does not have.

        Yields:
            Rows, structures left out; what each is called: its formula, or for a structure its id, where it has one;
            and their predictions, for
            each target of the head.

        Raises:
            MatlakeError: A column is given that the head does not take.
            SourceError: One is given that the source has.
        """
        given = given_values(head.columns, columns, f"head {head.head.card.name}")
        for name in (name for name, value in given.items() if np.ndim(value)):
            raise SourceError(
                f"several values of {name} are given beside {self.source.name}", "make them a column of it, or give one"
            )
        for batch in self.source.batches():
            values = self._values(head, batch.columns, given)
            if self.formula_column is None:
                crystals = batch.crystals or []
                vectors = None if self.vectors is None else self.vectors.take(len(crystals))
                yield batch.columns, _names(batch), head.predict_all_of_crystals(crystals, values, vectors)
            else:
                formulas = batch.columns.column(self.formula_column).to_pylist()
                vectors = None if self.vectors is None else self.vectors.take(len(formulas))
                yield batch.columns, formulas, head.predict_all(formulas, values, vectors)
        if self.vectors is not None:
            self.vectors.check_end()

    def _values(self, head: OpenedHead, rows: pa.RecordBatch, given: Mapping[str, Any]) -> ColumnValues:
        """Return the values of the head's columns in some rows: of the source, or as they are given."""
        spelled = {name.lower(): name for name in rows.schema.names}
        found = {}
        for column in head.columns:
            name = column if column in rows.schema.names else spelled.get(column.lower())
            if name is not None and given.get(column) is not None:
                raise SourceError(
                    f"{self.source.name} has a column {name}, and another value of it is given", "leave one of them out"
                )
            if name is not None:
                found[column] = rows.column(name).to_pylist()
            elif column in given:
                found[column] = [given[column]] * rows.num_rows
        return found


def open_table_source(
    head: OpenedHead, path: Path, formula_column: str | None = None, structure_column: str | None = None
) -> PredictionSource:
    """Open a table, or a file of structures, and decide which of its columns the head predicts from.

    A head that needs crystals takes structures. One that does not takes formulas where there are any, unless a column
    of structures is named.

    Args:
        head: The head.
        path: Anything that can be imported.
        formula_column: Column of formulas; by default ``formula``, ``composition``, … .
        structure_column: Column of structures; by default ``structure``, ``cif``, ``poscar``, … .

    Raises:
        SourceError: The file or one of the columns is not there.
        HeadError: The head needs crystals, and there are none.
    """
    source = open_source(path, structure_column=structure_column, formula_column=formula_column, mixed_as_text=True)
    chosen = choose_column(head, source, formula_column, structure_column)
    vectors = vectors_for(head, path, str(path))
    if chosen.formula_column is not None and source.has_structures and is_table(path):
        source = open_table(
            path, KeyColumns(formula_column), mixed_as_text=True
        )  # structures that nobody needs are not parsed
    return PredictionSource(source, chosen.formula_column, vectors)


def vectors_for(head: OpenedHead, table: Any, name: str) -> VectorStream | None:
    """Open the vectors of external encoders that a head needs; None where it needs none.

    Args:
        head: The head.
        table: The path of a table, or a table in memory.
        name: What messages call it.

    Raises:
        HeadError: The table has none.
        SourceError: A column that should hold them holds something else.
    """
    if not head.external:
        return None
    vectors = open_vectors(head.external, table)
    if vectors is None:
        raise head.no_vectors(f"{name} has")
    return vectors


def choose_column(
    head: OpenedHead, source: Source, formula_column: str | None = None, structure_column: str | None = None
) -> PredictionSource:
    """Decide which column of an opened source the head predicts from; see ``open_table_source``.

    Raises:
        SourceError: One of the columns is not there.
        HeadError: The head needs crystals, and there are none.
    """
    if head.needs_crystals:
        if formula_column is not None or not source.has_structures:
            raise head.no_structures(f"formulas as in {source.name}")
        return PredictionSource(source, None)
    if source.has_structures and structure_column is not None:
        return PredictionSource(source, None)
    try:
        return PredictionSource(source, find_formula_column(source, formula_column))
    except SourceError:
        if formula_column is not None or not source.has_structures:
            raise
        return PredictionSource(source, None)


def open_structure_source(path: Path) -> PredictionSource:
    """Open a file of structures.

    Raises:
        SourceError: It is not there, or holds no structures.
    """
    source = open_source(path)
    if not source.has_structures:
        raise SourceError(
            f"there are no structures in {path}",
            Hint("predict_table takes tables of formulas", cli="--input takes tables of formulas"),
        )
    return PredictionSource(source, None)


def _names(batch: Batch) -> Names:
    ids = usual_column(batch.columns.schema.names, ID_COLUMNS)
    if ids is None:
        return [one.composition.reduced_formula if isinstance(one, Crystal) else None for one in batch.crystals or []]
    names: Names = batch.columns.column(ids).cast(pa.string()).to_pylist()
    return names
