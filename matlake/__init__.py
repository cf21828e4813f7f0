"""matlake: an embedding store for materials science.

The names below are imported when they are first used, so that ``import matlake`` stays light.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matlake.encoders.encoder import Encoder, open_encoder
    from matlake.errors import MatlakeError
    from matlake.materials.formula import Composition, parse_formula
    from matlake.regress.heads.train import TrainRequest, train
    from matlake.regress.prediction.predict import predict
    from matlake.store.embedding.embedder import embed
    from matlake.store.importing.importer import import_table
    from matlake.store.lake import Lake, open_lake
    from matlake.store.searching.index import open_index
    from matlake.studies.extrapolation.evaluate import evaluate_extrapolation
    from matlake.studies.extrapolation.request import ExtrapolationRequest
    from matlake.studies.transfer.evaluate import TransferRequest, evaluate_transfer

__all__ = [
    "Composition",
    "Encoder",
    "ExtrapolationRequest",
    "Lake",
    "MatlakeError",
    "TrainRequest",
    "TransferRequest",
    "embed",
    "evaluate_extrapolation",
    "evaluate_transfer",
    "import_table",
    "open_encoder",
    "open_index",
    "open_lake",
    "parse_formula",
    "predict",
    "train",
]

_HOME = {
    "Composition": "materials.formula",
    "Encoder": "encoders.encoder",
    "ExtrapolationRequest": "studies.extrapolation.request",
    "Lake": "store.lake",
    "MatlakeError": "errors",
    "TrainRequest": "regress.heads.train",
    "TransferRequest": "studies.transfer.evaluate",
    "embed": "store.embedding.embedder",
    "evaluate_extrapolation": "studies.extrapolation.evaluate",
    "evaluate_transfer": "studies.transfer.evaluate",
    "import_table": "store.importing.importer",
    "open_encoder": "encoders.encoder",
    "open_index": "store.searching.index",
    "open_lake": "store.lake",
    "parse_formula": "materials.formula",
    "predict": "regress.prediction.predict",
    "train": "regress.heads.train",
}


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it."""
    if name not in _HOME:
        raise AttributeError(f"module 'matlake' has no attribute {name!r}")
    return getattr(importlib.import_module(f"matlake.{_HOME[name]}"), name)
