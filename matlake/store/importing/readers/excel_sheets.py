"""Sheets of Excel and OpenDocument as a source: one header row, then a material a row.

Cells have types of their own. Excel has no whole numbers, so that numbers without decimals are whole; a column of
numbers that are stored as text is one of numbers, as people see it.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from matlake.errors import SourceError
from matlake.store.importing.readers.cells import number_of, stands_for_nothing
from matlake.store.importing.readers.frames import Columns
from matlake.store.importing.readers.memory_table import open_columns
from matlake.store.importing.readers.source import KeyColumns, Source, key_columns, refuse_too_many_columns
from matlake.store.importing.readers.streams import Allowance
from matlake.text_tables import some_of

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook, SheetMetadata

EXCEL: Final = (".xlsx", ".xlsm", ".xls", ".ods")

_CODE: Final = re.compile(r"0\d+")
_EXACT: Final = 2.0**53
_CHUNK: Final = 1 << 20
_LAST_CELL: Final = re.compile(rb'<c r="([A-Z]{1,3})(\d{1,7})"')
_UNCALCULATED: Final = re.compile(rb'<c r="[A-Z]+\d+"(?: s="\d+")?><f>[^<]*</f>(?:<v ?/>|<v></v>)?</c>')
_MOST_CELLS: Final = 50_000_000


def is_excel(path: Path) -> bool:
    """Tell by its name whether a file has sheets."""
    return path.name.lower().endswith(EXCEL)


def open_sheet(
    path: Path, sheet: str | None, structure_column: str | None, max_atoms: int, named: KeyColumns
) -> Source:
    """Look at a sheet.

    Args:
        path: ``.xlsx``, ``.xls`` or ``.ods``.
        sheet: Its name; by default the first.
        structure_column: Column of structures; by default one by a usual name.
        max_atoms: Largest cell that is read.
        named: Columns of formulas or ids, besides those by usual names.

    Raises:
        SourceError: The file is damaged, protected or a bomb; there is no such sheet; its header is not one row of
            names, or there are no rows.
    """
    import python_calamine as calamine

    notes: list[str] = []
    if zipfile.is_zipfile(path) and _check_size(path):
        notes.append(
            "cells with formulas that were never calculated read as missing: save the file in a spreadsheet program"
        )
    try:
        with calamine.load_workbook(path) as book:
            chosen = _sheet(path, book, sheet, notes)
            rows = [row for row in chosen.to_python(skip_empty_area=False) if any(cell != "" for cell in row)]
            _refuse_merged_header(path, chosen)
    except calamine.PasswordError as error:
        raise SourceError(f"{path} is protected by a password", "save it without") from error
    except (calamine.CalamineError, OSError) as error:
        raise SourceError(f"cannot read {path}: {error}", "save it again as .xlsx or .csv") from error
    if len(rows) < 2:  # noqa: PLR2004 - a header and a row
        raise SourceError(f"sheet {chosen.name!r} of {path} has {'a header but ' * len(rows)}no rows")
    header, *body = rows
    refuse_too_many_columns(str(path), len(header))
    names, values = _columns(path, chosen.name, header, body)
    keys = key_columns(names, named)
    read = [
        _dates_as_text(column) if name in keys else _numbers(column) for name, column in zip(names, values, strict=True)
    ]
    return open_columns(Columns(str(path), names, list(read), notes), structure_column, max_atoms, named)


def _sheet(path: Path, book: "CalamineWorkbook", wanted: str | None, notes: list[str]) -> "CalamineSheet":
    names = book.sheet_names
    if wanted is not None and wanted not in names:
        raise SourceError(f"{path} has no sheet {wanted!r}", f"its sheets: {', '.join(names)}")
    if wanted is None and len(names) > 1:
        wanted = next((sheet.name for sheet in book.sheets_metadata if _is_shown(sheet)), names[0])
        others = [name for name in names if name != wanted]
        notes.append(f"sheet {wanted} was read, not {some_of(others)}; {path.name}::{others[0]} names another")
    return book.get_sheet_by_name(wanted or names[0])


def _is_shown(sheet: "SheetMetadata") -> bool:
    """Tell whether a sheet is one of cells that people see, neither hidden nor a chart."""
    import python_calamine as calamine

    return sheet.typ == calamine.SheetTypeEnum.WorkSheet and sheet.visible == calamine.SheetVisibleEnum.Visible


def _refuse_merged_header(path: Path, sheet: "CalamineSheet") -> None:
    """Refuse a header, or a title above it, that spans several columns."""
    first = sheet.start[0] if sheet.start else 0
    for (top, left), (_, right) in sheet.merged_cell_ranges or ():
        if top <= first and right > left:
            raise SourceError(
                f"the first row of sheet {sheet.name!r} of {path} has merged cells: it is not a header",
                "delete titles above the header, and give each column a name in one row",
            )


def _columns(
    path: Path, sheet: str, header: Sequence[Any], body: Sequence[Sequence[Any]]
) -> tuple[list[str], list[list[Any]]]:
    """Return names and values of the columns; those without a name must be empty."""
    names, values = [], []
    for place, name in enumerate(header):
        column = [_value(row[place]) for row in body]
        if name != "":
            names.append(str(_value(name)).strip())
            values.append(column)
        elif any(value is not None for value in column):
            raise SourceError(
                f"column {place + 1} of sheet {sheet!r} of {path} has no name", "name every column in the first row"
            )
    return names, values


def _value(cell: Any) -> Any:
    """Return a cell as a value of a dataset: None for an empty one, text for times without a date."""
    if isinstance(cell, str):
        return cell.strip() or None
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < _EXACT:
        return int(cell)
    if isinstance(cell, date) and not isinstance(cell, datetime):
        return datetime(cell.year, cell.month, cell.day)  # noqa: DTZ001 - Excel has no time zones
    return str(cell) if isinstance(cell, time | timedelta) else cell


def _numbers(column: list[Any]) -> list[Any]:
    """Return numbers for texts where all of a column is numbers, and text for dates beside other values."""
    filled = [
        value for value in column if value is not None and not (isinstance(value, str) and stands_for_nothing(value))
    ]
    if any(isinstance(value, datetime) for value in filled):
        return column if all(isinstance(value, datetime) for value in filled) else _dates_as_text(column)
    texts = [value for value in filled if isinstance(value, str)]
    if not texts or any(isinstance(value, bool) for value in filled):
        return column
    if any(number_of(text) is None or _CODE.fullmatch(text) for text in texts):
        return column
    numbers = [number_of(value) if isinstance(value, str) else value for value in column]
    return [_value(number) for number in numbers]


def _dates_as_text(column: list[Any]) -> list[Any]:
    return [value.isoformat(" ") if isinstance(value, datetime) else value for value in column]


def _check_size(path: Path) -> bool:
    """Refuse a file that expands to more than texts do, or whose cells are so far apart that the sheet fills memory.

    Returns:
        Whether a formula in it has no result, as in files that programs write.
    """
    allowance, uncalculated = Allowance(path), False
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                in_sheet = member.filename.startswith("xl/worksheets/")
                columns = rows = 0
                for chunk in _expanded(path, archive, member):
                    allowance.spend(len(chunk))
                    uncalculated |= in_sheet and _UNCALCULATED.search(chunk) is not None
                    for letters, row in _LAST_CELL.findall(chunk) if in_sheet else ():
                        rows, columns = max(rows, int(row)), max(columns, _column_number(letters))
                if rows * columns > _MOST_CELLS:
                    raise SourceError(f"{path} has a sheet of {rows:,} rows and {columns:,} columns", "save it as CSV")
    except (zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise SourceError(f"{path} is damaged: {error}", "save it again as .xlsx or .csv") from error
    return uncalculated


def _expanded(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield what a member expands to, whatever size its header states."""
    with path.open("rb") as file:
        file.seek(member.header_offset)
        header = file.read(30)
        file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
        left = member.compress_size
        if member.compress_type == zipfile.ZIP_STORED:
            while left and (chunk := file.read(min(left, _CHUNK))):
                left -= len(chunk)
                yield chunk
            return
        if member.compress_type != zipfile.ZIP_DEFLATED:
            raise NotImplementedError(f"a compression that spreadsheets do not use ({archive.filename})")
        expand = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        while left and not expand.eof:
            packed = file.read(min(left, _CHUNK))
            if not packed:
                return
            left -= len(packed)
            while packed and not expand.eof:
                yield expand.decompress(packed, _CHUNK)
                packed = expand.unconsumed_tail


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + letter - ord("A") + 1
    return number
