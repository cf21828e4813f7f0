"""Errors of the Python face speak Python: no flags and no commands of the shell."""

import pickle
import re
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

import matlake
from matlake.errors import MatlakeError
from matlake.reports import in_python
from matlake.store.maintenance.logs import remake
from matlake.store.predictions import SavedPredictions

OF_THE_SHELL = re.compile(r"`matlake |(?<![\w-])--[a-z]")
Provoke = Callable[[matlake.Lake, Path], object]

COMMON: dict[str, Provoke] = {
    "no lake": lambda _, folder: matlake.open_lake(folder / "none"),
    "no dataset": lambda lake, _: lake.datasets["none"],
    "no dataset to embed": lambda _, folder: matlake.open_lake(folder / "new", create=True).embed("magpie"),
    "no encoder": lambda lake, _: lake.embed("none"),
    "no layer": lambda lake, _: lake.embed("magpie@none"),
    "no device": lambda lake, _: lake.embed("elemnet-oqmd-band-gap", device="cuda"),
    "no column": lambda lake, _: lake.train("none_eV", "magpie", progress=False),
    "not embedded": lambda lake, _: lake.train("band_gap_eV", "elemnet-oqmd-volume", progress=False),
    "no crystals": lambda lake, _: lake.train("band_gap_eV", "geometry", progress=False),
    "no model": lambda lake, _: lake.train("band_gap_eV", "magpie", model="none", progress=False),
    "no split": lambda lake, _: lake.train("band_gap_eV", "magpie", split="none", progress=False),
    "no transform": lambda lake, _: lake.train("band_gap_eV", "magpie", transform="none of it", progress=False),
    "no rows": lambda lake, _: lake.train("band_gap_eV", "magpie", where="band_gap_eV > 99", progress=False),
    "no predicate": lambda lake, _: lake.train("band_gap_eV", "magpie", where="none", progress=False),
    "no head": lambda lake, _: lake.head("none"),
    "no query": lambda lake, _: lake.sql("DROP TABLE materials"),
    "no view": lambda lake, _: lake.sql("SELECT * FROM none"),
    "no file": lambda lake, folder: lake.add(folder / "none.csv", dataset="none"),
    "no formulas": lambda lake, _: lake.add({"x": [1.0]}, dataset="none"),
    "no material": lambda lake, _: lake.search("elemnet-oqmd-formation-energy@13", id="none"),
    "no vectors": lambda lake, _: lake.search("chgnet-mptrj", formula="GaN"),
    "no structure": lambda lake, folder: lake.search("elemnet-oqmd-formation-energy@13", structure=folder / "none"),
    "no candidates": lambda lake, _: lake.suggest("gap", near=2.0),
    "several goals": lambda lake, _: lake.suggest("gap", near=2.0, minimise=True),
    "no ending": lambda lake, folder: lake.datasets.export("gaps", folder / "none.doc"),
    "no crystal to write": lambda lake, folder: lake.datasets.export("gaps", folder / "x.csv", structures=True),
    "no network": lambda lake, _: lake.finetune("gap", "band_gap_eV > 1"),
    "no labels": lambda lake, _: lake.heads.calibrate("gap", "band_gap_eV > 99"),
}


@pytest.mark.usefixtures("gap")
@pytest.mark.parametrize("what", COMMON)
def test_a_common_error_speaks_python(embedded: matlake.Lake, tmp_path: Path, what: str) -> None:
    with pytest.raises(MatlakeError) as caught:
        COMMON[what](embedded, tmp_path)
    assert str(caught.value)
    assert not OF_THE_SHELL.search(f"{caught.value} {caught.value.hint}")


def test_a_traceback_shows_the_hint(embedded: matlake.Lake) -> None:
    with pytest.raises(MatlakeError) as caught:
        embedded.head("none")
    assert f"hint: {caught.value.hint}" in "".join(traceback.format_exception(caught.value))
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own
    assert (again.hint, again.__notes__) == (caught.value.hint, caught.value.__notes__)


def test_reports_name_calls_not_commands(embedded: matlake.Lake, tmp_path: Path) -> None:
    lake = matlake.open_lake(shutil.copytree(embedded.path, tmp_path / "lake"))
    next(lake.embeddings.rglob("*.parquet")).write_bytes(b"")
    saved = SavedPredictions("gap", "0" * 64, rows=1, bytes=1, stale=True)
    remade = [remake(lake, root, {}) for root in (lake.embeddings, lake.predictions, lake.evaluations)]
    texts = [repr(lake.status()), repr(lake.check()), *map(in_python, [saved.text, *remade])]
    assert all("`lake." in text for text in texts[:-1])
    assert not [text for text in texts if "`matlake " in text]
