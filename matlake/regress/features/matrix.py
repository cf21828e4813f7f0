"""From SQL to the matrix that a regressor is fitted to.

SQL gives keys, target and a row number; vectors stream in as Arrow batches and are written to their rows, because
the order of a join is not stable and a second copy of the vectors would double the memory.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.materials.crystal import CrystalColumns
from matlake.materials.periodic_table import SYMBOLS
from matlake.regress.features.columns import (
    BOOLEAN,
    column_kinds,
    is_number,
    is_numeric,
    not_numbers,
    read_columns,
    read_compositions,
    read_crystals,
)
from matlake.regress.features.feature import Feature, columns_of, layers_of, places_of_columns
from matlake.regress.features.feature_reader import FeatureReader
from matlake.regress.features.labels import Missing, RowIds, read_labels, target_column
from matlake.regress.features.own_columns import check_columns, feature_name, selected_columns
from matlake.regress.features.row_counts import ALIKE, RowCounts
from matlake.regress.regressors.feature_rows import FeatureRows, Features, as_array, take_rows
from matlake.regress.regressors.labelled_rows import LabelledRows, Weights
from matlake.regress.targets.expressions import Columns, Target, columns_in, find_target, find_targets
from matlake.regress.targets.kinds import Kind, check_classes, kind_of
from matlake.store.as_of import present_moment
from matlake.store.column_names import MATERIAL_COLUMNS
from matlake.store.content_keys import key_columns
from matlake.store.damage import reads_what_is_sound, verify_parts
from matlake.store.lake import Lake
from matlake.store.moment import TableVersion
from matlake.store.pure_reads import check_predicate
from matlake.store.quoting import identifier, literal
from matlake.store.sql import not_a_predicate
from matlake.store.views import readable_view

MIN_ROWS: Final = 10
_ALL: Final = "materials"
_MOVED_ROWS: Final = 8192


@dataclass(frozen=True)
class Matrix:
    """Rows with features and target, in order of dataset and id.

    Attributes:
        x: float32 [n, d], the features side by side.
        y: float64 [n], the target.
        fractions: float32 [n, 118], fractions of all elements in the same rows.
        dataset: str [n].
        material_id: str [n].
        formula: str [n].
        groups: str [n], hash of the composition: polymorphs are one group.
        missing: Rows left out because a feature is missing.
        sql: The query that selects the rows.
        tables: The versions of the tables that they were read from.
        columns: [n] each, the columns asked for: numbers (NaN where null), times (NaT) or text (None).
        crystals: The n crystals, if asked for; one without atoms where a material has no crystal structure.
        weights: float64 [n], how much each row counts; None where all count alike.
        uncertainty: float64 [n], standard uncertainties of the target in its unit; None where none are given.
        boolean: Whether the target is true or false in the lake: 1 and 0 here.
        own: Places in ``x`` of columns of the user's own.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float64]
    fractions: NDArray[np.float32]
    dataset: NDArray[np.str_]
    material_id: NDArray[np.str_]
    formula: NDArray[np.str_]
    groups: NDArray[np.str_]
    missing: tuple[Missing, ...]
    sql: str
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    crystals: CrystalColumns | None = None
    weights: Weights = None
    uncertainty: NDArray[np.float64] | None = None
    boolean: bool = False
    own: tuple[int, ...] = ()
    tables: tuple[TableVersion, ...] = ()

    @cached_property
    def kind(self) -> Kind:
        """Whether the target is a number, or yes or no."""
        return kind_of(self.y)

    @cached_property
    def codes(self) -> NDArray[np.intp]:
        """Numbers of the groups in their order, int [n]: a hundredth of the memory of their names."""
        return np.unique(self.groups, return_inverse=True)[1]

    def beside_own(self, x: Features, rows: NDArray[Any]) -> Features:
        """Return features float32 [m, d] of m rows with the user's own columns of these rows beside them."""
        return np.concatenate([as_array(x), self.x[:, list(self.own)][rows]], axis=1) if self.own else x

    def features_of(self, rows: NDArray[Any]) -> FeatureRows:
        """Return the features of some of the rows, without a copy."""
        return take_rows(self.x, rows)

    def labelled(self, rows: NDArray[Any]) -> LabelledRows:
        """Return some of the rows as a fit takes them."""
        return LabelledRows(self.x, self.y, self.codes, self.weights).take(rows)

    def take(self, rows: NDArray[Any]) -> "Matrix":
        """Return some of the rows as a matrix."""
        arrays = ("x", "y", "fractions", "dataset", "material_id", "formula", "groups", "weights", "uncertainty")
        taken = {name: getattr(self, name)[rows] for name in arrays if getattr(self, name) is not None}
        return replace(
            self,
            **taken,
            columns={name: values[rows] for name, values in self.columns.items()},
            crystals=self.crystals.take(rows) if self.crystals is not None else None,
        )


