"""``doctor``: what is broken is found and named, and one check that fails hides no other."""

import importlib.metadata
import json
import re
from pathlib import Path

import pytest
from commands import run
from object_store import Fault, ObjectStore, read_only
from packaging.requirements import Requirement

import matlake
from matlake.diagnosis import machine, place, software
from matlake.diagnosis.bucket import check_bucket
from matlake.diagnosis.checks import Check, DoctorReport, State
from matlake.store.storage.places import lake_path


def states(report: DoctorReport) -> dict[str, State]:
    return {check.name: check.state for check in report.checks}


def test_this_machine_can_run_matlake(lake: matlake.Lake) -> None:
    report = matlake.doctor(lake.path)
    assert report.passed
    found = states(report)
    assert {"python", "matlake", "packages", "ONNX Runtime", "memory", "clock", "fsync", "file system"} <= set(found)
    assert found["lake"] is State.OK
    assert next(check.found for check in report.checks if check.name == "lake").endswith("opens; datasets: 1")
    assert not [entry for entry in lake.path.iterdir() if entry.name.startswith(".")]


def test_a_lake_that_is_not_there_yet_is_no_fault_and_is_not_made(tmp_path: Path) -> None:
    report = matlake.doctor(tmp_path / "one" / "two")
    assert states(report)["lake"] is State.NOTE
    assert report.passed
    assert not list(tmp_path.iterdir())


def test_a_lake_that_does_not_open_is_broken(lake: matlake.Lake) -> None:
    (lake.path / "lake.json").write_text("{}")
    report = matlake.doctor(lake.path)
    assert not report.passed
    (broken,) = (check for check in report.checks if check.state is State.BROKEN)
    assert broken.name == "lake"
    assert "lake.json" in broken.found
    assert broken.hint


def test_a_package_of_another_version_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version
    versions = {"deltalake": "1.6.6", "duckdb": "0.9", "scikit-learn": "1.0"}
    monkeypatch.setattr(importlib.metadata, "version", lambda name: versions.get(name) or real(name))
    found = {check.name: check for check in software.check_software()}
    assert found["package deltalake"].state is found["package duckdb"].state is State.BROKEN
    assert found["package duckdb"].found.startswith("duckdb 0.9 is installed, >=")
    assert "deltalake" in found["package deltalake"].hint
    assert "!=1.6.6" in found["package deltalake"].hint
    assert found["extra heads"].state is State.WARNING
    assert "scikit-learn 1.0" in found["extra heads"].found


def test_a_missing_package_and_a_missing_extra_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name in ("pyarrow", "torch"):
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = {check.name: check for check in software.check_software()}
    assert found["package pyarrow"] == Check(
        "package pyarrow", State.BROKEN, "pyarrow is not installed", found["package pyarrow"].hint
    )
    assert found["extra train"].state is State.NOTE
    assert "torch" in found["extra train"].found
    assert found["extra train"].hint == "pip install 'matlake[train]'"


def test_two_onnx_runtimes_are_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matlake.encoders.session._is_installed", lambda _: True)
    (broken,) = (check for check in software.check_software() if check.state is State.BROKEN)
    assert broken.name == "ONNX Runtime"
    assert "both installed" in broken.found


@pytest.mark.parametrize(
    ("requirement", "wrong"),
    [("numpy>=1", None), ("numpy>=999", "numpy .* is installed, >=999 is needed"), ("nonesuch", "is not installed")],
)
def test_versions_are_held_against_bounds(requirement: str, wrong: str | None) -> None:
    found = software.wrong_version(Requirement(requirement))
    if wrong is None:
        assert found is None
    else:
        assert re.search(wrong, found or "")


def test_limits_of_the_environment_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert {c.name: c.state for c in machine.check_machine()}["threads"] is State.NOTE
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "many")
    (threads,) = (check for check in machine.check_machine() if check.name == "threads")
    assert threads.state is State.WARNING
    assert "OPENBLAS_NUM_THREADS" in threads.hint


def test_a_disk_without_room_or_without_links_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "_LEAST_ROOM", 1 << 60)

    def refuse(self: Path, _: Path) -> None:
        raise PermissionError(1, "Operation not permitted", str(self))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    found = {check.name: check for check in place.check_place(tmp_path)}
    assert found["disk space"].state is State.WARNING
    assert found["file system"].state is State.BROKEN
    assert "local file system" in found["file system"].hint
    assert not list(tmp_path.iterdir())


