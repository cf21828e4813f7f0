"""A lake of compositions with a head, and one of crystals with a head of two targets on descriptors of structures."""

import pyarrow.parquet as pq
import pytest
from samples import ELASTIC

import matlake
from matlake.regress.heads.train_result import TrainResult

MODULI = ["bulk_modulus_VRH_GPa", "shear_modulus_VRH_GPa"]


@pytest.fixture(scope="session")
def gap(embedded: matlake.Lake, trained: TrainResult) -> matlake.Head:
    """The head ``gap`` of the lake ``embedded``."""
    return embedded.head(trained.card.name)


@pytest.fixture(scope="session")
def crystals(tmp_path_factory: pytest.TempPathFactory) -> matlake.Lake:
    """A lake with 80 real crystals, and a head ``stiff`` of two targets that needs structures."""
    folder = tmp_path_factory.mktemp("face")
    pq.write_table(pq.read_table(ELASTIC).slice(0, 80), folder / "elastic.parquet")
    lake = matlake.open_lake(folder / "lake", create=True)
    matlake.import_table(lake, folder / "elastic.parquet", "elastic")
    lake.train(MODULI, ["geometry"], model="ridge", name="stiff", transform="none", progress=False)
    return lake
