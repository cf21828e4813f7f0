"""``add``: paths, sources by name and data in memory come to the same kind of dataset."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sample_crystals import caesium_chloride, rock_salt
from structures import ids

import matlake
from matlake.api import adding
from matlake.errors import LakeError, SourceError
from matlake.progress import Progress
from matlake.store.datasets import list_datasets


@pytest.fixture
def lake(tmp_path: Path) -> matlake.Lake:
    return matlake.open_lake(tmp_path / "lake", create=True)


def test_a_path_is_imported_whether_it_is_text_or_not(lake: matlake.Lake, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("compound,name,gap_eV\nSi,a,1.1\nGe,b,0.7\n")
    reports = [adding.add(lake, given, "d", formula="compound", id="name") for given in (path, str(path))]
    assert [(report.rows, report.replaced) for report in reports] == [(2, False), (2, True)]
    assert ids(lake) == ["a", "b"]
    with pytest.raises(SourceError, match="no file at"):
        adding.add(lake, "Si", "d")


def test_the_name_of_a_source_arrives_as_it_was_written(lake: matlake.Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(adding, "import_from", lambda _lake, what, dataset, **_: given.append((what, dataset)))
    adding.add(lake, "optimade:https://example.org//v1?filter=nelements=2", "d")
    assert given == [("optimade:https://example.org//v1?filter=nelements=2", "d")]


def test_what_is_added_again_keeps_its_vectors(lake: matlake.Lake) -> None:
    adding.add(lake, [caesium_chloride(), rock_salt()], "d")
    assert matlake.embed(lake, "geometry").embedded == 2
    report = adding.add(lake, [rock_salt(), caesium_chloride(), caesium_chloride()], "d")
    assert report.replaced
    assert matlake.embed(lake, "geometry").embedded == 0


def test_progress_is_heard_and_the_source_is_named(lake: matlake.Lake) -> None:
    heard: list[tuple[int, int]] = []
    frame = pd.DataFrame({"formula": ["Si", "Ge", None]})
    report = adding.add(lake, frame, "d", progress=Progress(track=lambda *numbers: heard.append(numbers)))
    assert heard == [(3, 3)]
    assert (report.rows, report.failed) == (2, 1)
    assert list_datasets(lake)[0].source == "the DataFrame"


def test_a_name_that_cannot_be_a_datasets_is_refused_before_anything_is_read(lake: matlake.Lake) -> None:
    with pytest.raises(LakeError):
        adding.add(lake, (1 / 0 for _ in range(1)), "materials")


def test_properties_in_memory_are_joined_by_id(lake: matlake.Lake) -> None:
    adding.add(lake, pd.DataFrame({"material_id": ["a", "b"], "formula": ["Si", "Ge"]}), "d")
    adding.join(lake, {"material_id": ["b", "a"], "gap_eV": [0.7, 1.1]}, "d")
    assert lake.query("SELECT material_id, gap_eV FROM d ORDER BY 1").to_pylist() == [
        {"material_id": "a", "gap_eV": 1.1},
        {"material_id": "b", "gap_eV": 0.7},
    ]


def test_a_join_takes_no_column_that_it_would_not_read(lake: matlake.Lake) -> None:
    with pytest.raises(LakeError, match="join adds properties alone"):
        lake.add({"id": ["a"], "gap_eV": [1.0]}, join="d", structure="cif")  # type: ignore[call-overload]


def test_the_text_of_a_structure_is_no_path(lake: matlake.Lake) -> None:
    text = "salt\n1.0\n5 0 0\n0 5 0\n0 0 5\nGa N\n1 1\ndirect\n0 0 0\n0.5 0.5 0.5\n"
    lake.add(text, dataset="one")
    assert lake.sql("SELECT formula, nsites FROM one").df().to_numpy().tolist() == [["GaN", 2]]
