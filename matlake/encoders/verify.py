"""The contract of an encoder, checked on the file itself, without the framework that made it."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.contract import (
    SMALLEST_TOLERANCE,
    Check,
    batch_tolerance,
    largest,
    name_of,
    within,
    worst_difference,
)
from matlake.encoders.crystal_contract import CRYSTAL_CONTRACT
from matlake.encoders.encoder import Encoder, open_encoder
from matlake.encoders.reference import reference_fractions
from matlake.errors import EncoderError
from matlake.materials.formula import element_fractions, parse_formula

BATCHES: Final = (1, 17, 1000)
SAME_COMPOSITION: Final = (("TiO2", "Ti2O4", "O2Ti"), ("Ca(OH)2", "CaO2H2"), ("Fe0.5Ni0.5", "NiFe"))


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
    for check in CRYSTAL_CONTRACT if encoder.recipe else COMPOSITION_CONTRACT:
        try:
            checks.append(check(encoder, folder))
        except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions share no base class; a clause that fails must not hide the rest
            checks.append(Check(name_of(check), False, f"failed to run: {error}"))
    return checks


def _dimensions(encoder: Encoder, _: Path) -> Check:
    """Every layer has the dimension of the card."""
    fractions = reference_fractions()[:17]
    wrong = []
    for layer, output in zip(encoder.card.layers, _all_outputs(encoder, fractions), strict=True):
        if output.dtype != np.float32 or output.reshape(len(fractions), -1).shape[1] != layer.dim:
            wrong.append(f"{layer.name}: {output.dtype} {output.shape}, the card says {layer.dim}")
    return Check(name_of(_dimensions), not wrong, "; ".join(wrong) or f"{len(encoder.card.layers)} layers")


def _finite(encoder: Encoder, _: Path) -> Check:
    """All vectors of real compositions are finite."""
    fractions = reference_fractions()
    wrong = [
        layer.name
        for layer, output in zip(encoder.card.layers, _all_outputs(encoder, fractions), strict=True)
        if not np.isfinite(output).all()
    ]
    return Check(name_of(_finite), not wrong, "; ".join(wrong) or f"{len(fractions):,} compositions")


def _batch_independent(encoder: Encoder, _: Path) -> Check:
    """A vector does not depend on its batch."""
    fractions = reference_fractions()[: max(BATCHES)]
    whole = _all_outputs(encoder, fractions)
    scale, worst = largest(whole), 0.0
    for size in BATCHES:
        for start in range(0, min(len(fractions), 20 * size), size):
            rows = slice(start, start + size)
            part = _all_outputs(encoder, fractions[rows])
            worst = max(worst, worst_difference([output[rows] for output in whole], part, scale))
    return within(_batch_independent, worst, batch_tolerance(encoder.card.parity_tolerance))


def _threads(encoder: Encoder, folder: Path) -> Check:
    """A vector does not depend on the number of threads."""
    fractions = reference_fractions()[:1000]
    whole = _all_outputs(encoder, fractions)
    worst = worst_difference(whole, _all_outputs(open_encoder(folder, threads=2), fractions), largest(whole))
    return within(_threads, worst, batch_tolerance(encoder.card.parity_tolerance))


def _partial(encoder: Encoder, _: Path) -> Check:
    """One layer alone equals that layer of a full run."""
    fractions = reference_fractions()[:100]
    whole = [output.reshape(len(fractions), -1) for output in _all_outputs(encoder, fractions)]
    alone = [encoder.encode(fractions, layer.name) for layer in encoder.card.layers]
    worst = worst_difference(whole, alone, largest(whole))
    return within(_partial, worst, SMALLEST_TOLERANCE)


def _input_untouched(encoder: Encoder, _: Path) -> Check:
    """The input is not changed."""
    fractions = reference_fractions()[:17].copy()
    before = fractions.copy()
    for layer in encoder.card.layers:
        encoder.encode(fractions, layer.name)
    return Check(name_of(_input_untouched), bool((fractions == before).all()), f"{fractions.size:,} values compared")


def _scale_invariant(encoder: Encoder, _: Path) -> Check:
    """Equal compositions have equal vectors."""
    differing = []
    for formulas in SAME_COMPOSITION:
        vectors = [encoder.encode(element_fractions([parse_formula(formula)])) for formula in formulas]
        if any((vector != vectors[0]).any() for vector in vectors):
            differing.append(" = ".join(formulas))
    detail = "; ".join(differing) or ", ".join(" = ".join(formulas) for formulas in SAME_COMPOSITION)
    return Check(name_of(_scale_invariant), not differing, detail)


COMPOSITION_CONTRACT: Final[tuple[Callable[[Encoder, Path], Check], ...]] = (
    _dimensions,
    _finite,
    _batch_independent,
    _threads,
    _partial,
    _input_untouched,
    _scale_invariant,
)


def _all_outputs(encoder: Encoder, fractions: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    outputs: list[NDArray[np.float32]] = encoder.session.run(
        [layer.output for layer in encoder.card.layers], encoder.composition_inputs(fractions)
    )
    return outputs
