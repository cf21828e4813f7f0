"""SQL over embeddings and the read of a training matrix, against reading the same columns with pyarrow.

python -m benchmarks.speed.sql_and_matrix
"""

import statistics
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.helpers.common import ENCODER, OQMD, needs_oqmd, report, timed
from matlake import embed, import_table, open_lake
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import read_matrix
from matlake.store.tables import delta

ROWS = 100_000
REPEATS = 5


def main() -> None:
    """Embed 100,000 rows with 1,024 numbers each, then time three readers in turn."""
    needs_oqmd()
    target = "formation_energy_eV_per_atom"
    feature = f"{ENCODER}@4"
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "oqmd.parquet"
        pq.write_table(pq.read_table(OQMD).slice(0, ROWS), table)
        lake = open_lake(Path(folder) / "lake", create=True)
        import_table(lake, table, "oqmd")
        embed(lake, [feature], workers=2)
        vectors = delta.open_table(lake.embeddings)
        targets = delta.open_table(lake.dataset("oqmd"))
        if vectors is None or targets is None:
            raise RuntimeError("the lake is empty")
        vector_files, target_files = delta.live_files(vectors), delta.live_files(targets)

        def plain() -> None:
            for file in vector_files:
                pq.read_table(file, columns=["content_hash", "vector"], partitioning=None)
            for file in target_files:
                pq.read_table(file, columns=["composition_hash", target], partitioning=None)

        def training_matrix() -> None:
            read_matrix(lake, target, resolve_features(lake, [feature]))

        def query() -> None:
            lake.query(f'SELECT {target}, vector FROM embed."{feature}" JOIN oqmd USING (material_id)')

        seconds: dict[str, list[float]] = {"pyarrow read_table": [], "training matrix": [], "sql": []}
        for _ in range(REPEATS):
            for name, function in zip(seconds, (plain, training_matrix, query), strict=True):
                seconds[name].append(timed(function))
    median = {name: statistics.median(found) for name, found in seconds.items()}
    base = median["pyarrow read_table"]
    report(
        Path(__file__),
        {"seconds": seconds},
        [f"{ROWS:,} × 1,024", "s", "ratio to pyarrow"],
        [[name, f"{value:.2f}", f"{value / base:.2f}"] for name, value in median.items()],
    )


if __name__ == "__main__":
    main()
