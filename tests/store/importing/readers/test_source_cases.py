"""Every format in which the field hands out crystals: three rock salts with a band gap of 4 eV in each."""

from pathlib import Path

import pytest
from structures import ids, rows

from matlake import import_table, open_lake

CASES = Path(__file__).parents[5] / "shared" / "cases" / "sources"
IDS = {
    "jarvis": "JVASP-{}",
    "optimade": "x-{}",
    "lemat": "x-{}",
    "mp": "mp-{}",
    "alexandria": "agm00000{}",
    "oqmd": "{}",
}
NAMES = [
    *("jarvis.json", "jarvis.json.zip", "optimade.json", "optimade.jsonl", "lemat.parquet", "mp_docs.json"),
    *("mp.jsonl.gz", "mp_response.json", "mp_delta", "alexandria_000.json", "alexandria_000.json.bz2", "oqmd.json"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_a_database_is_imported_with_its_ids_and_properties(name: str, tmp_path: Path) -> None:
    path = CASES / name
    if not path.exists():
        pytest.skip(f"needs the cases at {CASES}")
    lake = open_lake(tmp_path / "lake", create=True)
    report = import_table(lake, path, "d")
    assert (report.rows, report.failed) == (3, 0)
    form = next(form for start, form in IDS.items() if name.startswith(start))
    assert ids(lake) == [form.format(number) for number in range(3)]
    properties = lake.list_datasets()[0].properties
    (gap,) = (column for column in properties if "band_gap" in column or column == "optb88vdw_bandgap")
    found = rows(lake, f"SELECT formula, nsites, {gap} AS gap FROM d ORDER BY material_id")
    assert [(row["formula"], row["nsites"], row["gap"]) for row in found] == [
        (formula, 2, 4.0) for formula in ("MgO", "CaO", "NiO")
    ]


def test_every_case_has_a_test() -> None:
    if not CASES.exists():
        pytest.skip(f"needs the cases at {CASES}")
    assert {path.name for path in CASES.iterdir()} == {*NAMES, "README.md"}
