"""``matbench:NAME``: the thirteen tasks of Matbench v0.1.

A. Dunn, Q. Wang, A. Ganose, D. Dopp and A. Jain, npj Comput. Mater. 6, 138 (2020).
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pyarrow as pa

from matlake.store.importing.readers import Batch, Source
from matlake.store.sources.protocol import NamedSource
from matlake.store.sources.published import NOT_KNOWN, PublishedSet, published_sets, unnamed
from matlake.store.sources.published_files import open_published

BENCHMARK: Final = "A. Dunn et al., npj Comput. Mater. 6, 138 (2020), doi:10.1038/s41524-020-00406-3"

SETS: Final = published_sets("matbench")

_OTHERS: Final = unnamed(SETS["matbench_steels"], licence=NOT_KNOWN, citation=BENCHMARK, units={})
_ID: Final = "material_id"


def open_matbench(rest: str) -> NamedSource:
    """Return a task by its name, with or without ``matbench_``, or a local copy of its file.

    Raises:
        SourceError: There is none.
    """
    known = f"matbench_{rest}"
    return open_published(_OTHERS, SETS, known if known in SETS else rest, finish=_with_ids)


def _with_ids(source: Source, found: PublishedSet) -> Source:
    """Give rows the benchmark's own ids, ``mb-phonons-0001``: its files have none, and the order of rows is fixed."""
    if found.name not in SETS or _ID in source.schema.names:
        return source
    prefix = found.name.replace("matbench", "mb").replace("_", "-")
    digits = math.floor(math.log10(max(source.rows, 1))) + 1

    def rows() -> Iterator[Batch]:
        done = 0
        for batch in source.batches():
            count = batch.columns.num_rows if batch.crystals is None else len(batch.crystals)
            ids = pa.array([f"{prefix}-{done + row + 1:0{digits}d}" for row in range(count)])
            yield replace(batch, columns=batch.columns.append_column(_ID, ids))
            done += count

    return replace(source, schema=source.schema.append(pa.field(_ID, pa.string())), batches=rows)
