"""Stores of vectors with properties, each used as its own documentation shows, in a process of its own.

    python benchmarks/helpers/store_kinds.py STORE TASK FOLDER DATA [PART]

``DATA`` is a table with ``material_id``, ``formula``, ``nelements``, two properties and ``vector``. This file imports
nothing of this project but in ``_Matlake``, so that the others can run in an environment of their own.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DIM: Final = 128
K: Final = 10
QUERIES: Final = 12
BATCH: Final = 5_000
FILTERS: Final = (("band_gap_eV", ">", 1.0), ("formation_energy_eV_per_atom", "<", -1.0))
"""Conditions: one that a few per cent of the rows meet, and one that a quarter meets."""

Labels = dict[int, tuple[float, float]]
"""Number of elements -> mean band gap and mean label, of materials that have a label."""

Found = list[list[str]]


def matrix(column: Any) -> Any:
    """Return a column of vectors as float32 [n, d]."""
    return column.combine_chunks().flatten().to_numpy().reshape(-1, DIM)


def batches(data: Path, part: str) -> Iterator[pa.Table]:
    """Yield the rows of a table in batches: all, or every other batch for one of two writers."""
    table = pq.read_table(data)
    starts = range(0, table.num_rows, BATCH)
    chosen = {"all": starts, "first": starts[::2], "second": starts[1::2]}[part]
    yield from (table.slice(start, BATCH) for start in chosen)


def queries(data: Path) -> Any:
    """Return vectors to search for: those of some rows, a little changed."""
    vectors = matrix(pq.read_table(data, columns=["vector"])["vector"])
    return vectors[:: len(vectors) // QUERIES][:QUERIES] + np.float32(1e-3)


def mask(values: Any, condition: tuple[str, str, float]) -> Any:
    """Say which values meet a condition; missing ones do not."""
    with np.errstate(invalid="ignore"):
        return values > condition[2] if condition[1] == ">" else values < condition[2]


class _Matlake:
    """This project: import the table, embed it, ask an index and SQL."""

    def __init__(self, folder: Path) -> None:
        self.matlake = import_module("matlake")
        self.feature = "elemnet-oqmd-formation-energy@11"
        self.lake = self.matlake.open_lake(folder / "lake", create=True)

    def ingest(self, data: Path, part: str) -> None:
        if "oqmd" not in self.lake.dataset_names():
            rows = pq.read_table(data).drop_columns(["vector", "nelements"])
            self.lake.add(rows, dataset="oqmd", id="material_id", progress=False)
        if part == "import":
            return
        side = {"all": "true", "first": "hash(material_id) % 2 = 0", "second": "hash(material_id) % 2 = 1"}[part]
        self.lake.embed(self.feature, where=side, workers=1, progress=False)

    def count(self) -> int:
        return int(self.lake.query("SELECT count(DISTINCT material_id) FROM embeddings")[0][0].as_py())

    def rows(self) -> int:
        return int(self.lake.query("SELECT count(*) FROM embeddings")[0][0].as_py())

    def searcher(self) -> Callable[[Any, tuple[str, str, float] | None], list[str]]:
        index = self.matlake.open_index(self.lake, self.feature)

        def search(vector: Any, condition: tuple[str, str, float] | None) -> list[str]:
            where = None if condition is None else "{} {} {}".format(*condition)
            among = None if where is None else index.select(where=where)
            return [one.material_id for one in index.search(vector[None], K, among=among)[0]]

        return search

    def aggregate(self, labels: Path) -> Labels:
        if "labels" not in self.lake.dataset_names():  # once: a second table of the lake
            self.lake.add(pq.read_table(labels), dataset="labels", id="material_id", progress=False)
        table = self.lake.query(
            "SELECT o.nelements, avg(o.band_gap_eV), avg(l.label) FROM oqmd AS o JOIN labels AS l USING (material_id) "
            "GROUP BY ALL"
        )
        return {n: (a, b) for n, a, b in zip(*(column.to_pylist() for column in table.columns), strict=True)}

    def export(self) -> tuple[Any, Any]:
        features = import_module("matlake.regress.features.feature").resolve_features(self.lake, [self.feature])
        found = import_module("matlake.regress.features.matrix").read_matrix(
            self.lake, "formation_energy_eV_per_atom", features
        )
        return found.x, found.y


class _DuckDB:
    """A database file of DuckDB's, with vectors as fixed-size arrays."""

    def __init__(self, folder: Path) -> None:
        self.connection = import_module("duckdb").connect(str(folder / "vectors.duckdb"))
        self.connection.execute("SET threads = 1")

    def ingest(self, data: Path, part: str) -> None:
        self.connection.execute(
            "CREATE TABLE IF NOT EXISTS m (material_id VARCHAR PRIMARY KEY, formula VARCHAR, nelements INTEGER, "
            f"band_gap_eV DOUBLE, formation_energy_eV_per_atom DOUBLE, vector FLOAT[{DIM}])"
        )
        for batch in batches(data, part):
            self.connection.register("batch", batch)
            self.connection.execute("INSERT OR IGNORE INTO m BY NAME SELECT * FROM batch")

    def count(self) -> int:
        return int(self.connection.execute("SELECT count(DISTINCT material_id) FROM m").fetchone()[0])

    def rows(self) -> int:
        return int(self.connection.execute("SELECT count(*) FROM m").fetchone()[0])

    def searcher(self) -> Callable[[Any, tuple[str, str, float] | None], list[str]]:
        def search(vector: Any, condition: tuple[str, str, float] | None) -> list[str]:
            where = "" if condition is None else "WHERE {} {} {}".format(*condition)
            statement = f"SELECT material_id FROM m {where} ORDER BY array_distance(vector, ?::FLOAT[{DIM}]) LIMIT {K}"
            return [name for (name,) in self.connection.execute(statement, [vector.tolist()]).fetchall()]

        return search

    def aggregate(self, labels: Path) -> Labels:
        rows = self.connection.execute(
            f"SELECT m.nelements, avg(m.band_gap_eV), avg(l.label) FROM m JOIN read_parquet('{labels}') AS l "
            "USING (material_id) GROUP BY ALL"
        ).fetchall()
        return {n: (a, b) for n, a, b in rows}

    def export(self) -> tuple[Any, Any]:
        table = self.connection.sql(
            "SELECT vector, formation_energy_eV_per_atom AS y FROM m WHERE formation_energy_eV_per_atom IS NOT NULL"
        ).to_arrow_table()
        return matrix(table["vector"]), table["y"].to_numpy()


