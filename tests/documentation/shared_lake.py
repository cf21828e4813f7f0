"""The folder that pages run in: files and a lake, by the names that pages use, of real samples."""

import zipfile
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from pages import shorten_training
from samples import BUNDLED, temperature_series

FORMULAS: Final = 150
CRYSTALS: Final = 60
"""Rows of the bundled samples that stand in for whole databases."""

_MODULUS: Final = "bulk_modulus_VRH_GPa"


def make_folder(folder: Path) -> None:
    """Write the files that pages read, and a lake with datasets, embeddings and heads.

    It runs in a process of its own, since the runtimes of delta-rs and ONNX do not survive a fork.
    """
    import os

    os.chdir(folder)
    gaps = pq.read_table(BUNDLED / "expt_gap.parquet").take(np.linspace(0, 4700, FORMULAS, dtype=int))
    elastic = pq.read_table(BUNDLED / "mp_elasticity.parquet")
    crystals, candidates, mine = (
        elastic.slice(start, rows) for start, rows in ((0, CRYSTALS), (CRYSTALS, 30), (CRYSTALS + 30, 30))
    )
    _write_files(gaps, crystals, candidates, mine)
    _make_lake(gaps, crystals, candidates, mine)


def _write_files(gaps: pa.Table, crystals: pa.Table, candidates: pa.Table, mine: pa.Table) -> None:
    Path("samples").mkdir()
    pq.write_table(gaps, "samples/expt_gap.parquet")
    pacsv.write_csv(gaps, "band_gaps.csv")
    pq.write_table(crystals, "crystals.parquet")
    pq.write_table(candidates.drop_columns([_MODULUS]), "candidates.parquet")
    pacsv.write_csv(pa.table({"formula": ["BaZrS3", "ZnSnN2", "LiFePO4", "Fe4O4"]}), "candidates.csv")
    pacsv.write_csv(pa.table({"formula": ["GaN", "ZnO"], "temperature_K": [300, 600]}), "at_temperatures.csv")
    pacsv.write_csv(mine.select(["material_id", _MODULUS]), "moduli.csv")
    pacsv.write_csv(candidates.select(["material_id", _MODULUS]).slice(0, 10), "new_values.csv")
    cifs = dict(zip(mine["material_id"].to_pylist(), map(_cif, mine["poscar"].to_pylist()), strict=True))
    Path("my_cifs").mkdir()
    with zipfile.ZipFile("structures.zip", "w") as archive:
        for name, text in cifs.items():
            Path("my_cifs", f"{name}.cif").write_text(text)
            archive.writestr(f"{name}.cif", text)
    pacsv.write_csv(mine.select([_MODULUS]).append_column("cif", [list(cifs.values())]), "measured.csv")
    Path("new.cif").write_text(_cif(candidates["poscar"][0].as_py()))
    Path("stishovite.cif").write_text(_cif(candidates["poscar"][1].as_py()))
    Path("POSCAR").write_text(candidates["poscar"][2].as_py())
    vectors = np.random.default_rng(1).standard_normal((len(crystals), 4)).tolist()
    given = crystals.select(["material_id"]).append_column("vector", [vectors])
    for name in ("mace.parquet", "vectors.parquet"):
        pq.write_table(given, name)


def _make_lake(gaps: pa.Table, crystals: pa.Table, candidates: pa.Table, mine: pa.Table) -> None:
    import matlake

    shorten_training()
    lake = matlake.open_lake("lake", create=True)
    measured = gaps["band_gap_eV"].to_numpy()
    lake.add(gaps.append_column("is_metal", pa.array(measured == 0)), dataset="gaps", progress=False)
    lake.add(temperature_series(), dataset="series", progress=False)
    density = matlake.encode(crystals["poscar"].to_pylist(), "geometry")[:, 2]
    lake.add(crystals.append_column("density_g_per_cm3", pa.array(density)), dataset="crystals", progress=False)
    lake.add(candidates.drop_columns([_MODULUS]), dataset="candidates", progress=False)
    lake.add(mine, dataset="mine", progress=False)
    lake.embed("magpie", "elemnet-oqmd-formation-energy", progress=False)
    lake.embed("geometry", "cgcnn-mp-formation-energy@1+2", progress=False)
    for dataset in ("candidates", "mine"):
        lake.embed("chgnet-mptrj", dataset=dataset, progress=False)
    lake.train("band_gap_eV", ["magpie"], model="ridge", dataset="gaps", name="gap", progress=False)
    for name, model in (("modulus", "ridge"), ("other-modulus", "knn")):
        lake.train(_MODULUS, ["geometry", "magpie"], model=model, dataset="crystals", name=name, progress=False)
    lake.head("gap").predict_dataset("gaps", save=True, progress=False)


def _cif(poscar: str) -> str:
    """Return the text of a CIF file with all atoms of a cell."""
    from io import BytesIO, StringIO

    import ase.io

    text = BytesIO()
    ase.io.write(text, ase.io.read(StringIO(poscar), format="vasp"), format="cif")
    return text.getvalue().decode()
