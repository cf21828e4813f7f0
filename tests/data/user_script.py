"""A user's script as a type checker sees it: mypy reads it with the package, in strict mode; nothing runs it."""

from pathlib import Path
from typing import Any, assert_type

from numpy.typing import NDArray

import matlake
from matlake.regress.prediction.predict import Predictions
from matlake.regress.prediction.predict_table import WrittenPredictions
from matlake.regress.prediction.saving import SavedReport
from matlake.store.embedding.embedder import EmbedReport
from matlake.store.importing.importer import ImportReport
from matlake.store.searching.search import SearchResult


def screen(formulas: list[str], folder: Path) -> list[float]:
    """Train on measured band gaps, and predict those of formulas in eV."""
    lake = matlake.open_lake("lake", create=True)
    assert_type(lake, matlake.Lake)
    assert_type(lake.add(formulas, dataset="candidates"), ImportReport)
    assert_type(lake.embed("chgnet-mptrj", "magpie", dataset="candidates"), EmbedReport)
    assert_type(lake.search("magpie", formula="GaN", k=3), SearchResult)
    assert_type(lake.sql("SELECT 1 AS one").numpy()["one"], NDArray[Any])
    head = lake.train("band_gap_eV", features=["chgnet-mptrj@all", "magpie"], split="cluster")
    assert_type(head, matlake.Head)
    assert_type(head.predict_dataset("candidates", save=True), SavedReport)
    assert_type(head.predict("candidates.csv", output=folder / "out.csv"), WrittenPredictions)
    found = head.predict(formulas)
    assert_type(found, Predictions)
    try:
        lake.head("none")
    except matlake.MatlakeError as error:
        assert_type(error.hint, str)
    return [one.value for one in found.predictions if one.lower is not None]
