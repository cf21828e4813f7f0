"""How parts are stored: by what is in them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from matlake.store.storage.parquet import read_table
from matlake.store.tables.writing import write_part, write_stream


def vectors(zeros: float) -> pa.Table:
    random = np.random.default_rng(0)
    values = random.normal(size=(3000, 64)).astype(np.float32)
    values[random.random(values.shape) < zeros] = 0
    return pa.table({"content_hash": [f"{row:032}" for row in range(3000)], "vector": [*values]})


@pytest.mark.parametrize(("zeros", "is_split"), [(0.0, True), (0.4, True), (0.7, False), (0.93, False)])
def test_bytes_of_vectors_are_split_unless_most_numbers_are_zero(tmp_path: Path, zeros: float, is_split: bool) -> None:
    table = vectors(zeros)
    part = write_part(tmp_path, table, {}, ("vector",))
    assert ("BYTE_STREAM_SPLIT" in encodings(tmp_path / part.path)) == is_split
    assert read_table(tmp_path / part.path).equals(table)
    other = pa.Table.from_arrays(table.columns, names=table.column_names)
    pq.write_table(
        other,
        tmp_path / "other.parquet",
        compression="zstd",
        compression_level=1,
        use_dictionary=["content_hash"],
        column_encoding=None if is_split else {"vector.list.element": "BYTE_STREAM_SPLIT"},
    )
    assert part.size < (tmp_path / "other.parquet").stat().st_size


def encodings(path: Path) -> tuple[str, ...]:
    found: tuple[str, ...] = pq.read_metadata(path).row_group(0).column(1).encodings
    return found


def test_a_part_without_rows_is_written(tmp_path: Path) -> None:
    schema = vectors(0).schema
    assert write_stream(tmp_path, schema, [], {}, ("vector",)).rows == 0
