"""Short names of materials that look like formulas, and what they stand for.

Those that would be read as elements do harm (``YBCO`` as yttrium, boron, carbon and oxygen). Others cannot be read
anyway and are here for the sake of the message.
"""

from typing import Final

NICKNAMES: Final[dict[str, str]] = {
    "AcOH": "C2H4O2",
    "BBO": "BaB2O4",
    "BCY": "BaCe0.8Y0.2O3",
    "BFO": "BiFeO3",
    "BGO": "Bi4Ge3O12",
    "BK7": "",
    "BNT": "Bi0.5Na0.5TiO3",
    "BSCCO": "Bi2Sr2CaCu2O8",
    "BSCF": "Ba0.5Sr0.5Co0.8Fe0.2O3",
    "BSO": "BaSnO3",
    "BST": "Ba0.5Sr0.5TiO3",
    "BTO": "BaTiO3",
    "BYZ": "BaZr0.8Y0.2O3",
    "BZY": "BaZr0.8Y0.2O3",
    "C2S": "Ca2SiO4",
    "C3S": "Ca3SiO5",
    "CBN": "BN",
    "CCTO": "CaCu3Ti4O12",
    "CFO": "CoFe2O4",
    "CIGS": "CuIn0.7Ga0.3Se2",
    "CNF": "C",
    "CNT": "C",
    "COF": "",
    "CZTS": "Cu2ZnSnS4",
    "DLC": "C",
    "FTO": "SnO2",
    "GDC": "Ce0.9Gd0.1O1.95",
    "GST": "Ge2Sb2Te5",
    "HAc": "C2H4O2",
    "HBN": "BN",
    "IGZO": "InGaZnO4",
    "ITO": "In1.8Sn0.2O3",
    "KBBF": "KBe2BO3F2",
    "KDP": "KH2PO4",
    "KNN": "K0.5Na0.5NbO3",
    "KTP": "KTiOPO4",
    "LATP": "Li1.3Al0.3Ti1.7P3O12",
    "LCO": "LiCoO2",
    "LFP": "LiFePO4",
    "LGPS": "Li10GeP2S12",
    "LLTO": "Li0.33La0.56TiO3",
    "LLZO": "Li7La3Zr2O12",
    "LMO": "LiMn2O4",
    "LNO": "LiNiO2",
    "LSCF": "La0.6Sr0.4Co0.2Fe0.8O3",
    "LSGM": "La0.8Sr0.2Ga0.8Mg0.2O3",
    "LSM": "La0.8Sr0.2MnO3",
    "LSMO": "La0.7Sr0.3MnO3",
    "LTO": "Li4Ti5O12",
    "NBO": "NbO2",
    "NCA": "LiNi0.8Co0.15Al0.05O2",
    "NFO": "NiFe2O4",
    "NNO": "NaNbO3",
    "PBI": "",
    "PC": "",
    "PI": "",
    "PIN": "PbIn0.5Nb0.5O3",
    "PMN": "PbMg0.33Nb0.67O3",
    "PNN": "PbNi0.33Nb0.67O3",
    "PPS": "",
    "PS": "",
    "PTO": "PbTiO3",
    "PVC": "",
    "PVDF": "",
    "PVP": "",
    "PZT": "PbZr0.52Ti0.48O3",
    "SBN": "Sr0.6Ba0.4Nb2O6",
    "SBT": "SrBi2Ta2O9",
    "SDC": "Ce0.8Sm0.2O1.9",
    "SNO": "SmNiO3",
    "SOFC": "",
    "SRO": "SrRuO3",
    "STO": "SrTiO3",
    "YAG": "Y3Al5O12",
    "YBCO": "YBa2Cu3O7",
    "YIG": "Y3Fe5O12",
    "YSZ": "Zr0.85Y0.15O1.93",
}
"""Name -> a usual formula; empty for what has none, such as polymers."""

ALLOYS_BY_WEIGHT: Final[frozenset[str]] = frozenset(
    (
        "AlCu4Mg1 AlMg4.5Mn AlMgSi AlSi10Mg AlSi12 AlSi7Mg AlSi9Cu3 CuBe2 CuSn6 CuSn8 CuZn30 CuZn37 CuZn40 "
        "Fe18Cr8Ni Fe25Cr20Ni NiCr20 Ti10V2Fe3Al Ti13Nb13Zr Ti15V3Cr3Al3Sn Ti15V3Cr3Sn3Al Ti3Al2.5V "
        "Ti5Al2.5Sn Ti5Al5V5Mo3Cr Ti6Al2Sn4Zr2Mo Ti6Al2Sn4Zr6Mo Ti6Al4V Ti6Al6V2Sn Ti6Al7Nb Ti8Al1Mo1V "
        "TiAl6Nb7 TiAl6V4 WC10Co WC12Co WC6Co"
    ).split()
)
"""Alloys whose usual names give the weight in percent, and look like formulas."""
