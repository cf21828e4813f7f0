"""What must hold when the blocks of a page have run, beside that none has failed. They run where the page has run."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from documentation.shared_lake import CRYSTALS
from pages import ROOT

SQL_PAGE: Final = ROOT / "docs" / "reference" / "sql.md"


def of_dataframe(names: Mapping[str, Any]) -> None:
    assert names["ranked"]["value"].is_monotonic_decreasing
    assert names["found"].to_pandas()["failure"].notna().tolist() == [False, False, False, True]
    assert names["X"].shape == (names["lake"].status().encoders[0]["vectors"], 1024)


def of_external_vectors(names: Mapping[str, Any]) -> None:
    import numpy as np
    import pyarrow.parquet as pq

    assert names["report"].without_vector == 0
    saved = np.load("vectors.npz")
    assert saved["vectors"].dtype == np.float32
    assert saved["vectors"].tolist() == names["vectors"].astype(np.float32).tolist()
    assert pq.read_table("vectors.parquet").num_rows == CRYSTALS
    assert {one.card.name for one in names["lake"].encoders.list()} >= {"mace-mp-0", "own-network"}


def of_scikit_learn(names: Mapping[str, Any]) -> None:
    assert names["head"].name == "band_gap_eV-Pipeline"
    assert names["search"].best_params_["embedder__features"] == "magpie"


def of_map(names: Mapping[str, Any]) -> None:
    assert all(Path(f"elastic.{ending}").stat().st_size for ending in ("html", "json.gz", "parquet"))
    assert list(names["table"].columns) == ["dataset", "material_id", "formula", "x", "y", "bulk_modulus_VRH_GPa"]


def of_as_of(names: Mapping[str, Any]) -> None:
    assert len(names["rows"].arrow()) > 100


def of_answers(names: Mapping[str, Any]) -> None:
    rows = SQL_PAGE.read_text().partition("## Columns")[2].partition("\n## ")[0]
    shown: dict[str, set[str]] = {}
    last = ""
    for view, columns in re.findall(r"^\|\s*(?:`(\w+)`|[^|`]*?)\s*\| ([^|]*) \|", rows, re.MULTILINE):
        last = view or last
        shown.setdefault(last, set()).update(re.findall(r"`(\w+)`", columns))
    for view, found in names["columns"].items():
        assert set(found) <= shown[view], f"{view}: {sorted(set(found) - shown[view])}"
    for command, keys in names["answers"].items():
        assert set(keys) == set(names["shown"][command]), f"{command}: {sorted(keys)}"


CHECKS: Final[Mapping[str, Callable[[Mapping[str, Any]], None]]] = {
    "docs/guides/dataframe.md": of_dataframe,
    "docs/guides/external-vectors.md": of_external_vectors,
    "docs/guides/scikit-learn.md": of_scikit_learn,
    "docs/guides/as-of.md": of_as_of,
    "docs/guides/map.md": of_map,
}
