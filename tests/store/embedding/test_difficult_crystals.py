"""Crystals at the edges of what networks take: each has a vector or a reason, and none costs its batch."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from matlake import Lake, embed, import_table, open_lake
from matlake.encoders.layer_ref import LayerRef

HALITE_A = 5.64
GOOD = ("silicon", "halite")
CAESIUM = "caesium"
"""Its nearest neighbours are 5.2 Å apart: no bond below 3 Å, so no angle."""

ALONE = "alone"
"""One atom in a box of 50 Å: no neighbours at all."""

LARGE = "large"
"""2,000 atoms, no two of them equivalent."""

CALIFORNIUM = "californium"
"""Beyond the tables of the networks."""

ENCODERS = ("chgnet-mptrj@all", "geometry", "cgcnn-mp-formation-energy")


HALF_EDGE = np.array([0.5, 0, 0])
FACES = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def poscar(edges: tuple[float, float, float], **places: NDArray[np.float64]) -> str:
    """A rectangular cell, its edges in Å, as text, with the fractional positions of each element."""
    lattice = [" ".join(map(str, row)) for row in np.diag(edges).tolist()]
    positions = [" ".join(f"{x:.9f}" for x in place) for one in places.values() for place in one.tolist()]
    counts = [str(len(one)) for one in places.values()]
    return "\n".join(["crystal", "1.0", *lattice, " ".join(places), " ".join(counts), "direct", *positions, ""])


def rock_salt(repeats: tuple[int, int, int], moved: float = 0.0) -> str:
    """Halite, its cell repeated and every atom moved by up to so many Å along each axis."""
    cells = np.stack(np.meshgrid(*map(np.arange, repeats), indexing="ij"), axis=-1).reshape(-1, 1, 3)
    sodium = (cells + FACES).reshape(-1, 3)
    rng = np.random.default_rng(0)
    places = {
        symbol: (one + rng.uniform(-moved, moved, one.shape) / HALITE_A) / repeats % 1
        for symbol, one in (("Na", sodium), ("Cl", sodium + HALF_EDGE))
    }
    a, b, c = (HALITE_A * repeat for repeat in repeats)
    return poscar((a, b, c), **places)


def cubic(edge: float, **places: NDArray[np.float64]) -> str:
    return poscar((edge, edge, edge), **places)


CORNER, CENTRE = np.zeros((1, 3)), np.full((1, 3), 0.5)
CELLS = {
    "silicon": cubic(5.43, Si=np.concatenate([FACES, FACES + 0.25])),
    CALIFORNIUM: cubic(4.94, Cf=CORNER, O=CENTRE),
    ALONE: cubic(50.0, Fe=CORNER),
    LARGE: rock_salt((10, 5, 5), moved=0.1),
    CAESIUM: cubic(6.05, Cs=np.concatenate([CORNER, CENTRE])),
    "halite": rock_salt((1, 1, 1)),
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """All of them in one dataset, embedded in one run."""
    folder = tmp_path_factory.mktemp("difficult")
    pq.write_table(pa.table({"id": list(CELLS), "poscar": list(CELLS.values())}), folder / "cells.parquet")
    lake = open_lake(folder / "lake", create=True)
    assert import_table(lake, folder / "cells.parquet", "cells").failed == 0
    embed(lake, list(ENCODERS))
    return lake


@pytest.mark.parametrize("feature", ENCODERS)
def test_every_crystal_has_a_vector_of_each_layer_or_one_reason(lake: Lake, feature: str) -> None:
    ref = LayerRef.parse(feature)
    card = lake.find_encoder(ref.encoder).card
    failed = {row["material_id"]: row["reason"] for row in lake.query(
        f"SELECT material_id, reason FROM failures WHERE encoder = '{card.name}'").to_pylist()}  # fmt: skip
    layers = {row["layer"]: row["ids"] for row in lake.query(
        f"SELECT layer, list(material_id) AS ids FROM embeddings WHERE encoder = '{card.name}' GROUP BY layer"
    ).to_pylist()}  # fmt: skip
    assert set(layers) == {layer.name for layer in card.named_layers(ref.layer)}
    for ids in layers.values():
        assert sorted([*ids, *failed]) == sorted(CELLS)
    assert all("Cf" in reason for name, reason in failed.items() if name == CALIFORNIUM)
    assert set(failed) <= {CALIFORNIUM}


@pytest.mark.parametrize("feature", ENCODERS)
def test_neighbours_of_a_difficult_crystal_keep_their_vectors(lake: Lake, feature: str, tmp_path: Path) -> None:
    few = {name: CELLS[name] for name in (*GOOD, CAESIUM, ALONE)}
    pq.write_table(pa.table({"id": list(few), "poscar": list(few.values())}), tmp_path / "few.parquet")
    alone = open_lake(tmp_path / "lake", create=True)
    import_table(alone, tmp_path / "few.parquet", "cells")
    embed(alone, [feature])
    encoder = LayerRef.parse(feature).encoder
    question = f"SELECT layer, material_id, vector FROM embeddings WHERE encoder = '{encoder}'"
    expected = {(row["layer"], row["material_id"]): row["vector"] for row in alone.query(question).to_pylist()}
    found = {(row["layer"], row["material_id"]): row["vector"] for row in lake.query(question).to_pylist()}
    assert len(expected) % len(few) == 0
    for place, vector in expected.items():
        scale = np.abs(vector).max()
        np.testing.assert_allclose(found[place], vector, atol=2e-5 * scale)
        assert np.isfinite(vector).all()
