"""What starting up costs: the heavy libraries are imported when they are used."""

import json
import subprocess
import sys

import pytest

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


def test_every_public_name_can_be_imported() -> None:
    import matlake

    for name in matlake.__all__:
        assert getattr(matlake, name) is not None
