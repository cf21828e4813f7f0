"""Cards of every format open, and say the same."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from matlake.documents import sealed_json
from matlake.errors import HeadError
from matlake.regress.heads.card import FORMAT_VERSION, HeadCard, Limit
from matlake.regress.heads.card_files import card_bytes, read_card
from matlake.regress.heads.flat_card import flat_document

DATA = Path(__file__).parents[2] / "data"
FORMAT_1 = DATA / "head_v1" / "gap-v1" / "card.json"
FORMAT_2 = sorted((DATA / "lake_0_1_0" / "lake" / "heads").glob("*/card.json"))


def as_json(document: Any) -> Any:
    return json.loads(json.dumps(document, allow_nan=False))


def numbers(document: Any) -> list[float]:
    """Return all measured numbers with a fraction in a JSON document."""
    if isinstance(document, dict):
        return [number for key, value in document.items() if key != "parameters" for number in numbers(value)]
    if isinstance(document, list):
        return [number for value in document for number in numbers(value)]
    return [document] if isinstance(document, float) and document % 1 else []


@pytest.mark.parametrize("path", FORMAT_2, ids=lambda path: path.parent.name)
def test_a_card_of_format_2_says_all_that_it_said(path: Path) -> None:
    said, written = as_json(flat_document(read_card(path))), json.loads(path.read_text())
    grown = ("interval", "interval_check", "ood_check", "cross_validation")  # later versions add to them
    assert said | written == said | {key: written[key] for key in grown}
    assert all(said[key] | written[key] == said[key] for key in grown)


def test_a_card_of_format_1_says_all_that_it_said() -> None:
    then, now = json.loads(FORMAT_1.read_text()), as_json(flat_document(read_card(FORMAT_1)))
    fewer = ("metrics", "baseline", "fractions_baseline")
    same = then.keys() - {*fewer, "cross_validation"}
    assert {key: now[key] for key in same} == {key: then[key] for key in same}
    for key in fewer:
        assert now[key] == then[key] | {"q95": None, "spearman": None}
    assert now["cross_validation"]["mae"] == then["cross_validation"]["mae"]
    assert now["interval"] is None


@pytest.mark.parametrize("path", [FORMAT_1, *FORMAT_2], ids=lambda path: path.parent.name)
def test_an_old_card_survives_being_written_in_the_new_format(path: Path, tmp_path: Path) -> None:
    card = read_card(path)
    new = replace(card, format_version=FORMAT_VERSION)
    (tmp_path / "card.json").write_bytes(card_bytes(new))
    assert read_card(tmp_path / "card.json") == new


def test_no_measured_number_is_written_twice(tmp_path: Path) -> None:
    card = read_card(FORMAT_2[-1])
    (tmp_path / "card.json").write_bytes(card_bytes(card))
    found = numbers(json.loads((tmp_path / "card.json").read_text()))
    assert len(found) == len(set(found)) > 30
    assert len(numbers(json.loads(FORMAT_2[-1].read_text()))) > len(found)


def test_a_limit_that_ended_a_search_is_one_of_two() -> None:
    search = read_card(FORMAT_2[0]).model.search
    assert search is not None
    assert search.stopped_by in {None, *Limit}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unit": 3}, "HeadCard.unit is int, not str"),
        ({"colour": "blue"}, "unknown fields colour"),
        ({"evaluation": {"n_train": 3}}, "lacks the fields"),
        ({"training": None}, "HeadCard.training is NoneType, not dict"),
    ],
)
def test_a_card_with_a_wrong_field_is_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    card: HeadCard = read_card(FORMAT_2[0])
    path = tmp_path / "card.json"
    path.write_bytes(sealed_json(asdict(card) | {"format_version": FORMAT_VERSION} | change))
    with pytest.raises(HeadError, match=message) as caught:
        read_card(path)
    assert "is not a head's card" in str(caught.value)
