"""A search for a material of the lake, a formula, or a structure file."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.encoders.card import InputKind
from matlake.encoders.encoder import Encoder, open_encoder
from matlake.errors import (
    EncoderError,
    FormulaError,
    Hint,
    LakeError,
    MatlakeError,
    SourceError,
    StructureError,
    embed_first,
)
from matlake.materials.crystal import Crystal
from matlake.materials.disorder import DisorderedError
from matlake.materials.formula import Composition
from matlake.materials.objects import as_composition, as_crystal, is_structure_text
from matlake.reports import TableReport, rows_to_arrow
from matlake.store.lake import Lake
from matlake.store.quoting import literal
from matlake.store.searching.index import Index, Neighbour, open_index
from matlake.text_tables import Column, Line, TextTable


@dataclass(frozen=True)
class SearchRequest:
    """What to search for; exactly one of ``material_id``, ``formula`` and ``structure`` is given.

    Attributes:
        feature: ``NAME`` or ``NAME@LAYER``; ``NAME@LAYER+LAYER`` or ``NAME@all`` for several, see ``Index``.
        k: Neighbours wanted.
        material_id: Id of a material of the lake, which is not a neighbour of itself.
        formula: A chemical formula, or a composition as ``as_composition`` takes it.
        structure: A file that holds a structure; else whatever ``as_crystal`` takes.
        dataset: Only neighbours of this dataset. Where several datasets hold the id, it also says which one is meant.
        where: Only neighbours that this SQL predicate over ``materials`` selects.
    """

    feature: str
    k: int = 10
    material_id: str | None = None
    formula: Any = None
    structure: Any = None
    dataset: str | None = None
    where: str | None = None


@dataclass(frozen=True, repr=False)
class SearchResult(TableReport):
    """The nearest materials.

    Attributes:
        feature: ``NAME@LAYER``, or ``NAME@LAYER+LAYER``.
        neighbours: Nearest first.
    """

    feature: str
    neighbours: list[Neighbour]

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the contract."""
        return {"encoder": self.feature, "neighbours": [vars(neighbour) for neighbour in self.neighbours]}

    def lines(self) -> list[Line]:
        """Return the text for people."""
        rows = [(n.distance, n.formula, f"{n.dataset}/{n.material_id}") for n in self.neighbours]
        columns = (Column("distance", "right", ".4g"), Column("formula"), Column("material"))
        return [f"{len(self.neighbours):,} nearest by {self.feature}", TextTable(columns, rows)]

    def to_arrow(self) -> pa.Table:
        """Return the neighbours: ``dataset``, ``material_id``, ``formula``, ``distance``."""
        return rows_to_arrow(Neighbour, self.neighbours)


def search(lake: Lake, request: SearchRequest) -> SearchResult:
    """Find the materials of a lake whose embeddings are nearest.

    The vector of a material of the lake is read from it; that of anything else is made on the spot.

    Raises:
        EncoderError: No such encoder or layer, or it needs a crystal and is given a formula.
        LakeError: Fewer than one neighbour is wanted; nothing is embedded; there is no such material, dataset or
            embedding.
        QueryError: ``where`` is not a predicate over ``materials``.
        FormulaError: The formula cannot be read, or holds an element that the encoder does not take.
        SourceError: The file cannot be read, or does not hold exactly one structure.
        StructureError: The structure is not valid, or holds an element that the encoder does not take.
        MissingExtraError: ONNX Runtime is not installed.
    """
    if request.k < 1:
        raise LakeError(f"{request.k} neighbours are wanted", "ask for 1 or more")
    index = open_index(lake, request.feature)
    among = index.select(request.dataset, request.where)
    if request.material_id is not None:
        places = _places(index, request.material_id, request.dataset)
        vector = index.vectors[index.contents[places[:1]]]
        (neighbours,) = index.search_scaled(vector, request.k, among=among, exclude=[places])
    else:
        encoder = open_encoder(lake.find_encoder(index.card.name).folder)
        if request.formula is not None:
            vector = formula_vector(encoder, index.layers, request.formula)
        else:
            assert request.structure is not None  # noqa: S101 - one of the three is given
            vector = structure_vector(encoder, index.layers, request.structure)
        (neighbours,) = index.search(vector, request.k, among=among)
    return SearchResult(index.feature, neighbours)


