"""The page on scale says what its script computes."""

import json
from pathlib import Path

import pytest

from benchmarks.speed import cost

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "guides" / "scale.md"


def measured() -> dict[str, object]:
    document: dict[str, object] = json.loads((ROOT / "benchmarks/speed/results/cost.json").read_text())
    return document


@pytest.mark.parametrize(("number", "mark"), [(0, "cost"), (1, "committer")])
def test_the_tables_are_those_of_the_measured_units(number: int, mark: str) -> None:
    shown = PAGE.read_text().split(f"<!-- {mark} -->")[1].strip().splitlines()
    assert shown == cost.tables(measured())[number]


def test_the_prices_of_the_page_are_those_of_the_script() -> None:
    text = PAGE.read_text()
    assert all(f"{price:g} $" in text for price in cost.PRICES.values())
    assert measured()["prices_usd"] == cost.PRICES


def test_costs_grow_with_the_number_of_crystals_and_with_prices() -> None:
    units = measured()["units"]
    assert isinstance(units, dict)
    small, large = (cost.on_paper(units, crystals) for crystals in (10**8, 10**9))
    assert large["vector_gigabytes"] == pytest.approx(10 * small["vector_gigabytes"])
    assert large["dollars_once"] == pytest.approx(10 * small["dollars_once"], rel=0.01)
    dear = cost.on_paper(units, 10**8, {name: 2 * price for name, price in cost.PRICES.items()})
    assert dear["dollars_once"] == pytest.approx(2 * small["dollars_once"])
