"""How each model does on real properties: inside the region it was trained in, and outside.

    python -m benchmarks.studies.models

Every model with its default parameters, as ``train`` starts from, on three splits: random; trained on low values and
tested on the highest fifth; and each of several clusters of the embedding space left out in turn, errors averaged over
their materials. The table ranks the models of each split; ``auto`` chooses from those that lead one of them.
"""

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.helpers.common import DATA, needs_oqmd, print_table, results_of, write_results
from matlake import embed, import_table, open_lake
from matlake.quickstart.compositions import SAMPLE as GAPS
from matlake.quickstart.crystals import SAMPLE as ELASTICITY
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import Matrix, read_matrix
from matlake.regress.regressors import MODELS, fit_model
from matlake.regress.splits import parse_split
from matlake.store.lake import Lake

SEED: Final = 0
SPLITS: Final = ("random", "value:high", "cluster")
FRACTIONS: Final = "fractions"
MEAN: Final = "mean of the training rows"


@dataclass(frozen=True)
class Task:
    """A property and the features that it is predicted from."""

    title: str
    source: Path
    target: str
    features: str


TASKS: Final = (
    Task("band gap, ElemNet, eV", GAPS.file, "band_gap_eV", "elemnet-oqmd-formation-energy@2"),
    Task("band gap, fractions, eV", GAPS.file, "band_gap_eV", FRACTIONS),
    Task("bulk modulus, GPa", ELASTICITY.file, "bulk_modulus_VRH_GPa", "cgcnn-mp-formation-energy"),
    Task("shear modulus, GPa", ELASTICITY.file, "shear_modulus_VRH_GPa", "cgcnn-mp-formation-energy"),
    Task(
        "phonon peak, 1/cm",
        DATA / "matbench_phonons.parquet",
        "last_phdos_peak_per_cm",
        "cgcnn-mp-formation-energy",
    ),
    Task(
        "refractive index",
        DATA / "mp_dielectric_constant.parquet",
        "refractive_index",
        "cgcnn-mp-formation-energy",
    ),
)

COMPARED = {name: model for name, model in MODELS.items() if not model.slow}


def read(lake: Lake, task: Task) -> Matrix:
    """Import, embed and read a task's rows."""
    dataset = task.source.stem
    if dataset not in lake.dataset_names():
        import_table(lake, task.source, dataset)
    encoder = "elemnet-oqmd-formation-energy@2" if task.features == FRACTIONS else task.features
    embed(lake, [encoder], dataset=dataset)
    matrix = read_matrix(lake, task.target, resolve_features(lake, [encoder]), dataset=dataset)
    return replace(matrix, x=matrix.fractions) if task.features == FRACTIONS else matrix


def errors(matrix: Matrix, split: str) -> dict[str, float]:
    """Return the mean absolute error of each model over all materials held out."""
    parsed = parse_split(split)
    parts = list(parsed.folds(matrix, SEED)) if split == "cluster" else [parsed.hold_out(matrix, SEED)]
    found: dict[str, list[np.ndarray]] = {}
    for part in parts:
        x, y, x_held, y_held = matrix.x[part.train], matrix.y[part.train], matrix.x[part.test], matrix.y[part.test]
        found.setdefault(MEAN, []).append(np.abs(y.mean() - y_held))
        for model in COMPARED.values():
            fitted = fit_model(model, model.grid(x.shape[1])[0], x, y, SEED)
            found.setdefault(model.name, []).append(np.abs(fitted.predict(x_held) - y_held))
    return {name: float(np.mean(np.concatenate(absolute))) for name, absolute in found.items()}


def main() -> None:
    """Fit every model to every task and split, and rank them."""
    needs_oqmd()
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        lake = open_lake(Path(folder) / "lake", create=True)
        matrices = {task.title: read(lake, task) for task in TASKS}
    mae = {split: {title: errors(matrix, split) for title, matrix in matrices.items()} for split in SPLITS}
    rows = {title: len(matrix.y) for title, matrix in matrices.items()}
    document = {"mae": mae, "rows": rows, "processor_s": time.process_time() - started}
    write_results(results_of(Path(__file__)), document)
    for split, by_task in mae.items():
        ranks = {
            name: float(np.mean([sorted(found.values()).index(found[name]) + 1 for found in by_task.values()]))
            for name in (*COMPARED, MEAN)
        }
        print(f"\n{split}\n")
        print_table(
            ["model", *by_task, "mean rank"],
            [
                [name, *(f"{found[name]:.3g}" for found in by_task.values()), f"{rank:.1f}"]
                for name, rank in sorted(ranks.items(), key=lambda item: item[1])
            ],
        )


if __name__ == "__main__":
    main()
