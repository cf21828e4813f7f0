"""What is handed on: wheel and sdist are whole, small, the same whoever builds them, and hold all licences.

So does a lake.
"""

import os
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import matlake
from matlake.encoders.card import CITATION_FILE, LICENCE_FILE, MODEL_FILE
from matlake.encoders.registry import SHIPPED, copy_to_lake, find_encoder, list_encoders

ROOT = Path(__file__).parents[1]
NOTICE = (ROOT / "NOTICE").read_text()
OPEN_LICENCES = ("Apache-2.0", "CC BY 4.0", "MIT")
"""Their texts are in LICENSE and NOTICE, or behind the link there; others need one beside the encoder."""

WITH_TEXT = "chgnet-mptrj"
TEXTS = sorted(path for name in (LICENCE_FILE, CITATION_FILE) for path in SHIPPED.glob(f"*/{name}"))


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel and an sdist, built as a release is, without a network."""
    pytest.importorskip("hatchling", reason="needs the extra 'dev'")
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, folder)
    return folder


def build(source: Path, folder: Path, *what: str) -> None:
    command = [sys.executable, "-m", "hatchling", "build", *what, "--directory", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)


def files_of_wheel(folder: Path) -> dict[str, int]:
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        return {one.filename: one.file_size for one in wheel.infolist()}


def test_the_index_takes_both(distributions: Path) -> None:
    pytest.importorskip("twine", reason="needs the extra 'dev'")
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, distributions.iterdir())]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})
    assert (done.returncode, done.stdout.count("PASSED")) == (0, 2), done.stdout + done.stderr


def test_the_sdist_builds_the_same_wheel_to_the_byte(distributions: Path, tmp_path: Path) -> None:
    (path,) = distributions.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        sdist.extractall(tmp_path, filter="data")
    build(tmp_path / path.name.removesuffix(".tar.gz"), tmp_path / "again", "-t", "wheel")
    (wheel,), (again,) = distributions.glob("*.whl"), (tmp_path / "again").glob("*.whl")
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def test_the_wheel_holds_the_package_and_nothing_else(distributions: Path) -> None:
    found = files_of_wheel(distributions)
    package = {name for name in found if ".dist-info/" not in name}
    there = (path for path in (ROOT / "matlake").rglob("*") if path.is_file() and path.parent.name != "__pycache__")
    assert package == {path.relative_to(ROOT).as_posix() for path in there}
    assert {"matlake/py.typed", "matlake/__init__.pyi", "matlake/serving/page/index.html"} <= package
    assert {name.partition("/")[0].rpartition(".")[2] for name in set(found) - package} == {"dist-info"}


def test_the_sdist_holds_what_the_wheel_is_made_of(distributions: Path) -> None:
    (path,) = distributions.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    folders = {name.partition("/")[0] for name in names if "/" in name}
    assert folders == {"matlake"}
    beside = {"CHANGELOG.md", "CITATION.cff", "LICENSE", "NOTICE", "README.md", "SECURITY.md"}
    beside |= {"PKG-INFO", "pyproject.toml"}
    assert {name for name in names if "/" not in name} - {".gitignore"} == beside


@pytest.mark.parametrize(("ending", "most_MB"), [("*.whl", 54), ("*.tar.gz", 54)])
def test_both_are_small(distributions: Path, ending: str, most_MB: int) -> None:  # noqa: N803 - a unit
    """Nearly all of it are weights of encoders, which do not compress."""
    (path,) = distributions.glob(ending)
    assert path.stat().st_size < most_MB * 1e6


def test_the_wheel_has_all_licences(distributions: Path) -> None:
    (path,) = distributions.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        licences = metadata.replace("METADATA", "licenses/")
        stated = Parser().parsestr(wheel.read(metadata).decode()).get_all("License-File")
        named = [Path(LICENCE_FILE), Path("NOTICE"), *(one for one in _relative(TEXTS) if one.name == LICENCE_FILE)]
        assert sorted(stated) == sorted(map(str, named))
        for file in named:
            assert wheel.read(f"{licences}{file}") == (ROOT / file).read_bytes()
        for file in _relative(TEXTS):
            assert wheel.read(str(file)) == (ROOT / file).read_bytes()


def test_the_sdist_has_all_licences(distributions: Path) -> None:
    (path,) = distributions.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        for file in (LICENCE_FILE, "NOTICE", *_relative(TEXTS)):
            found = sdist.extractfile(f"{path.name.removesuffix('.tar.gz')}/{file}")
            assert found is not None
            assert found.read() == (ROOT / file).read_bytes()


def test_the_notice_names_all_data_and_weights() -> None:
    words = set(NOTICE.replace(",", " ").split())
    assert {encoder.card.name for encoder in list_encoders()} <= words
    package = ROOT / "matlake"
    data = [path for suffix in ("parquet", "npy", "npz") for path in package.rglob(f"*.{suffix}")]
    assert len(data) >= 3
    assert {str(path.relative_to(ROOT)) for path in data} <= words


def test_a_licence_that_asks_for_its_text_has_it_beside_the_weights() -> None:
    for encoder in list_encoders():
        if not encoder.card.licence.startswith(OPEN_LICENCES):
            assert (encoder.folder / LICENCE_FILE).exists(), encoder.card.name
            assert f"{encoder.card.name}/{LICENCE_FILE}" in NOTICE
    text = (SHIPPED / WITH_TEXT / LICENCE_FILE).read_text()
    assert text.startswith("Crystal Hamiltonian Graph neural Network (CHGNet) Copyright (c) 2023, The Regents")
    assert "non-exclusive, royalty-free perpetual license" in text


def test_a_lake_takes_the_licence_with_the_encoder(tmp_path: Path) -> None:
    source = tmp_path / "source" / "fractions"
    source.mkdir(parents=True)
    for path in (SHIPPED / "fractions").iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    (source / LICENCE_FILE).write_text("as is")
    (source / CITATION_FILE).write_text("@article{}")
    encoder = find_encoder("fractions", source.parent)
    first = matlake.open_lake(tmp_path / "first", create=True)
    copied = copy_to_lake(encoder, first.encoders_folder)
    second = matlake.open_lake(tmp_path / "second", create=True)
    again = copy_to_lake(copied, second.encoders_folder)
    assert (again.folder / LICENCE_FILE).read_text() == "as is"
    assert (again.folder / CITATION_FILE).read_text() == "@article{}"
    assert not matlake.check(second).damaged


def test_a_repair_brings_the_licence_back(tmp_path: Path) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    copied = copy_to_lake(find_encoder(WITH_TEXT), lake.encoders_folder)
    for name in (MODEL_FILE, LICENCE_FILE):
        (copied.folder / name).write_bytes(b"")
    matlake.check(lake, repair=True)
    assert (copied.folder / LICENCE_FILE).read_bytes() == (SHIPPED / WITH_TEXT / LICENCE_FILE).read_bytes()


def _relative(paths: list[Path]) -> list[Path]:
    return [path.relative_to(ROOT) for path in paths]