class _Frames:
    """What stores without SQL have in common: their columns as a DataFrame, joined by pandas."""

    def frame(self, columns: list[str]) -> Any:
        raise NotImplementedError

    def vectors(self) -> Any:
        raise NotImplementedError

    def count(self) -> int:
        return int(self.frame(["material_id"])["material_id"].nunique())

    def rows(self) -> int:
        return len(self.frame(["material_id"]))

    def aggregate(self, labels: Path) -> Labels:
        own = self.frame(["material_id", "nelements", "band_gap_eV"])
        joined = own.merge(import_module("pandas").read_parquet(labels), on="material_id")
        means = joined.groupby("nelements")[["band_gap_eV", "label"]].mean()
        return {int(n): (row.band_gap_eV, row.label) for n, row in means.iterrows()}

    def export(self) -> tuple[Any, Any]:
        y = self.frame(["formation_energy_eV_per_atom"])["formation_energy_eV_per_atom"].to_numpy()
        there = ~np.isnan(y)
        return self.vectors()[there], y[there]

    def searcher(self) -> Callable[[Any, tuple[str, str, float] | None], list[str]]:
        vectors, names = self.vectors(), self.frame(["material_id"])["material_id"].to_numpy()
        columns = {name: self.frame([name])[name].to_numpy() for name, _, _ in FILTERS}
        squares = np.einsum("ij,ij->i", vectors, vectors)

        def search(vector: Any, condition: tuple[str, str, float] | None) -> list[str]:
            rows = slice(None) if condition is None else np.flatnonzero(mask(columns[condition[0]], condition))
            distances = squares[rows] - 2 * (vectors[rows] @ vector)
            first = np.argpartition(distances, K)[:K]
            return list(names[rows][first[np.argsort(distances[first])]])

        return search


