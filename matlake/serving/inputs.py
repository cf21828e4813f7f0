"""From the fields of a request to materials, within the limits."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

from matlake.errors import MatlakeError, StructureError, TooManyAtomsError
from matlake.materials.crystal import Crystal
from matlake.materials.structure_files.sniff import parse_structure
from matlake.regress.features.own_columns import given_values
from matlake.regress.prediction.opened_head import OpenedHead
from matlake.regress.prediction.predict import spread
from matlake.serving.errors import RequestError
from matlake.serving.settings import Limits

Materials = Sequence[str] | Sequence[Crystal | StructureError]
"""Formulas, or crystals and why others cannot be read."""

_LETTERS_OF_A_ROW: Final = 40
"""A formula that is longer counts as several in a batch: hundreds of nested brackets take a tenth of a second."""


def choose(formulas: list[str] | None, structures: list[str] | None, limits: Limits) -> tuple[str, list[str]]:
    """Return ``formulas`` or ``structures``, and those.

    Raises:
        RequestError: Both or neither are given, or too many (422).
    """
    if (formulas is None) == (structures is None):
        given = "both formulas and structures" if formulas is not None else "neither formulas nor structures"
        raise RequestError(422, given, 'give one of them, such as {"formulas": ["BaZrS3"]}')
    kind, texts = ("structures", structures or []) if formulas is None else ("formulas", formulas)
    if len(texts) > limits.rows:
        raise RequestError(
            422,
            f"{len(texts):,} {kind}, more than {limits.rows:,} in one request",
            "send several requests, or use `matlake predict HEAD --input FILE`",
        )
    return kind, texts


def spread_columns(columns: Mapping[str, Any] | None, head: OpenedHead, count: int) -> list[dict[str, Any]]:
    """Return the values of a head's columns for each of n materials; what is not given is left out.

    Args:
        columns: One value by column, or a list of n.
        head: Takes them.
        count: n.

    Raises:
        RequestError: The head takes no such column, or there are more or fewer values than materials (422).
    """
    try:
        given = spread(given_values(head.columns, columns or {}, f"head {head.head.card.name}"), count)
    except MatlakeError as error:
        raise RequestError(422, str(error), error.hint) from error
    return [{name: values[row] for name, values in given.items()} for row in range(count)]


def read_crystals(texts: Sequence[str], limits: Limits, unwanted: threading.Event) -> list[Crystal | StructureError]:
    """Read structures; one that cannot be read does not stop the others.

    Args:
        texts: n texts.
        limits: Atoms of all of them together.
        unwanted: Set when nobody waits for the answer any more; the rest is then left out.

    Raises:
        RequestError: They have too many atoms (422).
    """
    found: list[Crystal | StructureError] = []
    atoms = 0
    for row, text in enumerate(texts):
        if unwanted.is_set():
            break
        try:
            crystal = parse_structure(text, max_atoms=limits.atoms)
        except TooManyAtomsError as error:
            raise _too_many_atoms(f"structure {row}: {error}", limits) from error
        except StructureError as error:
            found.append(error)
            continue
        atoms += len(crystal.numbers)
        if atoms > limits.atoms:
            raise _too_many_atoms(f"structures 0 to {row} have {atoms:,} atoms", limits)
        found.append(crystal)
    return found


def weight_of(material: str | Crystal | StructureError) -> int:
    """Return what a material counts in a batch: a crystal as its atoms, a formula as 1 or, if long, more."""
    if isinstance(material, str):
        return 1 + len(material) // _LETTERS_OF_A_ROW
    return len(material.numbers) if isinstance(material, Crystal) else 1


def _too_many_atoms(what: str, limits: Limits) -> RequestError:
    return RequestError(
        422,
        f"{what}; a request may have {limits.atoms:,}",
        "send fewer structures or a smaller cell, or start the server with a larger --max-atoms",
    )
