"""The contract of a composition encoder, checked on the file itself, without the framework that made it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.encoder import Encoder, open_encoder
from matlake.encoders.reference import reference_fractions
from matlake.errors import EncoderError
from matlake.materials.formula import element_fractions, parse_formula

BATCHES: Final = (1, 17, 1000)
SAME_COMPOSITION: Final = (("TiO2", "Ti2O4", "O2Ti"), ("Ca(OH)2", "CaO2H2"), ("Fe0.5Ni0.5", "NiFe"))
_SMALLEST_TOLERANCE: Final = 1e-5
_BATCH_SHARE: Final = 0.1


@dataclass(frozen=True)
class Check:
    """One clause of the contract.

    Attributes:
        name: What must hold.
        passed: Whether it does.
        detail: What was found.
    """

    name: str
    passed: bool
    detail: str


def verify_encoder(folder: Path) -> list[Check]:
    """Hold an encoder to its contract.

    Args:
        folder: Holds ``card.json`` and ``encoder.onnx``.

    Returns:
        All checks; only the first one where the file cannot be opened at all.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
    """
    name = "The file matches its card and passes the audit"
    try:
        encoder = open_encoder(folder)
    except EncoderError as error:
        return [Check(name, False, str(error))]
    checks = [Check(name, True, f"sha256 {encoder.card.sha256}")]
    for check in _CONTRACT:
        try:
            checks.append(check(encoder, folder))
        except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions share no base class; a clause that fails must not hide the rest
            checks.append(Check(_name(check), False, f"failed to run: {error}"))
    return checks


def _dimensions(encoder: Encoder, _: Path) -> Check:
    """Every layer has the dimension of the card."""
    fractions = reference_fractions()[:17]
    wrong = []
    for layer, output in zip(encoder.card.layers, _all_outputs(encoder, fractions), strict=True):
        if output.dtype != np.float32 or output.reshape(len(fractions), -1).shape[1] != layer.dim:
            wrong.append(f"{layer.name}: {output.dtype} {output.shape}, the card says {layer.dim}")
    return Check(_name(_dimensions), not wrong, "; ".join(wrong) or f"{len(encoder.card.layers)} layers")


def _finite(encoder: Encoder, _: Path) -> Check:
    """All vectors of real compositions are finite."""
    fractions = reference_fractions()
    wrong = [
        layer.name
        for layer, output in zip(encoder.card.layers, _all_outputs(encoder, fractions), strict=True)
        if not np.isfinite(output).all()
    ]
    return Check(_name(_finite), not wrong, "; ".join(wrong) or f"{len(fractions):,} compositions")


def _batch_independent(encoder: Encoder, _: Path) -> Check:
    """A vector does not depend on its batch."""
    fractions = reference_fractions()[: max(BATCHES)]
    whole = _all_outputs(encoder, fractions)
    scale = [_largest(output) for output in whole]
    worst = 0.0
    for size in BATCHES:
        for start in range(0, min(len(fractions), 20 * size), size):
            part = _all_outputs(encoder, fractions[start : start + size])
            for a, b, largest in zip(part, whole, scale, strict=True):
                worst = max(worst, float(np.abs(a - b[start : start + size]).max()) / largest)
    return _within(_batch_independent, worst, batch_tolerance(encoder.card.parity_tolerance))


def _threads(encoder: Encoder, folder: Path) -> Check:
    """A vector does not depend on the number of threads."""
    fractions = reference_fractions()[:1000]
    other = _all_outputs(open_encoder(folder, threads=2), fractions)
    worst = max(
        float(np.abs(a - b).max()) / _largest(a) for a, b in zip(_all_outputs(encoder, fractions), other, strict=True)
    )
    return _within(_threads, worst, batch_tolerance(encoder.card.parity_tolerance))


def _partial(encoder: Encoder, _: Path) -> Check:
    """One layer alone equals that layer of a full run."""
    fractions = reference_fractions()[:100]
    worst = max(
        float(np.abs(encoder.encode(fractions, layer.name) - full.reshape(len(fractions), -1)).max()) / _largest(full)
        for layer, full in zip(encoder.card.layers, _all_outputs(encoder, fractions), strict=True)
    )
    return _within(_partial, worst, _SMALLEST_TOLERANCE)


def _input_untouched(encoder: Encoder, _: Path) -> Check:
    """The input is not changed."""
    fractions = reference_fractions()[:17].copy()
    before = fractions.copy()
    for layer in encoder.card.layers:
        encoder.encode(fractions, layer.name)
    return Check(_name(_input_untouched), bool((fractions == before).all()), f"{fractions.size:,} values compared")


def _scale_invariant(encoder: Encoder, _: Path) -> Check:
    """Equal compositions have equal vectors."""
    differing = []
    for formulas in SAME_COMPOSITION:
        vectors = [encoder.encode(element_fractions([parse_formula(formula)])) for formula in formulas]
        if any((vector != vectors[0]).any() for vector in vectors):
            differing.append(" = ".join(formulas))
    detail = "; ".join(differing) or ", ".join(" = ".join(formulas) for formulas in SAME_COMPOSITION)
    return Check(_name(_scale_invariant), not differing, detail)


_CONTRACT: Final[tuple[Callable[[Encoder, Path], Check], ...]] = (
    _dimensions,
    _finite,
    _batch_independent,
    _threads,
    _partial,
    _input_untouched,
    _scale_invariant,
)


def batch_tolerance(parity_tolerance: float) -> float:
    """Return how far a vector may move with its batch, relative to the layer's largest value.

    Matrix products add up in another order in another batch; quantised ones may then round to the next level.
    A tenth of what the encoder's precision costs anyway leaves room for that, and for nothing more.
    """
    return max(_SMALLEST_TOLERANCE, _BATCH_SHARE * parity_tolerance)


def _all_outputs(encoder: Encoder, fractions: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    outputs: list[NDArray[np.float32]] = encoder.session.run(
        [layer.output for layer in encoder.card.layers], {"fractions": fractions}
    )
    return outputs


def _largest(output: NDArray[np.float32]) -> float:
    return float(np.abs(output).max()) or 1.0


def _within(check: Callable[[Encoder, Path], Check], worst: float, tolerance: float) -> Check:
    return Check(_name(check), worst <= tolerance, f"largest relative difference {worst:.1e}, allowed {tolerance:.0e}")


def _name(check: Callable[[Encoder, Path], Check]) -> str:
    """Return what a check's docstring says must hold."""
    return (check.__doc__ or "").rstrip(".")
