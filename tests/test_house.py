"""The house holds together: arrows run one way, rooms and files stay small, each room keeps to its tools.

Files are read, not imported: an import inside a function, or for type checking alone, is an arrow as well.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import matlake

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "matlake"

SHARED = {
    *(
        "arrow_columns",
        "documents",
        "errors",
        "extras",
        "files",
        "interrupts",
        "locks",
        "metrics",
        "platforms",
        "plugins",
        "progress",
        "reports",
        "sequences",
    ),
    "text_tables",
}
"""Small files at the top of the house that every room may use, and that use none of the rooms."""

ROOMS = {
    "materials": set(),
    "encoders": {"materials"},
    "networks": {"materials", "encoders"},
    "plots": {"materials"},
    "export": {"materials", "encoders", "networks", "plots"},
    "store": {"materials", "encoders"},
    "maps": {"materials", "encoders", "store"},
    "regress": {"materials", "encoders", "store", "plots"},
    "serving": {"materials", "encoders", "store", "maps", "plots", "regress"},
    "studies": {"materials", "encoders", "networks", "plots", "export", "store", "regress"},
    "quickstart": {"materials", "encoders", "store", "plots", "regress"},
    "diagnosis": {"materials", "encoders", "networks", "store", "plots", "regress"},
    "api": {
        *("materials", "encoders", "networks", "plots", "export", "store", "maps", "regress"),
        *("serving", "studies", "quickstart", "diagnosis"),
    },
    "sklearn": {"materials", "encoders", "store", "plots", "regress"},
    "testing": {"materials", "encoders", "store", "plots", "regress"},
}
"""Rooms, and those that each may use. ``cli``, the public face and ``__main__`` may use all."""

DOORS = {
    ("regress/regressors", "networks"),
    ("regress/finetuning", "networks"),
}
"""Arrows that are allowed inside functions alone: what needs torch is imported when it is used."""

LARGEST_ROOM, LARGEST_FOLDER, LONGEST_FILE = 0.35, 0.12, 500

LIGHT = ("store", "encoders", "materials", "maps", "serving", "regress/prediction")
"""The store and everything on the prediction path run on numpy, ONNX Runtime, DuckDB and pyarrow."""

TRAINING = {"torch", "torch_geometric", "sklearn", "skl2onnx", "spox"}
NOT_IN_COMMANDS = {"numpy", "duckdb", "pyarrow", "deltalake", "onnx", "onnxruntime", *TRAINING}
SQL = re.compile(r"\bSELECT\b.*\bFROM\b", re.DOTALL)
SHOWN_TO_PEOPLE = re.compile(r'`matlake sql "[^"`]*"`')
"""A command to type, not a query that is run."""

HOMEMADE = re.compile(r"\bdesks?\b|\bshel(?:f|ves)\b|\bset aside\b|\bfor want of\b|\bwhere not given\b", re.IGNORECASE)
"""Words that every reader would have to learn: runner, registry, held out, without, default are the field's."""


@dataclass(frozen=True)
class Import:
    """One module that a file names.

    Attributes:
        name: Dotted name of the module.
        line: Where.
        late: Whether it is read inside a function or for type checking alone.
    """

    name: str
    line: int
    late: bool


@dataclass
class File:
    """One file of the house."""

    path: Path
    imports: list[Import] = field(default_factory=list)

    @property
    def inside(self) -> Path:
        """Its path in the package."""
        return self.path.relative_to(HOUSE)

    @property
    def room(self) -> str:
        """The folder or file at the top of the house that it belongs to."""
        return self.inside.parts[0].removesuffix(".py")

    @property
    def lines(self) -> int:
        return len(self.path.read_text().splitlines())


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def house() -> dict[str, File]:
    """Return all files of the package by the name of their module."""
    files = {module_name(path): File(path) for path in sorted(HOUSE.rglob("*.py"))}
    for file in files.values():
        tree = ast.parse(file.path.read_text())
        file.imports = [each for node in tree.body for each in named(node, set(files), late=False)]
    return files


