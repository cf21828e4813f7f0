"""What a head is asked about: a table of formulas, a table of structures, files of structures."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from matlake.errors import Hint, SourceError
from matlake.materials.crystal import Crystal
from matlake.regress.prediction.columns import Predicted
from matlake.regress.prediction.prediction import Prediction, Refusal
from matlake.regress.prediction.predictor import Predictor
from matlake.store.importing.importer import ID_COLUMNS, find_formula_column
from matlake.store.importing.readers import Batch, Source, TableSource, open_source, open_table


@dataclass(frozen=True)
class Answers:
    """Predictions for some rows of a source.

    Attributes:
        columns: The rows, structures left out.
        names: What each row is called: its formula; or for a structure its id, where it has one.
        predicted: The answers.
    """

    columns: pa.RecordBatch
    names: list[str | None]
    predicted: Predicted

    def each(self, start: int = 0) -> Iterator[Prediction | Refusal]:
        """Yield the answers one by one.

        Args:
            start: Place of the first row among those of the source.
        """
        for row, name in enumerate(self.names):
            yield self.predicted.answer(row, name, start + row)

    def refusals(self, start: int) -> list[Refusal]:
        """Return the rows without a prediction; ``start`` as for ``each``."""
        return [
            Refusal(start + row, name, reason)
            for row, (name, reason) in enumerate(zip(self.names, self.predicted.reasons, strict=True))
            if reason is not None
        ]


@dataclass(frozen=True)
class Questions:
    """A source whose rows a head can be asked about.

    Attributes:
        source: The source.
        formula_column: Column of formulas; None where structures are used.
    """

    source: Source
    formula_column: str | None

    def answer(self, predictor: Predictor) -> Iterator[Answers]:
        """Predict in batches of bounded size, in the order of the source."""
        for batch in self.source.batches():
            if self.formula_column is None:
                names, predicted = _names(batch), predictor.predict_crystals(batch.crystals or [])
            else:
                names = batch.columns.column(self.formula_column).to_pylist()
                predicted = predictor.predict(names)
            yield Answers(batch.columns, names, predicted)


def open_questions(
    predictor: Predictor, path: Path, formula_column: str | None = None, structure_column: str | None = None
) -> Questions:
    """Open a table, or a file of structures, and decide which of its columns the head is asked about.

    A head that needs crystals takes structures. One that does not takes formulas where there are any, unless a column
    of structures is named.

    Args:
        predictor: The head.
        path: Anything that can be imported.
        formula_column: Column of formulas; by default ``formula``, ``composition``, … .
        structure_column: Column of structures; by default ``structure``, ``cif``, ``poscar``, … .

    Raises:
        SourceError: The file or one of the columns is not there.
        HeadError: The head needs crystals, and there are none.
    """
    source = open_source(path, structure_column=structure_column)
    if predictor.needs_crystals:
        if formula_column is not None or not source.has_structures:
            raise predictor.no_structures(f"formulas as in {path}")
        return Questions(source, None)
    if not source.has_structures:
        return Questions(source, find_formula_column(source, formula_column))
    if structure_column is not None:
        return Questions(source, None)
    try:
        formula = find_formula_column(source, formula_column)
    except SourceError:
        if formula_column is not None:
            raise
        return Questions(source, None)
    # structures that nobody needs are not parsed
    return Questions(open_table(path) if isinstance(source, TableSource) else source, formula)


def open_structures(path: Path) -> Questions:
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
    return Questions(source, None)


def _names(batch: Batch) -> list[str | None]:
    lower = {name.lower(): name for name in batch.columns.schema.names}
    ids = next((lower[name] for name in ID_COLUMNS if name in lower), None)
    if ids is None:
        return [one.composition.reduced_formula if isinstance(one, Crystal) else None for one in batch.crystals or []]
    names: list[str | None] = batch.columns.column(ids).cast(pa.string()).to_pylist()
    return names