@dataclass(frozen=True)
class SharedRows:
    """Rows with the same features and several targets, of which each row has one at least.

    Attributes:
        matrix: All rows; ``y`` is the first target, NaN where a row lacks it.
        targets: k targets.
        labels: float64 [n, k], NaN where a row lacks a target.
        booleans: For each target whether it is true or false in the lake.
        left_out: For each target the rows that have it and cannot be used.
    """

    matrix: Matrix
    targets: tuple[Target, ...]
    labels: NDArray[np.float64]
    booleans: tuple[bool, ...]
    left_out: tuple[tuple[Missing, ...], ...]

    def of(self, place: int, *, training: bool = True) -> tuple[Matrix, NDArray[np.intp]]:
        """Return the rows of one target, and which of all they are.

        Args:
            place: Number of the target.
            training: They are trained on: they have to be enough, and to vary.

        Raises:
            TrainingError: They are fewer than ``MIN_ROWS``, or the target does not vary.
        """
        label = self.labels[:, place]
        rows = np.flatnonzero(np.isfinite(label))
        matrix = self.matrix if len(rows) == len(label) else self.matrix.take(rows)
        if training:
            _check_enough(
                label[rows], self.targets[place].name, list(self.left_out[place]), boolean=self.booleans[place]
            )
        return replace(matrix, y=label[rows], missing=self.left_out[place], boolean=self.booleans[place]), rows


def read_matrix(
    lake: Lake,
    target: str | Target,
    features: tuple[Feature, ...],
    *,
    dataset: str | None = None,
    where: str | None = None,
    columns: tuple[str, ...] = (),
    crystals: bool = False,
    counts: RowCounts = ALIKE,
    training: bool = True,
) -> Matrix:
    """Read features and target of all materials that have both.

    Args:
        lake: The lake; all is read at one moment of it.
        target: Property column of numbers, or of true and false, or an SQL expression of columns with one value a row;
            rows in which it is null are not selected.
        features: Embedded layers, descriptors and columns, concatenated in this order. Descriptors are computed here.
        dataset: Only this dataset.
        where: Only rows of ``materials`` that this SQL predicate selects.
        columns: Columns of ``materials`` that a split needs.
        crystals: A split needs the crystals.
        counts: What says how much each row counts.
        training: The rows are trained on: they have to be enough, and to vary.

    Raises:
        TrainingError: The target is unknown, not numeric, not finite or constant, or yes or no with fewer than
            ``MIN_CLASS_ROWS`` rows of a class; a feature is not embedded; a column is unknown; fewer than ``MIN_ROWS``
            rows; weights cannot be used; or the target is made of a column among the features.
        QueryError: ``where`` is not a predicate over ``materials``.
        LakeError: The dataset cannot be read.
    """
    read = read_shared_rows(
        lake, (target,), features, dataset=dataset, where=where, columns=columns, crystals=crystals, counts=counts
    )
    return read.of(0, training=training)[0]


