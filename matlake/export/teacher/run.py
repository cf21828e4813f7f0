"""The labelling of a table by a teacher: in parts that a killed run leaves behind, and the next one goes on from."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyarrow import parquet

from matlake.encoders.pipeline import run_stages
from matlake.encoders.registry import RegisteredEncoder
from matlake.encoders.training_record import TableRecipe
from matlake.errors import Hint, SourceError
from matlake.export.pretraining.training_data import TrainingTable, materials_of
from matlake.export.teacher import probes
from matlake.export.teacher.energies import check_teacher, open_teacher
from matlake.export.teacher.labels import COLUMNS, LABELS, LOGARITHMS, PROBLEM, VOLUME, LabelledRows, Labeller, ReadRows
from matlake.export.teacher.record import METADATA_KEY, read_entry, teacher_of, write_entry
from matlake.files import whole_file, write_whole
from matlake.locks import LOCKED, FileLock
from matlake.materials.crystal import Crystal
from matlake.progress import SILENT, Progress

MAX_ATOMS: Final = 50
"""Most atoms of a crystal that is labelled, unless another number is given: larger ones take long."""

_METHOD: Final = 1  # of the labels: a part of another one is not taken over
_ROWS_A_PART: Final = 128
_SETTINGS_FILE: Final = "settings.json"
_COST: Final = b"matlake.processor_s"
_EXAMPLES: Final = 5


@dataclass(frozen=True)
class LabelRequest:
    """What to label, and by whom.

    Attributes:
        data: The table.
        teacher: An encoder that predicts energies of crystals.
        output: The table with its labels, a ``.parquet`` file. Parts lie beside it, in ``.NAME.parts``, until it is
            whole.
        structure_column: Column of structures as text; None for the usual names, or for the geometry that a dataset
            keeps.
        max_atoms: Larger crystals get no label but their volume.
        device: ``cpu`` or ``cuda``.
        workers: Threads that run the network.
    """

    data: TrainingTable
    teacher: RegisteredEncoder
    output: Path
    structure_column: str | None = None
    max_atoms: int = MAX_ATOMS
    device: str = "cpu"
    workers: int = 1

    @property
    def settings(self) -> dict[str, Any]:
        """What the labels depend on."""
        return {
            "method": _METHOD,
            "table": self.data.name,
            "sha256": self.data.sha256,
            "teacher_sha256": self.teacher.card.sha256,
            "structure_column": self.structure_column,
            "max_atoms": self.max_atoms,
            "strain": probes.STRAIN,
            "displacement_A": probes.DISPLACEMENT_A,
            "modes": probes.MODES,
        }


@dataclass(frozen=True)
class LabelReport:
    """What became of the rows of a table.

    Attributes:
        output: The labelled table.
        teacher: Name of the teacher.
        rows: Rows of the table.
        labelled: Column -> rows that have a label in it.
        problems: Rows that lack a label.
        examples: The first few of them, with the reason.
        seconds: That this call took; 0 where the table was labelled already.
        processor_s: Processor time of all labels, those of earlier calls included.
    """

    output: Path
    teacher: str
    rows: int
    labelled: dict[str, int]
    problems: int
    examples: tuple[str, ...]
    seconds: float
    processor_s: float

    def document(self) -> dict[str, Any]:
        """Return the answer of ``encoders label --json``."""
        return {
            "output": str(self.output),
            "teacher": self.teacher,
            "rows": self.rows,
            "labelled": self.labelled,
            "failed": self.problems,
            "examples": list(self.examples),
            "seconds": self.seconds,
            "processor_seconds": self.processor_s,
        }

    def lines(self) -> list[str]:
        """Return the text for people."""
        return [
            f"{self.output}: {self.rows:,} rows labelled by {self.teacher}, {self.processor_s:,.0f} s of a processor",
            *(f"  {name}  {count:,} rows" for name, count in self.labelled.items()),
            *([f"  {self.problems:,} rows lack a label; {PROBLEM} says why, such as"] if self.problems else []),
            *(f"    {example}" for example in self.examples),
        ]

    def __repr__(self) -> str:
        """Show the text for people."""
        return "\n".join(self.lines())


def label_table(request: LabelRequest, progress: Progress = SILENT) -> LabelReport:
    """Label the crystals of a table, or go on where an earlier call ended; a table that is labelled is reported again.

    Rows keep their order and their columns, a volume per atom among them. A row that cannot be read, or that the
    teacher does not take, has no label and says why.

    Raises:
        SourceError: The table has no structures, holds a column of a label already, or the output is another file.
        EncoderError: The encoder is no teacher; see ``check_teacher``.
        MissingExtraError: ONNX Runtime or the device is not there.
    """
    check_teacher(request.teacher.card)
    if request.output.suffix.lower() != ".parquet":
        raise SourceError(f"{request.output} is not a .parquet file", "name one: it keeps who labelled the table")
    if request.output.exists():
        return _finished(request)
    taken = [name for name in COLUMNS.names if name != VOLUME and name in request.data.table.column_names]
    if taken:
        raise SourceError(f"{request.data.name} has a column {taken[0]} already", "rename it, or leave it out")
    if not request.data.table.num_rows:
        raise SourceError(f"{request.data.name} has no rows")
    started = time.monotonic()
    folder = request.output.with_name(f".{request.output.name}.parts")
    with _opened_parts(folder, request):
        _fill(folder, request, progress)
        _assemble(folder, request)
    shutil.rmtree(folder)
    return _report(request, round(time.monotonic() - started, 2))


@dataclass
class _Starts:
    """The first rows of parts."""

    rows: int
    done: set[int] = field(default_factory=set)

    @property
    def count(self) -> int:
        return sum(min(_ROWS_A_PART, self.rows - start) for start in self.done)


@contextmanager
def _opened_parts(folder: Path, request: LabelRequest) -> Iterator[None]:
    """Make the folder of parts for this process alone, or refuse one with other settings; leave none without parts."""
    request.output.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock.take(folder.with_suffix(LOCKED), wait=False)
    if held is None:
        raise SourceError(f"another process labels {request.output}", "wait for it, or name another output")
    with held:
        folder.mkdir(exist_ok=True)
        try:
            _check_settings(folder, request)
            yield
        except BaseException:
            if not _any_part(folder):
                shutil.rmtree(folder, ignore_errors=True)
            raise


def _any_part(folder: Path) -> bool:
    return any(folder.glob("*.parquet"))


def _check_settings(folder: Path, request: LabelRequest) -> None:
    path = folder / _SETTINGS_FILE
    if not _any_part(folder):
        write_whole(path, json.dumps(request.settings, indent=1).encode())
        return
    try:
        known = json.loads(path.read_bytes())
    except (ValueError, OSError):
        known = {}
    if known != request.settings:
        changed = [name for name, value in request.settings.items() if known.get(name) != value]
        raise SourceError(
            f"{folder} holds parts of another labelling ({', '.join(changed)} differ)",
            "name another output, repeat the settings of the first call, or delete the folder",
        )


def _fill(folder: Path, request: LabelRequest, progress: Progress) -> None:
    """Label the rows of all parts that are not there yet."""
    starts = _Starts(request.data.table.num_rows)
    starts.done = {
        start for start in range(0, starts.rows, _ROWS_A_PART) if _sound(_part(folder, start), starts.rows - start)
    }
    if starts.count:
        progress.note(f"{starts.count:,} of {starts.rows:,} rows were labelled before")
    if starts.count == starts.rows:
        return
    labeller = Labeller(open_teacher(request.teacher, request.device), request.max_atoms)

    def read() -> Iterator[ReadRows]:
        recipe = TableRecipe((), "crystal", request.structure_column)
        for start in range(0, starts.rows, _ROWS_A_PART):
            if start not in starts.done:
                some = request.data.table.slice(start, _ROWS_A_PART)
                table = TrainingTable(request.data.name, request.data.sha256, some)
                found = [one if isinstance(one, Crystal) else str(one) for one in materials_of(table, recipe)]
                yield ReadRows(start, found)

    stages = run_stages(read(), labeller.probe, labeller.label, device=request.device, workers=request.workers)
    with closing(stages) as done:
        for labelled in done:
            _write_part(_part(folder, labelled.start), labelled)
            starts.done.add(labelled.start)
            progress.track(starts.count, starts.rows)


def _part(folder: Path, start: int) -> Path:
    return folder / f"{start:09}.parquet"


def _write_part(path: Path, labelled: LabelledRows) -> None:
    with whole_file(path) as file:
        parquet.write_table(
            labelled.table.replace_schema_metadata({_COST: f"{labelled.processor_s:.3f}".encode()}), file
        )


def _sound(path: Path, rows_left: int) -> bool:
    """Whether a part is there and can be read."""
    try:
        return path.exists() and bool(parquet.read_table(path).num_rows == min(_ROWS_A_PART, rows_left))
    except (pa.ArrowInvalid, OSError):
        return False


def _assemble(folder: Path, request: LabelRequest) -> None:
    table = request.data.table
    parts = [parquet.read_table(_part(folder, start)) for start in range(0, table.num_rows, _ROWS_A_PART)]
    cost = sum(float(part.schema.metadata[_COST]) for part in parts)
    labels = pa.concat_tables([part.replace_schema_metadata(None) for part in parts])
    for name in labels.column_names:
        if name in table.column_names:  # a volume of the table's own
            continue
        table = table.append_column(name, labels[name])
    learned = tuple(name for name in (*LABELS, *LOGARITHMS) if name != VOLUME)
    entry = write_entry(teacher_of(request.teacher.card, learned), request.settings)
    metadata = {**(table.schema.metadata or {}), METADATA_KEY: entry, _COST: f"{cost:.1f}".encode()}
    with whole_file(request.output) as file:
        parquet.write_table(table.replace_schema_metadata(metadata), file, compression="zstd")


def _finished(request: LabelRequest) -> LabelReport:
    """Report a table that was labelled by an equal request."""
    remedy = Hint("name another output, or delete the file", cli="name another --output, or delete the file")
    try:
        found = read_entry(parquet.read_schema(request.output))
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{request.output} exists and cannot be read: {error}", remedy) from error
    if found is None or found[1] != request.settings:
        raise SourceError(f"{request.output} exists, and is not this table labelled with these settings", remedy)
    return _report(request, 0.0)


def _report(request: LabelRequest, seconds: float) -> LabelReport:
    file = parquet.ParquetFile(request.output)
    table = file.read(columns=COLUMNS.names)
    reasons = table[PROBLEM].to_pylist()
    listed = [f"row {row:,}: {reason}" for row, reason in enumerate(reasons, start=1) if reason is not None]
    return LabelReport(
        request.output,
        request.teacher.card.name,
        table.num_rows,
        {name: table.num_rows - table[name].null_count for name in LABELS},
        len(listed),
        tuple(listed[:_EXAMPLES]),
        seconds,
        float(file.schema_arrow.metadata[_COST]),
    )
