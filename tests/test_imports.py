"""What starting up costs: the heavy libraries are imported when they are used."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

OLD_LAKE = Path(__file__).parent / "data" / "lake_0_1_0" / "lake"

HEAVY = {
    "torch",
    "pymatgen",
    "sklearn",
    "duckdb",
    "pandas",
    "matplotlib",
    "numba",
    "onnx",
    "onnxruntime",
    "pyarrow",
    "rich",
}


def imported_by(code: str) -> set[str]:
    script = f"import sys, json, contextlib\nwith contextlib.suppress(SystemExit):\n    {code}\nprint()\n"
    script += "print(json.dumps([m for m in sys.modules if '.' not in m]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import matlake",
        "from matlake.cli.main import main; sys.argv = ['matlake', '--help']; main()",
        "from matlake.cli.main import main; sys.argv = ['matlake', 'embed', '--help']; main()",
        "from matlake.cli.main import main; sys.argv = ['matlake', '--version']; main()",
    ],
)
def test_start_up_imports_nothing_heavy(code: str) -> None:
    assert not imported_by(code) & HEAVY


def test_the_store_imports_neither_torch_nor_scikit_learn() -> None:
    code = "import matlake.store.embedding.embedder, matlake.store.importing.importer, matlake.store.sql"
    assert not imported_by(code) & {"torch", "sklearn", "pymatgen", "matplotlib"}


def test_numba_waits_for_the_first_crystal() -> None:
    code = "import matlake.store.embedding.embedder, matlake.store.sql, matlake.regress.prediction.predict"
    assert "numba" not in imported_by(code)


def test_duckdb_waits_for_the_first_query() -> None:
    code = "import matlake.store.status, matlake.regress.prediction.predict"
    assert "duckdb" not in imported_by(code)


SLOW_BESIDE = {"numba", "llvmlite", "pandas", "torch", "sklearn", "scipy", "matplotlib", "pyarrow.compute", "rich"}
"""What nothing needs that a person waits for: each takes as long to import as a tenth of the command or more."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of version 0.1.0 with a head on magpie, and vectors of it: a copy, as some commands write."""
    return Path(shutil.copytree(OLD_LAKE, tmp_path_factory.mktemp("felt") / "lake"))


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        (["status", "--json"], {"onnx", "onnxruntime"}),
        (["sql", "select 1", "--format", "json"], {"onnx", "onnxruntime"}),
        (["predict", "gap-ridge", "--formula", "GaN", "--json"], {"duckdb", "deltalake", "narwhals"}),
        (["search", "--formula", "GaN", "--encoder", "magpie", "--json"], {"narwhals"}),
    ],
    ids=["status", "sql", "predict", "search"],
)
def test_what_a_person_waits_for_imports_nothing_that_it_does_not_need(
    lake: Path, arguments: list[str], more: set[str]
) -> None:
    script = (
        f"import sys, json, contextlib\nsys.argv = {['matlake', '--lake', str(lake), *arguments]!r}\n"
        "from matlake.cli.main import main\nwith contextlib.suppress(SystemExit):\n    main()\n"
        "print(json.dumps([*sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    answer, modules = done.stdout.splitlines()
    assert "error" not in json.loads(answer), answer
    assert not set(json.loads(modules)) & (SLOW_BESIDE | more)


def test_every_public_name_can_be_imported() -> None:
    import matlake

    for name in matlake.__all__:
        assert getattr(matlake, name) is not None
