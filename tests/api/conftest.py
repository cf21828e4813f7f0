"""A lake of compositions with a head, and one of crystals with a head on descriptors of structures."""

import pyarrow.parquet as pq
import pytest
from samples import ELASTIC, ENCODER

import matlake
from matlake.regress.heads.train_result import TrainResult

MODULUS = "bulk_modulus_VRH_GPa"
FEATURE = f"{ENCODER}@13"


@pytest.fixture(scope="session")
def gap(embedded: matlake.Lake, trained: TrainResult) -> matlake.Head:
    """The head ``gap`` of the lake ``embedded``."""
    return embedded.head(trained.card.name)


@pytest.fixture(scope="session")
def crystals(tmp_path_factory: pytest.TempPathFactory) -> matlake.Lake:
    """A lake with 80 real crystals, and a head ``stiff`` that needs structures."""
    folder = tmp_path_factory.mktemp("face")
    pq.write_table(pq.read_table(ELASTIC).slice(0, 80), folder / "elastic.parquet")
    lake = matlake.open_lake(folder / "lake", create=True)
    matlake.import_table(lake, folder / "elastic.parquet", "elastic")
    lake.train(MODULUS, ["geometry"], model="ridge", name="stiff", progress=False)
    return lake
