"""What the tests of readers share: a source read whole, and three rock salts as databases hand them out."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matlake.errors import StructureError
from matlake.materials.crystal import Crystal
from matlake.store.importing.readers import Source, open_source

EDGES = {"Mg": 4.21, "Ca": 4.81, "Ni": 4.19}
"""Cubic edges of the oxides in Å."""


@dataclass(frozen=True)
class Read:
    """A source, and all of its rows."""

    source: Source
    rows: list[dict[str, Any]]
    crystals: list[Crystal | StructureError]
    unread: list[str]

    @property
    def notes(self) -> list[str]:
        return self.source.notes

    @property
    def formulas(self) -> list[str]:
        """Formulas of the crystals; where there is none, the reason."""
        return [one.composition.reduced_formula if isinstance(one, Crystal) else str(one) for one in self.crystals]


def read(path: Path | str, **options: Any) -> Read:
    """Open a file and read it to its end."""
    source = open_source(path, **options)
    rows: list[dict[str, Any]] = []
    crystals: list[Crystal | StructureError] = []
    unread: list[str] = []
    for batch in source.batches():
        rows += batch.columns.to_pylist()
        crystals += batch.crystals or []
        unread += [f"{cell.column}: {cell.text}" for cell in batch.unread]
    return Read(source, rows, crystals, unread)


def written(path: Path, document: Any) -> Path:
    """Write a document as JSON."""
    path.write_text(json.dumps(document))
    return path


def lattice(metal: str = "Mg") -> list[list[float]]:
    """Return the primitive cell of rock salt in Å."""
    half = EDGES[metal] / 2
    return [[0.0, half, half], [half, 0.0, half], [half, half, 0.0]]


def optimade_entry(metal: str = "Mg", **changes: Any) -> dict[str, Any]:
    """Return an entry of OPTIMADE; ``changes`` replace attributes."""
    half = EDGES[metal] / 2
    attributes: dict[str, Any] = {
        "immutable_id": f"i-{metal}",
        "elements": sorted([metal, "O"]),
        "nelements": 2,
        "chemical_formula_reduced": f"{metal}O",
        "dimension_types": [1, 1, 1],
        "nperiodic_dimensions": 3,
        "lattice_vectors": lattice(metal),
        "cartesian_site_positions": [[0.0, 0.0, 0.0], [half, half, half]],
        "nsites": 2,
        "species": [species(metal), species("O")],
        "species_at_sites": [metal, "O"],
        "structure_features": [],
        "_x_band_gap": 4.0,
    }
    return {"type": "structures", "id": f"x-{metal}", "attributes": attributes | changes}


def species(name: str, *symbols: str, shares: tuple[float, ...] = (1.0,), **others: Any) -> dict[str, Any]:
    """Return a species of OPTIMADE."""
    return {"name": name, "chemical_symbols": list(symbols or (name,)), "concentration": list(shares), **others}


def jarvis_atoms(metal: str = "Mg", *, cartesian: bool = False) -> dict[str, Any]:
    """Return atoms as JARVIS writes them."""
    half = EDGES[metal] / 2
    place = [half] * 3 if cartesian else [0.5] * 3
    return {
        "lattice_mat": lattice(metal),
        "coords": [[0.0, 0.0, 0.0], place],
        "elements": [metal, "O"],
        "abc": [1.0, 1.0, 1.0],
        "cartesian": cartesian,
        "props": ["", ""],
    }


def pymatgen_structure(metal: str = "Mg", *, occupancy: float = 1.0) -> dict[str, Any]:
    """Return a structure as pymatgen writes it."""
    sites = [(metal, occupancy, [0.0] * 3), ("O", 1, [0.5] * 3)]
    return {
        "@module": "pymatgen.core.structure",
        "@class": "Structure",
        "lattice": {"matrix": lattice(metal)},
        "sites": [{"species": [{"element": one, "occu": share}], "abc": place} for one, share, place in sites],
    }
