"""How fine-tuning is set: the output of the network, and the number of epochs, on several properties and folds.

    python -m benchmarks.studies.fine_tuning [--encoder NAME ...]

The first random fold and the first two clusters of the evaluation sets. Beside each network stand kernel ridge
regressions on the same rows. Trainings that were measured before are not repeated, so that the study can be stopped.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.helpers import block_kernel_ridge
from benchmarks.helpers.common import DATA, fill_page, results_of, table, write_results
from benchmarks.helpers.evaluation_sets import Source, load_sources
from benchmarks.helpers.feature_blocks import STEP, FeatureBlocks
from benchmarks.helpers.feature_sets import BASELINE, CHGNET
from benchmarks.helpers.folds import CLUSTER, RANDOM, Fold, folds_of
from matlake.encoders.card import PREDICTION
from matlake.encoders.encoder import open_crystal_encoder
from matlake.encoders.registry import find_encoder
from matlake.files import write_whole
from matlake.networks.fine_tuning import FineTuned, Start, fine_tune, read_start
from matlake.progress import Progress

PAGE: Final = Path(__file__).with_suffix(".md")
SEED: Final = 0
PROPERTIES: Final = ("bulk modulus", "last phonon peak", "refractive index")
SOURCES: Final = ("mp_elastic_tensor", "matbench_phonons", "mp_dielectric_constant")
FOLDS: Final = {"random": (RANDOM, 1), "clusters": (CLUSTER, 2)}
"""What the page calls folds, their kind, and how many of them are tested."""
OWN: Final = "its own"
ALL_LAYERS: Final = "on all layers"
HEAD: Final = (*BASELINE, f"{CHGNET}@all")


class Setting(NamedTuple):
    """What is tried: the output of the network, and the number of epochs."""

    output: str
    epochs: int


TRIED: Final[dict[str, tuple[Setting, ...]]] = {
    "cgcnn-mp-multitask": (Setting(ALL_LAYERS, 50), Setting(OWN, 50), Setting(OWN, 100)),
    "dimenet++-mp-multitask": (Setting(OWN, 15), Setting(OWN, 30)),
}


def main() -> None:
    """Train what has not been trained, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=DATA.parent, help="folder of the development data")
    parser.add_argument("--cache", type=Path, default=Path("fine-tuning-study"), help="for vectors and measurements")
    parser.add_argument("--encoder", choices=TRIED, action="append", help="only this one; default: all")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sources = load_sources(arguments.shared, SOURCES)
    features = FeatureBlocks(arguments.cache)
    cells = arguments.cache / "fine-tuned.json"
    known: dict[str, Any] = json.loads(cells.read_text()) if cells.exists() else {}
    for encoder in arguments.encoder or TRIED:
        for source, column in _columns(sources):
            for place, fold in _folds(source):
                for setting in TRIED[encoder]:
                    key = _key(encoder, source.properties[column].name, place, setting)
                    if key not in known:
                        known[key] = _measure(encoder, setting, source, column, fold)
                        arguments.cache.mkdir(parents=True, exist_ok=True)
                        write_whole(cells, json.dumps(known, indent=1).encode())
                    print(key, known[key], flush=True)
    ridges = {
        label: {
            (source.properties[column].name, place): _ridge(features.blocks(source, names), source, column, fold)
            for source, column in _columns(sources)
            for place, fold in _folds(source)
        }
        for label, names in ((" + ".join(HEAD), HEAD), *((f"{encoder}@all", (f"{encoder}@all",)) for encoder in TRIED))
    }
    _report(known, ridges)


def _key(encoder: str, name: str, place: str, setting: Setting) -> str:
    return " | ".join((encoder, name, place, *map(str, setting)))


def _columns(sources: Sequence[Source]) -> Iterator[tuple[Source, int]]:
    """Yield each property by its table and its column."""
    for source in sources:
        for column, one in enumerate(source.properties):
            if one.name in PROPERTIES:
                yield source, column


def _folds(source: Source) -> Iterator[tuple[str, Fold]]:
    for name, (kind, count) in FOLDS.items():
        for number, fold in enumerate(folds_of(source, kind, SEED)[:count], start=1):
            yield f"{name} {number}", fold


