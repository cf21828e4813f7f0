"""Delta tables with several writers."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pyarrow as pa
import pytest

from matlake.errors import LakeError
from matlake.store.tables import delta

SCHEMA = pa.schema([("key", pa.string()), ("kind", pa.string())])
WRITERS, ROUNDS = 4, 10


def test_writers_that_create_a_table_at_the_same_time_share_it(tmp_path: Path) -> None:
    start = Barrier(WRITERS)

    def create(root: Path) -> None:
        start.wait()
        delta.create_table(root, SCHEMA, ["kind"])

    with ThreadPoolExecutor(WRITERS) as pool:
        for number in range(ROUNDS):
            list(pool.map(create, [tmp_path / str(number)] * WRITERS))
            table = delta.open_table(tmp_path / str(number))
            assert table is not None
            assert table.version() == 0


def test_a_table_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(LakeError, match="cannot create the table at"):
        delta.create_table(tmp_path / "file" / "table", SCHEMA, ["kind"])