class _Parquet(_Frames):
    """A folder of Parquet files, one a batch, with pandas and numpy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "parquet"
        self.folder.mkdir(exist_ok=True)

    def ingest(self, data: Path, part: str) -> None:
        for number, batch in enumerate(batches(data, part)):
            pq.write_table(batch, self.folder / f"{part}-{number:05}.parquet")

    def frame(self, columns: list[str]) -> Any:
        return pq.read_table(self.folder, columns=columns).to_pandas()

    def vectors(self) -> Any:
        return matrix(pq.read_table(self.folder, columns=["vector"])["vector"])


class _HDF5(_Frames):
    """One HDF5 file of resizable arrays."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "vectors.h5"

    def ingest(self, data: Path, part: str) -> None:
        h5py = import_module("h5py")
        with h5py.File(self.path, "a") as file:
            done = len(file["material_id"]) if part == "all" and "material_id" in file else 0
            for batch in islice(batches(data, part), done // BATCH, None):
                for name in batch.column_names:
                    values = matrix(batch[name]) if name == "vector" else batch[name].to_numpy()
                    kind = h5py.string_dtype() if values.dtype == object else values.dtype
                    if name not in file:
                        shape = (0, *values.shape[1:])
                        file.create_dataset(name, shape, kind, maxshape=(None, *values.shape[1:]), chunks=True)
                    old = file[name].shape[0]
                    file[name].resize(old + len(values), axis=0)
                    file[name][old:] = values
                file.flush()

    def frame(self, columns: list[str]) -> Any:
        with import_module("h5py").File(self.path) as file:
            read = {name: file[name][:] for name in columns}
        text = {name: values.astype(str) for name, values in read.items() if values.dtype == object}
        return import_module("pandas").DataFrame(read | text)

    def vectors(self) -> Any:
        with import_module("h5py").File(self.path) as file:
            return file["vector"][:]


class _LanceDB(_Frames):
    """A table of LanceDB's without an index: its search is exact."""

    def __init__(self, folder: Path) -> None:
        self.database = import_module("lancedb").connect(str(folder / "lance"))

    def ingest(self, data: Path, part: str) -> None:
        again = "m" in self.database.table_names()
        for batch in batches(data, part):
            vectors = pa.FixedSizeListArray.from_arrays(batch["vector"].combine_chunks().flatten(), DIM)
            rows = batch.set_column(batch.column_names.index("vector"), "vector", vectors)
            if again:  # after a kill, or beside another writer
                self.database.open_table("m").merge_insert("material_id").when_not_matched_insert_all().execute(rows)
                continue
            try:
                self.database.open_table("m").add(rows)
            except ValueError:
                self.database.create_table("m", rows, exist_ok=True)

    def frame(self, columns: list[str]) -> Any:
        return self.database.open_table("m").search().select(columns).limit(None).to_arrow().to_pandas()

    def vectors(self) -> Any:
        return matrix(self.database.open_table("m").search().select(["vector"]).limit(None).to_arrow()["vector"])

    def rows(self) -> int:
        return int(self.database.open_table("m").count_rows())

    def searcher(self) -> Callable[[Any, tuple[str, str, float] | None], list[str]]:
        table = self.database.open_table("m")

        def search(vector: Any, condition: tuple[str, str, float] | None) -> list[str]:
            query = table.search(vector).distance_type("l2").select(["material_id", "_distance"]).limit(K)
            if condition is not None:
                query = query.where("{} {} {}".format(*_quoted(condition)), prefilter=True)
            return list(query.to_arrow()["material_id"].to_pylist())

        return search


def _quoted(condition: tuple[str, str, float]) -> tuple[str, str, float]:
    """DataFusion makes names without quotes lower-case."""
    return f"`{condition[0]}`", condition[1], condition[2]


class _Chroma(_Frames):
    """A collection of Chroma's, whose search is approximate (HNSW, as it comes)."""

    def __init__(self, folder: Path) -> None:
        client = import_module("chromadb").PersistentClient(str(folder / "chroma"))
        self.collection = client.get_or_create_collection("materials", metadata={"hnsw:space": "l2"})

    def ingest(self, data: Path, part: str) -> None:
        for batch in batches(data, part):
            rows = batch.drop_columns(["vector", "material_id"]).to_pylist()
            plain = [{name: value for name, value in row.items() if value is not None} for row in rows]
            self.collection.upsert(batch["material_id"].to_pylist(), matrix(batch["vector"]), plain)

    def rows(self) -> int:
        return int(self.collection.count())

    def frame(self, columns: list[str]) -> Any:
        found = self.collection.get(include=["metadatas"])
        frame = import_module("pandas").DataFrame(found["metadatas"]).assign(material_id=found["ids"])
        return frame[columns]

    def vectors(self) -> Any:
        return np.asarray(self.collection.get(include=["embeddings"])["embeddings"], dtype=np.float32)

    def searcher(self) -> Callable[[Any, tuple[str, str, float] | None], list[str]]:
        def search(vector: Any, condition: tuple[str, str, float] | None) -> list[str]:
            where = (
                None if condition is None else {condition[0]: {{">": "$gt", "<": "$lt"}[condition[1]]: condition[2]}}
            )
            return list(self.collection.query(vector[None], n_results=K, where=where, include=[])["ids"][0])

        return search


class _Qdrant(_Frames):
    """A collection of Qdrant's in its local mode, which is exact."""

    def __init__(self, folder: Path) -> None:
        self.models = import_module("qdrant_client.models")
        self.client = import_module("qdrant_client").QdrantClient(path=str(folder / "qdrant"))
        if not self.client.collection_exists("m"):
            size = self.models.VectorParams(size=DIM, distance=self.models.Distance.EUCLID)
            self.client.create_collection("m", vectors_config=size)

    def ingest(self, data: Path, part: str) -> None:
        for batch in batches(data, part):
            ids = [int(name.rpartition("-")[2]) for name in batch["material_id"].to_pylist()]
            rows = batch.drop_columns(["vector"]).to_pylist()
            points = self.models.Batch(ids=ids, vectors=matrix(batch["vector"]).tolist(), payloads=rows)
            self.client.upsert("m", points)

    def rows(self) -> int:
        return int(self.client.count("m").count)

    def _all(self, *, vectors: bool) -> list[Any]:
        found, offset = [], None
        while True:
            some, offset = self.client.scroll("m", limit=50_000, offset=offset, with_vectors=vectors)
            found += some
            if offset is None:
                return found

    def frame(self, columns: list[str]) -> Any:
        return import_module("pandas").DataFrame([point.payload for point in self._all(vectors=False)])[columns]

    def vectors(self) -> Any:
        return np.array([point.vector for point in self._all(vectors=True)], dtype=np.float32)

    def searcher(self) -> Callable[[Any, tuple[str, str, float] | None], list[str]]:
        models = self.models

        def search(vector: Any, condition: tuple[str, str, float] | None) -> list[str]:
            chosen = None
            if condition is not None:
                bounds = {{">": "gt", "<": "lt"}[condition[1]]: condition[2]}
                chosen = models.Filter(must=[models.FieldCondition(key=condition[0], range=models.Range(**bounds))])
            found = self.client.query_points("m", vector.tolist(), query_filter=chosen, limit=K)
            return [point.payload["material_id"] for point in found.points]

        return search


STORES: Final[dict[str, Callable[[Path], Any]]] = {
    "matlake": _Matlake,
    "DuckDB": _DuckDB,
    "Parquet + pandas": _Parquet,
    "HDF5": _HDF5,
    "LanceDB": _LanceDB,
    "Qdrant, local": _Qdrant,
    "Chroma": _Chroma,
}
NEEDS: Final = {"LanceDB": "lancedb", "Chroma": "chromadb", "Qdrant, local": "qdrant_client", "HDF5": "h5py"}


def _timed(function: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    cpu, wall = time.process_time(), time.perf_counter()
    found = function()
    return found, {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}


def _each(search: Callable[..., list[str]], vectors: Any, condition: tuple[str, str, float] | None) -> Found:
    return [search(vector, condition) for vector in vectors]


def main() -> None:
    """Do one task with one store, and print what it took as JSON."""
    name, task, folder, data, *rest = sys.argv[1:]
    store = STORES[name](Path(folder))
    document: dict[str, Any] = {}
    if task == "ingest":
        document |= _timed(lambda: store.ingest(Path(data), rest[0] if rest else "all"))[1]
    elif task == "count":
        document = {"materials": store.count(), "rows": store.rows()}
    elif task == "search":
        searched = queries(Path(data))
        search, opened = _timed(store.searcher)
        document = {"open": opened}
        for label, condition in (("all", None), *((each[0], each) for each in FILTERS)):
            search(searched[0], condition)
            found, took = _timed(partial(_each, search, searched, condition))
            each = {key: value / len(searched) for key, value in took.items()}
            document[label] = {"found": found, **each}
    elif task == "aggregate":
        store.aggregate(Path(data))
        found, took = _timed(lambda: store.aggregate(Path(data)))
        document = took | {"groups": {str(key): value for key, value in found.items()}}
    elif task == "export":
        store.export()
        (x, y), took = _timed(store.export)
        document = took | {"shape": list(x.shape), "labels": len(y)}
    print(json.dumps(document))


if __name__ == "__main__":
    main()
