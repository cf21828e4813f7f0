"""What public functions return fits a screen, at a prompt and in a notebook."""

import inspect
import math
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from sample_crystals import rock_salt
from samples import ENCODER

import matlake
from matlake.encoders.registry import find_encoder
from matlake.errors import MissingExtraError
from matlake.regress.finetuning.result import FinetuneResult
from matlake.regress.prediction.predict import Predictions
from matlake.reports import Report, TableReport
from matlake.studies.extrapolation.evaluate import ExtrapolationResult
from matlake.studies.matbench.evaluate import MatbenchResult
from matlake.studies.transfer.evaluate import TransferResult
from matlake.text_tables import Column, Line, TextTable

FEATURE = f"{ENCODER}@13"
LINES, WIDTH = 24, 120
FORMULAS = ["GaN", "Xx"]

Make = Callable[[matlake.Lake, Path], Any]


def formulas_csv(folder: Path) -> Path:
    pacsv.write_csv(pa.table({"formula": FORMULAS}), folder / "formulas.csv")
    return folder / "formulas.csv"


def candidates(lake: matlake.Lake, folder: Path) -> Any:
    opened = matlake.open_lake(folder / "lake", create=True)
    matlake.import_table(opened, formulas_csv(folder), "new")
    opened.embed(FEATURE, f"{ENCODER}@16", progress=False)
    lake.head("gap").export(opened.heads_folder / "gap")
    return matlake.suggest(opened, matlake.SuggestRequest("gap", 1))


MADE: dict[str, Make] = {
    "check": lambda lake, _: matlake.check(lake),
    "compact": lambda lake, folder: matlake.compact(matlake.open_lake(shutil.copytree(lake.path, folder / "lake"))),
    "dedupe": lambda lake, _: matlake.dedupe(lake, matlake.DedupeRequest(FEATURE)),
    "diverse": lambda lake, _: matlake.diverse(lake, matlake.DiverseRequest(FEATURE)),
    "doctor": lambda lake, _: matlake.doctor(lake.path),
    "embed": lambda lake, _: matlake.embed(lake, FEATURE),
    "import_table": lambda _, folder: matlake.import_table(
        matlake.open_lake(folder / "lake", create=True), formulas_csv(folder), "new"
    ),
    "list_encoders": lambda _, __: matlake.list_encoders()[0],
    "make_map": lambda lake, folder: matlake.make_map(
        lake, matlake.MapRequest(lake.dataset_names()[:1], FEATURE, output=folder / "map.html")
    ),
    "open_encoder": lambda _, __: matlake.open_encoder(find_encoder(ENCODER).folder),
    "open_index": lambda lake, _: matlake.open_index(lake, FEATURE),
    "open_lake": lambda lake, _: lake,
    "parse_formula": lambda _, __: matlake.parse_formula("LiNi0.8Mn0.1Co0.1O2"),
    "parse_structure": lambda _, __: rock_salt(),
    "predict": lambda lake, _: matlake.predict(lake, "gap", FORMULAS * 100),
    "predict_dataset": lambda lake, _: matlake.predict_dataset(lake, "gap"),
    "predict_structures": lambda lake, folder: matlake.predict_structures(lake, "gap", formulas_csv(folder)),
    "predict_table": lambda lake, folder: matlake.predict_table(lake, "gap", formulas_csv(folder)),
    "predict_to_file": lambda lake, folder: matlake.predict_to_file(
        lake, "gap", formulas_csv(folder), folder / "predicted.csv"
    ),
    "search": lambda lake, _: matlake.search(lake, matlake.SearchRequest(FEATURE, formula="GaN", k=100)),
    "status": lambda lake, _: matlake.status(lake),
    "suggest": candidates,
    "train": lambda lake, _: lake.head("gap"),
    "verify_encoder": lambda lake, _: lake.encoders.verify("magpie"),
}
SLOW = {
    "evaluate_extrapolation": ExtrapolationResult,
    "evaluate_matbench": MatbenchResult,
    "evaluate_transfer": TransferResult,
    "finetune": FinetuneResult,
}
"""What takes minutes to make; that its repr is that of reports is looked at instead."""

WITHOUT_REPORT = {"encode"}
"""Returns an array, whose repr numpy shortens."""


def public_functions() -> set[str]:
    return {name for name in matlake.__all__ if inspect.isfunction(getattr(matlake, name))}


def rows_on_screen(text: str) -> int:
    return sum(max(1, math.ceil(len(line) / WIDTH)) for line in text.split("\n"))


def test_every_public_function_is_looked_at() -> None:
    assert public_functions() - WITHOUT_REPORT == {*MADE, *SLOW}


@pytest.mark.usefixtures("gap")
@pytest.mark.parametrize("name", MADE)
def test_a_result_fits_a_screen(embedded: matlake.Lake, tmp_path: Path, name: str) -> None:
    found = MADE[name](embedded, tmp_path)
    assert 0 < rows_on_screen(repr(found)) <= LINES
    if isinstance(found, Report):
        assert found._repr_html_().count("<tr>") <= LINES
    if isinstance(found, TableReport):
        assert len(found.to_pandas()) == found.to_arrow().num_rows


def test_a_training_and_its_card_fit_a_screen(gap: matlake.Head, trained: Report) -> None:
    for found in (trained, gap.card, gap.cards, gap.metrics):
        assert rows_on_screen(repr(found)) <= LINES


@pytest.mark.parametrize("name", SLOW)
def test_what_takes_long_to_make_has_the_repr_of_reports(name: str) -> None:
    assert SLOW[name].__repr__ is Report.__repr__
    assert inspect.signature(getattr(matlake, name)).return_annotation is SLOW[name]


def test_the_repr_of_many_predictions_is_quick(gap: matlake.Head) -> None:
    few = gap.predict(FORMULAS)
    many = replace(few, predictions=few.predictions * 300_000)
    started = time.process_time()
    assert "299,990 more predictions" in repr(many)
    assert time.process_time() - started < 0.5


@dataclass(frozen=True, repr=False)
class Strange(Report):
    """Text of strangers, and far too much of it."""

    def lines(self) -> list[Line]:
        rows = [("<script>alert(1)</script>", 1.0, "x" * 500)] * 1000
        columns = (Column("name & more"), Column("n", "right", ".2f"), Column("long"))
        return ["a\x1b[31mred", "y" * 1000, TextTable(columns, rows), *("line" for _ in range(50))]


def test_text_of_strangers_is_shown_as_text() -> None:
    text, html = repr(Strange()), Strange()._repr_html_()
    assert rows_on_screen(text) <= LINES
    assert "\x1b" not in text + html
    assert "<script>" not in html
    assert "name &amp; more" in html
    assert "990 more rows" in text


def test_a_missing_dataframe_package_is_named(gap: matlake.Head, monkeypatch: pytest.MonkeyPatch) -> None:
    found: Predictions = gap.predict("GaN")
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MissingExtraError, match="needs polars"):
        gap.lake.sql("SELECT 1 AS one").pl()  # type: ignore[attr-defined]
    assert found.to_arrow().num_rows == 1