def test_the_command_prints_it_and_fails_where_something_is_broken(lake: matlake.Lake) -> None:
    done = run(["--lake", lake.path, "doctor"])
    assert done.returncode == 0
    assert done.stdout.endswith("\neverything that matlake needs works\n")
    (lake.path / "lake.json").write_text("{")
    done = run(["--lake", lake.path, "doctor", "--json"])
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["passed"] is False
    assert set(document["checks"][0]) == {"name", "state", "found", "hint"}


def test_missing_packages_do_not_keep_doctor_from_its_report(tmp_path: Path) -> None:
    patch = """
import sys
for name in ("pyarrow", "duckdb", "deltalake", "onnxruntime"):
    sys.modules[name] = None
"""
    done = run(["--lake", tmp_path, "doctor", "--json"], patch)
    assert done.returncode == 1
    found = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert found["lake"]["state"] == found["ONNX Runtime"]["state"] == "broken"
    assert found["memory"]["state"] in ("ok", "warning")


def test_a_bucket_is_looked_at_as_a_folder_is(bucket: str, object_store: ObjectStore) -> None:
    report = matlake.doctor(f"{bucket}/lake")
    found = {check.name: check for check in report.checks}
    assert report.passed
    assert {name: found[name].state for name in ("bucket", "commits", "lake")} == {
        "bucket": State.OK,
        "commits": State.OK,
        "lake": State.NOTE,
    }
    assert object_store.endpoint in found["bucket"].found
    assert object_store.keys(bucket.removeprefix("s3://")) == []


@pytest.mark.parametrize(
    ("fault", "said"), [(Fault("unconditional", times=None), "conditional puts"), (read_only(), "may not write")]
)
def test_a_bucket_that_cannot_be_written_to_safely_is_a_warning(
    bucket: str, object_store: ObjectStore, fault: Fault, said: str
) -> None:
    with object_store.failing(fault):
        found = {check.name: check for check in check_bucket(lake_path(bucket))}
    assert found["commits"].state is State.WARNING
    assert said in found["commits"].found
    assert found["commits"].hint


def test_a_bucket_that_is_not_there_is_broken(bucket: str) -> None:
    report = matlake.doctor(f"{bucket}-not")
    assert not report.passed
    (broken, *_) = (check for check in report.checks if check.state is State.BROKEN)
    assert broken.name == "bucket"
    assert "there is no bucket" in broken.found


def test_a_system_that_takes_no_long_paths_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.mkdir

    def short(self: Path, *arguments: object, **named: object) -> None:
        if len(str(self)) > 259:
            raise FileNotFoundError(2, "The system cannot find the path specified", str(self))
        real(self, *arguments, **named)

    monkeypatch.setattr(Path, "mkdir", short)
    found = {check.name: check for check in place.check_place(tmp_path)}
    assert found["long paths"].state is State.WARNING
    assert "LongPathsEnabled" in found["long paths"].hint
    monkeypatch.undo()
    assert "long paths" not in {check.name for check in place.check_place(tmp_path)}
    assert list(tmp_path.iterdir()) == []


def test_what_a_bug_report_needs_is_in_the_answer(tmp_path: Path) -> None:
    report = matlake.doctor(tmp_path / "lake")
    found = {check["name"]: check["found"] for check in json.loads(json.dumps(report.document()))["checks"]}
    assert f"{matlake.__version__} on " in found["matlake"]
    assert re.match(r"3\.\d+\.\d+ \(\w+, in ", found["python"])
    for package in ("numpy", "duckdb", "deltalake", "pyarrow", "onnx"):
        assert f"{package} {importlib.metadata.version(package)}" in found["packages"]
    assert "CPUExecutionProvider" in found["ONNX Runtime"]
    assert f"scikit-learn {importlib.metadata.version('scikit-learn')}" in found["extra heads"]
    assert {"cores", "memory", "text encoding", "plug-ins"} <= set(found) | {"plug-ins"}
    said = "\n".join(map(str, report.lines()))
    assert all(text in said for text in found.values())


def test_the_short_answer_fits_into_a_report() -> None:
    done = run(["--version"])
    first, second = done.stdout.splitlines()
    assert first == f"matlake {matlake.__version__}"
    assert re.fullmatch(r"\w+ 3\.\d+\.\d+, \w+ \S+, \w+", second)
