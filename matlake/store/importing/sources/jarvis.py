"""``jarvis:NAME``: the data sets that NIST's JARVIS publishes on figshare, and those that it publishes for others.

Names, files and references are those of ``jarvis.db.figshare`` of jarvis-tools 2026.6.12. Units are those of the
documentation of JARVIS-DFT and of the table of properties in K. Choudhary and B. DeCost, npj Comput. Mater. 7, 185
(2021).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from matlake.errors import SourceError
from matlake.store.importing.sources.http import Client
from matlake.store.importing.sources.protocol import NamedSource
from matlake.store.importing.sources.published import CC_BY, NOT_KNOWN, PublishedSet, RemoteFile
from matlake.store.importing.sources.published_files import open_published

_FILES: Final = "https://ndownloader.figshare.com/files"
_ARTICLES: Final = "https://api.figshare.com/v2/articles"
_JARVIS: Final = "K. Choudhary et al., Comput. Mater. Sci. (2025), doi:10.1016/j.commatsci.2025.114063"
_OF_2020: Final = "K. Choudhary et al., npj Comput. Mater. 6, 173 (2020), doi:10.1038/s41524-020-00440-1"

UNITS: Final[Mapping[str, str]] = {
    "formation_energy_peratom": "formation_energy_eV_per_atom",
    "optb88vdw_total_energy": "optb88vdw_total_energy_eV_per_atom",
    "ehull": "energy_above_hull_eV_per_atom",
    "exfoliation_energy": "exfoliation_energy_meV_per_atom",
    "bulk_modulus_kv": "bulk_modulus_kv_GPa",
    "shear_modulus_gv": "shear_modulus_gv_GPa",
    "magmom_oszicar": "magmom_oszicar_muB",
    "magmom_outcar": "magmom_outcar_muB",
    "density": "density_g_per_cm3",
    "encut": "encut_eV",
    "slme": "slme_percent",
    "max_ir_mode": "max_ir_mode_per_cm",
    "min_ir_mode": "min_ir_mode_per_cm",
    "n-Seebeck": "n-Seebeck_uV_per_K",
    "p-Seebeck": "p-Seebeck_uV_per_K",
    "dfpt_piezo_max_eij": "dfpt_piezo_max_eij_C_per_m2",
    "Tc_supercon": "Tc_supercon_K",
    **{gap: f"{gap}_eV" for gap in ("optb88vdw_bandgap", "mbj_bandgap", "hse_gap")},
}
"""Columns of JARVIS-DFT with their units."""


@dataclass(frozen=True)
class _Place:
    """Where a file is on figshare: its article, its number, and the name of the JSON file in it."""

    article: int | None
    number: int
    file: str

    @property
    def remote(self) -> RemoteFile:
        listing = f"{_ARTICLES}/{self.article}/files" if self.article else ""
        return RemoteFile(f"{_FILES}/{self.number}", f"{self.file}.zip", listing=listing)


def _own(name: str, holds: str, place: _Place, version: str, citation: str = _JARVIS) -> PublishedSet:
    """Return a data set of JARVIS-DFT; its articles on figshare state CC BY 4.0."""
    return PublishedSet("jarvis", name, holds, version, CC_BY, citation, (place.remote,), UNITS)


def _others(
    name: str, holds: str, place: _Place, citation: str, *, licence: str = NOT_KNOWN, version: str = ""
) -> PublishedSet:
    """Return a data set of others, which keeps its columns as they are."""
    version = version or f"figshare file {place.number}"
    return PublishedSet("jarvis", name, holds, version, licence, citation, (place.remote,))


_ALEXANDRIA: Final = "https://alexandria.icams.rub.de/"
_MP: Final = "A. Jain et al., APL Mater. 1, 011002 (2013), doi:10.1063/1.4812323"
_OQMD: Final = "S. Kirklin et al., npj Comput. Mater. 1, 15010 (2015), doi:10.1038/npjcompumats.2015.10"
_MEGNET: Final = "C. Chen et al., Chem. Mater. 31, 3564 (2019), doi:10.1021/acs.chemmater.9b01294"

_TABLE: Final = (
    _own(
        "dft_3d",
        "bulk crystals, OptB88vdW and TBmBJ",
        _Place(6815699, 64391379, "jdft_3d-9-24-2025.json"),
        "2025-09-24",
    ),
    _own("dft_3d_2022", "bulk crystals, 2022", _Place(6815699, 38521619, "jdft_3d-12-12-2022.json"), "2022-12-12"),
    _own(
        "dft_3d_2021",
        "bulk crystals, 2021",
        _Place(6815699, 29204826, "jdft_3d-8-18-2021.json"),
        "2021-08-18",
        _OF_2020,
    ),
    _own("dft_2d", "monolayers", _Place(6815705, 38521268, "d2-12-12-2022.json"), "2022-12-12"),
    _own(
        "dft_2d_2021",
        "monolayers, 2021",
        _Place(6815705, 26808917, "d2-3-12-2021.json"),
        "2021-03-12",
        _OF_2020,
    ),
    _others(
        "supercon_3d",
        "critical temperatures of bulk superconductors, 1.1 thousand",
        _Place(21370572, 38307921, "jarvis_epc_data_figshare_1058.json"),
        "K. Choudhary and K. Garrity, npj Comput. Mater. 8, 244 (2022), doi:10.1038/s41524-022-00933-1",
    ),
    _others(
        "supercon_2d",
        "critical temperatures of two-dimensional superconductors, 161",
        _Place(21370572, 38950433, "jarvis_epc_data_2d.json"),
        "D. Wines et al., Nano Lett. 23, 969 (2023), doi:10.1021/acs.nanolett.2c04420",
    ),
    _others(
        "mp_3d_2020",
        "the Materials Project of 2020, 127 thousand",
        _Place(None, 26791259, "all_mp.json"),
        _MP,
        licence=CC_BY,
        version="2020",
    ),
    _others("megnet", "crystals of MEGNet", _Place(14177630, 26724977, "megnet.json"), _MEGNET),
    _others(
        "megnet2",
        "the Materials Project of April 2019, 133 thousand",
        _Place(14745435, 28332741, "megnet-mp-2019-04-01.json"),
        _MEGNET,
        version="2019-04-01",
    ),
    _others("oqmd_3d_no_cfid", "OQMD, 800 thousand", _Place(14206169, 26790182, "all_oqmd.json"), _OQMD, licence=CC_BY),
    _others(
        "twod_matpd",
        "2DMatPedia, 6 thousand",
        _Place(14205083, 26789006, "twodmatpd.json"),
        "J. Zhou et al., Sci. Data 6, 86 (2019), doi:10.1038/s41597-019-0097-3",
    ),
    _others(
        "c2db",
        "C2DB, 3.5 thousand",
        _Place(14960157, 28682010, "c2db_atoms.json"),
        "S. Haastrup et al., 2D Mater. 5, 042002 (2018), doi:10.1088/2053-1583/aacfc1",
    ),
    _others(
        "snumat",
        "band gaps with hybrid functionals, 10 thousand",
        _Place(21713885, 38521736, "snumat.json"),
        "S. Kim et al., Sci. Data 7, 387 (2020), doi:10.1038/s41597-020-00723-8",
    ),
    _others(
        "qmof",
        "QMOF, 20 thousand metal-organic frameworks",
        _Place(14812044, 30972640, "qmof_db.json"),
        "A. Rosen et al., Matter 4, 1578 (2021), doi:10.1016/j.matt.2021.02.015",
    ),
    _others(
        "omdb",
        "Organic Materials Database, 12.5 thousand",
        _Place(14812050, 28501761, "omdbv1.json"),
        "B. Olsthoorn et al., Adv. Quantum Technol. 2, 1900023 (2019), doi:10.1002/qute.201900023",
    ),
    _others(
        "cod",
        "Crystallography Open Database, 431 thousand",
        _Place(14912820, 28715301, "cod_db.json"),
        "A. Vaitkus et al., J. Appl. Cryst. 54, 661 (2021), doi:10.1107/S1600576720016532",
    ),
    _others(
        "polymer_genome",
        "polymers as crystals, 1 thousand",
        _Place(14213603, 26809907, "pgnome.json"),
        "T. D. Huan et al., Sci. Data 3, 160012 (2016), doi:10.1038/sdata.2016.12",
    ),
    _others(
        "halide_peroskites",
        "halide perovskites, 229",
        _Place(25256236, 44619562, "halide_peroskites.json"),
        "doi:10.1039/D1EE02971A",
    ),
    _others(
        "alex_pbe_hull",
        "Alexandria, PBE, on the hull, 116 thousand",
        _Place(27174897, 49622718, "alexandria_convex_hull_pbe_2023.12.29_jarvis_tools.json"),
        _ALEXANDRIA,
        licence=CC_BY,
        version="2023.12.29",
    ),
    _others(
        "alex_supercon",
        "superconductors of Alexandria, 8 thousand",
        _Place(27174897, 55551155, "alex_supercon.json"),
        "T. F. T. Cerqueira et al., Adv. Funct. Mater. 34, 2404043 (2024), doi:10.1002/adfm.202404043",
    ),
)

SETS: Final[dict[str, PublishedSet]] = {one.name: one for one in _TABLE}

_UNKNOWN: Final = PublishedSet("jarvis", "", "", "", NOT_KNOWN, _JARVIS, (), UNITS)


def open_jarvis(rest: str) -> NamedSource:
    """Return a data set by its name, or a local copy of one.

    Raises:
        SourceError: There is none.
    """
    return open_published(_UNKNOWN, SETS, rest, _with_checksums)


def _with_checksums(client: Client, found: PublishedSet) -> PublishedSet:
    """Ask figshare for the MD5 of a file; a file that it does not list has none."""
    return replace(found, files=tuple(_with_checksum(client, file) for file in found.files))


def _with_checksum(client: Client, file: RemoteFile) -> RemoteFile:
    if not file.listing:
        return file
    try:
        listed: Any = client.json(file.listing, {"page_size": "1000"})
    except SourceError:
        return file
    number = file.url.rpartition("/")[2]
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and str(one.get("id")) == number and isinstance(one.get("computed_md5"), str):
            return replace(file, checksum=f"md5:{one['computed_md5']}")
    return file
