"""The rows of one target: values, compositions, which are tested, the folds that choices are made on, and features.

Layers of encoders of compositions are computed where they are asked for: reading a layer of a thousand numbers from the
lake costs more than computing it, and an evaluation looks at layers that nobody wants to keep. Encoders of crystals
cost a thousand times more: their layers are read from the lake.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.encoder import open_encoder
from matlake.encoders.layer_ref import LayerRef
from matlake.errors import TrainingError
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import read_matrix
from matlake.regress.splits import Rows, grouped_folds
from matlake.store.lake import Lake
from matlake.studies.rows import StudyRows
from matlake.studies.transfer.configurations import FRACTIONS, TransferRequest

PARTS: Final = 10
"""One of them is tested, and of the rest one in ten validated on: 81/9/10."""

FEW_ROWS: Final = 4096
"""Up to so many rows, all layers of a source are computed at once: they are looked at in turn."""

KEPT_BYTES: Final = 1 << 30
"""Layers that are kept; those read longest ago make room."""

TEST_LABEL: Final = "test"
_FEWEST: Final = 50
_FEWEST_TESTED: Final = 2


@dataclass(frozen=True)
class TargetRows:
    """The rows that have a target.

    Attributes:
        name: Property column.
        data: Element fractions, and features that are read from the lake rather than computed.
        y: float64 [n], in the target's unit.
        groups: str [n], hash of the composition.
        pool: Rows to train and validate on, ascending.
        test: Rows to test on, ascending.
        outside: bool [m], tested rows whose composition no row of the pool has.
        folds: Ten parts of the pool, whole compositions each; the first is the validation part.
    """

    name: str
    data: StudyRows
    y: NDArray[np.float64]
    groups: NDArray[np.str_]
    pool: Rows
    test: Rows
    outside: NDArray[np.bool_]
    folds: tuple[Rows, ...]

    def fractions(self, rows: Rows | slice = slice(None)) -> NDArray[np.float32]:
        """Return the element fractions of some rows, float32 [m, 86]."""
        return self.data.columns([self.data.features[0].feature], rows)

    def fit_rows(self, fold: int) -> Rows:
        """Return the rows of the pool that are not in a fold."""
        return np.setdiff1d(self.pool, self.folds[fold], assume_unique=True)


def read_target(lake: Lake, name: str, request: TransferRequest) -> TargetRows:
    """Read the rows of a target and hold out those to test on.

    Args:
        lake: The lake.
        name: Numeric property column.
        request: Says which rows and features, and decides what is tested.

    Raises:
        TrainingError: See ``read_matrix``; or too few rows, or the column says ``test`` for none or for all.
    """
    split_column, seed = request.split_column, request.seed
    resolved = resolve_features(lake, [FRACTIONS, *request.features])
    columns = (split_column,) if split_column else ()
    matrix = read_matrix(lake, name, resolved, dataset=request.dataset, where=request.where, columns=columns)
    y, groups = matrix.y, matrix.groups
    tested = _tested(matrix.columns[split_column], name, split_column) if split_column else None
    compositions = len(np.unique(groups))
    if compositions < _FEWEST:
        raise TrainingError(
            f"{name} has only {compositions} different compositions; at least {_FEWEST} are needed",
            "leave it out of the targets, or train a head on it",
        )
    if tested is None:
        tested = np.zeros(len(y), dtype=bool)
        tested[grouped_folds(groups, PARTS, seed)[0][1]] = True
    pool, test = np.flatnonzero(~tested), np.flatnonzero(tested)
    folds = tuple(pool[held] for _, held in grouped_folds(groups[pool], PARTS, seed))
    digest = hashlib.sha256(name.encode())
    for array in (y, groups, tested, *folds):
        digest.update(np.ascontiguousarray(array).tobytes())
    data = StudyRows(name, matrix, resolved, digest.hexdigest())
    outside = ~np.isin(groups[test], groups[pool])
    return TargetRows(name, data, y, groups, pool, test, outside, folds)


def _tested(labels: NDArray[np.object_], name: str, column: str) -> NDArray[np.bool_]:
    tested: NDArray[np.bool_] = np.array([str(label).lower() == TEST_LABEL for label in labels], dtype=bool)
    if not _FEWEST_TESTED <= tested.sum() <= len(tested) - _FEWEST_TESTED:
        raise TrainingError(
            f"column {column!r} says {TEST_LABEL!r} for {tested.sum():,} of the {len(tested):,} rows with {name}",
            f"name a column that says {TEST_LABEL!r} for the rows to test on, or none",
        )
    return tested


@dataclass
class FeatureReader:
    """Computes features, and keeps those that were read last.

    Attributes:
        lake: Its registry holds the encoders.
    """

    lake: Lake
    _kept: dict[tuple[str, bytes, str, str], NDArray[np.float32]] = field(default_factory=dict)

    def read(self, target: TargetRows, features: tuple[str, ...], rows: Rows) -> NDArray[np.float32]:
        """Return features side by side.

        Args:
            target: The rows of a target.
            features: ``NAME`` or ``NAME@LAYER``.
            rows: Which of them [m].

        Returns:
            float32 [m, d].

        Raises:
            EncoderError: No such encoder or layer.
            TrainingError: A layer of an encoder of crystals was not read with the target.
        """
        parts = [self._one(target, feature, rows) for feature in features]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def identify(self, features: tuple[str, ...]) -> list[str]:
        """Return features with the digests of their encoders: what a measurement is keyed by."""
        found = []
        for ref in map(LayerRef.parse, features):
            card = self.lake.find_encoder(ref.encoder).card
            found.append(str(LayerRef(card.sha256, card.layer(ref.layer).name)))
        return found

    def layers(self, encoder: str) -> tuple[str, ...]:
        """Return the hidden layers of a source in order, as ``NAME@LAYER``.

        Raises:
            EncoderError: No such encoder.
            TrainingError: It takes crystals, or has no hidden layer.
        """
        card = self.lake.find_encoder(encoder).card
        if card.input != "composition" or len(card.layers) < 2:  # noqa: PLR2004 - a descriptor has one
            why = "takes crystals" if card.input == "crystal" else "has no hidden layers"
            raise TrainingError(
                f"{encoder} cannot be a source: it {why}",
                "name encoders of compositions with hidden layers; matlake.list_encoders() has all",
            )
        return tuple(str(card.ref(layer.name)) for layer in card.hidden_layers)

    def _one(self, target: TargetRows, feature: str, rows: Rows) -> NDArray[np.float32]:
        if feature == FRACTIONS:
            return target.fractions(rows)
        if feature in target.data.places:
            return target.data.columns([feature], rows)
        ref = LayerRef.parse(feature)
        card = self.lake.find_encoder(ref.encoder).card
        if card.input != "composition":
            raise TrainingError(f"the layer {feature} of crystals was not read", "name it among the features")
        layer, few = card.layer(ref.layer).name, len(rows) <= FEW_ROWS
        about = target.data.digest, rows.tobytes() if few else b"", ref.encoder
        found = self._kept.pop((*about, layer), None)
        if found is None:
            while self._kept and sum(part.nbytes for part in self._kept.values()) > KEPT_BYTES:
                del self._kept[next(iter(self._kept))]
            layers = [known.name for known in card.layers] if few else [layer]
            encoder = open_encoder(self.lake.find_encoder(ref.encoder).folder, layers=layers)
            vectors = encoder.encode_inputs(target.fractions(rows if few else slice(None)), layers)
            self._kept |= {(*about, known): part for known, part in zip(layers, vectors, strict=True)}
            found = self._kept.pop((*about, layer))
        self._kept[*about, layer] = found
        return found if few else found[rows]
