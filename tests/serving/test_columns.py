"""Heads that take columns, over HTTP and on the page: a value for each material, and a failure where there is none."""

from collections.abc import Iterator

import pytest
from running_server import Running, serving

import matlake

LACKING = "no value of temperature_K (in K)"


@pytest.fixture(scope="module")
def server(series: matlake.Lake) -> Iterator[Running]:
    with serving(series, "gap_of_T") as (running, _):
        yield running


def test_each_material_has_its_values(server: Running, series: matlake.Lake) -> None:
    given = {"temperature_K": [300, 600]}
    answer = server.post("/v1/predict", {"formulas": ["GaN", "ZnO"], "columns": given}).document
    wanted = matlake.predict(series, "gap_of_T", ["GaN", "ZnO"], columns=given)
    assert [one["value"] for one in answer["predictions"]] == pytest.approx([one.value for one in wanted.predictions])
    assert [one["columns"] for one in answer["predictions"]] == [{"temperature_K": 300.0}, {"temperature_K": 600.0}]
    for_all = server.post("/v1/predict", {"formulas": ["GaN", "ZnO"], "columns": {"Temperature_K": 600}}).document
    assert [one["columns"]["temperature_K"] for one in for_all["predictions"]] == [600.0, 600.0]


@pytest.mark.parametrize("columns", [{"temperature_K": [None, 300]}, {"temperature_K": None}, {}, None])
def test_a_missing_value_answers_as_other_rows_do(server: Running, columns: dict[str, object] | None) -> None:
    answer = server.post("/v1/predict", {"formulas": ["GaN", "ZnO"], "columns": columns})
    assert answer.status == 200
    rows = [0] if columns and columns["temperature_K"] else [0, 1]
    assert [(one["row"], one["reason"]) for one in answer.document["failed"]] == [(row, LACKING) for row in rows]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"T": 300}, "head gap_of_T takes no column 'T'"),
        ({"temperature_K": [300]}, "1 values of temperature_K for 2 inputs"),
        ({"temperature_K": ["hot", 300]}, "Input should be a valid number"),
        ([300, 300], "Input should be an object"),
    ],
)
def test_values_that_do_not_fit_are_refused(server: Running, columns: object, reason: str) -> None:
    answer = server.post("/v1/predict", {"formulas": ["GaN", "ZnO"], "columns": columns})
    assert answer.status == 422
    assert reason in answer.document["error"]


def test_the_documentation_names_the_columns(server: Running) -> None:
    (head,) = server.get("/v1/heads").document["heads"]
    assert head["columns"] == [
        {"name": "temperature_K", "quantity": "temperature", "unit": "K", "minimum": 100, "median": 300, "maximum": 600}
    ]
    operation = server.get("/openapi.json").document["paths"]["/v1/predict"]["post"]
    assert "`gap_of_T` needs values of the columns temperature_K (in K)" in operation["description"]
    body = operation["requestBody"]["content"]["application/json"]["example"]
    assert body["columns"] == {"temperature_K": [300.0, 300.0]}
    shown = operation["responses"]["200"]["content"]["application/json"]["example"]
    assert len(shown["predictions"]) == 2