def named(node: ast.AST, modules: set[str], *, late: bool) -> Iterator[Import]:
    """Yield what a node imports, or names as text of the form ``matlake.room.file``."""
    match node:
        case ast.Import(names=names):
            yield from (Import(each.name, node.lineno, late) for each in names)
        case ast.ImportFrom(module=str(module), names=names, level=0):
            for each in names:
                inner = f"{module}.{each.name}"
                yield Import(inner if inner in modules else module, node.lineno, late)
        case ast.ImportFrom():
            raise AssertionError(f"line {node.lineno}: imports are absolute")
        case ast.Constant(value=str(text)) if (name := text.partition(":")[0]) in modules and "." in name:
            yield Import(name, node.lineno, late=True)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
            late = True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            late = True
    for child in ast.iter_child_nodes(node):
        yield from named(child, modules, late=late)


def arrows() -> Iterator[tuple[File, File, Import]]:
    """Yield every import of one file of the house by another."""
    files = house()
    for file in files.values():
        for each in file.imports:
            if each.name in files and files[each.name] is not file:
                yield file, files[each.name], each


def in_folder(file: File, folder: str) -> bool:
    return file.inside.as_posix().startswith(f"{folder}/")


def is_allowed(file: File, other: File, each: Import) -> bool:
    if file.room in ("cli", "__init__", "__main__") or other.room in SHARED | {file.room}:
        return True
    if file.room in SHARED:
        return False
    through_a_door = any(in_folder(file, folder) and other.room == room for folder, room in DOORS)
    return other.room in ROOMS[file.room] or (through_a_door and each.late)


def test_every_kind_of_import_is_found() -> None:
    code = """
import matlake.store.sql
from matlake.store.tables import delta
if TYPE_CHECKING:
    from matlake.store.lake import Lake
def late():
    from matlake.regress.heads.train import train
COMMANDS = {"train": "matlake.cli.train:train"}
"""
    modules = {f"matlake.{name}" for name in ("store.sql", "store.tables.delta", "cli.train", "regress.heads.train")}
    assert [(each.name, each.late) for each in named(ast.parse(code), modules, late=False)] == [
        ("matlake.store.sql", False),
        ("matlake.store.tables.delta", False),
        ("matlake.store.lake", True),
        ("matlake.regress.heads.train", True),
        ("matlake.cli.train", True),
    ]


def test_cycles_are_found_through_other_files() -> None:
    below = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}
    assert reach("a", below) == {"a", "b", "c"}
    assert "d" not in reach("d", below)


def test_every_room_is_known() -> None:
    assert {file.room for file in house().values()} <= {*ROOMS, *SHARED, "cli", "__init__", "__main__"}


def test_arrows_between_rooms_run_one_way() -> None:
    wrong = [
        f"{file.inside}:{each.line} imports {each.name}"
        for file, other, each in arrows()
        if not is_allowed(file, other, each)
    ]
    assert not wrong, "\n".join(wrong)


def test_rooms_need_no_room_that_needs_them() -> None:
    for room, below in ROOMS.items():
        for other in below:
            assert room not in ROOMS[other]
            assert ROOMS[other] <= below, f"{room} may use {other}, which uses {ROOMS[other] - below}"


def cycles() -> list[list[str]]:
    """Return the groups of files that import each other, directly or through others."""
    below: dict[str, set[str]] = {name: set() for name in house()}
    for file, other, _ in arrows():
        below[module_name(file.path)].add(module_name(other.path))
    reached = {name: reach(name, below) for name in below}
    groups = {frozenset({name, *(other for other in reached[name] if name in reached[other])}) for name in below}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def reach(start: str, below: dict[str, set[str]]) -> set[str]:
    """Return what is reached from a module by one step or more."""
    found: set[str] = set()
    pending = [start]
    while pending:
        new = below[pending.pop()] - found
        found |= new
        pending += new
    return found


def test_no_two_files_import_each_other() -> None:
    assert not cycles(), "\n".join(" <-> ".join(group) for group in cycles())


