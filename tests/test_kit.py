"""What surrounds the code agrees with it: version, citation, Makefile, hooks, and the promise to unpickle nothing."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

import matlake

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MAKEFILE = (ROOT / "Makefile").read_text()

UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve"}
CALLS = {"eval", "exec", "joblib.load", "pickle.load", "pickle.loads", "pickle.Unpickler"}
READS_CHECKPOINTS = {"export/checkpoints/reading.py", "networks/checkpoints.py"}
"""Files that name pickle for the class of torch's refusal."""


def recipe(target: str) -> list[str]:
    """Return the commands of a target of the Makefile as a shell sees them."""
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert found is not None
    text = found[1].replace("$(BIN)", ".venv/bin").replace("$(PYTHON)", "python3").replace(" $(TESTS)", "")
    return [line.strip() for line in text.splitlines()]


def cited(key: str) -> str:
    found = re.search(rf"^{key}: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert found is not None
    return found[1].strip('"')


def test_the_citation_agrees_with_the_project() -> None:
    assert cited("version") == matlake.__version__
    code, *third_parties = PROJECT["license"].split(" AND ")
    assert cited("license") == code
    assert third_parties  # weights and data in the package have licences of their own: NOTICE
    assert cited("title").startswith(PROJECT["name"])
    assert all(f"- name: {author['name']}" in (ROOT / "CITATION.cff").read_text() for author in PROJECT["authors"])


def test_the_makefile_sets_up_and_tests_as_the_readme_says() -> None:
    command = (ROOT / "README.md").read_text().partition("<!-- tests -->")[2].partition("```\n")[2].partition("\n")[0]
    assert command == " && ".join([*recipe("setup"), *recipe("test")])


def test_the_makefile_checks_as_ci_does() -> None:
    checks = (ROOT / ".ci" / "run").read_text()
    assert "; ".join(recipe("lint") + recipe("types")) in checks


def test_hooks_are_local_and_check_what_ci_checks() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"^  - repo: (.+)$", hooks, re.MULTILINE) == ["local"]
    assert set(re.findall(r"language: (\w+)", hooks)) == {"system"}
    for tool in (".venv/bin/ruff check", ".venv/bin/ruff format", ".venv/bin/mypy"):
        assert f"entry: {tool}" in hooks


def test_paths_of_the_security_page_exist() -> None:
    paths = re.findall(r"`(matlake/[\w./-]*)`", (ROOT / "SECURITY.md").read_text())
    assert len(paths) >= 5
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_nothing_unpickles_or_evaluates() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {danger}"
        for path in sorted((ROOT / "matlake").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if (danger := danger_of(node, path))
    ]
    assert not found, "\n".join(found)


def danger_of(node: ast.AST, path: Path) -> str:
    """Return what a node does that could run code from a file; empty where it does nothing of the kind."""
    match node:
        case ast.Import(names=names) if path.relative_to(ROOT / "matlake").as_posix() not in READS_CHECKPOINTS:
            return ", ".join({each.name for each in names} & UNPICKLERS)
        case ast.ImportFrom(module=str(module)) if module in UNPICKLERS:
            return module
        case ast.Call(func=function, keywords=keywords):
            called = ast.unparse(function)
            restricted = any(each.arg == "weights_only" and ast.unparse(each.value) == "True" for each in keywords)
            if called in CALLS or (called == "torch.load" and not restricted):
                return called
            return (
                called
                if any(each.arg == "allow_pickle" and ast.unparse(each.value) != "False" for each in keywords)
                else ""
            )
    return ""


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from dill import load",
        "pickle.loads(content)",
        "joblib.load(path)",
        "eval(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "numpy.load(path, allow_pickle=True)",
    ],
)
def test_what_would_run_code_is_found(code: str) -> None:
    assert any(danger_of(node, ROOT / "matlake" / "files.py") for node in ast.walk(ast.parse(code)))
