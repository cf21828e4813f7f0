"""What an encoder's card tells about its training."""

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from typing import Any, Final, Self

from matlake.encoders.training_contents import RANDOM_SHARES

_OLD_ACCOUNT: Final = {"bad_formulas": "bad_materials", "bad_formula_examples": "bad_material_examples"}
"""Names on cards from before there were crystals."""


@dataclass(frozen=True)
class TableRecipe:
    """How a table becomes training data.

    Attributes:
        target_columns: Columns of numbers, their units at the end of their names.
        input: ``composition`` or ``crystal``.
        material_column: Column of formulas, or of structures as text; None for the usual names, or for the geometry
            that a dataset keeps.
        split_column: Column of ``train``, ``val`` and ``test``; None for a random split by composition.
        held_out: SQL predicate; rows that it selects are the part ``held_out``, and no row of equal composition is
            trained on.
        max_abs: Rows with a larger absolute target are dropped as outliers; None keeps all.
        shares: Shares of train, val and test in a random split.
        seed: Seeds the random split.
    """

    target_columns: tuple[str, ...]
    input: str = "composition"
    material_column: str | None = None
    split_column: str | None = None
    held_out: str | None = None
    max_abs: float | None = None
    shares: tuple[float, float, float] = RANDOM_SHARES
    seed: int = 1234567

    @classmethod
    def read_entries(cls, entries: Mapping[str, Any]) -> Self:
        """Read what ``asdict`` wrote, or what was written before there were crystals."""
        given = dict(entries)
        if "formula_column" in given:
            given["material_column"] = given.pop("formula_column")
            given["target_columns"] = [given.pop("target_column")]
        first, second, third = given.get("shares", RANDOM_SHARES)
        return cls(**{**given, "target_columns": tuple(given["target_columns"]), "shares": (first, second, third)})


@dataclass(frozen=True)
class TableAccount:
    """Where every row of the table went.

    Attributes:
        file: Name of the file or dataset.
        sha256: Its digest, hexadecimal.
        read: Rows in the table.
        missing_target: Rows dropped because no target has a finite value.
        bad_materials: Rows dropped because the formula or structure cannot be read, or has an element that the
            network has no place for.
        bad_material_examples: Messages for the first few of them.
        outliers: Rows dropped because an absolute target is larger than allowed.
        kin_of_held_out: Rows dropped because their composition is among those held out.
        rows: Rows in each part.
    """

    file: str
    sha256: str
    read: int
    missing_target: int
    bad_materials: int
    bad_material_examples: tuple[str, ...]
    outliers: int
    kin_of_held_out: int
    rows: dict[str, int]

    @classmethod
    def read_entries(cls, entries: Mapping[str, Any]) -> Self:
        """Read what ``asdict`` wrote, or what was written before there were crystals."""
        named = {"kin_of_held_out": 0} | {_OLD_ACCOUNT.get(name, name): value for name, value in entries.items()}
        return cls(**{**named, "bad_material_examples": tuple(named.get("bad_material_examples", ()))})


@dataclass(frozen=True)
class TrainingScope:
    """What an encoder may have been trained on, as a rule, where the list of its materials is not at hand.

    Every material of the database up to the date counts as trained on, with a label of each property.

    Attributes:
        database: Title of the database.
        properties: What was learned, named as columns are, such as ``energy_eV_per_atom``.
        until: Day, month or year up to which the database was read, in ISO 8601 (``2022-09``); None if unknown.
        selection: Which part of the database, for people, such as ``MPtrj: relaxations``; ``""`` for all.

    Raises:
        ValueError: ``until`` is not such a date.
    """

    database: str
    properties: tuple[str, ...]
    until: str | None = None
    selection: str = ""

    def __post_init__(self) -> None:
        """Refuse a date that cannot be read."""
        _ = self.last_day

    @property
    def last_day(self) -> date | None:
        """The last day that ``until`` can mean; None if it is unknown."""
        if self.until is None:
            return None
        match self.until.split("-"):
            case [year]:
                return date(int(year), 12, 31)
            case [year, month]:
                return date(int(year), int(month), monthrange(int(year), int(month))[1])
            case _:
                return date.fromisoformat(self.until)

    @property
    def text(self) -> str:
        """The rule for people: ``Materials Project up to 2022-09 (relaxation trajectories)``."""
        until = f" up to {self.until}" if self.until else ", up to an unknown date"
        return f"{self.database}{until}" + (f" ({self.selection})" if self.selection else "")

    @classmethod
    def read_entries(cls, entries: Mapping[str, Any]) -> Self:
        """Read what ``asdict`` wrote."""
        return cls(**{**entries, "properties": tuple(entries["properties"])})