def test_no_room_holds_more_than_35_percent_of_the_lines() -> None:
    by_room = Counter[str]()
    for file in house().values():
        by_room[file.room] += file.lines
    large = {room: f"{lines / by_room.total():.1%}" for room, lines in by_room.items()}
    assert not {room: large[room] for room, lines in by_room.items() if lines > LARGEST_ROOM * by_room.total()}


def test_no_folder_below_a_room_holds_more_than_12_percent_of_the_lines() -> None:
    by_folder, total = Counter[str](), 0
    for file in house().values():
        total += file.lines
        if len(file.inside.parts) > 2:
            by_folder["/".join(file.inside.parts[:2])] += file.lines
    assert not {folder: f"{n / total:.1%}" for folder, n in by_folder.items() if n > LARGEST_FOLDER * total}


def test_no_file_is_longer_than_500_lines() -> None:
    paths = [path for folder in ("matlake", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths}
    assert not {path: n for path, n in lines.items() if n > LONGEST_FILE}


def test_commands_parse_call_and_print() -> None:
    wrong = [
        f"{file.inside}:{each.line} imports {each.name}"
        for file in house().values()
        if file.room == "cli"
        for each in file.imports
        if each.name.partition(".")[0] in NOT_IN_COMMANDS
    ]
    assert not wrong, "\n".join(wrong)


def test_commands_contain_no_sql() -> None:
    wrong = [
        f"{file.inside}:{line}"
        for file in house().values()
        if file.room == "cli"
        for line, text in texts(file.path)
        if SQL.search(SHOWN_TO_PEOPLE.sub("", text))
    ]
    assert not wrong, "\n".join(wrong)


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the string constants of a file but its docstrings, with the parts of an f-string side by side."""
    tree = ast.parse(path.read_text())
    skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
            yield node.lineno, "…".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.lineno, node.value


def of_training(each: Import) -> bool:
    return each.name.partition(".")[0] in TRAINING


def test_the_prediction_path_names_no_training_library() -> None:
    wrong = [
        f"{file.inside}:{each.line} imports {each.name}"
        for file in house().values()
        if any(in_folder(file, folder) for folder in LIGHT)
        for each in file.imports
        if of_training(each)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_prediction_path_loads_no_training_library() -> None:
    files = house()
    below: dict[str, set[str]] = {name: set() for name in files}
    for file, other, each in arrows():
        if not each.late:
            below[module_name(file.path)].add(module_name(other.path))
    loads = {name for name, file in files.items() if any(of_training(each) and not each.late for each in file.imports)}
    for name, file in files.items():
        if any(in_folder(file, folder) for folder in LIGHT):
            assert not reach(name, below) & loads, f"{name} loads {sorted(reach(name, below) & loads)}"


def test_the_public_face_shows_every_public_name() -> None:
    assert set(matlake.__all__) <= set(dir(matlake))


def test_every_public_name_is_on_the_page_of_the_api() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text()
    code = "\n".join(re.findall(r"^```.*?^```|`[^`\n]+`|^#+ .*$", page, re.MULTILINE | re.DOTALL))
    assert not [name for name in matlake.__all__ if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", code)]


def test_every_path_on_the_page_of_the_architecture_exists() -> None:
    page = (ROOT / "docs" / "inside" / "architecture.md").read_text()
    paths = re.findall(r"`((?:matlake|tests|benchmarks|docs)/[\w./-]*)`", page)
    assert len(paths) >= 20
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_the_page_of_the_architecture_names_every_room() -> None:
    page = (ROOT / "docs" / "inside" / "architecture.md").read_text()
    rooms = {file.room for file in house().values() if file.path.parent != HOUSE}
    assert not [room for room in rooms if f"`matlake/{room}/" not in page]


def test_code_and_pages_use_the_words_of_the_field() -> None:
    paths = [
        *HOUSE.rglob("*.py"),
        *(ROOT / "benchmarks").rglob("*.py"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "README.md",
    ]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted(paths)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if HOMEMADE.search(line)
    ]
    assert not found, "\n".join(found)
