"""What is searched for: materials of the lake, formulas, structures, and tables of them, as vectors."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.encoders.base import Encoder
from matlake.encoders.card import InputKind
from matlake.errors import (
    EncoderError,
    FormulaError,
    Hint,
    LakeError,
    MatlakeError,
    SourceError,
    StructureError,
    embed_first,
    import_first,
)
from matlake.materials.crystal import Crystal
from matlake.materials.disorder import DisorderedError
from matlake.materials.formula import Composition
from matlake.materials.objects import as_composition, as_crystal, is_structure_text
from matlake.store.lake import Lake
from matlake.store.quoting import literal

Names: TypeAlias = frozenset[tuple[str, str]]
"""Datasets and ids of materials."""

Material: TypeAlias = Composition | Crystal

_TOGETHER: Final = 4096
"""Materials that are encoded at once."""


class Stored(Protocol):
    """Where the vectors of the lake's materials are found."""

    @property
    def lake(self) -> Lake:
        """The lake."""

    @property
    def feature(self) -> str:
        """``NAME@LAYER``, or ``NAME@LAYER+LAYER``."""

    def find(self, material_ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """Return dataset and content of the materials that have some ids."""

    def vectors_of(self, contents: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of some contents, float32 [c, d]; NaN for those that are not embedded."""


@dataclass(frozen=True)
class Query:
    """One thing to search for.

    Attributes:
        name: What it is called in the result.
        vector: float32 [d], as the rows are; None where there is an error.
        error: Why it cannot be searched for.
        exclude: Materials of the lake that it is itself.
    """

    name: str | None
    vector: NDArray[np.float32] | None = None
    error: MatlakeError | None = None
    exclude: Names = frozenset()


def stored_queries(stored: Stored, material_ids: Sequence[str], dataset: str | None) -> Iterator[Query]:
    """Yield materials of the lake as queries. A material is not a neighbour of itself.

    Args:
        stored: Has their vectors.
        material_ids: Their ids.
        dataset: Says which one is meant where several datasets hold an id.
    """
    found = stored.find(material_ids)
    contents = sorted({content for same in found.values() for _, content in same})
    vectors = {
        content: vector
        for content, vector in zip(contents, stored.vectors_of(contents), strict=True)
        if not np.isnan(vector).all()
    }
    for name in material_ids:
        held = [(home, content) for home, content in sorted(found.get(name, ())) if content in vectors]
        held = [one for one in held if one[0] == dataset] or held
        if not held:
            yield Query(name, error=_without_vector(stored, name))
        elif len({content for _, content in held}) > 1:
            yield Query(name, error=_several(name, [home for home, _ in held]))
        else:
            yield Query(name, vectors[held[0][1]], exclude=frozenset((home, name) for home, _ in held))


def formula_queries(encoder: Encoder, layers: Sequence[str], formulas: Iterable[Any]) -> Iterator[Query]:
    """Yield formulas as queries.

    Raises:
        EncoderError: The encoder takes crystals.
    """
    if encoder.input is InputKind.CRYSTAL:
        raise EncoderError(
            f"encoder {encoder.card.name} takes crystals, not formulas",
            Hint("give a structure, or the id of a crystal", cli="give --structure FILE, or the --id of a crystal"),
        )
    read = ((str(formula), _caught(as_composition, formula)) for formula in formulas)
    return _encoded(encoder, layers, read, FormulaError)


def structure_queries(encoder: Encoder, layers: Sequence[str], structures: Iterable[Any]) -> Iterator[Query]:
    """Yield structures, or those in files, as queries.

    An encoder of compositions encodes their compositions, those of disordered ones too.
    """
    read = ((str(given) if _is_file(given) else None, _caught(_structure, encoder, given)) for given in structures)
    return _encoded(encoder, layers, read, StructureError)


def table_queries(encoder: Encoder, layers: Sequence[str], table: Any) -> Iterator[Query]:
    """Yield the rows of a table of formulas or structures, or the structures in files, as queries.

    Args:
        encoder: The encoder.
        layers: Its layers.
        table: A path, or a DataFrame or an Arrow table.

    Raises:
        SourceError: It cannot be read, or holds nothing that the encoder takes.
    """
    from matlake.store.importing.importer import find_formula_column
    from matlake.store.importing.readers import open_source
    from matlake.store.importing.readers.in_memory import open_in_memory
    from matlake.store.importing.readers.source import ID_COLUMNS, usual_column

    is_path = isinstance(table, str | os.PathLike)
    source = open_source(Path(table), mixed_as_text=True) if is_path else open_in_memory(table)
    if encoder.input is InputKind.CRYSTAL and not source.has_structures:
        raise SourceError(f"there are no structures in {source.name}", f"encoder {encoder.card.name} takes crystals")
    formulas = None if source.has_structures else find_formula_column(source, None)
    ids = usual_column(source.schema.names, ID_COLUMNS)

    def read() -> Iterator[tuple[str | None, Material | MatlakeError]]:
        for batch in source.batches():
            rows = batch.columns.num_rows if batch.crystals is None else len(batch.crystals)
            names = batch.columns.column(ids).cast(pa.string()).to_pylist() if ids else [None] * rows
            if formulas is None:
                for name, crystal in zip(names, batch.crystals or [], strict=True):
                    yield name, _taken(encoder, crystal)
            else:
                texts = batch.columns.column(formulas).to_pylist()
                for row, (name, text) in enumerate(zip(names, texts, strict=True)):
                    reason = batch.errors.get(row)
                    given = FormulaError(reason) if reason else _caught(as_composition, text)
                    yield name or text, given

    return _encoded(encoder, layers, read(), SourceError)


def _encoded(
    encoder: Encoder,
    layers: Sequence[str],
    materials: Iterator[tuple[str | None, Material | MatlakeError]],
    error: Callable[[str], MatlakeError],
) -> Iterator[Query]:
    """Yield materials as queries, in their order; what the encoder does not take becomes an error of its kind."""
    while some := list(islice(materials, _TOGETHER)):
        errors: dict[int, MatlakeError] = {}
        read: dict[int, Material] = {}
        for row, (_, given) in enumerate(some):
            if isinstance(given, MatlakeError):
                errors[row] = given
            else:
                read[row] = given
        vectors: dict[int, NDArray[np.float32]] = {}
        if read:
            columns = encoder.columns(list(read.values()))
            reasons = encoder.rejections(columns, overlaps=True)
            taken = [row for row, reason in zip(read, reasons, strict=True) if reason is None]
            errors |= {
                row: error(_named(some[row][0], reason)) for row, reason in zip(read, reasons, strict=True) if reason
            }
            if taken:
                chosen = encoder.columns([read[row] for row in taken])
                joined = np.concatenate(encoder.encode_inputs(encoder.inputs(chosen), layers), axis=1)
                vectors = dict(zip(taken, joined, strict=True))
        for row, (name, given) in enumerate(some):
            shown = name if name is not None else _formula(given)
            yield Query(shown, vectors.get(row), errors.get(row))


def _named(name: str | None, reason: str) -> str:
    """Say which file a reason is about; a formula is named by it."""
    return f"{name}: {reason}" if name is not None and Path(name).suffix else reason


def _formula(given: Material | MatlakeError) -> str | None:
    if isinstance(given, Crystal):
        return given.composition.reduced_formula
    return given.reduced_formula if isinstance(given, Composition) else None


def _caught(read: Callable[..., Material], *arguments: Any) -> Material | MatlakeError:
    try:
        return read(*arguments)
    except MatlakeError as error:
        return error


def _is_file(given: Any) -> bool:
    return isinstance(given, os.PathLike) or (isinstance(given, str) and not is_structure_text(given))


def _structure(encoder: Encoder, given: Any) -> Material:
    found = _read_one(given) if _is_file(given) else _caught(lambda: as_crystal(given))
    taken = _taken(encoder, found)
    if isinstance(taken, MatlakeError):
        raise taken
    return taken


def _taken(encoder: Encoder, found: Material | MatlakeError) -> Material | MatlakeError:
    """Return what an encoder takes of a structure: of a disordered one the composition, if it takes those."""
    if isinstance(found, DisorderedError) and encoder.input is not InputKind.CRYSTAL:
        return found.composition
    return found


def _read_one(path: str | os.PathLike[str]) -> Crystal | StructureError:
    """Return the only structure in a file, or what is wrong with it.

    Raises:
        SourceError: The file cannot be read, or does not hold exactly one structure.
    """
    from matlake.store.importing.readers import open_source  # readers of structures take a second to import

    source = open_source(Path(path))
    if not source.has_structures:
        raise SourceError(f"there are no structures in {path}", "give the file of one crystal, or a formula")
    found = list(islice((one for batch in source.batches() for one in batch.crystals or []), 2))
    if len(found) != 1:
        raise SourceError(
            f"{path} holds {'several structures' if found else 'no structure'}, but a search takes one",
            Hint("give the file of one crystal", cli="give the file of one crystal, or all of them with --input"),
        )
    if isinstance(found[0], StructureError) and not isinstance(found[0], DisorderedError):
        return StructureError(f"{path}: {found[0]}", found[0].hint)
    return found[0]


def _several(material_id: str, datasets: Sequence[str]) -> LakeError:
    return LakeError(
        f"{material_id!r} is another material in each of the datasets {', '.join(datasets)}",
        Hint("say which one is meant: dataset=…", cli="say which one is meant with --dataset"),
    )


def _without_vector(stored: Stored, material_id: str) -> LakeError:
    """Return the error for a material without a vector, after looking up why it has none."""
    same, encoder = f"material_id = {literal(material_id)}", stored.feature.partition("@")[0]
    if not stored.lake.query(f"SELECT 1 FROM materials WHERE {same} LIMIT 1").num_rows:
        return LakeError(
            f"there is no material {material_id!r}",
            "SELECT dataset, material_id, formula FROM materials lists them",
        )
    failed = stored.lake.query(f"SELECT reason FROM failures WHERE {same} AND encoder = {literal(encoder)} LIMIT 1")
    if failed.num_rows:
        reason = failed["reason"][0].as_py()
        return LakeError(f"{material_id!r} has no embedding with {stored.feature}: {reason}", "use another encoder")
    if stored.lake.find_encoder(encoder).card.is_external:
        return LakeError(f"{material_id!r} has no vector of {stored.feature}", import_first(encoder))
    return LakeError(f"{material_id!r} is not embedded with {stored.feature}", embed_first(stored.feature))
