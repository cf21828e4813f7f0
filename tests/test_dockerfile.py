"""The image that serves: small, pinned, not root, with a health check; its steps run in tests/installed."""

import fnmatch
import re
import sys
from pathlib import Path

import pytest

from matlake.cli.main import cli

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "installed"))

import docker_steps  # noqa: E402 - found there

BUILD, IMAGE = docker_steps.stages()


def pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))


def is_sent(path: str) -> bool:
    """Say whether a path reaches the build, by the last line of .dockerignore that fits it."""
    sent, first, last = True, path.partition("/")[0], path.rpartition("/")[2]
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        if line and line[0] != "#" and any(fnmatch.fnmatch(one, pattern) for one in (path, first, last)):
            sent = line[0] == "!"
    return sent


def test_the_image_starts_from_a_slim_python_and_gets_one_folder() -> None:
    assert BUILD.base == IMAGE.base
    assert re.fullmatch(r"python:3\.\d+-slim", IMAGE.base)
    assert IMAGE.all("RUN") == []
    assert IMAGE.all("COPY") == [f"--from={BUILD.name} {docker_steps.PLACE} {docker_steps.PLACE}"]


def test_nothing_is_compiled_and_every_package_has_a_digest() -> None:
    install, own, check = BUILD.all("RUN")[1:]
    assert {"--require-hashes", "--only-binary", "requirements-serve.lock"} <= set(install.split())
    assert own.endswith("--no-deps .")
    assert check.endswith("pip check")


def test_the_lock_of_the_image_is_that_of_development() -> None:
    served, developed = pins("requirements-serve.lock"), pins("requirements-dev.lock")
    assert {"onnxruntime", "fastapi", "uvicorn", "uvloop", "plotly", "duckdb"} <= set(served)
    assert not {"torch", "scikit-learn", "onnxruntime-gpu", "pytest"} & set(served)
    assert {name: developed.get(name) for name in served} == served


def test_what_is_copied_is_there_and_nothing_else_is_sent() -> None:
    sources = [source for group, _ in docker_steps.copied(BUILD) for source in group]
    for source in sources:
        assert (ROOT / source).exists(), source
        assert is_sent(source), source
    assert is_sent("matlake/encoders/shipped/fractions/encoder.onnx")
    for other in (".git", "tests", "lake", "benchmarks", ".venv", "matlake/__pycache__", "docs"):
        assert not is_sent(other), other


def test_it_is_not_root_and_writes_nowhere_but_to_the_folder_of_temporary_files() -> None:
    user = IMAGE.last("USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    variables = dict(pair.split("=", 1) for pair in IMAGE.last("ENV").split())
    assert variables["MATLAKE_LAKE"] == "/lake"
    assert all(variables[name].startswith("/tmp") for name in ("HOME", "NUMBA_CACHE_DIR"))  # noqa: S108 - the image's


def test_what_it_starts_is_a_command_with_a_health_check_of_its_port() -> None:
    program, name, *options = docker_steps.arguments(IMAGE.last("ENTRYPOINT"))
    assert program == "matlake"
    command = cli.get_command(None, name)
    given = command.make_context(name, [*options, "gap"]).params
    assert (given["host"], str(given["port"]), given["heads"]) == ("0.0.0.0", IMAGE.last("EXPOSE"), ("gap",))  # noqa: S104
    assert f"127.0.0.1:{given['port']}/readyz" in IMAGE.last("HEALTHCHECK")
    with pytest.raises(SystemExit):
        command.main([*options, *docker_steps.arguments(IMAGE.last("CMD"))])


def test_a_dockerfile_is_read_as_docker_reads_it() -> None:
    text = 'ARG V=3\n# no\nFROM a:${V} AS one\nRUN x \\\n  && y\nFROM b\nUSER 1\nUSER 2\nCMD ["p", "q r"]\n'
    first, second = docker_steps.stages(text)
    assert (first.base, first.name, first.steps) == ("a:3", "one", [("RUN", "x && y")])
    assert second.last("USER") == "2"
    assert docker_steps.arguments(second.last("CMD")) == ["p", "q r"]