def formula_vector(encoder: Encoder, layers: Sequence[str], formula: Any) -> NDArray[np.float32]:
    """Return the vector of a formula, float32 [1, d], the layers side by side.

    Raises:
        EncoderError: The encoder takes crystals.
        FormulaError: The formula cannot be read, or holds an element that the encoder does not take.
    """
    if encoder.input is InputKind.CRYSTAL:
        raise EncoderError(
            f"encoder {encoder.card.name} takes crystals, not formulas",
            Hint("give a structure, or the id of a crystal", cli="give --structure FILE, or the --id of a crystal"),
        )
    return _encode_one(encoder, layers, as_composition(formula), FormulaError)


def structure_vector(encoder: Encoder, layers: Sequence[str], given: Any) -> NDArray[np.float32]:
    """Return the vector of a structure, or of that in a file, float32 [1, d].

    An encoder of compositions encodes its composition, that of a disordered one too.

    Raises:
        SourceError: The file cannot be read, or does not hold exactly one structure.
        StructureError: The structure is not valid, or holds an element that the encoder does not take.
    """
    is_file = isinstance(given, os.PathLike) or (isinstance(given, str) and not is_structure_text(given))
    material: Crystal | Composition
    try:
        material = _read_one(given) if is_file else as_crystal(given)
    except DisorderedError as error:
        if encoder.input is InputKind.CRYSTAL:
            raise
        material = error.composition
    where = f"{given}: " if is_file else ""
    return _encode_one(encoder, layers, material, lambda reason: StructureError(where + reason))


def _encode_one(
    encoder: Encoder, layers: Sequence[str], material: Composition | Crystal, error: Callable[[str], MatlakeError]
) -> NDArray[np.float32]:
    columns = encoder.columns([material])
    (reason,) = encoder.rejections(columns, overlaps=True)
    if reason is not None:
        raise error(reason)
    return np.concatenate(encoder.encode_inputs(encoder.inputs(columns), layers), axis=1)


def _read_one(path: str | os.PathLike[str]) -> Crystal:
    from matlake.store.importing.readers import open_source  # readers of structures take a second to import

    source = open_source(Path(path))
    if not source.has_structures:
        raise SourceError(f"there are no structures in {path}", "give the file of one crystal, or a formula")
    found = list(islice((one for batch in source.batches() for one in batch.crystals or []), 2))
    if len(found) != 1:
        raise SourceError(
            f"{path} holds {'several structures' if found else 'no structure'}, but a search takes one",
            "give the file of one crystal",
        )
    if isinstance(found[0], DisorderedError):
        raise found[0]
    if isinstance(found[0], StructureError):
        raise StructureError(f"{path}: {found[0]}", found[0].hint)
    return found[0]


def _places(index: Index, material_id: str, dataset: str | None) -> NDArray[np.int64]:
    """Return the places in an index of the material that an id means, in all datasets that hold the same.

    Raises:
        LakeError: There is no such material, it has no vector, or the id means several materials.
    """
    places = index.find(material_id, dataset)
    if dataset is not None and not len(places):
        places = index.find(material_id)
    if not len(places):
        raise _not_embedded(index, material_id)
    if len(np.unique(index.contents[places])) > 1:
        names = index.materials["dataset"].take(places).to_pylist()
        raise LakeError(
            f"{material_id!r} is another material in each of the datasets {', '.join(names)}",
            Hint("say which one is meant: dataset=…", cli="say which one is meant with --dataset"),
        )
    return places


def _not_embedded(index: Index, material_id: str) -> LakeError:
    """Return the error for a material without a vector, after looking up why it has none."""
    same = f"material_id = {literal(material_id)}"
    if not index.lake.query(f"SELECT 1 FROM materials WHERE {same} LIMIT 1").num_rows:
        return LakeError(
            f"there is no material {material_id!r}",
            "SELECT dataset, material_id, formula FROM materials lists them",
        )
    failed = index.lake.query(
        f"SELECT reason FROM failures WHERE {same} AND encoder = {literal(index.card.name)} LIMIT 1"
    )["reason"].to_pylist()
    if failed:
        return LakeError(f"{material_id!r} has no embedding with {index.feature}: {failed[0]}", "use another encoder")
    return LakeError(f"{material_id!r} is not embedded with {index.feature}", embed_first(index.feature))
