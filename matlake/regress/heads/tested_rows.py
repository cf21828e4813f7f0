"""The test rows of a head as a file beside its plots: what the plots are drawn from, at any time and in any format."""

from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from matlake.errors import HeadError
from matlake.regress.heads.train_result import HeldOutRows

FILE: Final = "test_rows.parquet"
_COLUMNS: Final = tuple(field.name for field in fields(HeldOutRows))


def rows_file(rows: HeldOutRows) -> dict[str, bytes]:
    """Return test rows as a Parquet file, by its name: ids, formulas, measured and predicted values, intervals."""
    content = BytesIO()
    pq.write_table(pa.table({name: getattr(rows, name) for name in _COLUMNS}), content, compression="zstd")
    return {FILE: content.getvalue()}


def read_rows(folder: Path, name: str) -> HeldOutRows:
    """Read the test rows of a head.

    Args:
        folder: Of its plots.
        name: Of the head, for messages.

    Raises:
        HeadError: It keeps none, as heads older than version 0.2; or the file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        raise HeadError(f"head {name} keeps no test rows, so there is nothing to draw", "train it again")
    try:
        table = pq.read_table(path, columns=list(_COLUMNS))
        rows = HeldOutRows(**{column: table[column].to_numpy() for column in _COLUMNS})
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise HeadError(f"{path} is damaged: {error}", "train the head again") from error
    if not len(rows.y):
        raise HeadError(f"{path} holds no rows", "train the head again")
    return rows
