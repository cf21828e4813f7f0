"""The notebooks run from their first cell to their last, draw what they speak of, and keep no outputs in git."""

import base64
import re
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = Path(__file__).parents[1] / "examples" / "notebooks"
NAMES = ("screening", "small_data_transfer", "out_of_distribution", "own_encoder")
PAGE = (NOTEBOOKS.parents[1] / "docs" / "guides" / "examples.md").read_text()
NEEDED = {"own_encoder": ("torch", "onnxscript")}


def read(name: str) -> Any:
    nbformat = pytest.importorskip("nbformat", reason="needs the extra 'dev'")
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def executed(name: str, folder: Path) -> Any:
    """Run a notebook; an error in a cell is the error of the test, with the cell and its traceback."""
    nbclient = pytest.importorskip("nbclient", reason="needs the extra 'dev'")
    for module in NEEDED.get(name, ()):
        pytest.importorskip(module, reason="needs the extra 'train'")
    notebook = read(name)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def outputs(notebook: Any) -> list[dict[str, str]]:
    return [output.data for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]


def test_all_notebooks_are_on_the_page_of_examples_and_all_are_tested() -> None:
    assert sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")) == sorted(NAMES)
    assert [*re.findall(r"\(\.\./\.\./examples/notebooks/(\w+)\.ipynb\)", PAGE)] == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_kept_without_outputs_and_says_what_it_asks(name: str) -> None:
    notebook = read(name)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert notebook.cells[0].source.startswith("# ")
    assert "?" in notebook.cells[0].source, "a question"
    assert notebook.cells[-1].cell_type == "markdown", "a reading of the numbers"
    assert (NOTEBOOKS / f"{name}.ipynb").stat().st_size < 20_000


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = executed(name, tmp_path)
    shown = outputs(notebook)
    pictures = [base64.b64decode(data["image/png"]) for data in shown if "image/png" in data]
    assert pictures
    assert all(picture.startswith(b"\x89PNG") and len(picture) > 5000 for picture in pictures)
    errors = [output for cell in notebook.cells for output in cell.get("outputs", []) if output.get("name") == "stderr"]
    assert not errors, errors
