"""``run.json``: what a pretraining run was made of, kept beside its weights for the card of its encoder."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from matlake.encoders.training_record import TableAccount, TableRecipe, Teacher
from matlake.errors import TrainingError
from matlake.files import write_whole

RUN_FILE: Final = "run.json"
FORMAT_VERSION: Final = 2


@dataclass(frozen=True)
class RunRecord:
    """A pretraining run.

    Attributes:
        architecture: ``elemnet``, ``cgcnn``, ``schnet`` or ``dimenet++``.
        unit: Unit of the target, for people; ``""`` where it has none, or where there are several targets.
        recipe: How the table was read.
        account: What became of its rows.
        settings: The training settings.
        sizes: Sizes of the network, where it is not of one size only.
        graph: Graph parameters, of an encoder of crystals.
        elements: Symbols of the elements in the training rows.
        teachers: Encoders that computed labels which were learned.
        results: Once training has ended: ``epochs``, ``best_epoch``; what they cost, ``seconds``, ``processor_seconds``
            and busy ``cores``; ``val_mae``, ``test_mae``, ``held_out_mae`` (in the unit), of several targets one number
            each, ``test_mae_TARGET``.
        tool_versions: Versions of the packages used.
        format_version: Version of this schema.
    """

    architecture: str
    unit: str
    recipe: TableRecipe
    account: TableAccount
    settings: dict[str, Any]
    sizes: dict[str, Any] = field(default_factory=dict)
    graph: dict[str, Any] = field(default_factory=dict)
    elements: tuple[str, ...] = ()
    teachers: tuple[Teacher, ...] = ()
    results: dict[str, float] = field(default_factory=dict)
    tool_versions: dict[str, str] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION


def write_run(record: RunRecord, folder: Path) -> None:
    """Write ``run.json``, whole or not at all."""
    write_whole(folder / RUN_FILE, (json.dumps(asdict(record), indent=1, ensure_ascii=False) + "\n").encode())


def read_run(folder: Path) -> RunRecord | None:
    """Read ``run.json``; None where there is none.

    Raises:
        TrainingError: The file is not valid, or of another format.
    """
    path = folder / RUN_FILE
    if not path.exists():
        return None
    try:
        fields = json.loads(path.read_bytes())
        if fields["format_version"] != FORMAT_VERSION:
            raise TrainingError(
                f"{path} has format {fields['format_version']}, this matlake reads {FORMAT_VERSION}",
                "update matlake, or delete the file and pretrain again with the settings of the run",
            )
        recipe, account = TableRecipe.read_entries(fields["recipe"]), TableAccount.read_entries(fields["account"])
        teachers = tuple(Teacher.read_entries(one) for one in fields.get("teachers", ()))
        fields |= {"recipe": recipe, "account": account, "teachers": teachers}
        return RunRecord(**{**fields, "elements": tuple(fields["elements"])})
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path} is not the record of a run: {error!r}", "pretrain again") from error
