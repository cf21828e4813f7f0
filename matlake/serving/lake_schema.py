"""What requests about the lake's datasets may hold, and what the documentation says of answers."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from matlake.store.browsing.conditions import MOST_WORDS, OPERATORS

_MOST_CONDITIONS: Final = 30
_MOST_COLUMNS: Final = 1000
_MOST_LETTERS: Final = 1000
_LONGEST_SQL: Final = 20_000

Text = Annotated[str, Field(max_length=_MOST_LETTERS)]
OPERATOR_WORDS: Final = ", ".join(
    f"{kind}: {' '.join(f'`{operator}`' for operator in operators)}" for kind, operators in OPERATORS.items()
)


class RowCondition(BaseModel, extra="forbid", strict=True):
    """A condition on a column."""

    column: Text
    operator: Annotated[Text, Field(description=f"By the kind of the column. {OPERATOR_WORDS}.")]
    value: Annotated[
        float | bool | Text | Annotated[list[Text], Field(max_length=MOST_WORDS)] | None,
        Field(description="A number in the unit of the column, text, true or false; a list of words for `elements`."),
    ] = None


class RowOrder(BaseModel, extra="forbid", strict=True):
    """A column that rows are sorted by."""

    column: Text
    descending: bool = False


class RowsRequest(BaseModel, extra="forbid", strict=True):
    """Which rows of a dataset."""

    dataset: Text
    columns: Annotated[
        list[Text] | None, Field(max_length=_MOST_COLUMNS, description="Columns to return; default: all.")
    ] = None
    where: Annotated[
        list[RowCondition], Field(max_length=_MOST_CONDITIONS, description="All of these hold for a row.")
    ] = []
    sort: Annotated[
        list[RowOrder], Field(max_length=_MOST_CONDITIONS, description="Sorted by these, then by `material_id`.")
    ] = []
    limit: Annotated[int, Field(ge=1, description="Rows at most.")] = 100
    offset: Annotated[int, Field(ge=0, le=10**9, description="Rows to leave out before.")] = 0
    count: Annotated[bool, Field(description="Count all rows that fulfil the conditions, too.")] = True


class SqlRequest(BaseModel, extra="forbid", strict=True):
    """A read-only query."""

    statement: Annotated[
        str, Field(max_length=_LONGEST_SQL, description="One statement over the views of the lake, as `matlake sql`.")
    ]


class MaterialName(BaseModel, extra="forbid", strict=True):
    """A material of the lake."""

    material_id: Text
    dataset: Annotated[Text | None, Field(description="Needed where several datasets have the id.")] = None


class MaterialRequest(BaseModel, extra="forbid", strict=True):
    """One material of a dataset."""

    dataset: Text
    material_id: Text


class DatasetsResponse(BaseModel):
    """What the lake holds; empty lists where only heads are served."""

    datasets: Annotated[
        list[dict[str, Any]], Field(description="`name`, `materials`, `crystals`, `failures`, `source`, `licence`, ….")
    ]
    layers: Annotated[
        list[dict[str, Any]],
        Field(description="Embedded layers, which a search can look in: `feature`, `input`, `vectors`, `external`."),
    ]
    limits: Annotated[dict[str, float], Field(description="`rows`, `seconds` and `memory_bytes` of a query.")]


class DatasetResponse(BaseModel):
    """The columns of a dataset."""

    name: str
    columns: Annotated[
        list[dict[str, Any]],
        Field(description="`name`, `kind`, `operators`, `quantity`, `unit`, `missing`, `minimum`, `maximum`."),
    ]


class RowsResponse(BaseModel):
    """Rows, and the SQL that returns them."""

    columns: list[str]
    rows: Annotated[
        list[list[Any]],
        Field(description="A value for each column; null where there is none. Integers beyond 2^53 are text."),
    ]
    sql: Annotated[str, Field(description="The same as a statement, for `matlake sql`.")]
    total: Annotated[int | None, Field(description="Rows that fulfil the conditions; null where not counted.")] = None
    truncated: Annotated[bool, Field(description="Whether rows are left out, because the answer is too large.")] = False


class MaterialResponse(BaseModel):
    """A material with its properties."""

    dataset: str
    material_id: str
    formula: str
    values: Annotated[list[dict[str, Any]], Field(description="`name`, `quantity`, `unit` and `value` of each column.")]
    structure: Annotated[str | None, Field(description="The crystal as the text of a POSCAR file.")]


class ReportResponse(BaseModel):
    """All that is known of a head."""

    head: str
    title: str
    sections: Annotated[
        list[dict[str, Any]],
        Field(
            description="`heading` and `parts`: each a `text`, a `code`, a `table` (`columns`, `rows`) or a `plot` "
            "(`name`, `caption`), as its `kind` says."
        ),
    ]
    coverage: Annotated[
        dict[str, Any] | None,
        Field(description="`level` that intervals state, and the shares of values that they hold; null without them."),
    ]
