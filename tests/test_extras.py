"""Missing extras: refused with the modules that are missing and what to install."""

import pytest

from matlake import extras
from matlake.errors import MissingExtraError
from matlake.extras import EXTRAS, require_extra


def test_a_missing_module_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda module: module != "onnxscript")
    with pytest.raises(
        MissingExtraError, match="making encoders needs onnxscript, which this installation lacks"
    ) as it:
        require_extra("train", "making encoders")
    assert it.value.hint == "pip install 'matlake[train]'"
    require_extra("train", "training a deep network", "torch")


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_installed_extra_passes_and_imports_nothing(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(extras, "is_installed", lambda module: asked.append(module) is None)
    require_extra(extra, "this")
    assert tuple(asked) == EXTRAS[extra]
