"""Machine code: kept between processes, never beyond a change of the code, and dispensable."""

import importlib.util
import sys
from collections.abc import Callable
from types import SimpleNamespace

import numba
import pytest

from matlake.materials import kernels
from matlake.materials.kernels import kernel


@pytest.fixture
def function(tmp_path, monkeypatch) -> Callable[[int], int]:
    """A function in a file of its own, beside which machine code can be kept."""
    file = tmp_path / "doubling.py"
    file.write_text("def double(x):\n    return 2 * x\n")
    spec = importlib.util.spec_from_file_location("doubling", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "doubling", module)  # where numba looks for it when it reads what it kept
    spec.loader.exec_module(module)
    return module.double


def hits_and_misses(function) -> tuple[int, int]:
    compiled = kernel(function)
    assert compiled(21) == 42
    return sum(compiled.stats.cache_hits.values()), sum(compiled.stats.cache_misses.values())


def test_machine_code_is_kept_until_any_file_of_kernels_changes(function, monkeypatch) -> None:
    assert hits_and_misses(function) == (0, 1)
    assert hits_and_misses(function) == (1, 0)
    monkeypatch.setattr(kernels, "_stamp", lambda: "another release")
    assert hits_and_misses(function) == (0, 1)
    assert hits_and_misses(function) == (1, 0)


def test_kernels_work_where_nothing_can_be_written(function, monkeypatch) -> None:
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])
    assert hits_and_misses(function) == (0, 1)
    assert hits_and_misses(function) == (0, 1)


def test_machine_code_is_not_kept_where_its_stamp_cannot_be_set(function, monkeypatch) -> None:
    monkeypatch.setattr(kernels.nb, "njit", lambda cache=False, **_: lambda _: SimpleNamespace(kept=cache))
    assert not kernel(function).kept
