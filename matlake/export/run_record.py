"""``run.json``: what a pretraining run was made of, kept beside its weights so that a card can tell it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from matlake.errors import TrainingError
from matlake.export.training_data import TableAccount, TableRecipe
from matlake.files import write_whole

RUN_FILE: Final = "run.json"
FORMAT_VERSION: Final = 1


@dataclass(frozen=True)
class RunRecord:
    """A pretraining run.

    Attributes:
        architecture: ``elemnet``.
        unit: Unit of the target, for people.
        recipe: How the table was read.
        account: What became of its rows.
        settings: The training settings.
        results: ``epochs``, ``best_epoch``, ``val_mae`` and ``test_mae`` (in the unit) once training has ended.
        tool_versions: Versions of the packages used.
        format_version: Version of this schema.
    """

    architecture: str
    unit: str
    recipe: TableRecipe
    account: TableAccount
    settings: dict[str, Any]
    results: dict[str, float] = field(default_factory=dict)
    tool_versions: dict[str, str] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION


def write_run(record: RunRecord, folder: Path) -> None:
    """Write ``run.json``, whole or not at all."""
    write_whole(folder / RUN_FILE, (json.dumps(asdict(record), indent=1, ensure_ascii=False) + "\n").encode())


def read_run(folder: Path) -> RunRecord | None:
    """Read ``run.json``; None where there is none.

    Raises:
        TrainingError: The file is not valid, or of a newer format.
    """
    path = folder / RUN_FILE
    if not path.exists():
        return None
    try:
        fields = json.loads(path.read_bytes())
        if fields["format_version"] > FORMAT_VERSION:
            raise TrainingError(f"{path} has format {fields['format_version']}", "update matlake")
        fields["recipe"] = TableRecipe(**fields["recipe"])
        account = fields["account"]
        account["bad_formula_examples"] = tuple(account["bad_formula_examples"])
        fields["account"] = TableAccount(**account)
        return RunRecord(**fields)
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path} is not the record of a run: {error!r}", "run `encoders pretrain` again") from error
