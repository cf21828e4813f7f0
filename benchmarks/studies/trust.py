"""Do intervals hold what they promise, does the expected error rank errors, and do warnings catch the gross ones?

    python -m benchmarks.studies.trust [--role verdict|development] [--model kernel-ridge]

Each case is a property, and what is held out of it: random rows, a cluster of the embedding space, an element, later
years, or all rows of another source of labels. The model is fitted and calibrated on the other rows as in training, for
three seeds. Cases of the role ``development`` were looked at while signals, their form and their weights were chosen;
those of the role ``verdict`` were named before any of them was measured. Beside the expected error stands what was
before it: an interval of equal halves whose difficulty is the mean residual of the nearest training rows times a factor
of the out-of-distribution score, and warnings by elements, blocks, score, and neighbours that disagree.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

import matlake
from benchmarks.helpers.common import DATA, needs_oqmd, report, results_of
from benchmarks.helpers.warnings_before import Before, before
from matlake.materials.periodic_table import SYMBOLS
from matlake.materials.units import quantity_of
from matlake.metrics import rank_correlation
from matlake.regress.features.feature import Feature, resolve_features
from matlake.regress.features.matrix import Matrix, read_matrix
from matlake.regress.heads.measure import Measured, measure_fitted
from matlake.regress.regressors import MODELS, fit_of
from matlake.regress.splits import HeldOut, parse_split
from matlake.regress.targets.bounds import find_bounds
from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.targets.transforms import Transform
from matlake.regress.uncertainty.applicability import FARTHEST, FEW, UNKNOWN, blocks_of, elements_outside_training
from matlake.regress.uncertainty.out_of_fold import predict_out_of_fold

SEEDS: Final = (0, 1, 2)
MOST_ROWS: Final = 1500
MOST_COMPOSITIONS: Final = 1000
RESAMPLES: Final = 200
COMPOSITIONS: Final = "magpie,elemnet-oqmd-formation-energy"
CRYSTALS: Final = "geometry,magpie"
GROSS: Final = 3.0
"""Half-widths beyond which an error is gross."""

LEAST_RANK: Final = 0.3

SPLITS: Final = ("random", "cluster", "element")
TIME: Final = ("time:year",)
OTHER: Final = "another source"


@dataclass(frozen=True)
class Task:
    """A property, and where its values are.

    Attributes:
        role: ``development`` or ``verdict``.
        target: Name of the property.
        file: File of the development data.
        features: What it is learned from.
        splits: What is held out.
        column: Column of the values.
        rows: Value of the column ``property`` that selects rows; None for all.
        log: Whether logarithms are learned; rows that are not positive are left out.
        other: Another source of labels: file, column, and ``property`` or None.
    """

    role: str
    target: str
    file: str
    features: str
    splits: tuple[str, ...] = SPLITS
    column: str | None = None
    rows: str | None = None
    log: bool = False
    other: tuple[str, str, str | None] | None = None

    @property
    def most(self) -> int:
        """Most rows that are trained on, and most that are tested on."""
        return MOST_ROWS if self.features == CRYSTALS else MOST_COMPOSITIONS


def _jarvis(role: str, target: str, rows: str, *, log: bool = False) -> Task:
    return Task(role, target, "jarvis_targets", COMPOSITIONS, column="value", rows=rows, log=log)


_DEVELOPMENT: Final = "development"
_VERDICT: Final = "verdict"
TASKS: Final = (
    Task(_DEVELOPMENT, "bulk_modulus_VRH_GPa", "mp_elastic_tensor", CRYSTALS, log=True),
    Task(_DEVELOPMENT, "refractive_index", "mp_dielectric_constant", CRYSTALS, log=True),
    _jarvis(_DEVELOPMENT, "measured_band_gap_eV", "expt_bandgap"),
    _jarvis(_DEVELOPMENT, "measured_formation_enthalpy_eV_per_atom", "expt_deltae"),
    _jarvis(_DEVELOPMENT, "exfoliation_energy_meV_per_atom", "exfoliation_energy", log=True),
    _jarvis(_DEVELOPMENT, "spillage", "spillage"),
    Task(_VERDICT, "band_gap_eV", "mp_dielectric_constant", CRYSTALS),
    Task(_VERDICT, "piezoelectric_eij_max_C_per_m2", "mp_piezoelectric_tensor", CRYSTALS, log=True),
    Task(_VERDICT, "last_phdos_peak_per_cm", "matbench_phonons", CRYSTALS, log=True),
    Task(_VERDICT, "formation_energy_eV_per_atom", "mp_structures", CRYSTALS, TIME),
    Task(_VERDICT, "pbe_band_gap_eV", "mp_structures", CRYSTALS, TIME, column="band_gap_eV"),
    _jarvis(_VERDICT, "mbj_band_gap_eV", "mbj_bandgap"),
    _jarvis(_VERDICT, "bulk_modulus_KV_GPa", "bulkmoduluskv", log=True),
    _jarvis(_VERDICT, "max_infrared_mode_per_cm", "max_ir_mode", log=True),
    _jarvis(_VERDICT, "piezoelectric_dij_max_pC_per_N", "piezo_max_dij", log=True),
    _jarvis(_VERDICT, "energy_above_hull_eV_per_atom", "ehull"),
    _jarvis(_VERDICT, "slme", "slme"),
    Task(
        _VERDICT, "gap_eV", "matbench_expt_gap", COMPOSITIONS, (OTHER,), "band_gap_eV",
        other=("jarvis_targets", "value", "expt_bandgap"),
    ),
    Task(
        _VERDICT, "enthalpy_eV_per_atom", "jarvis_targets", "magpie", (OTHER,), "value", "expt_deltae",
        other=("oqmd", "formation_energy_eV_per_atom", None),
    ),
    Task(
        _VERDICT, "energy_eV_per_atom", "mp_structures", CRYSTALS, (OTHER,), "formation_energy_eV_per_atom",
        other=("perov_5", "heat_ref", None),
    ),
)  # fmt: skip


def main() -> None:
    """Measure all cases of a role, and report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--role", choices=(_DEVELOPMENT, _VERDICT), default=_VERDICT)
    parser.add_argument("--only", nargs="+", help="some targets; others keep what was measured before")
    parser.add_argument("--model", default="kernel-ridge")
    options = parser.parse_args()
    needs_oqmd()
    kept = results_of(Path(__file__)).with_suffix(".json")
    measured_before = json.loads(kept.read_text()) if options.only and kept.exists() else {}
    same = all(measured_before.get(key) == getattr(options, key) for key in ("model", "role"))
    cases: dict[str, dict[str, Any]] = measured_before["cases"] if measured_before and same else {}
    with tempfile.TemporaryDirectory() as folder:
        for task in (
            one for one in TASKS if one.role == options.role and (options.only is None or one.target in options.only)
        ):
            for name, found in measured(task, options.model, Path(folder) / task.target):
                cases[name] = found
                print(name, found, flush=True)
    report(
        Path(__file__),
        {"model": options.model, "role": options.role, "cases": cases, "together": together(cases)},
        [
            "case", "test rows", "expected error and error (width before)", "difference", "coverage of 90 % (before)",
            "below, above", "warned (before)", "gross errors, of its own half-width: warned of all",
            "gross errors, of one half-width: warned of all", "before: own; one",
        ],
        [row(name, found) for name, found in cases.items()],
    )  # fmt: skip


def measured(task: Task, model: str, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the cases of a task, seeds together."""
    lake = prepared(task, folder)
    features = resolve_features(lake, task.features.split(","))
    columns = ("year",) if task.splits == TIME else ()
    matrix = read_matrix(lake, task.target, features, columns=columns)
    for split in task.splits:
        parts = []
        for seed in SEEDS:
            held_out = other_source(matrix, seed) if split == OTHER else parse_split(split).hold_out(matrix, seed)
            held_out = replace(
                held_out, train=drawn(held_out.train, task.most, seed), test=drawn(held_out.test, task.most, 0)
            )
            parts.append(case(task, model, matrix, features, held_out, seed))
        yield f"{quantity_of(task.target)}, {split.partition(':')[0]}", summary(parts)


def prepared(task: Task, folder: Path) -> matlake.Lake:
    """Import and embed the rows of a property."""
    folder.mkdir()
    lake = matlake.open_lake(folder / "lake", create=True)
    for name, (file, column, rows) in {
        "rows": (task.file, task.column or task.target, task.rows),
        "other": task.other or ("", "", None),
    }.items():
        if file:
            most = 4 * MOST_ROWS if task.splits == TIME else 2 * task.most
            pq.write_table(table_of(task, file, column, rows, most), folder / f"{name}.parquet")
            matlake.import_table(lake, folder / f"{name}.parquet", name)
    matlake.embed(lake, task.features.split(","), workers=1)
    return lake


def table_of(task: Task, file: str, column: str, rows: str | None, most: int) -> pa.Table:
    """Return some rows of a source, with structures or formulas, years, and the target."""
    table = pq.read_table(DATA / f"{file}.parquet")
    if rows is not None:
        table = table.filter(pc.equal(table["property"], rows))
    table = table.filter(pc.is_valid(table[column]))
    if task.log:
        table = table.filter(pc.greater(table[column], 0.0))
    if file == "oqmd":
        table = table.filter(pc.less_equal(pc.abs(table[column]), 5.0))  # others are known to be wrong
    if task.splits == TIME:
        table = table.filter(pc.is_valid(table["year"]))
    kept = np.sort(np.random.default_rng(0).permutation(len(table))[:most])
    table = table.take(kept)
    found = {
        name: table[name] for name in ("formula", "poscar", "cif", "structure", "year") if name in table.schema.names
    }
    return pa.table({**found, task.target: table[column].cast(pa.float64())})


def other_source(matrix: Matrix, seed: int) -> HeldOut:
    """Train on one source, and test on compositions of the other that it lacks."""
    own = np.flatnonzero(matrix.dataset == "rows")
    test = np.flatnonzero((matrix.dataset == "other") & ~np.isin(matrix.groups, matrix.groups[own]))
    return HeldOut(OTHER, own, test, np.empty(0, dtype=np.intp), f"tests compositions of another source, seed {seed}")


def drawn(rows: NDArray[np.intp], most: int, seed: int) -> NDArray[np.intp]:
    """Return at most a number of some rows."""
    return np.sort(np.random.default_rng(seed).permutation(rows)[:most])


@dataclass(frozen=True)
class Case:
    """Test rows of one seed.

    Attributes:
        errors: float64 [n], absolute.
        expected: float64 [n], expected errors.
        half_widths: float64 [n].
        below: bool [n], whether the measured value is below the interval.
        above: bool [n].
        warned: bool [n].
        constant: Half the width of a 90 % interval of one width.
        before: What was before.
        mae: Mean absolute error in the unit, and that of the mean of the training rows.
    """

    errors: NDArray[np.float64]
    expected: NDArray[np.float64]
    half_widths: NDArray[np.float64]
    below: NDArray[np.bool_]
    above: NDArray[np.bool_]
    warned: NDArray[np.bool_]
    constant: float
    before: Before
    mae: tuple[float, float]


def case(task: Task, model: str, matrix: Matrix, features: tuple[Feature, ...], held_out: HeldOut, seed: int) -> Case:
    """Fit, calibrate and test as training does."""
    labelled = matrix.labelled(held_out.train)
    transform = Transform.LOG if task.log else Transform.NONE
    space = TargetSpace(transform, find_bounds(task.target, labelled.y))
    kind = MODELS[model]
    fit = fit_of(kind, kind.grid_of(tuple(feature.dim for feature in features))[0], seed, space)
    fractions = matrix.fractions[held_out.train]
    found = measure_fitted(
        matrix, held_out, fit(labelled), features, lambda: predict_out_of_fold(fit, labelled, fractions, seed), seed
    )
    test, calibration = found.test, found.calibration
    assert calibration is not None  # noqa: S101 - a number has one
    assert calibration.errors is not None  # noqa: S101 - likewise
    constant = float(np.nanquantile(found.reference.residual, calibration.interval.level))
    return Case(
        errors=test.errors,
        expected=test.expected_errors,
        half_widths=test.widths / 2.0,
        below=test.y < test.lower,
        above=test.y > test.upper,
        warned=(test.expected_errors > calibration.errors.limit) | outside(matrix, held_out, found, UNKNOWN),
        constant=constant,
        before=before(matrix, held_out, found, outside(matrix, held_out, found, FEW), space),
        mae=(found.evaluation.metrics.mae, found.evaluation.baseline.mae),
    )


def outside(matrix: Matrix, held_out: HeldOut, found: Measured, few: int) -> NDArray[np.bool_]:
    """Return whether elements, blocks or the score are reasons for low confidence."""
    domain = found.domain
    symbols = [symbols_of(row) for row in matrix.fractions[held_out.test]]
    rare = [
        bool(elements_outside_training(one, domain.element_rows, few)) or domain.block_rows.get(blocks_of(one), 0) < few
        for one in symbols
    ]
    return np.array(rare) | (found.test.scores > FARTHEST)


def symbols_of(fractions: NDArray[np.float32]) -> list[str]:
    """Return the elements of a composition."""
    return [SYMBOLS[place] for place in np.flatnonzero(fractions)]


def summary(parts: list[Case]) -> dict[str, Any]:
    """Return what all seeds say together."""
    whole = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("errors", "expected", "half_widths", "below", "above", "warned")
    }
    errors, constant = whole["errors"], np.concatenate([np.full(len(part.errors), part.constant) for part in parts])
    old = {
        name: np.concatenate([getattr(part.before, name) for part in parts])
        for name in ("half_widths", "held", "warned")
    }
    ranks = [rank_correlation(part.expected, part.errors) or 0.0 for part in parts]
    ranks_before = [rank_correlation(part.before.half_widths, part.errors) or 0.0 for part in parts]
    gross, one = errors > GROSS * whole["half_widths"], errors > GROSS * constant
    gross_before = errors > GROSS * old["half_widths"]
    return {
        "n_test": [len(part.errors) for part in parts],
        "mae": float(np.mean([part.mae[0] for part in parts])),
        "mean_mae": float(np.mean([part.mae[1] for part in parts])),
        "rank_correlation": ranks,
        "rank_correlation_before": ranks_before,
        "difference": difference(parts),
        "expected_by_real": float(whole["expected"].mean() / errors.mean()),
        "coverage": float(1.0 - (whole["below"] | whole["above"]).mean()),
        "coverage_before": float(old["held"].mean()),
        "below": float(whole["below"].mean()),
        "above": float(whole["above"].mean()),
        "median_width": float(2.0 * np.median(whole["half_widths"])),
        "median_width_before": float(2.0 * np.median(old["half_widths"])),
        "warned": float(whole["warned"].mean()),
        "warned_before": float(old["warned"].mean()),
        "gross_own": counts(gross, whole["warned"]),
        "gross_one": counts(one, whole["warned"]),
        "gross_own_before": counts(gross_before, old["warned"]),
        "gross_one_before": counts(one, old["warned"]),
    }


def counts(gross: NDArray[np.bool_], warned: NDArray[np.bool_]) -> list[int]:
    """Return how many gross errors carry a warning, and how many there are."""
    return [int((gross & warned).sum()), int(gross.sum())]


def difference(parts: list[Case]) -> list[float]:
    """Return by how much the rank correlation rose, with a 95 % bootstrap interval over test rows, paired."""
    rng = np.random.default_rng(0)
    rises = []
    for _ in range(RESAMPLES):
        drawn_rows = [rng.integers(0, len(part.errors), len(part.errors)) for part in parts]
        rises.append(
            np.mean(
                [
                    (rank_correlation(part.expected[rows], part.errors[rows]) or 0.0)
                    - (rank_correlation(part.before.half_widths[rows], part.errors[rows]) or 0.0)
                    for part, rows in zip(parts, drawn_rows, strict=True)
                ]
            )
        )
    return [float(np.mean(rises)), *(float(end) for end in np.quantile(rises, (0.025, 0.975)))]


def together(cases: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what the targets are set for: medians over cases, and all rows."""
    rows = np.array([sum(found["n_test"]) for found in cases.values()], dtype=float)
    ranks = [float(np.mean(found["rank_correlation"])) for found in cases.values()]
    before_ranks = [float(np.mean(found["rank_correlation_before"])) for found in cases.values()]
    return {
        "median_rank_correlation": float(np.median(ranks)),
        "median_rank_correlation_before": float(np.median(before_ranks)),
        "below_least_rank": sorted(name for name, rank in zip(cases, ranks, strict=True) if rank < LEAST_RANK),
        **{name: float(rows @ [found[name] for found in cases.values()] / rows.sum()) for name in (
            "warned", "warned_before", "coverage", "coverage_before", "below", "above",
        )},
        **{name: np.sum([found[name] for found in cases.values()], axis=0).tolist() for name in (
            "gross_own", "gross_one", "gross_own_before", "gross_one_before",
        )},
    }  # fmt: skip


def row(name: str, found: dict[str, Any]) -> list[str]:
    """Return the figures of the table."""
    middle, low, high = found["difference"]
    return [
        name,
        f"{sum(found['n_test']):,}",
        f"{np.mean(found['rank_correlation']):.2f} ({np.mean(found['rank_correlation_before']):.2f})",
        f"{middle:+.2f} [{low:+.2f}, {high:+.2f}]",
        f"{found['coverage']:.0%} ({found['coverage_before']:.0%})",
        f"{found['below']:.1%}, {found['above']:.1%}",
        f"{found['warned']:.0%} ({found['warned_before']:.0%})",
        *("{} of {}".format(*found[kind]) for kind in ("gross_own", "gross_one")),
        "{} of {}; {} of {}".format(*found["gross_own_before"], *found["gross_one_before"]),
    ]


if __name__ == "__main__":
    main()
