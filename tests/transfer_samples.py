"""Measurements of evaluations of transfer, made up."""

from dataclasses import replace
from typing import Any

import numpy as np

from matlake.studies.measurement import Measurement
from matlake.studies.transfer.configurations import BASE, CONFIGURATIONS, SCOUTS, TL_ML
from matlake.studies.transfer.report import TargetFacts
from matlake.studies.transfer.stages import CURVE, FINAL, FOLDS, TEST, VALIDATION

SIZES = {
    "klu": 28171, "kaa": 28163, "optb88vdw_bandgap": 28155, "deltae": 28108, "encut": 28056, "ehull": 27297,
    "magmom_oszicar": 25844, "magmom_outcar": 25357, "eps": 25150, "npowerfact": 16763, "ppowerfact": 16760,
    "nem300k": 16250, "pem300k": 16250, "pseebeck": 14439, "nseebeck": 14144, "meps": 11349, "max_mode": 10963,
    "min_mode": 10930, "etc33": 10856, "etc13": 10846, "etc11": 10839, "etc22": 10832, "etc12": 10759,
    "bulkmoduluskv": 10743, "shearmodulusgv": 10209, "etc44": 9986, "etc55": 9755, "etc66": 9739, "mbj_bandgap": 7296,
    "expt_bandgap": 4920, "spillage": 3866, "slme": 3006, "max_ir_mode": 2302, "min_ir_mode": 2268,
    "piezo_max_di": 2126, "piezo_max_diel": 2126, "piezo_max_diio": 2126, "expt_deltae": 1643, "piezo_max_eij": 1123,
    "piezo_max_dij": 689, "exfoliation_energy": 557,
}  # fmt: skip
"""Rows of the targets of the cross-property study (Gupta et al., Nat. Commun. 12, 6595, 2021)."""

SOURCES = ("elemnet-oqmd-band-gap", "elemnet-oqmd-formation-energy", "elemnet-oqmd-total-energy", "elemnet-oqmd-volume")


def measured(configuration: str, mae: float | None, **more: Any) -> Measurement:
    """Return a measurement of ``gap`` in the last round."""
    about = {
        "target": "gap",
        "features": ("fractions",),
        "model": "svr",
        "stage": VALIDATION,
        "round": FINAL.number,
    } | more
    about |= {"fit_rows": about.get("fit_rows", 81), "tested_rows": 9, "seconds": about.get("seconds", 1.0)}
    return replace(Measurement("", "", configuration, parameters={"variant": 0}, mae=mae), **about)


def on_test(way: Measurement, mae: float | None, **more: Any) -> Measurement:
    """Return the measurement on the test rows of a trial that was validated."""
    return replace(way, stage=TEST, mae=mae, **more)


def facts(rows: int = 1000, **more: Any) -> TargetFacts:
    """Return the facts of a target of so many rows."""
    test = rows // 10
    about = {"unit": "eV", "n_train": rows - 2 * test, "n_validation": test, "n_test": test, "n_outside": test - 1}
    return TargetFacts(**(about | more))


def study(seed: int = 0) -> tuple[list[Measurement], dict[str, TargetFacts]]:
    """Make up an evaluation of all targets as a search would leave it: many configurations not run on large ones."""
    generator = np.random.default_rng(seed)
    found: list[Measurement] = []
    for name, rows in SIZES.items():
        scale = float(10 ** generator.uniform(-1, 2))
        found.append(measured(BASE, scale, target=name, round=0))
        found.append(on_test(found[-1], scale))
        for source in SOURCES:
            for layer in range(1, 17 if rows < 12_000 else 5):
                for model in SCOUTS:
                    mae = scale * (0.6 + 0.02 * layer + 0.05 * SOURCES.index(source)) * generator.uniform(0.95, 1.05)
                    found.append(
                        measured(TL_ML, mae, target=name, round=0, features=(f"{source}@{layer}",), model=model)
                    )
        for configuration in list(CONFIGURATIONS)[1:]:
            if rows > 12_000 and "DL" in configuration:
                continue
            found += _way(configuration, name, rows, scale, generator)
    return found, {name: facts(rows, copy_of="nem300k" if name == "pem300k" else "") for name, rows in SIZES.items()}


def _way(configuration: str, target: str, rows: int, scale: float, generator: np.random.Generator) -> list[Measurement]:
    """Return what one configuration leaves on one target: validation, test, folds and a learning curve."""
    better = {"SC:": 0.55, "SC+": 0.5, "TL:": 0.5, "TL+": 0.45}[configuration[:3]]
    mae = scale * better * float(generator.uniform(0.9, 1.15))
    transfers = configuration.startswith("TL")
    layer = f"{SOURCES[int(generator.integers(4))]}@{int(generator.integers(1, 6))}"
    way = measured(configuration, mae, target=target, features=(layer,) if transfers else ("magpie",))
    test = mae * float(generator.uniform(0.93, 1.07))
    found = [way, on_test(way, test, fit_rows=round(0.9 * rows), q95=3 * test, outside_mae=1.05 * test)]
    found.append(replace(way, stage=FOLDS, mae=mae, mae_std=0.05 * mae))
    if "ML" in configuration:
        steepness = 0.15 if transfers else 0.25
        shares = (0.125, 0.25, 0.5)
        maes = [test * share**-steepness for share in shares]
        sizes = [round(0.9 * share * rows) for share in shares]
        found += [replace(way, stage=CURVE, mae=mae, fit_rows=size) for mae, size in zip(maes, sizes, strict=True)]
    return found
