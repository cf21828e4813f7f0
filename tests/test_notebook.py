"""The notebook runs from its first cell to its last, and keeps no outputs in the repository."""

from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples" / "screening.ipynb"


def test_the_notebook_ranks_candidates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs the extra 'dev'")
    nbclient = pytest.importorskip("nbclient", reason="needs the extra 'dev'")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output.data for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    (ranking,) = [data["text/plain"] for data in shown if "of the 10 stiffest" in data["text/plain"]]
    assert int(ranking.splitlines()[1].split()[1]) >= 5
    assert all("text/html" in data for data in shown)
    assert sum("<table" in data["text/html"] for data in shown) >= 6
