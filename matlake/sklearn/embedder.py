"""Encoders as a transformer of scikit-learn's."""

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from matlake.encoders.encode import encode, encoded_layers
from matlake.sklearn.given import column_names, materials_of
from matlake.store.importing.readers.frames import is_frame


class Embedder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Turns formulas and crystal structures into vectors, in pipelines and searches of scikit-learn's.

    There is nothing to learn: ``fit`` checks what is given. Encoders are opened when they are used, so that a copy, a
    clone or a pickle holds the parameters alone.

    Args:
        features: One or several encoders, as features of a head are named: ``NAME``, ``NAME@LAYER``,
            ``NAME@LAYER+LAYER`` or ``NAME@all``, in a list or with commas between them.
        column: Column of a DataFrame that holds the materials; by default the only one.
        errors: What becomes of a material without a vector: ``raise``, or a row of ``nan`` and a warning.
        device: ``cpu`` or ``cuda``.
        workers: Threads that encode; by default one per core.

    Attributes:
        n_features_in_: 1, or the number of columns of the DataFrame that ``fit`` was given.
        feature_names_in_: object [n_features_in_], their names, of a DataFrame.
    """

    def __init__(
        self,
        features: str | Sequence[str] = "chgnet-mptrj",
        *,
        column: str | None = None,
        errors: Literal["raise", "nan"] = "raise",
        device: str = "cpu",
        workers: int | None = None,
    ) -> None:
        """Keep the parameters as they are; ``fit`` and ``transform`` check them."""
        self.features = features
        self.column = column
        self.errors = errors
        self.device = device
        self.workers = workers

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002, N803 - names of scikit-learn's
        """Check that the encoders exist and that materials are given; nothing is encoded.

        Args:
            X: n formulas or structures: a list, an array, a Series, or a DataFrame with the column of them.
            y: Not used.

        Raises:
            EncoderError: An encoder or layer is unknown, or named twice.
            SourceError: There are no materials, or no such column.
        """
        list(encoded_layers(self.features))
        materials_of(X, self.column)
        self.n_features_in_ = 1
        if is_frame(X):
            self.feature_names_in_ = np.array(column_names(X), dtype=object)
            self.n_features_in_ = len(self.feature_names_in_)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:  # noqa: N803 - likewise
        """Return the vectors of n materials, float32 [n, d].

        Args:
            X: As for ``fit``.

        Raises:
            NotEncodedError: A material has no vector, and ``errors`` is ``raise``.
            EncoderError: As for ``fit``.
            SourceError: Likewise.
            MissingExtraError: ONNX Runtime or the device is not there.
        """
        return encode(
            materials_of(X, self.column), self.features, errors=self.errors, device=self.device, workers=self.workers
        )

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:  # noqa: ARG002 - likewise
        """Return the names of the d numbers, object [d].

        Those of a descriptor are called by its attributes, such as ``geometry: density (g/cm³)``; others are numbered,
        such as ``chgnet-mptrj@3_17``.
        """
        names: list[str] = []
        for registered, layer in encoded_layers(self.features):
            card = registered.card
            attributes = card.training.attributes
            if len(attributes) == layer.dim:
                names += [f"{card.name}: {attribute}" for attribute in attributes]
            else:
                names += [f"{card.ref(layer.name)}_{place}" for place in range(layer.dim)]
        return np.array(names, dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        """There is nothing to fit."""
        return True

    def __sklearn_tags__(self) -> Any:
        """Say that it takes text and objects, one material a row, and needs no fit."""
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags
