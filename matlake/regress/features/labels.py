"""Values of targets for selected rows, and which rows cannot be used."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.errors import Hint, TrainingError
from matlake.regress.targets.expressions import Target
from matlake.store.quoting import identifier

FEW: Final = 0.1
"""Share of the rows of a target up to which those without a value are left out; more are an error."""

Unusable: TypeAlias = tuple[int, str, str]
"""A row, what it lacks, and why."""


@dataclass(frozen=True)
class Missing:
    """A selected row that cannot be used.

    Attributes:
        dataset: Its dataset.
        material_id: Its id.
        feature: What it lacks: a feature, the weight, or the target on its scale.
        reason: ``not embedded``, why it cannot be, or the value that has no logarithm.
    """

    dataset: str
    material_id: str
    feature: str
    reason: str


def count_rows(missing: Iterable[Missing]) -> int:
    """Return the number of rows that are left out; one may lack several things."""
    return len({(row.dataset, row.material_id) for row in missing})


@dataclass(frozen=True)
class RowIds:
    """Datasets and ids of the selected rows, in their order."""

    datasets: pa.ChunkedArray
    material_ids: pa.ChunkedArray

    @staticmethod
    def of(keys: pa.Table) -> "RowIds":
        """Read them from the table ``selection``."""
        return RowIds(keys["dataset"], keys["material_id"])

    def missing(self, unusable: Iterable[Unusable]) -> tuple[Missing, ...]:
        """Return rows that cannot be used, by their ids."""
        return tuple(
            Missing(self.datasets[row].as_py(), self.material_ids[row].as_py(), what, why)
            for row, what, why in unusable
        )


def target_column(place: int) -> str:
    """Return the column of a target in the table ``selection``."""
    return f"target_{place}"


def read_labels(keys: pa.Table, targets: Sequence[Target]) -> tuple[NDArray[np.float64], list[list[Unusable]]]:
    """Return the values of targets, and for each target the rows that have no value on its scale.

    An expression may fail or be infinite, and a logarithm or a root that the user wrote may have no value. Such rows
    are left out where they are few: with many, what is left is another kind of material.

    Args:
        keys: The table ``selection``, in order.
        targets: Its k targets.

    Returns:
        float64 [n, k], NaN where there is none; and k lists.

    Raises:
        TrainingError: A column is not finite, or more than ``FEW`` of the values of a target are not on its scale.
    """
    labels = np.full((len(keys), len(targets)), np.nan)
    unusable = []
    for place, target in enumerate(targets):
        column = keys[target_column(place)]
        values = column.to_numpy().astype(np.float64)
        # the row of an expression that fails was selected, and its value is null: so is one of another target's row
        given = column.is_valid().to_numpy() if target.is_column or len(targets) > 1 else np.ones(len(keys), dtype=bool)
        labels[:, place], own = _on_scale(values, given, target, keys)
        unusable.append(own)
    return labels, unusable


def _on_scale(
    values: NDArray[np.float64], given: NDArray[np.bool_], target: Target, keys: pa.Table
) -> tuple[NDArray[np.float64], list[Unusable]]:
    finite = np.isfinite(values)
    bad = np.flatnonzero(given & ~finite)
    if len(bad) and target.is_column:
        raise _not_finite(target, bad, keys)
    usable = finite.copy()
    if target.scale is not None:
        usable[finite] = target.scale.transform.allows(values[finite])
    out = np.flatnonzero(given & ~usable)
    shown = f"{target.scale}({target.name})" if target.scale else target.name
    if len(out) > FEW * given.sum():
        raise _mostly_out(shown, target, out, int(given.sum()), values, keys)
    reasons = [(int(row), shown, _reason(target, values[row])) for row in out]
    return np.where(given & usable, values, np.nan), reasons


def _reason(target: Target, value: float) -> str:
    return f"{target.name} is {value:g}" if np.isfinite(value) else "no finite value"


def _id(keys: pa.Table, row: int) -> str:
    return f"{keys['material_id'][row].as_py()} of {keys['dataset'][row].as_py()}"


def _mostly_out(
    shown: str, target: Target, out: NDArray[np.intp], count: int, values: NDArray[np.float64], keys: pa.Table
) -> TrainingError:
    first = int(out[0])
    value = target.sql if target.is_column else f"({target.name})"
    sign = ">=" if target.scale == "sqrt" else ">"
    condition = f"{value} {sign} 0" if target.scale else f"isfinite{value}"
    return TrainingError(
        f"{shown} has no value in {len(out):,} of {count:,} rows, first in {_id(keys, first)} "
        f"({_reason(target, values[first])}); up to {FEW:.0%} would be left out",
        Hint(
            f"leave them out: where={condition!r}; or learn {target.name} on another scale",
            cli=f"leave them out: --where '{condition}'; or learn {target.name} on another scale",
        ),
    )


def _not_finite(target: Target, bad: NDArray[np.intp], keys: pa.Table) -> TrainingError:
    column = identifier(target.name)
    return TrainingError(
        f"{target.name} is not finite in {len(bad):,} rows, first in {_id(keys, int(bad[0]))}",
        Hint(
            f"leave them out: where='isfinite({column})'",
            cli=f"leave them out: --where 'isfinite({column})'",
        ),
    )