@reads_what_is_sound
def read_shared_rows(
    lake: Lake,
    targets: Sequence[str | Target],
    features: tuple[Feature, ...],
    *,
    dataset: str | None = None,
    where: str | None = None,
    columns: tuple[str, ...] = (),
    crystals: bool = False,
    counts: RowCounts = ALIKE,
) -> SharedRows:
    """Read features of all materials that have one of several targets, at one moment of the lake.

    Arguments and errors are those of ``read_matrix``.
    """
    lake = replace(lake, moment=present_moment(lake))  # all of it is read from versions that the card can name
    if dataset is not None and dataset not in lake.dataset_names():
        raise TrainingError(
            f"there is no dataset {dataset!r}", f"datasets: {', '.join(lake.dataset_names()) or 'none yet'}"
        )
    verify_parts(
        lake,
        lake.dataset_names() if dataset is None else [dataset],
        [feature.partition for feature in layers_of(features)],
    )
    with lake.connect() as connection:
        view = None if dataset is None else readable_view(lake, connection, dataset)
        known = target_columns(connection, view)
        found = tuple(
            target if isinstance(target, Target) else find_target(connection, target, known, scaled=False)
            for target in targets
        )
        booleans = tuple(_check_target(connection, target, view) == BOOLEAN for target in found)
        own = columns_of(features)
        check_columns(connection, own, TrainingError)
        for target in found:
            _check_not_a_feature(connection, target, own)
        counting = counts.find(connection, known)
        for one in counting:
            _check_target(connection, one, view)
        sql = _selection_sql(connection, found, dataset, where, counts.select(counting))
        keys = _select(connection, sql, found, where, counts.names, features)
        labels, unlabelled = read_labels(keys, found)
        weights, uncertainty, uncounted = counts.read(keys)
        ids = RowIds.of(keys)
        asked = read_columns(connection, columns, view)
        reader = FeatureReader.open(lake, features)
        reader.check(connection, "selection", TrainingError)
        cells = read_crystals(connection) if crystals else None
        compositions = read_compositions(connection)
        # before the features come: what is needed to make these would stand beside them
        text = {name: keys[name].to_numpy().astype(np.str_) for name in ("dataset", "material_id", "formula")}
        groups = keys["composition_hash"].to_numpy().astype(np.str_)
        fractions = compositions.matrix(SYMBOLS)
        x, lacking = reader.read(
            connection, keys, compositions, lambda: read_crystals(connection) if cells is None else cells
        )
    for place, column in zip(places_of_columns(features), own, strict=True):
        for target, label in zip(found, labels.T, strict=True):
            _check_no_copy(column, x[:, place], target, label)
    common = [*uncounted, *((one.row, one.feature, one.reason) for one in lacking)]
    left_out = tuple(
        ids.missing([*own, *(one for one in common if np.isfinite(label[one[0]]))])
        for own, label in zip(unlabelled, labels.T, strict=True)
    )
    kept: NDArray[np.bool_] = np.any(np.isfinite(labels), axis=1)
    kept[[row for row, *_ in common]] = False
    matrix = Matrix(
        x=x,
        y=labels[:, 0],
        fractions=fractions,
        groups=groups,
        missing=(),
        sql=sql,
        columns=asked,
        crystals=cells if crystals else None,
        weights=weights,
        uncertainty=uncertainty,
        own=places_of_columns(features),
        tables=_tables(lake, features, text["dataset"]),
        **text,
    )
    rows = np.flatnonzero(kept)
    if not kept.all():
        matrix = _without_others(matrix, rows)
    return SharedRows(matrix, found, labels[rows], booleans, left_out)


def _without_others(matrix: Matrix, rows: NDArray[np.intp]) -> Matrix:
    """Return some of the rows, ascending. Features move up in their array: another one would double the memory."""
    for start in range(0, len(rows), _MOVED_ROWS):
        moved = rows[start : start + _MOVED_ROWS]
        matrix.x[start : start + len(moved)] = matrix.x[moved]
    features = matrix.x[: len(rows)]
    return replace(replace(matrix, x=matrix.x[:, :0]).take(rows), x=features)


@reads_what_is_sound
def resolve_targets(
    lake: Lake, given: Sequence[str], dataset: str | None = None, *, scaled: bool = True
) -> list[Target]:
    """Return the targets that texts mean; see ``find_targets``.

    Raises:
        TrainingError: One is neither a column nor an expression of one row.
        LakeError: The dataset cannot be read.
    """
    with lake.connect() as connection:
        view = None
        if dataset is not None and dataset in lake.dataset_names():
            view = readable_view(lake, connection, dataset)
        return find_targets(connection, given, target_columns(connection, view), scaled=scaled)


def target_columns(connection: duckdb.DuckDBPyConnection, dataset: str | None) -> Columns:
    """Return what a target can be made of: the columns of ``materials``, or of a dataset's own view."""
    kinds = column_kinds(connection, dataset)
    hint = f"property columns: {', '.join(_properties(kinds)) or 'none: import a table with columns of numbers'}"
    return Columns(kinds, f"dataset {dataset}" if dataset else "the lake", hint)


@reads_what_is_sound
def numeric_columns(lake: Lake) -> list[str]:
    """Return the property columns of ``materials`` that hold numbers."""
    with lake.connect() as connection:
        return _properties(column_kinds(connection))


def _properties(kinds: dict[str, str]) -> list[str]:
    return [name for name, kind in kinds.items() if name not in MATERIAL_COLUMNS and is_number(kind)]


def _check_target(connection: duckdb.DuckDBPyConnection, target: Target, dataset: str | None) -> str:
    """Return the type of a target, which is one of numbers, or true and false."""
    columns = target_columns(connection, dataset)
    if target.is_column:
        kind = columns.kinds[target.name]
    else:
        try:
            kind = str(connection.sql(f"SELECT {target.sql} FROM main.{identifier(dataset or _ALL)}").types[0])
        except duckdb.Error as error:
            reason = str(error).partition("\n")[0]
            raise TrainingError(f"cannot compute {target.name}: {reason}", columns.hint) from error
    if is_numeric(kind):
        return kind
    if not target.is_column:
        raise TrainingError(f"{target.name} is {kind}, not a number", columns.hint)
    raise TrainingError(not_numbers(connection, target.name, kind, dataset), columns.hint)


