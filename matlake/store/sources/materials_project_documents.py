"""Documents of the Materials Project: columns with units, licences of single documents, provenance.

Names of fields and units are those of emmet-core 0.87.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from matlake.store.importing.readers import Batch, Source
from matlake.store.sources.protocol import SOURCE_LICENCE, SOURCE_VERSION
from matlake.store.sources.published import CC_BY, NOT_KNOWN
from matlake.text_tables import some_of

ID: Final = "material_id"
KEEP: Final = "include_by_nc"
"""The parameter that keeps documents of the licence BY-NC."""

CITATION: Final = "A. Jain et al., APL Mater. 1, 011002 (2013), doi:10.1063/1.4812323"

_META: Final = "builder_meta_"
_LICENCE, _BY_NC = f"{_META}license", "BY-NC"
_LICENCES: Final = {"BY-C": CC_BY, _BY_NC: "CC BY-NC 4.0"}
_VERSIONS: Final = (f"{_META}database_version", f"{_META}build_date", "last_updated")
_EV: Final = ("band_gap", "cbm", "vbm", "efermi", "weighted_work_function", "dos_energy_up", "dos_energy_down")
_AVERAGES: Final = {"voigt": "voigt", "reuss": "reuss", "vrh": "VRH"}

UNITS: Final = {
    **{name: f"{name}_eV" for name in _EV},
    **{
        f"{name}_per_atom": f"{name}_eV_per_atom"
        for name in ("energy", "uncorrected_energy", "formation_energy", "equilibrium_reaction_energy")
    },
    **{name: f"{name}_eV_per_atom" for name in ("energy_above_hull", "decomposition_enthalpy")},
    **{
        f"{modulus}_modulus_{old}": f"{modulus}_modulus_{new}_GPa"
        for modulus in ("bulk", "shear")
        for old, new in _AVERAGES.items()
    },
    "volume": "volume_A3",
    "density": "density_g_per_cm3",
    "density_atomic": "density_atomic_A3_per_atom",
    "total_magnetization": "total_magnetization_muB",
    "total_magnetization_normalized_vol": "total_magnetization_normalized_vol_muB_per_A3",
    "total_magnetization_normalized_formula_units": "total_magnetization_muB_per_fu",
    "weighted_surface_energy": "weighted_surface_energy_J_per_m2",
    "weighted_surface_energy_EV_PER_ANG2": "weighted_surface_energy_eV_per_A2",
}
"""Columns of the Materials Project with their units."""


def by_licence(source: Source, *, keep: bool) -> Source:
    """Give each document its licence and version; leave out those that may not be used commercially.

    Args:
        source: Documents, of which one level is flattened.
        keep: Whether documents of the licence BY-NC are kept.
    """
    columns = [name for name in source.schema.names if not name.startswith(_META)]
    schema = pa.schema([source.schema.field(name) for name in columns])
    added = [name for name in (SOURCE_LICENCE, SOURCE_VERSION) if name not in columns]
    schema = pa.schema([*schema, *((name, pa.string()) for name in added)])
    notes = list(source.notes)
    unstated = CC_BY
    if _LICENCE not in source.schema.names:
        unstated = NOT_KNOWN
        notes.append(f"the documents do not state their licence (builder_meta): some may be {_BY_NC}")

    def rows() -> Iterator[Batch]:
        left_out: list[str] = []
        for batch in source.batches():
            documents = batch.columns
            licences = _texts(documents, _LICENCE)
            others = pc.fill_null(pc.not_equal(licences, _BY_NC), fill_value=True)
            values = {
                SOURCE_LICENCE: pa.array([_LICENCES.get(one, one) or unstated for one in licences.to_pylist()]),
                SOURCE_VERSION: _version(documents),
            }
            arrays = [values[name] if name in added else documents.column(name) for name in schema.names]
            unread = [cell for cell in batch.unread if cell.column in columns]
            kept = Batch(pa.RecordBatch.from_arrays(arrays, schema=schema), batch.crystals, unread)
            if not keep and not pc.all(others).as_py():
                left_out += _texts(documents, ID).filter(pc.invert(others)).to_pylist()
                kept = _filtered(kept, others)
            yield kept
        if left_out:
            shown = some_of(list(map(str, left_out)))
            notes.append(
                f"documents with licence {_BY_NC} left out: {len(left_out):,} ({shown}); {KEEP}=true keeps them"
            )

    return replace(source, schema=schema, batches=rows, notes=notes)


def _texts(documents: pa.RecordBatch, name: str) -> pa.Array:
    """Return a column as text; nulls where there is no such column."""
    if name not in documents.schema.names:
        return pa.nulls(len(documents), pa.string())
    return pc.cast(documents.column(name), pa.string())


def _version(documents: pa.RecordBatch) -> pa.Array:
    """Return the version of the database of each document, else when it was built or updated."""
    return pc.coalesce(*(_texts(documents, name) for name in _VERSIONS))


def _filtered(batch: Batch, kept: pa.Array) -> Batch:
    """Return the rows of a batch that are kept."""
    rows = pc.indices_nonzero(kept).to_pylist()
    place = {row: new for new, row in enumerate(rows)}
    crystals = None if batch.crystals is None else [batch.crystals[row] for row in rows]
    unread = [replace(cell, row=place[cell.row]) for cell in batch.unread if cell.row in place]
    return Batch(batch.columns.filter(kept), crystals, unread)
