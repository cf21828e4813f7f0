"""A pretraining run laid out for people and for scripts."""

from pathlib import Path
from statistics import median_high
from typing import Any

from matlake.encoders.training_record import TableAccount
from matlake.export.pretraining.learning_curve import CURVE_FILES
from matlake.export.pretraining.run_record import RunRecord
from matlake.networks.training_config import TrainingConfig
from matlake.networks.training_history import EpochReport

_RECENT = 5
_MINUTE, _HOUR = 60, 3600


def account_lines(account: TableAccount) -> list[str]:
    """Return where the rows of a table went, in a line or a few."""
    line = (
        f"{account.file}: {account.read:,} rows; "
        + ", ".join(f"{count:,} {part}" for part, count in account.rows.items())
        + f"; dropped {account.missing_target:,} without a value, {account.bad_materials:,} that cannot be read or "
        f"used, {account.outliers:,} outliers, {account.kin_of_held_out:,} of a composition that is held out"
    )
    return [line, *(f"  {example}" for example in account.bad_material_examples)]


def epoch_line(history: list[EpochReport], config: TrainingConfig, unit: str) -> str:
    """Return the last epoch's errors and the time left."""
    last = history[-1]
    left = seconds_left([report.seconds for report in history], config.epochs)
    return (
        f"epoch {last.epoch} of {config.epochs}: training error {last.train_loss:.4g}, "
        f"validation error {last.val_mae:.4g} {unit}".rstrip()
        + f"; {last.seconds:.0f} s, about {duration(left)} left"
    )


def seconds_left(seconds: list[float], epochs: int) -> float:
    """Estimate the time to the end of a schedule of epochs from the median duration of the last few."""
    return median_high(seconds[-_RECENT:]) * (epochs - len(seconds)) if seconds else 0.0


def duration(seconds: float) -> str:
    """Return a duration in the two units that matter: ``1 h 05 min``, ``3 min 20 s``, ``12 s``."""
    whole = round(seconds)
    if whole >= _HOUR:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"
    if whole >= _MINUTE:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    return f"{whole} s"


def run_document(record: RunRecord, folder: Path) -> dict[str, Any]:
    """Return the answer of ``encoders pretrain --json``."""
    return {
        "architecture": record.architecture,
        "folder": str(folder),
        "target": ", ".join(record.recipe.target_columns),
        "unit": record.unit,
        "rows": record.account.rows,
        **record.results,
        "plots": [str(folder / name) for name in CURVE_FILES],
    }


def _cost_lines(results: dict[str, float]) -> list[str]:
    if "processor_seconds" not in results:
        return []
    return [f"cost: {duration(results['seconds'])}, {duration(results['processor_seconds'])} of a processor"]


def run_lines(record: RunRecord, folder: Path) -> list[str]:
    """Return the summary of a run that has ended."""
    results = record.results
    errors = [f"{name} {value:.4g} {record.unit}".rstrip() for name, value in results.items() if "_mae" in name]
    return [
        f"{record.architecture} in {folder}: {results['epochs']:.0f} epochs, best {results['best_epoch']:.0f}",
        f"mean absolute errors: {', '.join(errors)}",
        *_cost_lines(results),
        f"learning curve: {folder / CURVE_FILES[0]}",
    ]
