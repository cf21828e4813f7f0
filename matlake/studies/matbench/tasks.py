"""The tasks of Matbench v0.1, with the best published results, and tasks on sets of the Materials Project.

Matbench: A. Dunn, Q. Wang, A. Ganose, D. Dopp and A. Jain, npj Comput. Mater. 6, 138 (2020). Its files hold a column of
structures or compositions and a column of the target; the names of targets, their units and the numbers of rows are
those of the benchmark's page.
"""

from dataclasses import dataclass
from typing import Final

from matlake.encoders.card import InputKind
from matlake.errors import TrainingError
from matlake.studies.matbench.published import LEADERS, Published

CRYSTAL, COMPOSITION = InputKind.CRYSTAL, InputKind.COMPOSITION


@dataclass(frozen=True)
class MatbenchTask:
    """A property to predict, and what others have reached.

    Attributes:
        name: As the benchmark calls it.
        columns: Names of the target's column: the benchmark's, and that of files which carry the unit in it.
        unit: Of the target; ``""`` for none.
        takes: What materials are given as.
        rows: Number of rows of the benchmark's file; None for a set without published folds.
        yes_no: Whether the target is a class.
        positive: Whether only rows with a positive target belong to the task.
        splits: Further splits that its data allow, as typed for ``train --split``.
    """

    name: str
    columns: tuple[str, ...]
    unit: str
    takes: InputKind
    rows: int | None = None
    yes_no: bool = False
    positive: bool = False
    splits: tuple[str, ...] = ()

    @property
    def published(self) -> tuple[Published, ...]:
        """The best published results, best first; none of a set without published folds."""
        return LEADERS.get(self.name, ())


_BENCHMARK: Final = (
    MatbenchTask("matbench_steels", ("yield strength", "yield_strength_MPa"), "MPa", COMPOSITION, 312),
    MatbenchTask("matbench_jdft2d", ("exfoliation_en", "exfoliation_energy_meV_per_atom"), "meV/atom", CRYSTAL, 636),
    MatbenchTask("matbench_phonons", ("last phdos peak", "last_phdos_peak_per_cm"), "1/cm", CRYSTAL, 1_265),
    MatbenchTask("matbench_expt_gap", ("gap expt", "band_gap_eV"), "eV", COMPOSITION, 4_604),
    MatbenchTask("matbench_dielectric", ("n", "refractive_index"), "", CRYSTAL, 4_764),
    MatbenchTask("matbench_expt_is_metal", ("is_metal",), "", COMPOSITION, 4_921, yes_no=True),
    MatbenchTask("matbench_glass", ("gfa",), "", COMPOSITION, 5_680, yes_no=True),
    MatbenchTask("matbench_log_gvrh", ("log10(G_VRH)",), "log10(GPa)", CRYSTAL, 10_987),
    MatbenchTask("matbench_log_kvrh", ("log10(K_VRH)",), "log10(GPa)", CRYSTAL, 10_987),
    MatbenchTask("matbench_perovskites", ("e_form", "formation_energy_eV_per_cell"), "eV/unit cell", CRYSTAL, 18_928),
    MatbenchTask("matbench_mp_gap", ("gap pbe", "band_gap_eV"), "eV", CRYSTAL, 106_113),
    MatbenchTask("matbench_mp_is_metal", ("is_metal",), "", CRYSTAL, 106_113, yes_no=True),
    MatbenchTask("matbench_mp_e_form", ("e_form", "formation_energy_eV_per_atom"), "eV/atom", CRYSTAL, 132_752),
)
_BY_YEAR: Final = ("time:year>2005",)
_MATERIALS_PROJECT: Final = (
    MatbenchTask("mp_bulk_modulus", ("bulk_modulus_VRH_GPa",), "GPa", CRYSTAL, positive=True),
    MatbenchTask("mp_shear_modulus", ("shear_modulus_VRH_GPa",), "GPa", CRYSTAL, positive=True),
    MatbenchTask("mp_refractive_index", ("refractive_index",), "", CRYSTAL),
    MatbenchTask("mp_dielectric_constant", ("dielectric_total",), "", CRYSTAL),
    MatbenchTask("mp_piezoelectric", ("piezoelectric_eij_max_C_per_m2",), "C/m2", CRYSTAL, positive=True),
    MatbenchTask("mp_band_gap", ("band_gap_eV",), "eV", CRYSTAL, splits=_BY_YEAR),
    MatbenchTask("mp_formation_energy", ("formation_energy_eV_per_atom",), "eV/atom", CRYSTAL, splits=_BY_YEAR),
)

TASKS: Final[dict[str, MatbenchTask]] = {task.name: task for task in (*_BENCHMARK, *_MATERIALS_PROJECT)}


def find_task(name: str) -> MatbenchTask:
    """Return a task by its name, with or without ``matbench_``.

    Raises:
        TrainingError: There is none of that name.
    """
    for known in (name, f"matbench_{name}"):
        if known in TASKS:
            return TASKS[known]
    raise TrainingError(f"unknown task {name!r}", f"tasks: {', '.join(TASKS)}")
