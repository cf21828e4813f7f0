"""matlake: an embedding store for materials science.

The names below are imported when they are first used, so that ``import matlake`` stays light.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matlake.encoders.encoder import Encoder, open_encoder
    from matlake.errors import MatlakeError
    from matlake.materials.formula import Composition, parse_formula
    from matlake.regress.predict import predict
    from matlake.regress.train import TrainRequest, train
    from matlake.regress.transfer.evaluate import TransferRequest, evaluate_transfer
    from matlake.store.embedder import embed
    from matlake.store.importer import import_table
    from matlake.store.lake import Lake, open_lake
    from matlake.store.search import open_index

__all__ = [
    "Composition",
    "Encoder",
    "Lake",
    "MatlakeError",
    "TrainRequest",
    "TransferRequest",
    "embed",
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
    "Lake": "store.lake",
    "MatlakeError": "errors",
    "TrainRequest": "regress.train",
    "TransferRequest": "regress.transfer.evaluate",
    "embed": "store.embedder",
    "evaluate_transfer": "regress.transfer.evaluate",
    "import_table": "store.importer",
    "open_encoder": "encoders.encoder",
    "open_index": "store.search",
    "open_lake": "store.lake",
    "parse_formula": "materials.formula",
    "predict": "regress.predict",
    "train": "regress.train",
}


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it."""
    if name not in _HOME:
        raise AttributeError(f"module 'matlake' has no attribute {name!r}")
    return getattr(importlib.import_module(f"matlake.{_HOME[name]}"), name)
