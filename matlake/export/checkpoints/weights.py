"""State dicts: named tensors, checked, and put into a network."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Self, TypeGuard, cast

import torch

from matlake.errors import EncoderError
from matlake.export.checkpoints.loaded import GraphNetwork, Sizes
from matlake.networks.architectures import ARCHITECTURES

_LISTED: Final = 4  # names in a message
_COUNTS: Final = frozenset(
    {"convolutions", "hidden_layers", "num_interactions", "num_blocks", "num_spherical", "num_radial"}
    | {"num_angular", "n_conv", "cutoff_exponent", "energy_layers"}
)
_MAY_LACK: Final = frozenset(
    {"num_before_skip", "num_after_skip", "num_output_layers", "lin_up_bias", "gaussian_exponent"}
    | {"norms", "update_bias"}
)
_LARGEST_COUNT: Final = 64
_LARGEST_WIDTH: Final = 8192


def is_state_dict(value: object) -> TypeGuard[Mapping[str, torch.Tensor]]:
    """Return whether a value maps names to tensors."""
    return isinstance(value, Mapping) and bool(value) and all(isinstance(v, torch.Tensor) for v in value.values())


@dataclass(frozen=True)
class Weights:
    """A state dict from a file.

    Attributes:
        path: The file, for messages.
        tensors: All finite and not empty.
    """

    path: Path
    tensors: Mapping[str, torch.Tensor]

    @classmethod
    def of(cls, state: Mapping[str, torch.Tensor], path: Path) -> Self:
        """Check a state dict.

        Raises:
            EncoderError: A tensor in it is empty or not finite.
        """
        # a tensor may claim more elements than the file holds: one number, repeated
        bad = [
            str(name)
            for name, tensor in state.items()
            if tensor.layout != torch.strided
            or tensor.is_complex()
            or not tensor.numel()
            or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes()
            or not torch.isfinite(tensor).all()
        ]
        if bad:
            raise EncoderError(f"{path} holds tensors that are empty or not finite: {_listed(bad)}")
        return cls(path, {str(name): tensor.detach() for name, tensor in state.items()})

    def stripped(self, prefix: str) -> Self:
        """Return the weights with a prefix of all names taken off, as often as it is there."""
        tensors = dict(self.tensors)
        while all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
        return replace(self, tensors=tensors)

    def without(self, names: Iterable[str]) -> Self:
        """Return the weights without some names."""
        dropped = set(names)
        return replace(self, tensors={n: t for n, t in self.tensors.items() if n not in dropped})

    def with_defaults(self, tensors: Mapping[str, torch.Tensor]) -> Self:
        """Return the weights with tensors added where they are missing."""
        return replace(self, tensors={**tensors, **self.tensors})

    def shape(self, name: str, dimensions: int) -> tuple[int, ...]:
        """Return the shape of a tensor.

        Raises:
            EncoderError: It is missing, or has another number of dimensions.
        """
        if name not in self.tensors:
            raise EncoderError(f"{self.path} lacks {name}")
        shape = tuple(self.tensors[name].shape)
        if len(shape) != dimensions:
            raise EncoderError(f"{self.path}: {name} has shape {list(shape)}, not {dimensions} dimensions")
        return shape

    def count(self, prefix: str) -> int:
        """Return how many numbers follow ``prefix.`` in the names."""
        pattern = re.compile(re.escape(prefix) + r"\.(\d+)\.")
        return len({found.group(1) for name in self.tensors if (found := pattern.match(name))})

    def fingerprint(self) -> str:
        """Return a digest of the weights alone, whatever else is in the file: 16 hexadecimal digits."""
        digest = sha256()
        for name in sorted(self.tensors):
            digest.update(name.encode() + self.tensors[name].float().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def fill(self, architecture: str, sizes: Sizes) -> GraphNetwork:
        """Return a network with the weights, in evaluation mode; torch's global generator is where it was.

        Raises:
            EncoderError: The sizes are not valid, or the names and shapes of the network are not those of the weights.
        """
        _check_sizes(sizes, self.path)
        kind = ARCHITECTURES[architecture].network
        try:
            with torch.device("meta"):  # names and shapes cost no memory
                wanted = {name: tuple(tensor.shape) for name, tensor in kind(**sizes).state_dict().items()}
        except TypeError as error:
            raise EncoderError(f"{self.path}: {error}") from error
        found = {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}
        missing = [name for name in wanted if name not in found]
        extra = [name for name in found if name not in wanted]
        other = [
            f"{name} {list(found[name])} for {list(shape)}"
            for name, shape in wanted.items()
            if name in found and found[name] != shape
        ]
        problems = [
            f"{what} {_listed(names)}"
            for what, names in (("missing", missing), ("unknown", extra), ("of another shape", other))
            if names
        ]
        if problems:
            raise EncoderError(f"{self.path} does not fit {architecture}: {'; '.join(problems)}")
        with torch.random.fork_rng(devices=[]):
            network = cast("GraphNetwork", kind(**sizes))
        network.load_state_dict(dict(self.tensors))
        network.eval()
        return network


def _check_sizes(sizes: Sizes, path: Path) -> None:
    """Refuse sizes that would take for ever to build, before anything is built."""
    for name, value in sizes.items():
        least, most = (name not in _MAY_LACK, _LARGEST_COUNT if name in _COUNTS else _LARGEST_WIDTH)
        if not isinstance(value, int | float) or not least <= value <= most:
            raise EncoderError(f"{path}: {name} = {value!r} is not a valid size of a network")


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_LISTED])
    return shown if len(names) <= _LISTED else f"{shown} and {len(names) - _LISTED} more"


def fold_scaling(network: GraphNetwork, targets: int, mean: Any, std: Any, path: Path) -> None:
    """Make a network that was trained on ``(y - mean) / std`` predict ``y``, in place.

    Mean and standard deviation are numbers or tensors, with one value for each of the targets.

    Raises:
        EncoderError: They are not numbers, not one for each target, or a scale is not positive.
    """
    try:
        values = [torch.as_tensor(value, dtype=torch.float64).reshape(-1) for value in (mean, std)]
    except (TypeError, ValueError, RuntimeError) as error:
        raise EncoderError(f"{path}: the mean and the scale of its targets are not numbers: {error}") from error
    if any(len(v) != targets or not torch.isfinite(v).all() for v in values) or not (values[1] > 0).all():
        raise EncoderError(
            f"{path}: the means {values[0].tolist()} and scales {values[1].tolist()} do not fit {targets} targets"
        )
    network.fold_target_scaling(values[0].float(), values[1].float())
