"""Data in memory as datasets: what a file of the same content would give, for every form that a notebook holds."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from pymatgen.core import Composition, Lattice, Molecule, Structure
from pymatgen.entries.computed_entries import ComputedEntry, ComputedStructureEntry
from sample_crystals import caesium_chloride, rock_salt
from structures import CSCL, POSCAR, ids, pymatgen_dict, reasons, rows

import matlake
from matlake.api.adding import add
from matlake.errors import MatlakeError, SourceError
from matlake.store.importing.importer import import_table


@pytest.fixture
def lake(tmp_path: Path) -> matlake.Lake:
    return matlake.open_lake(tmp_path / "lake", create=True)


def structure(edge: float = 4.123, **properties: Any) -> Structure:
    return Structure(Lattice.cubic(edge), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]], properties=properties)


def properties(lake: matlake.Lake, columns: str, dataset: str = "d") -> list[tuple[Any, ...]]:
    order = "TRY_CAST(split_part(material_id, '-', 2) AS INTEGER), material_id"
    return [tuple(row.values()) for row in rows(lake, f"SELECT {columns} FROM {dataset} ORDER BY {order}")]


FORMULAS = ["TiO2", "NaCl", None]
GAPS = [3.2, None, 1.0]


def frames() -> Iterator[tuple[str, object]]:
    """Yield one table in each of its forms."""
    table = pa.table({"formula": FORMULAS, "gap_eV": GAPS})
    yield "pandas", pd.DataFrame({"formula": FORMULAS, "gap_eV": GAPS})
    yield (
        "pandas, Arrow types",
        pd.DataFrame({"formula": FORMULAS, "gap_eV": GAPS}).convert_dtypes(dtype_backend="pyarrow"),
    )
    yield "pandas, categories", pd.DataFrame({"formula": pd.Categorical(FORMULAS), "gap_eV": GAPS})
    yield "polars", pl.DataFrame({"formula": FORMULAS, "gap_eV": GAPS})
    yield "polars, lazy", pl.LazyFrame({"formula": FORMULAS, "gap_eV": GAPS})
    yield "polars, categories", pl.DataFrame({"formula": pl.Series(FORMULAS, dtype=pl.Categorical), "gap_eV": GAPS})
    yield "Arrow", table
    yield "Arrow, dictionary", table.set_column(0, "formula", table["formula"].dictionary_encode())
    yield "Arrow batch", table.to_batches()[0]
    yield "Arrow stream", pa.RecordBatchReader.from_batches(table.schema, table.to_batches())
    yield "dictionary of columns", {"formula": FORMULAS, "gap_eV": np.array([3.2, np.nan, 1.0])}
    yield "dictionary of Series", {"formula": pd.Series(FORMULAS), "gap_eV": pl.Series(GAPS)}
    yield "list of dictionaries", [{"formula": f, "gap_eV": gap} for f, gap in zip(FORMULAS, GAPS, strict=True)]
    yield (
        "Series of dictionaries",
        pd.Series([{"formula": f, "gap_eV": g} for f, g in zip(FORMULAS, GAPS, strict=True)]),
    )


@pytest.mark.parametrize("frame", [pytest.param(frame, id=name) for name, frame in frames()])
def test_every_form_of_a_table_is_the_same_dataset(lake: matlake.Lake, frame: object) -> None:
    report = add(lake, frame, "d")
    assert (report.rows, report.failed, report.notes, report.unread_cells) == (2, 1, [], 0)
    assert properties(lake, "material_id, formula, gap_eV") == [("d-0", "TiO2", 3.2), ("d-1", "NaCl", None)]
    assert list(reasons(lake).values()) == ["empty formula"]


def test_types_are_those_of_a_file(lake: matlake.Lake, tmp_path: Path) -> None:
    table = pa.table(
        {
            "formula": ["Si", "Ge"],
            "n": pa.array([1, None], pa.int8()),
            "half": pa.array(np.array([1.5, np.inf], np.float16)),
            "decimal": [Decimal("1.5"), None],
            "flag": [True, None],
            "text": ["1.5", "a"],
            "measured": pa.array([datetime(2020, 1, 1, tzinfo=UTC), None], pa.timestamp("ns", "UTC")),
            "kind": pa.array(["a", None]).dictionary_encode(),
            "list": [[1.0], None],
            "nothing": pa.nulls(2),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    from_file = import_table(lake, tmp_path / "t.parquet", "file")
    for name, frame in {
        "arrow": table,
        "polars": pl.DataFrame(pl.from_arrow(table)),
        "pandas": table.to_pandas(),
    }.items():
        report = add(lake, frame, name)
        assert report.unread_cells == from_file.unread_cells == 1
        columns = "formula, n, half, decimal, flag, text, kind, nothing"
        assert properties(lake, f"{columns}, measured::VARCHAR AS measured", name) == properties(
            lake, f"{columns}, measured::VARCHAR AS measured", "file"
        )
        assert any("list" in note and "left out" in note for note in report.notes)


def test_columns_of_mixed_values_have_the_type_of_most(lake: matlake.Lake) -> None:
    frame = pd.DataFrame(
        {
            "formula": ["Si", "Ge", "C"],
            "gap_eV": [1.1, "see text", np.float32(5.5)],
            "n": [1, pd.NA, np.int64(3)],
            "flag": [True, None, np.bool_(False)],
            "refs": [["a"], ["b"], []],
            "symmetry": [{"number": 227}, {"number": 227}, None],
        }
    )
    report = add(lake, frame, "d")
    assert properties(lake, "gap_eV, n, flag, symmetry_number") == [
        (1.1, 1, True, 227),
        (None, None, None, 227),
        (5.5, 3, False, None),
    ]
    assert report.unread_cells == 1
    assert any("refs" in note for note in report.notes)
    assert rows(lake, "SELECT material_id, property, text FROM unread_cells") == [
        {"material_id": "d-1", "property": "gap_eV", "text": "see text"}
    ]


def test_a_column_is_not_lost_to_a_field_of_its_name(lake: matlake.Lake) -> None:
    frame = pd.DataFrame({"formula": ["Si"], "symmetry": [{"number": 1, "letter": "a"}], "symmetry_number": [227]})
    report = add(lake, frame, "d")
    assert properties(lake, "symmetry_number, symmetry_letter") == [(227, "a")]
    assert report.notes == ["a field that would be called symmetry_number left out: there is a column of that name"]


@pytest.mark.parametrize(
    "column",
    [
        [structure(), None, structure(3.9)],
        [structure().as_dict(), None, structure(3.9).as_dict()],
        [structure().to(fmt="poscar"), None, structure(3.9).to(fmt="cif")],
        [bulk("CsCl", "cesiumchloride", a=4.123), float("nan"), bulk("CsCl", "cesiumchloride", a=3.9)],
        [ComputedStructureEntry(structure(), -1.0), None, structure(3.9).to_json()],
    ],
    ids=["pymatgen", "dictionaries", "text", "ase", "mixed"],
)
@pytest.mark.parametrize("make", [pd.DataFrame, dict], ids=["DataFrame", "dictionary"])
def test_a_column_of_structures_becomes_crystals(
    lake: matlake.Lake, make: Callable[..., Any], column: list[Any]
) -> None:
    report = add(lake, make({"structure": column, "gap_eV": [1.0, 2.0, 3.0]}), "d")
    assert (report.rows, report.failed) == (2, 1)
    assert properties(lake, "material_id, nsites, gap_eV") == [("d-0", 2, 1.0), ("d-2", 2, 3.0)]
    assert reasons(lake) == {"d-1": "no structure"}


def test_polars_keeps_structures_as_objects_or_structs(lake: matlake.Lake) -> None:
    objects = pl.DataFrame({"final": pl.Series([structure(), structure(3.9)], dtype=pl.Object), "x": [1, 2]})
    assert add(lake, objects, "objects").rows == 2
    structs = pl.DataFrame({"structure": [structure().as_dict(), structure(3.9).as_dict()], "x": [1, 2]})
    assert add(lake, structs, "structs").rows == 2
    assert properties(lake, "x", "objects") == properties(lake, "x", "structs") == [(1,), (2,)]


def test_an_unusual_name_is_no_hindrance_and_two_columns_of_structures_are_refused(lake: matlake.Lake) -> None:
    frame = pd.DataFrame({"initial": [structure()], "final": [structure(3.9)], "x": [1]})
    with pytest.raises(SourceError, match="several columns of the DataFrame hold structures: initial, final") as caught:
        add(lake, frame, "d")
    assert caught.value.hint == "name one: structure='initial'"
    report = add(lake, frame, "d", structure="final")
    assert report.notes == ["properties left out because they are not single values: initial"]
    assert add(lake, frame.drop(columns="initial"), "d").rows == 1


def test_the_index_of_pandas_counts_where_it_says_something(lake: matlake.Lake) -> None:
    frame = pd.DataFrame({"formula": ["Si", "Ge", "C"], "x": [1, 2, 3]})
    add(lake, frame[frame.x > 1], "d")
    assert ids(lake) == ["d-0", "d-1"]
    report = add(lake, frame.set_index(pd.Index(["mp-1", "mp-2", "mp-3"])), "d")
    assert ids(lake) == ["mp-1", "mp-2", "mp-3"]
    assert report.notes == ["the index became the column material_id"]
    add(lake, frame.set_index("formula"), "d")
    assert properties(lake, "formula, x") == [("Si", 1), ("Ge", 2), ("C", 3)]
    add(lake, frame.set_index(pd.Index(["a", "a", "b"])), "d")
    assert properties(lake, "index") == [("a",), ("a",), ("b",)]
    levels = pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["sample", None])
    add(lake, frame.set_index(levels), "d")
    assert properties(lake, "sample, x") == [("a", 1), ("a", 2), ("b", 3)]
    add(lake, pd.Series(["Si", "Ge"], index=["s-1", "s-2"]), "d")
    assert ids(lake) == ["s-1", "s-2"]


def test_names_of_columns_become_distinct_text(lake: matlake.Lake) -> None:
    twice = pd.DataFrame([["Si", 1, 2]], columns=["formula", "x", "x"])
    assert add(lake, twice, "d").notes == ["a second column x renamed to x_2: SQL does not tell capitals apart"]
    levels = pd.DataFrame(
        [["Si", 1, 2]], columns=pd.MultiIndex.from_tuples([("formula", ""), ("gap", "eV"), ("gap", "K")])
    )
    add(lake, levels, "d")
    assert properties(lake, "gap_eV, gap_K") == [(1, 2)]
    add(lake, pd.DataFrame([["Si", 1]], columns=["formula", 7]), "d")
    assert properties(lake, '"7"') == [(1,)]
    with pytest.raises(SourceError, match="two columns named 'formula'"):
        add(lake, pd.DataFrame([["Si", "Ge"]], columns=["formula", "formula"]), "d")


MATERIALS: dict[str, tuple[object, list[str]]] = {
    "pymatgen": ([structure(), structure(3.9)], ["CsCl", "CsCl"]),
    "ase": ([bulk("Cu"), bulk("NaCl", "rocksalt", a=5.64)], ["Cu", "NaCl"]),
    "crystals": ([caesium_chloride(), rock_salt()], ["CsCl", "NaCl"]),
    "formulas": (["TiO2", "Ti2O4"], ["TiO2", "Ti2O4"]),
    "compositions": ([Composition("Fe2O3"), {"Ga": 0.3, "In": 0.7, "As": 1}], ["Fe2O3", "In7Ga3As10"]),
    "text": ([POSCAR, CSCL], ["CsCl", "CsCl"]),
    "entries": ([ComputedEntry("Fe4O6", -1.0), ComputedEntry("MgO", -1.0)], ["Fe2O3", "MgO"]),
    "one structure": (structure(), ["CsCl"]),
    "one atoms": (bulk("Cu"), ["Cu"]),
    "one dictionary": (pymatgen_dict(), ["CsCl"]),
    "a generator": ((one for one in ["Si", "Ge"]), ["Si", "Ge"]),
    "an array": (np.array(["Si", "Ge"]), ["Si", "Ge"]),
    "an array of objects": (np.array([structure(), None], dtype=object)[:1], ["CsCl"]),
    "polars": (pl.Series(["Si", "Ge"]), ["Si", "Ge"]),
    "Arrow": (pa.chunked_array([["Si"], ["Ge"]]), ["Si", "Ge"]),
}


@pytest.mark.parametrize("name", MATERIALS)
def test_lists_of_materials_get_ids_of_their_rows(lake: matlake.Lake, name: str) -> None:
    materials, formulas = MATERIALS[name]
    report = add(lake, materials, "d")
    assert (report.rows, report.failed, report.notes) == (len(formulas), 0, [])
    assert properties(lake, "material_id, formula") == [(f"d-{row}", formula) for row, formula in enumerate(formulas)]


def test_what_objects_know_of_themselves_becomes_columns(lake: matlake.Lake) -> None:
    add(lake, [structure(gap_eV=1.0, refs=["a"]), structure(3.9, gap_eV=np.float64(2.0))], "structures")
    assert properties(lake, "gap_eV", "structures") == [(1.0,), (2.0,)]
    atoms = bulk("Cu")
    atoms.info = {"material_id": "cu", "label": "fcc", "key": [1]}
    atoms.calc = SinglePointCalculator(atoms, energy=-3.7)
    add(lake, [atoms], "atoms")
    assert properties(lake, "material_id, label, energy_eV", "atoms") == [("cu", "fcc", -3.7)]
    entry = ComputedStructureEntry(
        structure(), -6.5, correction=0.5, data={"gap_eV": 5.0, "oxide": None}, entry_id="e-1"
    )
    add(lake, [entry], "entries")
    assert properties(lake, "material_id, energy, correction, gap_eV", "entries") == [("e-1", -6.0, 0.5, 5.0)]
    document = SimpleNamespace(structure=structure(), material_id="mp-1", band_gap=5.0, _private=1, symmetry=object())
    add(lake, [document], "documents")
    assert properties(lake, "material_id, band_gap", "documents") == [("mp-1", 5.0)]


def test_records_hold_objects_as_files_hold_dictionaries(lake: matlake.Lake) -> None:
    records = [
        {"structure": structure(), "composition": Composition("CsCl"), "gap_eV": 1.0},
        {"structure": bulk("Cu"), "gap_eV": "n/a"},
        {"structure": Molecule(["O"], [[0, 0, 0]]), "gap_eV": 3.0},
    ]
    report = add(lake, records, "d")
    assert properties(lake, "formula, gap_eV") == [("CsCl", 1.0), ("Cu", None)]
    assert report.examples == [(2, "a molecule: it has no cell")]


def test_optimade_columns_in_memory_are_structures(lake: matlake.Lake) -> None:
    frame = pl.DataFrame(
        {
            "id": ["a", "b"],
            "lattice_vectors": [(np.eye(3) * 4.1).tolist()] * 2,
            "cartesian_site_positions": [[[0.0, 0, 0], [2.05, 2.05, 2.05]]] * 2,
            "species_at_sites": [["Cs", "Cl"], ["Na", "Cl"]],
            "gap_eV": [1.0, 2.0],
            "mixed": pl.Series([1, "a"], dtype=pl.Object),
        }
    )
    assert add(lake, frame, "d").rows == 2
    assert rows(lake, "SELECT material_id, formula, gap_eV, mixed FROM d ORDER BY 1") == [
        {"material_id": "a", "formula": "CsCl", "gap_eV": 1.0, "mixed": "1"},
        {"material_id": "b", "formula": "NaCl", "gap_eV": 2.0, "mixed": "a"},
    ]


def test_batches_keep_rows_values_and_crystals_together(lake: matlake.Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matlake.store.importing.readers.source._BATCH_CRYSTALS", 3)
    monkeypatch.setattr("matlake.store.importing.readers.memory_table.BATCH_ROWS", 7)
    edges = [3.9 + step / 100 for step in range(20)]
    column = [structure(edge) if row != 11 else None for row, edge in enumerate(edges)]
    mixed = [row if row % 5 else f"bad {row}" for row in range(20)]
    report = add(lake, pd.DataFrame({"structure": column, "edge": edges, "n": mixed}), "d")
    assert (report.rows, report.failed, report.unread_cells) == (19, 1, 4)
    found = properties(lake, "material_id, edge, n, lattice_A[1] AS a")
    assert [(row[0], row[1], row[2]) for row in found] == [
        (f"d-{row}", edge, row if row % 5 else None) for row, edge in enumerate(edges) if row != 11
    ]
    assert all(row[1] == pytest.approx(row[3]) for row in found)


REFUSED: dict[str, tuple[object, dict[str, str], str]] = {
    "empty list": ([], {}, "the list is empty"),
    "empty frame": (pd.DataFrame(), {}, "the DataFrame has no rows"),
    "frame without rows": (pl.DataFrame({"formula": []}), {}, "the DataFrame has no rows"),
    "set": ({"Si"}, {}, "a set has no order"),
    "nothing": (None, {}, "None where a list should be"),
    "number": (5, {}, "one int where a list should be"),
    "matrix": (np.zeros((2, 2)), {}, "an array of 2 dimensions where a list should be"),
    "dictionary of materials": ({"a": structure()}, {}, "'a' of the dictionary is a Structure, not a column"),
    "dictionary of texts": ({"a": "Si"}, {}, "'a' of the dictionary is a str, not a column"),
    "columns of different lengths": ({"formula": ["Si"], "x": [1, 2]}, {}, "differ in length: formula 1, x 2"),
    "no formulas": (pd.DataFrame({"x": [1]}), {}, "no column of formulas by a usual name; its columns: x"),
    "wrong structure": (pd.DataFrame({"formula": ["Si"]}), {"structure": "s"}, "the DataFrame has no column 's'"),
    "no structures": (pd.DataFrame({"formula": ["Si"]}), {"structure": "formula"}, "holds no structures"),
    "wrong formula": (pd.DataFrame({"formula": ["Si"]}), {"formula": "f"}, "the DataFrame has no column 'f'"),
    "formulas that are numbers": (pd.DataFrame({"x": [1.0]}), {"formula": "x"}, "holds double, no formulas"),
    "wrong id": (["Si"], {"id": "i"}, "the list has no column 'i'"),
    "structure of a list": ([structure()], {"structure": "s"}, "the list has no columns"),
    "all bad": (
        [Molecule(["O"], [[0, 0, 0]])] * 3,
        {},
        "none of the 3 rows of the list is a material; row 0: a molecule",
    ),
    "all bad formulas": (["x", "y"], {}, "none of the 2 rows of the list is a material"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_dataset_says_why_and_leaves_the_lake_as_it_is(lake: matlake.Lake, name: str) -> None:
    add(lake, ["Si"], "d")
    what, columns, reason = REFUSED[name]
    with pytest.raises(MatlakeError, match=reason):
        add(lake, what, "d", **columns)
    assert ids(lake) == ["d-0"]


def test_one_bad_structure_in_many_is_one_failure(lake: matlake.Lake) -> None:
    many: list[Any] = [structure(3.9 + step / 1000) for step in range(200)]
    many[77] = Structure(Lattice.cubic(4), ["Cs", "Cl"], [[0, 0, 0], [0, 0, 0.01]])
    many[150] = Structure(Lattice.cubic(4), [{"Cs": 0.5}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    report = add(lake, many, "d")
    assert (report.rows, report.failed) == (199, 1)
    assert reasons(lake)["d-77"].startswith("atoms on top of each other")
    assert properties(lake, "formula", "d")[149] == ("CsCl2",)
