"""The best published results on the folds of Matbench v0.1.

Facts from the public leaderboard (https://matbench.materialsproject.org, the pages of single tasks), mean over the five
folds, as it stood in March 2026. What the leaderboard calls ROC-AUC of a class is computed from predicted classes, not
from probabilities, so it equals the balanced accuracy, and is given as such.
"""

from dataclasses import dataclass
from typing import Final

SOURCE: Final = "public leaderboard of Matbench v0.1 (matbench.materialsproject.org, March 2026)"


@dataclass(frozen=True)
class Published:
    """A published result.

    Attributes:
        model: Its name there.
        score: Mean over the folds of the mean absolute error, in the target's unit; of classes the balanced accuracy.
        reference: Where it is described.
    """

    model: str
    score: float
    reference: str


_REFERENCES: Final = {
    "ALIGNN": "Choudhary and DeCost, npj Comput. Mater. 7, 185 (2021)",
    "AMMExpress v2020": "Dunn et al., npj Comput. Mater. 6, 138 (2020)",
    "AutoML-Mat": "leaderboard entry of 2023",
    "Ax/SAASBO CrabNet v1.2.7": "Baird, Liu and Sparks, Comput. Mater. Sci. 211, 111505 (2022)",
    "CGCNN v2019": "Xie and Grossman, Phys. Rev. Lett. 120, 145301 (2018)",
    "coGN": "Ruff et al., arXiv 2302.14102 (2023)",
    "coNGN": "Ruff et al., arXiv 2302.14102 (2023)",
    "Darwin": "Xie et al., arXiv 2304.02213 (2023), a language model",
    "DeeperGATGNN": "Omee et al., Patterns 3, 100491 (2022)",
    "MegNet (kgcnn v2.1.0)": "Chen et al., Chem. Mater. 31, 3564 (2019)",
    "MODNet (v0.1.10)": "De Breuck et al., npj Comput. Mater. 7, 83 (2021)",
    "MODNet (v0.1.12)": "De Breuck et al., npj Comput. Mater. 7, 83 (2021)",
    "RF-SCM/Magpie": "Dunn et al., npj Comput. Mater. 6, 138 (2020)",
    "TPOT-Mat": "leaderboard entry of 2023",
}


def _leaders(scores: dict[str, float]) -> tuple[Published, ...]:
    return tuple(Published(model, score, _REFERENCES[model]) for model, score in scores.items())


LEADERS: Final[dict[str, tuple[Published, ...]]] = {
    "matbench_steels": _leaders({"TPOT-Mat": 79.95, "AutoML-Mat": 82.30, "MODNet (v0.1.12)": 87.7627}),
    "matbench_jdft2d": _leaders({"MODNet (v0.1.12)": 33.1918, "MODNet (v0.1.10)": 34.5368, "coNGN": 36.1698}),
    "matbench_phonons": _leaders(
        {"MegNet (kgcnn v2.1.0)": 28.7606, "coNGN": 28.89, "ALIGNN": 29.5385, "MODNet (v0.1.12)": 34.2751}
    ),
    "matbench_expt_gap": _leaders({"Darwin": 0.2865, "Ax/SAASBO CrabNet v1.2.7": 0.3310, "MODNet (v0.1.12)": 0.3327}),
    "matbench_dielectric": _leaders({"MODNet (v0.1.12)": 0.2711, "MODNet (v0.1.10)": 0.2970, "coGN": 0.3088}),
    "matbench_expt_is_metal": _leaders({"Darwin": 0.9598, "AMMExpress v2020": 0.9209, "RF-SCM/Magpie": 0.9167}),
    "matbench_glass": _leaders({"MODNet (v0.1.12)": 0.9603, "AMMExpress v2020": 0.8607, "RF-SCM/Magpie": 0.8587}),
    "matbench_log_gvrh": _leaders({"coNGN": 0.0670, "coGN": 0.0689, "ALIGNN": 0.0715}),
    "matbench_log_kvrh": _leaders({"coNGN": 0.0491, "coGN": 0.0535, "MODNet (v0.1.12)": 0.0548}),
    "matbench_perovskites": _leaders({"coGN": 0.0269, "ALIGNN": 0.0288, "DeeperGATGNN": 0.0288}),
    "matbench_mp_gap": _leaders({"coGN": 0.1559, "DeeperGATGNN": 0.1694, "coNGN": 0.1697}),
    "matbench_mp_is_metal": _leaders({"CGCNN v2019": 0.9520, "ALIGNN": 0.9128, "coGN": 0.9124}),
    "matbench_mp_e_form": _leaders({"coGN": 0.0170, "coNGN": 0.0178, "ALIGNN": 0.0215}),
}
"""Task -> the best results, best first."""
