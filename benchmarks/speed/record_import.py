"""Import of a dump of an OPTIMADE database (JSON lines) on one core.

python -m benchmarks.speed.record_import
"""

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.helpers.common import STRUCTURES, in_child, report
from benchmarks.speed.cif_import import on_one_core

REPEATS = 3


def write_dump(path: Path) -> int:
    """Write all crystals as entries of OPTIMADE, after the header of a dump; return the number of bytes."""
    from matlake.materials.periodic_table import SYMBOLS
    from matlake.materials.structure_files import parse_structure

    columns = ["material_id", "cif", "band_gap_eV", "formation_energy_eV_per_atom", "space_group_number"]
    with path.open("w") as file:
        file.write(json.dumps({"x-optimade": {"meta": {"api_version": "1.2.0"}}}) + "\n")
        for row in pq.read_table(STRUCTURES, columns=columns).to_pylist():
            crystal = parse_structure(row["cif"])
            symbols = [SYMBOLS[z - 1] for z in crystal.numbers]
            distinct = sorted(set(symbols))
            attributes = {
                "immutable_id": row["material_id"],
                "last_modified": "2026-01-01T00:00:00Z",
                "elements": distinct,
                "nelements": len(distinct),
                "elements_ratios": [symbols.count(one) / len(symbols) for one in distinct],
                "chemical_formula_reduced": crystal.composition.reduced_formula,
                "chemical_formula_descriptive": crystal.composition.reduced_formula,
                "dimension_types": [1, 1, 1],
                "nperiodic_dimensions": 3,
                "lattice_vectors": crystal.lattice.tolist(),
                "cartesian_site_positions": (crystal.positions @ crystal.lattice).tolist(),
                "nsites": len(symbols),
                "species": [{"name": one, "chemical_symbols": [one], "concentration": [1.0]} for one in distinct],
                "species_at_sites": symbols,
                "structure_features": [],
                "_mp_band_gap": row["band_gap_eV"],
                "_mp_formation_energy_per_atom": row["formation_energy_eV_per_atom"],
                "_mp_spacegroup": {"number": row["space_group_number"]},
            }
            file.write(json.dumps({"type": "structures", "id": row["material_id"], "attributes": attributes}) + "\n")
    return path.stat().st_size


def whole_import(path: Path) -> int:
    """Import the dump: parse, check, hash, write, commit."""
    from matlake import import_table, open_lake

    with tempfile.TemporaryDirectory() as folder:
        imported = import_table(open_lake(Path(folder) / "lake", create=True), path, "mp")
    if imported.failed:
        raise RuntimeError(f"{imported.failed} entries failed: {imported.examples}")
    return imported.rows


def json_only(path: Path) -> int:
    """Let Python's json read all lines once, the part that is not ours."""
    with path.open() as file:
        return sum(1 for line in file if json.loads(line))


PARTS = {"import": whole_import, "json": json_only}
LABELS = {
    "import": "whole import: JSON, checks, hashes, Parquet, commit",
    "json": "Python's json, one reading",
}


def main() -> None:
    """Run each part in processes of its own."""
    if not STRUCTURES.exists():
        sys.exit(f"this benchmark needs the crystals at {STRUCTURES}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mp.jsonl"
        size = write_dump(path)
        runs: dict[str, list[dict[str, Any]]] = {
            part: [in_child(Path(__file__), part, str(path)) for _ in range(REPEATS)] for part in PARTS
        }
    median = {
        part: {key: statistics.median(run[key] for run in found) for key in ("wall_s", "processor_s", "peak_mb")}
        for part, found in runs.items()
    }
    count = runs["import"][0]["crystals"]
    rows = [
        [LABELS[part], f"{count / found['processor_s']:,.0f}", f"{found['peak_mb']:,.0f}"]
        for part, found in median.items()
    ]
    header = ["what", "entries a second of processor time", "peak memory, MB"]
    report(Path(__file__), {"entries": count, "bytes": size, "runs": runs}, header, rows)


def warm(path: Path) -> None:
    """Import the first entries, so that modules and kernels are there."""
    with tempfile.TemporaryDirectory() as folder, path.open() as file:
        few = Path(folder) / "few.jsonl"
        few.write_text("".join(file.readline() for _ in range(4)))
        whole_import(few)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        part, dump = sys.argv[1], Path(sys.argv[2])
        warm(dump)
        print(json.dumps(on_one_core(lambda: PARTS[part](dump))))
    else:
        main()
