"""The features of selected rows: vectors that the lake holds, columns, and what is computed if not embedded.

Rows are those of a temporary table ``selection``: ``row``, ``dataset``, ``material_id``, the content hashes, and the
numbers of ``own_columns.selected_columns``.
Vectors stream past in the order of the files and are placed by content hash here: the order of a join is not stable,
and a join in DuckDB copies every vector once more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.encoders.base import Encoder
from matlake.encoders.card import InputKind
from matlake.encoders.rejections import NO_CRYSTAL
from matlake.errors import MatlakeError, embed_first
from matlake.materials.compositions import CompositionColumns
from matlake.materials.crystal import CrystalColumns
from matlake.regress.features.descriptors import describe, encode_layers, open_descriptor
from matlake.regress.features.feature import Feature
from matlake.regress.features.own_columns import feature_name, stored_numbers, with_unit
from matlake.store.content_keys import CONTENT_KEYS
from matlake.store.lake import Lake
from matlake.store.quoting import identifier, literal

BATCH_BYTES: Final = 16 << 20
_MIN_BATCH_ROWS: Final = 2048

NOT_EMBEDDED: Final = "not embedded"


@dataclass(frozen=True)
class Lacking:
    """A row that lacks a feature.

    Attributes:
        row: Which.
        feature: What it lacks.
        reason: ``not embedded``, or why it cannot be.
    """

    row: int
    feature: str
    reason: str


@dataclass(frozen=True)
class FeatureReader:
    """Reads features of the rows in ``selection``.

    Attributes:
        features: They stand side by side in this order.
        descriptors: For each feature its encoder, where it need not be embedded; None where it must, and for a column.
    """

    features: tuple[Feature, ...]
    descriptors: tuple[Encoder | None, ...]

    @staticmethod
    def open(lake: Lake, features: tuple[Feature, ...]) -> "FeatureReader":
        """Open the descriptors among some features, and the encoders that a head carries.

        Raises:
            EncoderError: A file is refused.
            MissingExtraError: ONNX Runtime is not installed.
        """
        opened = cache(lambda feature: None if feature.column else open_descriptor(lake, feature))
        carried = {feature.carried: feature for feature in features if feature.carried_by}
        return FeatureReader(
            features, tuple(opened(carried[one.carried] if one.carried_by else one) for one in features)
        )

    @property
    def dim(self) -> int:
        """Length of all vectors side by side."""
        return sum(feature.dim for feature in self.features)

    def check(self, connection: duckdb.DuckDBPyConnection, rows: str, error: type[MatlakeError]) -> None:
        """Check that some row may have each feature.

        Args:
            connection: Holds the views of the lake.
            rows: Table of rows, as ``selection`` is.
            error: Class of the error.

        Raises:
            MatlakeError: No row has a crystal, and a feature needs one; or nothing is embedded with a feature; or no
                row has a value of a column.
        """
        for feature, descriptor in zip(self.features, self.descriptors, strict=True):
            if feature.column:
                _check_values(connection, rows, feature, error)
                continue
            key = CONTENT_KEYS[feature.input]
            n, contents = connection.execute(f"SELECT count(*), count({key}) FROM {rows}").fetchall()[0]
            if n and not contents:
                raise error(
                    f"none of the {n:,} rows has a crystal structure, which {feature.feature} needs",
                    "import structures, or name features of compositions",
                )
            if descriptor is None and not _is_embedded(connection, feature):
                raise error(f"nothing is embedded with {feature.feature}", embed_first(feature.feature))

    def read(
        self,
        connection: duckdb.DuckDBPyConnection,
        keys: pa.Table,
        compositions: CompositionColumns,
        crystals: Callable[[], CrystalColumns],
    ) -> tuple[NDArray[np.float32], list[Lacking]]:
        """Read the features of n rows.

        Args:
            connection: Holds the table ``selection``.
            keys: Its n rows, in order.
            compositions: Their compositions.
            crystals: Reads their crystals; called where a descriptor of crystals has to be computed.

        Returns:
            float32 [n, d], undefined where a feature is lacking; and what is lacking.
        """
        x = np.empty((len(keys), self.dim), dtype=np.float32)
        lacking: list[Lacking] = []
        read_crystals = cache(crystals)
        carried = cache(lambda encoder: self._carried(encoder, read_crystals()))
        start = 0
        for feature, descriptor in zip(self.features, self.descriptors, strict=True):
            vectors = x[:, start : start + feature.dim]
            start += feature.dim
            if feature.column:
                vectors[:, 0], reasons = stored_numbers(keys, feature.column)
            elif feature.carried_by:
                computed, why = carried(feature.carried)
                vectors[:], reasons = computed[feature], why[feature]
            elif descriptor is None:
                reasons = _read_vectors(connection, feature, keys, vectors)
            elif feature.input is InputKind.CRYSTAL:
                reasons = _read_or_describe(connection, descriptor, feature, keys, read_crystals, vectors)
            else:
                reasons = describe(descriptor, feature.layer, compositions, vectors)
            lacking += [Lacking(row, feature.feature, reason) for row, reason in enumerate(reasons) if reason]
        return x, lacking

    def _carried(
        self, carried: tuple[str, str], crystals: CrystalColumns
    ) -> tuple[dict[Feature, NDArray[np.float32]], dict[Feature, list[str | None]]]:
        """Run an encoder that a head carries once for all of its layers; vectors and reasons by feature."""
        places = [place for place, one in enumerate(self.features) if one.carried == carried]
        own, encoder = [self.features[place] for place in places], self.descriptors[places[0]]
        assert encoder is not None  # noqa: S101 - ``open`` opens all that are carried
        x, reasons = encode_layers(encoder, [one.layer for one in own], crystals)
        parts = np.split(x, np.cumsum([one.dim for one in own])[:-1], axis=1)
        return dict(zip(own, parts, strict=True)), dict.fromkeys(own, reasons)


def _check_values(
    connection: duckdb.DuckDBPyConnection, rows: str, feature: Feature, error: type[MatlakeError]
) -> None:
    n, values = connection.execute(
        f"SELECT count(*), count({identifier(feature_name(feature.column))}) FROM {rows}"
    ).fetchall()[0]
    if n and not values:
        raise error(f"none of the {n:,} rows has a value of {with_unit(feature.column)}", "select rows that have one")


def _is_embedded(connection: duckdb.DuckDBPyConnection, feature: Feature) -> bool:
    views = "SELECT count(*) FROM duckdb_views() WHERE schema_name = 'embed' AND view_name = ?"
    return bool(connection.execute(views, [feature.feature]).fetchall()[0][0])


def _read_or_describe(
    connection: duckdb.DuckDBPyConnection,
    descriptor: Encoder,
    feature: Feature,
    keys: pa.Table,
    crystals: Callable[[], CrystalColumns],
    vectors: NDArray[np.float32],
) -> list[str | None]:
    """Read a descriptor of crystals where it is embedded, which is faster, and compute the rest; see ``describe``."""
    reasons: list[str | None] = [NOT_EMBEDDED] * len(keys)
    if _is_embedded(connection, feature):
        reasons = _read_vectors(connection, feature, keys, vectors)
    rows = np.flatnonzero([reason == NOT_EMBEDDED for reason in reasons])
    if not len(rows):
        return reasons
    computed = np.empty((len(rows), feature.dim), dtype=np.float32)
    for row, reason in zip(rows, describe(descriptor, feature.layer, crystals().take(rows), computed), strict=True):
        reasons[row] = reason
    vectors[rows] = computed
    return reasons


def _read_vectors(
    connection: duckdb.DuckDBPyConnection, feature: Feature, keys: pa.Table, x: NDArray[np.float32]
) -> list[str | None]:
    """Write a feature's vectors into the columns ``x`` [n, d] and return why a row has none, or None where it has."""
    if not len(x):
        return []
    key = CONTENT_KEYS[feature.input]
    found = np.zeros(len(x), dtype=bool)
    vectors = f"internal.{identifier(feature.feature)}"
    (stored,) = connection.execute(f"SELECT count(*) FROM {vectors}").fetchall()[0]
    some = f"SEMI JOIN selection AS s ON s.{key} = e.content_hash" if 2 * len(x) < stored else ""
    reader: Any = connection.sql(f"SELECT e.content_hash, e.vector FROM {vectors} AS e {some}").to_arrow_reader(
        max(_MIN_BATCH_ROWS, BATCH_BYTES // (4 * feature.dim))
    )
    given_at_all = keys[key].is_valid().to_numpy()
    wanted = np.array(keys[key].fill_null("").to_pylist(), dtype=np.bytes_)
    order = np.argsort(wanted, kind="stable")
    wanted = wanted[order]
    for batch in reader:
        given = np.array(batch.column(0).to_pylist(), dtype=np.bytes_)
        places = np.minimum(np.searchsorted(wanted, given), len(wanted) - 1)
        hit = np.flatnonzero(wanted[places] == given)
        rows = order[places[hit]]
        block = batch.column(1).flatten().to_numpy().reshape(-1, feature.dim)
        x[rows] = block if len(hit) == len(given) else block[hit]
        found[rows] = True
    first = order[np.searchsorted(wanted, wanted)]  # equal contents share the vector of the first
    repeated = first != order
    x[order[repeated]] = x[first[repeated]]
    found[order[repeated]] = found[first[repeated]]
    reasons = [
        None if one else NOT_EMBEDDED if has_content else NO_CRYSTAL
        for one, has_content in zip(found.tolist(), given_at_all.tolist(), strict=True)
    ]
    return _with_failures(connection, feature, reasons)


def _with_failures(
    connection: duckdb.DuckDBPyConnection, feature: Feature, reasons: Sequence[str | None]
) -> list[str | None]:
    """Replace reasons by what the encoder rejects a row for, such as its disorder, where it has."""
    known = list(reasons)
    if not any(known):
        return known
    rejected = connection.execute(
        "SELECT s.row, f.reason FROM selection AS s JOIN failures AS f USING (dataset, material_id) "
        f"WHERE f.encoder = {literal(feature.encoder)} AND f.stage = 'embed'"
    ).fetchall()
    for row, reason in rejected:
        if known[row] is not None:
            known[row] = reason
    return known
