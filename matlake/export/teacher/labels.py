"""The labels of crystals: which columns there are, and how some rows of a table get them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.encoders.crystal_encoder import CrystalEncoder
from matlake.export.teacher.energies import cell_energies
from matlake.export.teacher.probes import Probes, make_probes, stiffness
from matlake.materials.crystal import Crystal, CrystalColumns

VOLUME: Final = "volume_A3_per_atom"
BULK: Final = "teacher_bulk_modulus_GPa"
SHEAR: Final = "teacher_shear_modulus_GPa"
PEAK: Final = "teacher_last_phonon_peak_per_cm"
PROBLEM: Final = "teacher_problem"

LOGARITHMS: Final = {f"{name}_log10": name for name in (BULK, SHEAR, PEAK)}
"""Column -> the column that it is the logarithm of: moduli and frequencies spread over orders of magnitude."""

LABELS: Final = (VOLUME, BULK, SHEAR, PEAK)
COLUMNS: Final = pa.schema([*((name, pa.float64()) for name in (*LABELS, *LOGARITHMS)), (PROBLEM, pa.string())])
"""What a labelled table has more; null where there is no label, and why."""

_ATOMS_A_RUN: Final = 4_000  # of copies: bounds the memory of their graphs


@dataclass(frozen=True)
class LabelledRows:
    """Labels of some rows.

    Attributes:
        start: The first row.
        table: A row for each, ``COLUMNS``.
        processor_s: Processor time that they took.
    """

    start: int
    table: pa.Table
    processor_s: float


@dataclass(frozen=True)
class ReadRows:
    """Rows to be labelled.

    Attributes:
        start: The first row.
        crystals: A crystal for each, or why there is none.
    """

    start: int
    crystals: Sequence[Crystal | str]


@dataclass
class ProbedRows:
    """Rows whose strained and displaced copies are made.

    Attributes:
        start: The first row.
        values: Label -> a number for each row, NaN for none.
        problems: Row of these -> why labels are missing.
        probes: Row of these -> the crystal and its copies.
        processor_s: Processor time so far.
    """

    start: int
    values: dict[str, list[float]]
    problems: dict[int, str]
    probes: dict[int, Probes] = field(default_factory=dict)
    processor_s: float = 0.0


@dataclass(frozen=True)
class Labeller:
    """Labels rows in two stages: copies are made ahead of the threads that run the network.

    Attributes:
        encoder: The teacher.
        max_atoms: Crystals of more atoms get no label but their volume.
    """

    encoder: CrystalEncoder
    max_atoms: int

    def probe(self, rows: ReadRows) -> ProbedRows:
        """Make the copies of crystals that the teacher takes."""
        started = time.thread_time()
        found = ProbedRows(rows.start, {name: [np.nan] * len(rows.crystals) for name in LABELS}, {})
        taken: dict[int, Crystal] = {}
        for row, crystal in enumerate(rows.crystals):
            if isinstance(crystal, str):
                found.problems[row] = crystal
                continue
            atoms = len(crystal.numbers)
            found.values[VOLUME][row] = crystal.volume / atoms
            if atoms > self.max_atoms:
                found.problems[row] = f"{atoms:,} atoms, more than the {self.max_atoms:,} that are labelled"
            else:
                taken[row] = crystal
        reasons = self.encoder.rejections(CrystalColumns.of(list(taken.values())))
        for (row, crystal), reason in zip(taken.items(), reasons, strict=True):
            if reason is None:
                found.probes[row] = make_probes(crystal)
            else:
                found.problems[row] = reason
        found.processor_s = time.thread_time() - started
        return found

    def label(self, rows: ProbedRows) -> LabelledRows:
        """Run the network on the copies, and turn energies into labels."""
        started = time.thread_time()
        for some in self._runs(rows.probes):
            energies = cell_energies(self.encoder, [copy for row in some for copy in rows.probes[row].copies])
            first = 0
            for row in some:
                probes = rows.probes[row]
                self._keep(rows, row, energies[first : first + len(probes.copies)])
                first += len(probes.copies)
        columns = {name: np.array(values) for name, values in rows.values.items()}
        columns |= {name: np.log10(columns[label]) for name, label in LOGARITHMS.items()}
        problems = [rows.problems.get(row) for row in range(len(columns[VOLUME]))]
        arrays = [pa.array(values, pa.float64(), from_pandas=True) for values in columns.values()]
        table = pa.Table.from_arrays([*arrays, pa.array(problems, pa.string())], schema=COLUMNS)
        return LabelledRows(rows.start, table, rows.processor_s + time.thread_time() - started)

    def _keep(self, rows: ProbedRows, row: int, energies: NDArray[np.float64]) -> None:
        probes = rows.probes[row]
        found = stiffness(probes, energies)
        missing = []
        for name, value in ((BULK, found.bulk_modulus), (SHEAR, found.shear_modulus), (PEAK, found.frequency)):
            if value > 0:
                rows.values[name][row] = value
            elif not np.isfinite(energies).all():
                missing.append(f"{name}: the teacher's energy is not finite")
            elif np.isnan(value):
                missing.append(f"{name}: one atom in the cell, no vibration against another")
            else:
                missing.append(f"{name}: the teacher finds the crystal unstable ({value:.3g})")
        if missing:
            rows.problems[row] = "; ".join(missing)

    def _runs(self, probes: dict[int, Probes]) -> list[list[int]]:
        """Return rows that run together."""
        runs: list[list[int]] = []
        atoms = _ATOMS_A_RUN
        for row, found in probes.items():
            size = len(found.copies) * len(found.copies[0].numbers)
            if atoms + size > _ATOMS_A_RUN:
                runs.append([])
                atoms = 0
            runs[-1].append(row)
            atoms += size
        return runs
