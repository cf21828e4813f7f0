"""Real requests and their real answers, for the documentation. Making them warms everything up."""

import json
from contextlib import suppress
from typing import Any, Final

from matlake.errors import MatlakeError
from matlake.materials.structure_files.sniff import parse_structure
from matlake.regress.prediction.predict import collect
from matlake.serving.served_head import ServedHead
from matlake.store.browsing.browse import dataset_kinds
from matlake.store.browsing.conditions import Kind
from matlake.store.lake import Lake

FORMULAS: Final = ("BaZrS3", "TiO2")
RUTILE: Final = """\
rutile, TiO2
1.0
4.594 0 0
0 4.594 0
0 0 2.959
Ti O
2 4
direct
0 0 0
0.5 0.5 0.5
0.305 0.305 0
0.695 0.695 0
0.195 0.805 0.5
0.805 0.195 0.5
"""

SQL: Final = "SELECT nelements, count(*) AS materials FROM materials GROUP BY nelements ORDER BY nelements"


def example(request: dict[str, Any], response: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what the OpenAPI document says of the bodies of a request and of its answer, if that is shown."""
    found: dict[str, Any] = {"requestBody": _json_example(request)}
    if response is not None:
        found["responses"] = {"200": _json_example(response)}
    return found


def rows_example(lake: Lake | None) -> dict[str, Any]:
    """Return a request for rows of the first dataset of a lake that can be read, or of one that may be there."""
    if lake is not None:
        for name in lake.dataset_names():
            with suppress(MatlakeError):
                _, kinds = dataset_kinds(lake, name)
                numbers = [column for column, kind in kinds.items() if kind is Kind.NUMBER]
                return example(_rows(name, numbers[-1]))
    return example(_rows("gaps", "band_gap_eV"))


def _rows(dataset: str, column: str) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "columns": ["material_id", "formula", column],
        "where": [
            {"column": "elements", "operator": "has all", "value": ["O"]},
            {"column": column, "operator": ">=", "value": 1.5},
        ],
        "sort": [{"column": column, "descending": True}],
        "limit": 20,
    }


def prediction_example(head: ServedHead) -> dict[str, Any]:
    """Predict with a head, and return request and answer."""
    crystals = [parse_structure(RUTILE)]
    shown = {one["name"]: one["median"] for one in head.columns}
    count = len(crystals) if head.predictor.needs_crystals else len(FORMULAS)
    columns = {name: [value] * count for name, value in shown.items()}
    given = {"structures": [RUTILE]} if head.predictor.needs_crystals else {"formulas": list(FORMULAS)}
    request = {"head": head.card.name, **given, **({"columns": columns} if columns else {})}
    if head.predictor.external:  # of which nothing is predicted here
        return example(request)
    if head.predictor.needs_crystals:
        predicted = head.predictor.predict_crystals(crystals, columns)
        names = [crystal.composition.reduced_formula for crystal in crystals]
    else:
        predicted, names = head.predictor.predict(FORMULAS, columns), list(FORMULAS)
    answer = collect(head.predictor, predicted.results(names))
    return example(request, json.loads(json.dumps(answer.document())))


def material_example(*, crystals: bool, **fields: Any) -> dict[str, Any]:
    """Return a request about a formula or a crystal."""
    return example(fields | ({"structures": [RUTILE]} if crystals else {"formulas": [FORMULAS[0]]}))


def _json_example(body: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"example": body}}}
