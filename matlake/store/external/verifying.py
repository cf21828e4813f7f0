"""What can be verified of an encoder of a lake: an external one has no file to run, but stored vectors."""

from typing import Final

import numpy as np

from matlake.encoders.card import EncoderCard, Layer
from matlake.encoders.verify import Check, VerifyReport, verify_encoder
from matlake.store.content_keys import CONTENT_KEYS
from matlake.store.embedding.targets import KEY, VECTOR
from matlake.store.external.vectors import read_vectors
from matlake.store.folders import LakeFolders
from matlake.store.limits import small_memory
from matlake.store.searching.content_words import ContentSet, hash_words
from matlake.store.snapshots import snapshot_or_warn
from matlake.store.sql import connect
from matlake.store.storage.parquet import open_parquet
from matlake.store.tables import delta
from matlake.store.views import embedding_partition

_BATCH_ROWS: Final = 8192
_DROP: Final = "`matlake compact --drop-unused` drops those of materials that were deleted or changed"


def verify(lake: LakeFolders, name: str) -> VerifyReport:
    """Hold an encoder of a lake to its contract.

    Args:
        lake: The lake, or its folders, whether they are there or not.
        name: Name of the encoder.

    Raises:
        EncoderError: There is none of that name.
        MissingExtraError: ONNX Runtime is not installed.
    """
    found = lake.find_encoder(name)
    checks = _external_checks(lake, found.card) if found.card.is_external else verify_encoder(found.folder)
    return VerifyReport(name, tuple(checks))


def _external_checks(lake: LakeFolders, card: EncoderCard) -> list[Check]:
    with connect(lake, frozenset({"compositions"}), memory=small_memory()) as connection:
        keys = connection.sql(f"SELECT {CONTENT_KEYS[card.input]} AS key FROM internal.compositions").to_arrow_table()
    materials = ContentSet(hash_words(keys["key"]))
    layers = [_StoredLayer(lake, card, layer, materials) for layer in card.layers]
    count = f"{sum(one.vectors for one in layers):,} vectors, of {', '.join(one.name for one in layers)}"
    clauses = {
        "Every layer has vectors": [f"{one.name} has none" for one in layers if not one.vectors],
        "Every vector has the dimension of the card and finite numbers": [
            f"{one.name}: {one.wrong:,} have not" for one in layers if one.wrong
        ],
        "No material has two vectors of a layer": [f"{one.name}: {one.twice:,} have" for one in layers if one.twice],
        "Every vector belongs to a material": [
            f"{one.name}: {one.lost:,} belong to none; {_DROP}" for one in layers if one.lost
        ],
    }
    return [Check(name, not wrong, "; ".join(wrong) or count) for name, wrong in clauses.items()]


class _StoredLayer:
    """What the stored vectors of a layer are like.

    Attributes:
        name: ``NAME@LAYER``.
        vectors: Their number.
        wrong: Those that are not finite, or of another length.
        twice: Those of materials that have one already.
        lost: Those of no material.
    """

    def __init__(self, lake: LakeFolders, card: EncoderCard, layer: Layer, materials: ContentSet) -> None:
        self.name = str(card.ref(layer.name))
        self.vectors = self.wrong = 0
        words = [np.empty((0, 2), np.uint64)]
        table = snapshot_or_warn(lake, lake.embeddings)
        for part in delta.sound_parts(table, embedding_partition(card, layer.name), verify=True):
            with open_parquet(part.path) as file:
                for batch in file.iter_batches(_BATCH_ROWS, columns=[KEY, VECTOR]):
                    self.vectors += batch.num_rows
                    self.wrong += len(read_vectors(batch.column(VECTOR), layer.dim)[1])
                    words.append(hash_words(batch.column(KEY)))
        held = np.concatenate(words)
        self.twice = len(held) - len(np.unique(held, axis=0))
        self.lost = int((~materials.contains(held)).sum())
