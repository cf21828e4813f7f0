"""Folders in matgl's format: ``model.json`` says which network was built, ``state.pt`` holds its tensors.

A network stands in the folder by itself, or inside a ``Potential`` or a ``TransformedTargetModel``, which add the
scaling of the target and the energies of the elements. ``model.pt``, which holds the arguments once more, is not read.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from matlake.errors import EncoderError
from matlake.export.checkpoints.reading import read_checkpoint
from matlake.export.checkpoints.weights import Weights, is_state_dict
from matlake.materials.periodic_table import ATOMIC_NUMBER, SYMBOLS

MODEL_FILE: Final = "model.json"
STATE_FILE: Final = "state.pt"

LICENCE: Final = "BSD 3-Clause"
"""Of the networks that the authors of matgl published."""

CITATION: Final = "T. W. Ko et al., npj Comput. Mater. 11, 253 (2025), doi:10.1038/s41524-025-01742-y (matgl)"

_LEFT_OUT: Final = ("Po", "At", "Rn", "Fr", "Ra")
_LAST: Final = "Pu"
_DEFAULT_ELEMENTS: Final = tuple(s for s in SYMBOLS[: ATOMIC_NUMBER[_LAST]] if s not in _LEFT_OUT)
"""The 89 that matgl takes where a file names none."""

_INSIDE: Final = "model."
_NORMALIZER: Final = re.compile(r"Normalizer: Mean=(\S+), Std: (\S+)")
_LARGEST_JSON: Final = 10_000_000  # bytes


@dataclass(frozen=True)
class MatglFolder:
    """A network in matgl's format, read but not built.

    Attributes:
        path: The folder.
        network: Class of the network: ``TensorNet``, …
        settings: The arguments that it was built with.
        weights: Its tensors, by the names that they have inside the network.
        elements: Symbols of the elements that it takes, in the order of its tables.
        mean: Mean of the target, in the target's unit; 0 where it was not scaled.
        std: What the output of the network is multiplied by.
        references: float64 [elements], energies in eV that are added for each atom; None for none.
    """

    path: Path
    network: str
    settings: Mapping[str, Any]
    weights: Weights
    elements: tuple[str, ...]
    mean: float
    std: float
    references: torch.Tensor | None

    def setting(self, name: str, kind: type[Any], default: Any = None) -> Any:
        """Return an argument of the network.

        Raises:
            EncoderError: It is missing and has no default, or is of another type.
        """
        value = self.settings.get(name, default)
        value = float(value) if kind is float and type(value) is int else value
        if type(value) is not kind:
            raise EncoderError(f"{self.path / MODEL_FILE}: {name} = {value!r} is not a valid {kind.__name__}")
        return value

    def require(self, name: str, *supported: Any) -> None:
        """Raise EncoderError unless an argument of the network has one of the values that are supported here."""
        value = self.settings.get(name, supported[0])
        if value not in supported:
            raise EncoderError(
                f"{self.path} holds a {self.network} with {name} = {value!r}",
                f"supported here: {', '.join(repr(one) for one in supported)}",
            )

    def by_atomic_number(self, table: torch.Tensor) -> torch.Tensor:
        """Return a table [elements, …] as one [1 + largest atomic number, …]; rows of other elements are zero."""
        numbers = [ATOMIC_NUMBER[symbol] for symbol in self.elements]
        placed = table.new_zeros(max(numbers) + 1, *table.shape[1:])
        placed[numbers] = table
        return placed


def is_matgl_folder(path: Path) -> bool:
    """Return whether a path is a folder in matgl's format, or a file in one."""
    folder = path if path.is_dir() else path.parent
    return (folder / MODEL_FILE).is_file() and (folder / STATE_FILE).is_file()


def read_folder(path: Path) -> MatglFolder:
    """Read a folder; nothing in it is run.

    Raises:
        EncoderError: A file is missing, damaged, or holds something else.
    """
    if not path.is_dir():
        raise EncoderError(f"no folder {path}", f"name the folder that holds {MODEL_FILE} and {STATE_FILE}")
    for name in (MODEL_FILE, STATE_FILE):
        if not (path / name).is_file():
            raise EncoderError(f"{path} lacks {name}", f"name the folder that holds {MODEL_FILE} and {STATE_FILE}")
    network, settings, outer = _arguments(path / MODEL_FILE)
    state = read_checkpoint(path / STATE_FILE)
    if not is_state_dict(state):
        raise EncoderError(f"{path / STATE_FILE} is not a state dict of named tensors")
    tensors = Weights.of(state, path / STATE_FILE)
    elements = _elements(settings.get("element_types"), path / MODEL_FILE)
    mean, std = _scaling(tensors, outer)
    if outer is None:
        return MatglFolder(path, network, settings, tensors, elements, mean, std, None)
    inside = {n.removeprefix(_INSIDE): t for n, t in tensors.tensors.items() if n.startswith(_INSIDE)}
    references = tensors.tensors.get("element_refs.property_offset")
    if references is not None and references.shape != (len(elements),):
        raise EncoderError(
            f"{tensors.path}: element_refs has shape {list(references.shape)} for {len(elements)} elements"
        )
    weights = Weights(tensors.path, inside)
    return MatglFolder(path, network, settings, weights, elements, mean, std, references)


def _arguments(path: Path) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
    """Return class and arguments of the network, and the arguments of what is around it, None for nothing."""
    try:
        if path.stat().st_size > _LARGEST_JSON:
            raise EncoderError(f"{path} is larger than {_LARGEST_JSON:,} bytes")
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError) as error:
        raise EncoderError(f"{path} cannot be read: {error}", "fetch it again") from error
    outer = content.get("kwargs") if isinstance(content, dict) else None
    if not isinstance(outer, dict):
        raise EncoderError(f"{path} is not a description of a network by matgl: it has no kwargs", "fetch it again")
    inner = outer.get("model")
    if inner is None:
        return str(content.get("@class")), outer, None
    if not isinstance(inner, dict) or not isinstance(inner.get("init_args"), dict):
        raise EncoderError(f"{path} does not say the arguments of the network (init_args)", "fetch it again")
    return str(inner.get("@class")), inner["init_args"], outer


def _elements(named: Any, path: Path) -> tuple[str, ...]:
    if named is None:
        return _DEFAULT_ELEMENTS
    if not isinstance(named, list) or not named or len(set(map(str, named))) < len(named):
        raise EncoderError(f"{path}: element_types is not a list of different elements")
    unknown = [str(symbol) for symbol in named if symbol not in SYMBOLS]
    if unknown:
        raise EncoderError(f"{path}: {', '.join(unknown[:4])} in element_types is not a valid symbol of an element")
    return tuple(named)


def _scaling(tensors: Weights, outer: Mapping[str, Any] | None) -> tuple[float, float]:
    """Return mean and standard deviation of the target."""
    stated = _NORMALIZER.fullmatch(str((outer or {}).get("target_transformer", "")))
    try:
        if stated:
            return float(stated.group(1)), float(stated.group(2))
        mean, std = (tensors.tensors.get(f"data_{name}") for name in ("mean", "std"))
        return 0.0 if mean is None else float(mean), 1.0 if std is None else float(std)
    except (ValueError, RuntimeError) as error:
        raise EncoderError(f"{tensors.path}: the scaling of the target is not one number each: {error}") from error