def _check_not_a_feature(connection: duckdb.DuckDBPyConnection, target: Target, own: Sequence[str]) -> None:
    """Refuse a target that is made of a column among the features: the head would be given what it is to predict."""
    used = {target.name.lower()} if target.is_column else columns_in(connection, target.name)
    for column in own:
        if column.lower() in used:
            made = "is" if target.is_column else f"is made of {column}, which is"
            raise TrainingError(
                f"the target {target.name} {made} among the features: that is leakage",
                f"leave {feature_name(column)} out of the features",
            )


def _check_no_copy(column: str, values: NDArray[np.float32], target: Target, label: NDArray[np.float64]) -> None:
    """Refuse a column that holds the target under another name."""
    both = np.isfinite(values) & np.isfinite(label)
    if both.any() and np.array_equal(values[both], label[both].astype(np.float32)):
        raise TrainingError(
            f"column {column}, among the features, has the very values of the target {target.name}: that is leakage",
            f"leave {feature_name(column)} out of the features",
        )


def _tables(lake: Lake, features: tuple[Feature, ...], datasets: NDArray[np.str_]) -> tuple[TableVersion, ...]:
    """Return the versions of what the rows were read from: their datasets, and the embeddings if they have any."""
    moment = lake.moment
    if moment is None:
        return ()
    found = [moment.of_dataset(name) for name in np.unique(datasets).tolist()]
    embeddings = moment.versions.get(lake.place(lake.embeddings)) if layers_of(features) else None
    return tuple(one for one in [*found, embeddings] if one is not None)


def _selection_sql(
    connection: duckdb.DuckDBPyConnection,
    targets: Sequence[Target],
    dataset: str | None,
    where: str | None,
    counted: Sequence[str],
) -> str:
    labelled = " OR ".join(target.selected for target in targets)
    conditions = [labelled if len(targets) == 1 else f"({labelled})"]
    if dataset is not None:
        conditions.append(f"dataset = {literal(dataset)}")
    if where is not None:
        conditions.append(f"({where}\n)")
    values = [one.sql if one.is_column else f"{one.sql} AS {identifier(one.name)}" for one in targets]
    sql = (
        f"SELECT dataset, material_id, formula, {', '.join([*counted, *values])} FROM materials "
        f"WHERE {' AND '.join(conditions)} ORDER BY dataset, material_id"
    )
    try:
        check_predicate(connection, where)
    except duckdb.Error as error:
        raise not_a_predicate(where, error) from error
    return sql


def _select(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    targets: Sequence[Target],
    where: str | None,
    counted: Sequence[str],
    features: Sequence[Feature],
) -> pa.Table:
    """Number the selected rows in the temporary table ``selection`` and return it in order."""
    own = columns_of(features)
    columns = [
        *(f"s.{identifier(one.name)}::DOUBLE AS {target_column(place)}" for place, one in enumerate(targets)),
        *(f"s.{identifier(name)}::DOUBLE AS {identifier(name)}" for name in counted),
        *(f"c.{key}" for key in key_columns(feature.input for feature in features)),
        *selected_columns(own, "m."),
    ]
    beside = "JOIN main.materials AS m USING (dataset, material_id)" if own else ""
    try:
        connection.execute(
            "CREATE TEMP TABLE selection AS SELECT row_number() OVER (ORDER BY s.dataset, s.material_id) - 1 AS row, "
            f"s.dataset, s.material_id, s.formula, {', '.join(columns)} "
            f"FROM ({sql}) AS s JOIN internal.compositions AS c USING (dataset, material_id) {beside}"
        )
    except duckdb.Error as error:
        raise not_a_predicate(where, error) from error
    return connection.sql("SELECT * FROM selection ORDER BY row").to_arrow_table()


def _check_enough(y: NDArray[np.float64], target: str, missing: list[Missing], *, boolean: bool) -> None:
    if len(y) < MIN_ROWS:
        reasons = Counter({(row.dataset, row.material_id): row.reason for row in missing}.values())
        others = ", ".join(f"{count:,} more: {reason}" for reason, count in reasons.items())
        raise TrainingError(
            f"only {len(y)} rows have {target} and all features{f' ({others})' if others else ''}; "
            f"at least {MIN_ROWS} are needed",
            "check the dataset or predicate, and embed rows that are not embedded yet",
        )
    if y.min() == y.max():
        value = ("yes" if y[0] else "no") if boolean else f"{y[0]:g}"
        raise TrainingError(
            f"{target} is {value} in all {len(y):,} rows: nothing to learn", "select rows in which it varies"
        )
    if kind_of(y) is Kind.YES_NO:
        check_classes(y, target)
