"""The commands that write to a lake, each with the lake that it finds."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from faults.disk import Disk, copied
from optimade_server import Database, entry
from samples import GAPS
from web_server import WebServer, web_server

Arguments = tuple[str, ...]

QUICK: Final = """
import matlake.regress.heads.train as train
train.draw_plots = lambda *_: {}
train.more_baselines = lambda *_: []
"""
"""Leaves out what takes most of the time of training, and writes nothing."""

SMALL_SHARDS: Final = """
from matlake.encoders import shard_sizes
from matlake.regress.prediction import stored_rows
from matlake.store.embedding import commits
commits.COMMIT_SECONDS = 0.0
shard_sizes.SHARD_BYTES, shard_sizes.FEWEST_CONTENTS = 0, 100
stored_rows.BLOCK_BYTES, stored_rows.FEWEST_ROWS = 0, 80
"""
"""Several commits a command."""

OLD: Final = ("--retention-hours", "0")
ROWS: Final = 200


@dataclass(frozen=True)
class Command:
    """A command that writes.

    Attributes:
        lake: Name of the lake that it finds; see ``PREPARED``.
        arguments: Of the command line; ``{…}`` stands for files and addresses of ``Bench``.
        patch: Python that runs before.
        refused: What a second run says where there is nothing to do any more.
        changes: Makes a lake different from the one that is prepared, before the command.
        slow: It takes many seconds: only few faults strike it.
        later: The database that imports ask has new and changed entries by now.
    """

    lake: str
    arguments: Arguments
    patch: str = ""
    refused: str | None = None
    changes: Callable[[Path], None] | None = None
    slow: bool = False
    later: bool = False


def _spoil(lake: Path) -> None:
    """Damage a part of the embeddings, and cut the last entry of the log of failures."""
    part = min((lake / "embeddings").rglob("part-*.parquet"))
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 0x10
    part.write_bytes(content)
    entries = sorted((lake / "failures" / "_delta_log").glob("*.json"))
    if len(entries) > 1:
        entries[-1].write_bytes(entries[-1].read_bytes()[:100])


IMPORT_A: Final = ("import", "{a}", "--dataset", "a")
EMBED: Final = ("embed", "--encoder", "fractions,magpie")
TRAIN: Final = ("train", "--target", "band_gap_eV", "--features", "fractions", "--model", "ridge", "--name", "gap")

PREPARED: Final[Mapping[str, tuple[str, list[tuple[Arguments, str]]]]] = {
    "none": ("", []),
    "imported": ("", [(IMPORT_A, "")]),
    "embedded": ("imported", [(("embed", "--encoder", "fractions"), SMALL_SHARDS)]),
    "trained": ("embedded", [((*TRAIN, "--dataset", "a"), QUICK), (("import", "{b}", "--dataset", "b"), "")]),
    "two datasets": ("imported", [(("import", "{b}", "--dataset", "b"), "")]),
    "predicted": ("trained", [(("predict", "gap", "--dataset", "a", "--save"), SMALL_SHARDS)]),
    "listed": ("", [(("import", "{optimade}", "--dataset", "d"), "")]),
}
"""Lakes by name: the lake that each begins with, and the commands that follow."""

COMMANDS: Final[Mapping[str, Command]] = {
    "import": Command("none", IMPORT_A),
    "import again": Command("embedded", ("import", "{b}", "--dataset", "a")),
    "import --join": Command("imported", ("import", "{joined}", "--join", "a")),
    "import source": Command("none", ("import", "{optimade}", "--dataset", "d")),
    "import source again": Command("listed", ("import", "{optimade}", "--dataset", "d"), later=True),
    "embed": Command("imported", EMBED, SMALL_SHARDS),
    "embed --shard": Command("imported", ("embed", "--encoder", "fractions", "--shard", "0/2"), SMALL_SHARDS),
    "train": Command("embedded", TRAIN, QUICK, slow=True),
    "train again": Command("trained", (*TRAIN, "--where", "band_gap_eV > 0.5"), QUICK, slow=True),
    "predict --save": Command("trained", ("predict", "gap", "--dataset", "a", "--save"), SMALL_SHARDS),
    "heads calibrate": Command("trained", ("heads", "calibrate", "gap", "--where", "dataset = 'b'")),
    "heads delete": Command("trained", ("heads", "delete", "gap"), refused="there is no head"),
    "compact": Command("embedded", ("compact", *OLD)),
    "compact predictions": Command("predicted", ("compact", *OLD)),
    "check --repair": Command("predicted", ("check", "--repair", *OLD), changes=_spoil),
    "datasets delete": Command("two datasets", ("datasets", "delete", "b", "--yes"), refused="there is no dataset"),
    "datasets rename": Command("two datasets", ("datasets", "rename", "b", "c"), refused="there is no dataset"),
    "quickstart": Command("none", ("quickstart",), slow=True),
}


IN_A_BUCKET: Final = (
    *("import", "import again", "import --join", "import source", "embed", "embed --shard", "predict --save"),
    *("heads calibrate", "heads delete", "compact", "check --repair", "datasets delete", "datasets rename"),
)
"""Those that run on a lake in a bucket as well."""

EARLY: Final = Database([entry(number) for number in range(25)])
LATER: Final = Database([entry(number, 4.3, f"2026-02-0{1 + number % 9}T00:00:00Z") for number in range(5, 30)])


@dataclass
class Bench:
    """Prepared lakes, and the files that commands read.

    Attributes:
        folder: Where they are.
        disk: Runs commands.
        server: The database that imports ask.
        names: What stands for ``{…}`` in arguments.
    """

    folder: Path
    disk: Disk
    server: WebServer
    names: dict[str, str]

    def filled(self, arguments: Arguments) -> list[str]:
        return [argument.format(**self.names) if argument.startswith("{") else argument for argument in arguments]

    def prepared(self, name: str) -> Path:
        """Return a lake that is there only to be copied."""
        path = self.folder / "prepared" / name
        before, commands = PREPARED[name]
        if not path.exists() and commands:
            path.parent.mkdir(exist_ok=True)
            making = self.folder / "making"
            shutil.rmtree(making, ignore_errors=True)
            self.server.answers = EARLY
            if before:
                copied(self.prepared(before), making)
            for arguments, patch in commands:
                run = self.disk.run(["--lake", making, *self.filled(arguments)], patch=patch)
                assert run.code in (0, 3), run.err
            making.rename(path)
        return path

    def fresh(self, command: Command, target: Path) -> Path:
        """Put the lake that a command finds in a place, and return it."""
        source = self.prepared(command.lake)
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(exist_ok=True)
        if source.exists():
            copied(source, target)
        self.server.answers = LATER if command.later else EARLY
        if command.changes:
            command.changes(target)
        return target


@contextmanager
def bench(folder: Path, disk: Disk) -> Iterator[Bench]:
    """Write the files that commands read, and start the database that imports ask."""
    table = pq.read_table(GAPS)
    gaps = table.slice(0, ROWS)
    bad = pa.table({"formula": ["Xx2", "not a formula"], "band_gap_eV": [1.0, 2.0]}).cast(gaps.schema)
    written = {
        "a": pa.concat_tables([gaps, bad]),
        "b": table.slice(ROWS // 2, ROWS),
        "joined": pa.table(
            {"material_id": [f"a-{n}" for n in range(1, 9)], "density_g_per_cm3": [float(n) for n in range(8)]}
        ),
    }
    names = {name: str(folder / f"{name}.parquet") for name in written}
    for name, rows in written.items():
        pq.write_table(rows, names[name])
    with web_server(EARLY) as server:
        yield Bench(folder, disk, server, names | {"optimade": f"optimade:{server.url}"})
