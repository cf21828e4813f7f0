"""``matbench:NAME``: the thirteen tasks of Matbench v0.1.

A. Dunn, Q. Wang, A. Ganose, D. Dopp and A. Jain, npj Comput. Mater. 6, 138 (2020). Addresses and checksums are those
of ``dataset_metadata.json`` of matminer 0.10.1, units those of the benchmark's page.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pyarrow as pa

from matlake.store.importing.readers import Batch, Source
from matlake.store.importing.sources.protocol import NamedSource
from matlake.store.importing.sources.published import CC_BY, NOT_KNOWN, PublishedSet, RemoteFile
from matlake.store.importing.sources.published_files import open_published

_FILES: Final = "https://ml.materialsproject.org/projects"
_MP: Final = "A. Jain et al., APL Mater. 1, 011002 (2013), doi:10.1063/1.4812323"
_ELASTICITY: Final = "M. de Jong et al., Sci. Data 2, 150009 (2015), doi:10.1038/sdata.2015.9"
_ZHUO: Final = "Y. Zhuo et al., J. Phys. Chem. Lett. 9, 1668 (2018), doi:10.1021/acs.jpclett.8b00124"
BENCHMARK: Final = "A. Dunn et al., npj Comput. Mater. 6, 138 (2020), doi:10.1038/s41524-020-00406-3"


def _task(
    name: str, holds: str, sha256: str, citation: str, target: tuple[str, str] | None = None, licence: str = NOT_KNOWN
) -> PublishedSet:
    file = f"{name}.json.gz"
    units = dict([target]) if target else {}
    return PublishedSet(
        "matbench",
        name,
        holds,
        "0.1",
        licence,
        f"{citation}; {BENCHMARK}",
        (RemoteFile(f"{_FILES}/{file}", file, f"sha256:{sha256}"),),
        units,
    )


_TABLE: Final = (
    _task(
        "matbench_steels",
        "yield strength of steels, 312 compositions",
        "473bc4957b2ea5e6465aef84bc29bb48ac34db27d69ea4ec5f508745c6fae252",
        "Citrine Informatics, Mechanical properties of some steels, https://citrination.com/datasets/153092/",
        ("yield strength", "yield_strength_MPa"),
    ),
    _task(
        "matbench_jdft2d",
        "exfoliation energy, 636 crystals",
        "26057dc4524e193e32abffb296ce819b58b6e11d1278cae329a2f97817a4eddf",
        "K. Choudhary et al., Sci. Rep. 7, 5179 (2017), doi:10.1038/s41598-017-05402-0",
        ("exfoliation_en", "exfoliation_energy_meV_per_atom"),
        CC_BY,
    ),
    _task(
        "matbench_phonons",
        "last peak of the phonon density of states, 1,265 crystals",
        "4db551f21ec5f577e6202725f10e34dfc509aa7df3a6bdaac497da7f6dbbb9b3",
        "G. Petretto et al., Sci. Data 5, 180065 (2018), doi:10.1038/sdata.2018.65",
        ("last phdos peak", "last_phdos_peak_per_cm"),
        CC_BY,
    ),
    _task(
        "matbench_expt_gap",
        "measured band gap, 4,604 compositions",
        "783e7d1461eb83b00b2f2942da4b95fda5e58a0d1ae26b581c24cf8a82ca75b2",
        _ZHUO,
        ("gap expt", "band_gap_eV"),
    ),
    _task(
        "matbench_dielectric",
        "refractive index, 4,764 crystals",
        "83befa09bc2ec2f4b6143afc413157827a90e5e2e42c1eb507ccfa01bf26a1d6",
        "I. Petousis et al., Sci. Data 4, 160134 (2017), doi:10.1038/sdata.2016.134",
        ("n", "refractive_index"),
        CC_BY,
    ),
    _task(
        "matbench_expt_is_metal",
        "whether it is a metal, as measured, 4,921 compositions",
        "8f2a4f9bacdcbc5c2c73615629ee7986f09d39bed40ba7db52b61b2889730887",
        _ZHUO,
    ),
    _task(
        "matbench_glass",
        "whether a metallic glass forms, 5,680 compositions",
        "36beb654e2a463ee2a6572105bea0ca2961eee7c7b26a25377bff2c3b338e53a",
        "Y. Kawazoe et al., Landolt-Börnstein III 37A (1997)",
    ),
    _task(
        "matbench_log_gvrh",
        "logarithm of the shear modulus in GPa, 10,987 crystals",
        "098af941f4c663270f1fe21abf20ffad6fb85ecbfcba5786ceac03983ac29da7",
        _ELASTICITY,
        licence=CC_BY,
    ),
    _task(
        "matbench_log_kvrh",
        "logarithm of the bulk modulus in GPa, 10,987 crystals",
        "44b113ddb7e23aa18731a62c74afa7e5aa654199e0db5f951c8248a00955c9cd",
        _ELASTICITY,
        licence=CC_BY,
    ),
    _task(
        "matbench_perovskites",
        "heat of formation of the five-atom cell in eV, 18,928 crystals",
        "4641e2417f8ec8b50096d2230864468dfa08278dc9d257c327f65d0305278483",
        "I. E. Castelli et al., Energy Environ. Sci. 5, 9034 (2012), doi:10.1039/C2EE22341D",
        ("e_form", "formation_energy_eV_per_cell"),
    ),
    _task(
        "matbench_mp_gap",
        "band gap with PBE, 106,113 crystals",
        "58b65746bd88329986ed66031a2ac1369c7c522f7bc9f9081528e07097c2c057",
        _MP,
        ("gap pbe", "band_gap_eV"),
        CC_BY,
    ),
    _task(
        "matbench_mp_is_metal",
        "whether it is a metal with PBE, 106,113 crystals",
        "9a028ed5750a4c76ca36e9f3c8d48fe0bf3fb21b76ec2289e58ae7048d527919",
        _MP,
        licence=CC_BY,
    ),
    _task(
        "matbench_mp_e_form",
        "formation energy, 132,752 crystals",
        "dedcb1d4ba2e3e50dbdd45ba5bc647a00e9c2bcf8f8bf556dc8e92caa39eb21f",
        _MP,
        ("e_form", "formation_energy_eV_per_atom"),
        CC_BY,
    ),
)

SETS: Final[dict[str, PublishedSet]] = {one.name: one for one in _TABLE}

_UNKNOWN: Final = PublishedSet("matbench", "", "", "", NOT_KNOWN, BENCHMARK, ())
_ID: Final = "material_id"


def open_matbench(rest: str) -> NamedSource:
    """Return a task by its name, with or without ``matbench_``, or a local copy of its file.

    Raises:
        SourceError: There is none.
    """
    known = f"matbench_{rest}"
    return open_published(_UNKNOWN, SETS, known if known in SETS else rest, finish=_with_ids)


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