@dataclass(frozen=True)
class Teacher:
    """An encoder that computed labels, which another one has learned.

    Whoever learns from a teacher learns from what the teacher was trained on.

    Attributes:
        name: Its name.
        sha256: Digest of its file, hexadecimal.
        columns: The labels.
        trained_on: Properties that it was trained on itself.
        licence: Of its weights.
        citation: What to cite.
        scope: What it may have been trained on; None if its card has no rule.
    """

    name: str
    sha256: str
    columns: tuple[str, ...]
    trained_on: tuple[str, ...] = ()
    licence: str = ""
    citation: tuple[str, ...] = ()
    scope: TrainingScope | None = None

    @classmethod
    def read_entries(cls, entries: Mapping[str, Any]) -> Self:
        """Read what ``asdict`` wrote."""
        scope = entries.get("scope")
        lists = {name: tuple(entries.get(name, ())) for name in ("columns", "trained_on", "citation")}
        return cls(**{**entries, **lists, "scope": TrainingScope.read_entries(scope) if scope else None})


@dataclass(frozen=True)
class TrainingRecord:
    """How an encoder was trained; what is not known is None, and left out of the file.

    Attributes:
        database: Title of the database that the table is from.
        origin: What a published checkpoint says of itself.
        learned: ``nothing``, of a descriptor.
        table: The table, and what became of its rows.
        columns: How the table was read.
        scope: What it may have been trained on, where there is no table.
        teachers: Encoders that computed labels of the table which were learned.
        sizes: Arguments of the network.
        settings: Of the training.
        results: Epochs, and errors of the network as it was trained; those of the file are the card's ``metrics``.
        notes: Remarks for people.
        element_tables: Where the numbers of a descriptor are from.
        attributes: What the columns of a descriptor are called.
        others: Entries that this version does not know.
    """

    database: str | None = None
    origin: str | None = None
    learned: str | None = None
    table: TableAccount | None = None
    columns: TableRecipe | None = None
    scope: TrainingScope | None = None
    teachers: tuple[Teacher, ...] = ()
    sizes: dict[str, Any] | None = None
    settings: dict[str, Any] | None = None
    results: dict[str, float] | None = None
    notes: tuple[str, ...] = ()
    element_tables: dict[str, Any] | None = None
    attributes: tuple[str, ...] = ()
    others: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the entries of the card."""
        entries = asdict(self)
        return {
            **{name: value for name, value in entries.items() if name != "others" and value not in (None, ())},
            **self.others,
        }

    @classmethod
    def read_entries(cls, entries: Mapping[str, Any]) -> Self:
        """Read what ``document`` wrote."""
        known = {one.name for one in fields(cls)} - {"others"}
        found = {name: value for name, value in entries.items() if name in known}
        if "table" in found:
            found["table"] = TableAccount.read_entries(found["table"])
        if "columns" in found:
            found["columns"] = TableRecipe.read_entries(found["columns"])
        if "scope" in found:
            found["scope"] = TrainingScope.read_entries(found["scope"])
        found["teachers"] = tuple(Teacher.read_entries(one) for one in found.get("teachers", ()))
        for name in ("notes", "attributes"):
            found[name] = tuple(found.get(name, ()))
        return cls(**found, others={name: value for name, value in entries.items() if name not in known})
