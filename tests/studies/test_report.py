"""Reports are described once, and printed as text, Markdown and JSON."""

from dataclasses import dataclass

from matlake.studies.report import (
    ABSENT,
    Notes,
    Table,
    as_markdown,
    as_text,
    document,
    formatted,
    interval_text,
    number,
)

TABLE = Table(["method", "MAE"], [["svr", "0.5"], ["ridge on A", "12"]], {"method"})


def test_a_table_is_printed_in_columns_and_with_pipes() -> None:
    assert TABLE.text() == ["method      MAE", "svr         0.5", "ridge on A   12"]
    assert TABLE.markdown() == "| method | MAE |\n| --- | ---: |\n| svr | 0.5 |\n| ridge on A | 12 |"


def test_sections_are_separated_and_empty_parts_left_out() -> None:
    assert as_text([Notes(["a", "b"])], [Notes(["c"], title="random"), Notes([])]) == ["a", "b", "", "random: c"]
    page = as_markdown([Notes(["a", "b"]), Notes([]), "A sentence:", Notes(["c", "d"], title="random")])
    assert page == "- a\n- b\n\nA sentence:\n\n**`random`**: c. d.\n"


def test_numbers_are_short_and_what_is_not_known_is_a_dash() -> None:
    assert [number(value) for value in (None, 0.12345, 123.4, 12345.6)] == [ABSENT, "0.123", "123", "12,346"]
    assert number(0.12345, 4) == "0.1235"
    assert (formatted(None, ".2f"), formatted(0.5, ".0%")) == (ABSENT, "50%")
    assert (interval_text(None), interval_text((0.1, 0.25))) == ("", "[0.1, 0.25]")


def test_documents_keep_the_keys_that_scripts_know() -> None:
    @dataclass
    class Part:
        method: str
        outside_mae: float

    @dataclass
    class Whole:
        methods: tuple[Part, ...]
        low_confidence: int

    found = document(Whole((Part("svr", 0.5),), 3))
    assert found == {"ways": ({"way": "svr", "unseen_mae": 0.5},), "doubted": 3}
