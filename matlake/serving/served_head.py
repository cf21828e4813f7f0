"""A head that is served: predictions in micro-batches."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final, TypeAlias

from matlake.errors import StructureError
from matlake.materials.crystal import Crystal
from matlake.materials.units import quantity_of, unit_of
from matlake.regress.heads.verdict import verdict_document
from matlake.regress.prediction.opened_head import ColumnValues, OpenedHead
from matlake.regress.prediction.predict import prediction_header
from matlake.regress.prediction.prediction_columns import NOT_FINITE, PredictionColumns
from matlake.regress.prediction.results import Prediction
from matlake.regress.uncertainty.nearest import load_kernel
from matlake.serving.batching import Batcher
from matlake.serving.errors import RequestError
from matlake.serving.inputs import Materials, spread_columns, weight_of
from matlake.serving.metrics import Metrics
from matlake.serving.row_json import RowJson, dumps
from matlake.serving.settings import Capacity, Limits

MAP_AXES: Final = 2
"""Leading coordinates that are the axes of the map."""


_Predict: TypeAlias = Callable[[list[Any], ColumnValues], PredictionColumns]


@dataclass(frozen=True)
class _Input:
    """A formula or a crystal, or why it cannot be read, values of columns, and what the answer must hold."""

    material: str | Crystal | StructureError
    name: str | None
    coordinates: bool
    columns: Mapping[str, Any]


class ServedHead:
    """A head with its queues: one for crystals, and one for formulas if it takes them."""

    def __init__(self, predictor: OpenedHead, limits: Limits, metrics: Metrics) -> None:
        """Start the queues."""
        self.predictor = predictor
        self.card = predictor.head.card
        self.start = prediction_header(self.card)
        self.start_json = dumps(self.start)
        if predictor.head.reference is not None:
            load_kernel()  # or the first large batch would wait for numba
        runs: dict[str, tuple[_Predict, Capacity]] = {}
        if not predictor.external:
            runs["structures"] = predictor.predict_crystals, limits.atom_capacity
        if not predictor.needs_crystals and not predictor.external:
            runs["formulas"] = predictor.predict, limits.row_capacity
        self._queues: dict[str, Batcher[_Input, RowJson]] = {
            kind: Batcher(
                f"head {self.card.name}, {kind}",
                partial(_answers, predict, predictor.columns),
                _weigh,
                capacity,
                metrics,
            )
            for kind, (predict, capacity) in runs.items()
        }

    def describe(self) -> dict[str, Any]:
        """Return what ``/v1/heads`` says of it."""
        card = self.card
        return {
            **self.start,
            "quantity": card.quantity,
            "input": self._input,
            "features": [feature.feature for feature in card.features],
            "columns": self.columns,
            "model": card.model.kind,
            "n_train": card.evaluation.n_train,
            "n_test": card.evaluation.n_test,
            "split": card.training.split,
            "metrics": asdict(card.evaluation.metrics),
            "verdict": verdict_document(card),
            "bounds": asdict(card.bounds) if card.bounds else None,
            "created": card.provenance.created,
            "map": self.predictor.head.reference is not None,
        }

    @property
    def _input(self) -> str:
        """What it takes; ``vectors`` of another program are not taken here."""
        if self.predictor.external:
            return "vectors"
        return "structures" if self.predictor.needs_crystals else "formulas"

    @property
    def columns(self) -> list[dict[str, Any]]:
        """The columns among the features, with their units and their values over training rows."""
        ranges = self.card.domain.column_ranges if self.card.domain else {}
        return [
            {
                "name": column,
                "quantity": quantity_of(column),
                "unit": unit_of(column),
                **dict(zip(("minimum", "median", "maximum"), ranges[column], strict=True)),
            }
            for column in self.predictor.columns
        ]

    def check_takes(self, kind: str) -> None:
        """Refuse a kind of input that the head cannot use.

        Raises:
            RequestError: Formulas are given to a head that needs crystals, or anything to one that needs vectors of
                another program (422).
        """
        if self.predictor.external:
            error = self.predictor.no_vectors(f"{kind} have")
            raise RequestError(422, str(error), error.cli_hint)
        if kind not in self._queues:
            raise RequestError(
                422,
                f"head {self.card.name} needs crystal structures, not {kind}",
                'give {"structures": [TEXT, …]}: the text of a CIF or POSCAR file each',
            )

    def predict(
        self,
        kind: str,
        materials: Materials,
        names: Sequence[str | None],
        columns: Mapping[str, Any] | None = None,
        *,
        coordinates: bool,
    ) -> "asyncio.Future[list[RowJson]]":
        """Queue a request; call it in the event loop.

        Args:
            kind: ``formulas`` or ``structures``.
            materials: n formulas, or crystals.
            names: What they are called.
            columns: Values of columns: one for all materials, or a list of n.
            coordinates: Whether their places on the map are wanted.

        Raises:
            RequestError: The queue is full (503); or the values do not fit the head or the materials (422).
        """
        values = spread_columns(columns, self.predictor, len(names))
        inputs = [
            _Input(material, name, coordinates, own)
            for material, name, own in zip(materials, names, values, strict=True)
        ]
        return self._queues[kind].submit(inputs)

    def close(self) -> None:
        """Finish what waits."""
        for queue in self._queues.values():
            queue.close()


def _weigh(one: _Input) -> int:
    return weight_of(one.material)


def _answers(predict: _Predict, columns: Sequence[str], inputs: list[_Input]) -> list[RowJson]:
    values = {column: [one.columns.get(column) for one in inputs] for column in columns}
    predicted = predict([one.material for one in inputs], values)
    return [_row_json(predicted, row, one) for row, one in enumerate(inputs)]


def _row_json(predicted: PredictionColumns, row: int, one: _Input) -> RowJson:
    result = predicted.result(row, one.name)
    if not isinstance(result, Prediction):
        return RowJson("", result.reason)
    document = result.document()
    if one.coordinates:
        place = predicted.coordinates
        document["coordinates"] = None if place is None else place[row, :MAP_AXES].tolist()
    try:
        return RowJson(dumps(document))
    except ValueError:  # a number is not finite
        return RowJson("", NOT_FINITE)
