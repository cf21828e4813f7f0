"""What a teacher's labels are worth: moduli and phonon peaks that CHGNet's energies give, against calculated ones.

    python -m benchmarks.studies.teacher

``encoders label`` labels the crystals of ``mp_elastic_tensor`` and ``matbench_phonons``; their own columns are density
functional theory: moduli of relaxed elastic tensors (Voigt-Reuss-Hill), and the last peak of the phonon density of
states. Labels are raw: nothing is fitted.
"""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.helpers.common import DATA, report
from matlake.encoders.registry import find_encoder
from matlake.export.pretraining.training_data import TrainingTable
from matlake.export.teacher.labels import BULK, PEAK, SHEAR
from matlake.export.teacher.run import LabelRequest, label_table
from matlake.metrics import rank_correlation

TEACHER: Final = "chgnet-mptrj"


@dataclass(frozen=True)
class Compared:
    """A label against what it stands for.

    Attributes:
        known: Column of calculated values.
        label: Column of the teacher's.
        rows: Crystals that have both.
        missing: Crystals without a label.
        spearman: Rank correlation.
        log10_mae: Mean absolute difference of the logarithms.
        factor: Median of label over known value.
        scatter: Standard deviation of the logarithm of that.
    """

    known: str
    label: str
    rows: int
    missing: int
    spearman: float
    log10_mae: float
    factor: float
    scatter: float


def main() -> None:
    """Label both tables and compare."""
    compared: list[Compared] = []
    costs: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, pairs in {
            "mp_elastic_tensor": {"bulk_modulus_VRH_GPa": BULK, "shear_modulus_VRH_GPa": SHEAR},
            "matbench_phonons": {"last_phdos_peak_per_cm": PEAK},
        }.items():
            data = TrainingTable.from_file(DATA / f"{name}.parquet")
            output = Path(folder) / f"{name}.parquet"
            done = label_table(LabelRequest(data, find_encoder(TEACHER), output))
            costs[name] = {"rows": done.rows, "processor_s": done.processor_s, "failed": done.problems}
            table = pq.read_table(output)
            for known, label in pairs.items():
                compared.append(_compare(known, label, *(np.asarray(table[one], np.float64) for one in (known, label))))
    report(
        Path(__file__),
        {"compared": [asdict(one) for one in compared], "cost": costs},
        ["label", "against", "crystals", "without", "Spearman", "MAE, log10", "label / known", "scatter, log10"],
        [
            [
                *(f"`{one.label}`", f"`{one.known}`", f"{one.rows:,}", f"{one.missing:,}", f"{one.spearman:.3f}"),
                *(f"{one.log10_mae:.3f}", f"{one.factor:.2f}", f"{one.scatter:.3f}"),
            ]
            for one in compared
        ],
    )


def _compare(known: str, label: str, values: NDArray[np.float64], labels: NDArray[np.float64]) -> Compared:
    both = np.isfinite(labels) & (values > 0)
    logs = np.log10(labels[both] / values[both])
    return Compared(
        known,
        label,
        int(both.sum()),
        int((~np.isfinite(labels)).sum()),
        rank_correlation(values[both], labels[both]) or 0.0,
        float(np.abs(logs).mean()),
        float(10 ** np.median(logs)),
        float(logs.std()),
    )


if __name__ == "__main__":
    main()
