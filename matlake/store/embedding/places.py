"""Where contents to be embedded stand, in order, in a temporary file: memory does not grow with their number."""

import io
import tempfile
from bisect import bisect_left
from typing import IO, Final

import pyarrow as pa
import pyarrow.compute as pc

from matlake.store.limits import spill_root

ROW_BITS: Final = 40
"""Of a place: the dataset's number stands before them."""

LACKS: Final = "lacks_"
"""Beginning of the names of Boolean columns, one for each target in order: whether it lacks the content."""

BATCH_ROWS: Final = 16_384


class Places:
    """Contents of one kind of input, in the order of the rows that hold them.

    Attributes:
        vectors: Vectors that are lacking, over all targets.
    """

    def __init__(self, contents: pa.RecordBatchReader) -> None:
        """Put contents into a temporary file.

        Args:
            contents: ``place``, ascending: the number of a dataset, and in the last ``ROW_BITS`` bits the
                ``source_row`` of a row of it that holds the content; ``n_rows`` with this content; ``lacks_N``.
        """
        self.vectors = 0
        self._last: list[int] = []  # place of each batch
        folder = spill_root()  # without one, as on a full disk, they stay in memory
        self._file: IO[bytes] = io.BytesIO() if folder is None else tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        try:
            with pa.ipc.new_file(self._file, contents.schema) as writer:
                for batch in contents:
                    if batch.num_rows:
                        writer.write_batch(batch)
                        self._last.append(batch["place"][-1].as_py())
                        self.vectors += sum(
                            pc.sum(batch[name]).as_py() for name in batch.schema.names if name.startswith(LACKS)
                        )
            self._file.seek(0)
            self._batches = pa.ipc.open_file(self._file)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def between(self, dataset: int, first: int, last: int) -> pa.Table:
        """Return the contents of some rows of a dataset, with their ``source_row``, ascending, instead of places.

        Args:
            dataset: Its number.
            first: The first row.
            last: The last row.
        """
        start, stop = (dataset << ROW_BITS) + first, (dataset << ROW_BITS) + last
        batches = []
        for number in range(bisect_left(self._last, start), len(self._last)):
            batch = self._batches.get_batch(number)
            batches.append(batch)
            if self._last[number] >= stop:
                break
        found = pa.Table.from_batches(batches, self._batches.schema)
        places = found["place"].to_numpy()
        begin, end = places.searchsorted([start, stop + 1])
        rows = pa.array(places[begin:end] - (dataset << ROW_BITS))
        return found.slice(begin, end - begin).drop_columns("place").append_column("source_row", rows)
