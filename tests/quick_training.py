"""Training in tests: figures are built and not rendered, and the forest that heads are compared with has few trees."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import pytest

from matlake.plots.files import FORMATS
from matlake.regress.heads import baselines
from matlake.regress.heads.plots import draw_plots
from matlake.regress.regressors import MODELS, Parameters

TRAINING: Final = ("matlake.regress.heads.train", "matlake.regress.finetuning.finetune")
DRAWING: Final = ("matlake.plots.files", "matlake.regress.finetuning.plots")
_TREES: Final = 10
_FOREST: Final = MODELS["random-forest"]


def quicken(patch: pytest.MonkeyPatch) -> None:
    """Let training in this process take half the time.

    matplotlib takes 40 % of it to write pictures: ``tests/plots`` and tests that ask for ``rendered_plots`` do. A
    forest of 100 trees takes most of the rest: tests that ask for ``whole_forest`` grow them.
    """
    for module in TRAINING:
        patch.setattr(f"{module}.draw_plots", outlined)
    patch.setattr(baselines, "MODELS", MODELS | {_FOREST.name: replace(_FOREST, grid=_thin)})


def unwritten(_: object, name: str, formats: Iterable[str] = FORMATS) -> dict[str, bytes]:
    """Take the place of ``figure_files``."""
    return {f"{name}.{ending}": b"" for ending in formats}


def outlined(*arguments: Any) -> dict[str, bytes]:
    """Take the place of ``draw_plots``: build the figures, and give empty files of their names."""
    with pytest.MonkeyPatch.context() as patch:
        for module in DRAWING:
            patch.setattr(f"{module}.figure_files", unwritten)
        return draw_plots(*arguments)


def _thin(n_features: int) -> list[Parameters]:
    return [parameters | {"n_estimators": _TREES} for parameters in _FOREST.grid(n_features)]
