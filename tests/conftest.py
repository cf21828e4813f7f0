"""Fixtures: the real samples, small lakes made from them, and one trained head."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from object_store import ObjectStore
from object_store import object_store as running_object_store
from quick_training import TRAINING, quicken
from samples import GAPS, SHARED, temperature_series
from small_networks import SMALL_SCHNET, export_small

import matlake
from matlake.encoders.encoder import open_encoder
from matlake.encoders.registry import RegisteredEncoder, find_encoder
from matlake.materials.compositions import element_fractions
from matlake.materials.formula import parse_formula
from matlake.regress.heads.plots import draw_plots
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.train import train
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.regressors import MODELS

ENCODER = "elemnet-oqmd-formation-energy"
FEATURE = f"{ENCODER}@13"  # 128 wide: tests stay quick


def pytest_configure(config: pytest.Config) -> None:
    """Give each worker of pytest-xdist its own cores: threads that spin while they wait for one waste a quarter."""
    worker = getattr(config, "workerinput", None)
    if worker is not None and hasattr(os, "sched_setaffinity"):
        cores, number = sorted(os.sched_getaffinity(0)), int(worker["workerid"].removeprefix("gw"))
        os.sched_setaffinity(0, cores[number :: worker["workercount"]] or [cores[number % len(cores)]])


@pytest.fixture(scope="session", autouse=True)
def quick_training() -> Iterator[None]:
    """Let training in this process build its figures and write no pictures, and compare heads with a small forest."""
    with pytest.MonkeyPatch.context() as patch:
        quicken(patch)
        yield


@pytest.fixture
def rendered_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let training write its pictures."""
    for module in TRAINING:
        monkeypatch.setattr(f"{module}.draw_plots", draw_plots)


@pytest.fixture
def whole_forest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let training compare heads with the forest that users get."""
    monkeypatch.setattr("matlake.regress.heads.baselines.MODELS", MODELS)


@pytest.fixture(scope="session")
def oqmd() -> Path:
    """OQMD formulas and energies, where the development data is."""
    path = SHARED / "oqmd.parquet"
    if not path.exists():
        pytest.skip(f"needs the development data at {path}")
    return path


@pytest.fixture(scope="session")
def development_data() -> Callable[[str], Path]:
    """Find a file of the development data, or skip."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"needs the development data at {path}")
        return path

    return find


@pytest.fixture
def write_table(tmp_path: Path) -> Callable[..., Path]:
    """Write columns as a Parquet file."""

    def write(name: str = "table.parquet", **columns: object) -> Path:
        path = tmp_path / name
        pq.write_table(pa.table(columns), path)
        return path

    return write


@pytest.fixture(scope="session")
def band_gaps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 300 measured band gaps."""
    path = tmp_path_factory.mktemp("sample") / "gaps.parquet"
    pq.write_table(pq.read_table(GAPS).slice(0, 300), path)
    return path


@pytest.fixture(scope="session")
def imported(tmp_path_factory: pytest.TempPathFactory, band_gaps: Path) -> matlake.Lake:
    """A lake with one dataset, ``gaps``, and nothing embedded, which nobody writes to."""
    opened = matlake.open_lake(tmp_path_factory.mktemp("imported") / "lake", create=True)
    matlake.import_table(opened, band_gaps, "gaps")
    return opened


@pytest.fixture
def lake(imported: matlake.Lake, tmp_path: Path) -> matlake.Lake:
    """A copy of it."""
    return matlake.open_lake(shutil.copytree(imported.path, tmp_path / "lake"))


@pytest.fixture(scope="session")
def gaps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each fifteenth of the measured band gaps: 307 rows, metals among them."""
    path = tmp_path_factory.mktemp("gaps") / "gaps.parquet"
    table = pq.read_table(GAPS)
    pq.write_table(table.take(list(range(0, len(table), 15))), path)
    return path


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory, gaps: Path) -> matlake.Lake:
    """A lake whose dataset ``gaps`` is embedded with two layers; tests read it only, or save heads of their own."""
    lake = matlake.open_lake(tmp_path_factory.mktemp("lake") / "lake", create=True)
    matlake.import_table(lake, gaps, "gaps")
    matlake.embed(lake, [FEATURE, f"{ENCODER}@16"])
    return lake


@pytest.fixture(scope="session")
def trained(embedded: matlake.Lake) -> TrainResult:
    """A ridge head named ``gap`` on two layers."""
    return train(embedded, TrainRequest("band_gap_eV", [FEATURE, f"{ENCODER}@16"], "ridge", name="gap"))


@pytest.fixture(scope="session")
def series(tmp_path_factory: pytest.TempPathFactory) -> matlake.Lake:
    """Measured gaps of 46 materials, at three temperatures by Varshni's law, and a ridge head ``gap_of_T`` on them.

    The dataset ``series`` has the column ``temperature_K`` beside the target. Tests read it only, or a copy of it.
    """
    folder = tmp_path_factory.mktemp("series")
    pq.write_table(temperature_series(), folder / "series.parquet")
    lake = matlake.open_lake(folder / "lake", create=True)
    matlake.import_table(lake, folder / "series.parquet", "series")
    features = ["fractions", "column:temperature_K"]
    request = TrainRequest("band_gap_eV", features, "ridge", name="gap_of_T", transform="none", minimum=-np.inf)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matlake.regress.heads.train.draw_plots", lambda *_: {})  # most of the time, and nobody looks
        train(lake, request)
    return lake


@pytest.fixture(scope="session")
def vectors(gaps: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Embeddings [307, 128] and band gaps [307], made without a lake."""
    table = pq.read_table(gaps)
    fractions = element_fractions([parse_formula(formula) for formula in table["formula"].to_pylist()])
    encoder = open_encoder(find_encoder(ENCODER).folder)
    return encoder.encode(fractions, "13"), table["band_gap_eV"].to_numpy()


@pytest.fixture(scope="session")
def small_schnet(tmp_path_factory: pytest.TempPathFactory) -> RegisteredEncoder:
    """A small SchNet with random weights: a network of crystals that does not ship."""
    pytest.importorskip("torch", reason="needs the extra 'train'")
    return export_small("schnet", SMALL_SCHNET, tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """Run an S3 server on this machine."""
    with running_object_store() as store:
        yield store


@pytest.fixture
def bucket(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Make an empty bucket, which the environment leads to, and return its address, ``s3://…``."""
    for name, value in object_store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MATLAKE_CACHE", str(tmp_path / "cache"))
    return f"s3://{object_store.make_bucket()}"