def _measure(encoder: str, setting: Setting, source: Source, column: int, fold: Fold) -> dict[str, float]:
    """Fine-tune on the training rows of a fold, and return the mean absolute error on its test rows, in the unit."""
    registered = find_encoder(encoder)
    reader = open_crystal_encoder(registered.folder)
    crystals = reader.columns(source.materials)
    taken = np.array([reason is None for reason in reader.rejections(crystals)])
    taken &= np.isfinite(source.values[:, column])
    train, test = (rows[taken[rows]] for rows in (fold.train, fold.test))
    started = time.process_time()
    tuned = fine_tune(
        _with(read_start(registered), setting),
        crystals,
        source.targets[:, column],
        (train, test),
        source.properties[column].column,
        SEED,
        Progress(),
    )
    spent = time.process_time() - started
    predicted = _predict(tuned, crystals.take(test)) * tuned.std + tuned.mean
    learned = source.targets[test].copy()
    learned[:, column] = predicted
    errors = source.in_units(learned)[:, column] - source.values[test, column]
    return {"mae": float(np.abs(errors).mean()), "rows": len(train), "processor_seconds": spent}


def _with(start: Start, setting: Setting) -> Start:
    """Return a start whose architecture is fine-tuned in another way than usual."""
    usual = start.architecture
    assert usual.fine_tuning is not None  # noqa: S101 - both have settings of their own
    return replace(
        start,
        architecture=replace(
            usual,
            fresh_sizes={"linear_output": True} if setting.output == ALL_LAYERS else {},
            fine_tuning=replace(usual.fine_tuning, epochs=setting.epochs),
        ),
    )


def _predict(tuned: FineTuned, crystals: Any) -> NDArray[np.float64]:
    """Return what the network, as its file has it, predicts for crystals: the standardised target."""
    with tempfile.TemporaryDirectory() as name:
        for file, content in tuned.files.items():
            (Path(name) / file).write_bytes(content)
        encoder = open_crystal_encoder(Path(name))
        parts = [
            encoder.encode(crystals.take(np.arange(start, min(start + STEP, len(crystals)))), PREDICTION)
            for start in range(0, len(crystals), STEP)
        ]
    return np.concatenate(parts)[:, 0].astype(np.float64)


def _ridge(blocks: Sequence[NDArray[np.float32]], source: Source, column: int, fold: Fold) -> float:
    """Return the mean absolute error of a kernel ridge regression on the same rows, in the unit."""
    predicted = source.values * np.nan
    predicted[fold.test], _ = block_kernel_ridge.fit_predict(blocks, source.targets, fold.train, fold.test)
    errors = source.in_units(predicted)[fold.test, column] - source.values[fold.test, column]
    return float(np.nanmean(np.abs(errors)))


def _report(known: dict[str, Any], ridges: dict[str, dict[tuple[str, str], float]]) -> None:
    """Write the page: errors of every setting that was trained, and of the regressions beside it."""
    cases = list(next(iter(ridges.values())))
    rows, document = [], {}
    for encoder, settings in TRIED.items():
        frozen = ridges[f"{encoder}@all"]
        for setting in settings:
            found = [known[key] for case in cases if (key := _key(encoder, *case, setting)) in known]
            if len(found) < len(cases):
                continue
            errors = [one["mae"] for one in found]
            seconds = float(np.median([one["processor_seconds"] for one in found]))
            rows.append([f"`{encoder}`", *map(str, setting), *_cells(errors, frozen), f"{seconds:.0f}"])
            document[f"{encoder}, output {setting.output}, {setting.epochs} epochs"] = dict(
                zip(map(", ".join, cases), errors, strict=True)
            )
    for label, ridge in ridges.items():
        rows.append([f"kernel ridge on `{label}`", "", "", *_cells(list(ridge.values()), None), ""])
        document[f"kernel ridge on {label}"] = {", ".join(case): error for case, error in ridge.items()}
    header = ["network", "output", "epochs", *map(", ".join, cases), "ratio", "processor seconds"]
    tables = [table(header, rows)]
    fill_page(PAGE, tables)
    write_results(results_of(Path(__file__)), {"mae": document})
    print(*tables, sep="\n\n")


def _cells(errors: Sequence[float], frozen: dict[tuple[str, str], float] | None) -> list[str]:
    """Return errors as a table has them, and their ratio to those of the layers as they were: the geometric mean."""
    if frozen is None:
        return [*(f"{mae:.3g}" for mae in errors), ""]
    ratio = float(np.exp(np.mean(np.log(np.array(errors) / np.array(list(frozen.values()))))))
    return [*(f"{mae:.3g}" for mae in errors), f"{ratio:.3f}"]


if __name__ == "__main__":
    main()
