"""The contract of an encoder, checked on the file itself, without the framework that made it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.base import Encoder, GraphsToEncode, Inputs, Vectors
from matlake.encoders.card import MODEL_FILE, InputKind
from matlake.encoders.encoder import open_crystal_encoder, open_encoder
from matlake.encoders.reference import covered_materials
from matlake.encoders.rejections import Materials
from matlake.errors import EncoderError, NotFiniteError, PluginError
from matlake.materials.crystal import Crystal, CrystalColumns, make_crystal
from matlake.materials.formula import Composition, parse_formula
from matlake.materials.periodic_table import ATOMIC_NUMBER, SYMBOLS
from matlake.reports import Report

FORBIDDEN_OPERATORS: Final = (
    *("Scatter", "Atan", "Acos", "Asin", "NonZero", "Loop", "If", "Random"),
    *("Bernoulli", "Multinomial", "Dropout"),
)
"""Scatters are slow or lose updates with two threads; CUDA has no inverse trigonometry; the rest is not a function."""

_SMALLEST_TOLERANCE: Final = 1e-5
_BATCH_SHARE: Final = 0.1
_MIXED_BATCHES: Final = (2, 3, 17, 50)
"""Sizes of batches of materials of all sizes; another holds all of them."""

_CHEAP_BATCHES: Final = (*range(1, 41), 64, 101, 257, 1024)
"""Sizes of batches of small materials: one that a graph treats differently is found, if it is among them."""

_CHEAP: Final = 20
_LATTICE_A: Final = 4.0
_MOST: Final = 1000
_FEW: Final = 40
_ROUNDING: Final = 1e-9
_SHOWN: Final = 200  # characters of what ONNX Runtime says
_SAME_COMPOSITION: Final = (("TiO2", "Ti2O4", "O2Ti"), ("Ca(OH)2", "CaO2H2"), ("Fe0.5Ni0.5", "NiFe"))
_SUPERCELLS: Final = (np.diag([2, 1, 1]), np.diag([2, 2, 2]), np.array([[1, 1, 0], [-1, 1, 0], [0, 0, 2]]))
_BASES: Final = (
    np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]]),
    np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]]),
    np.array([[1, 0, 0], [2, 1, 0], [-1, 1, 1]]),
)

Outcome: TypeAlias = tuple[bool, str]
"""Whether a clause holds, and what was found."""

Clause: TypeAlias = Callable[[Encoder, Path], Outcome]
"""Says in its docstring what must hold of an opened encoder, and looks at it and the folder that it came from."""


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


@dataclass(frozen=True, repr=False)
class VerifyReport(Report):
    """How an encoder keeps its contract.

    Attributes:
        encoder: Its name.
        checks: All clauses.
    """

    encoder: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every clause holds."""
        return all(check.passed for check in self.checks)

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the contract."""
        return {"encoder": self.encoder, "passed": self.passed, "checks": [asdict(check) for check in self.checks]}

    def lines(self) -> list[str]:
        """Return the text for people."""
        return [f"{'ok    ' if check.passed else 'FAILED'} {check.name}: {check.detail}" for check in self.checks]


def verify_encoder(folder: str | Path) -> list[Check]:
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
    except (EncoderError, PluginError) as error:
        return [Check(name, False, str(error))]
    checks = [Check(name, True, f"sha256 {encoder.card.sha256}")]
    for clause in _CONTRACTS[encoder.input]:
        try:
            passed, detail = clause(encoder, Path(folder))
        except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions share no base class; a clause that fails must not hide the rest
            passed, detail = False, f"failed to run: {error}"
        checks.append(Check((clause.__doc__ or "").rstrip("."), passed, detail))
    return checks


def _dimensions(encoder: Encoder, _: Path) -> Outcome:
    """Every layer has the dimension of the card."""
    materials, layers = _some(encoder), encoder.card.layers
    inputs, wrong = encoder.inputs(materials), []
    for count in (1, len(materials)):
        outputs = _one_run(encoder, inputs, np.arange(count))
        wrong += [
            f"{layer.name} of {count} materials: {output.dtype} {list(output.shape)}, the card says {layer.dim}"
            for layer, output in zip(layers, outputs, strict=True)
            if output.dtype != np.float32 or output.shape[:1] != (count,) or output.size != count * layer.dim
        ]
    return not wrong, "; ".join(wrong) or f"{len(layers)} layers"


def _batch_independent(encoder: Encoder, _: Path) -> Outcome:
    """A vector does not depend on its batch."""
    materials = _many(encoder)
    inputs = encoder.inputs(materials)
    whole = encoder.encode_inputs(inputs, [layer.name for layer in encoder.card.layers])
    scale, worst, tolerance = _largest(encoder, whole), 0.0, batch_tolerance(encoder.card.parity_tolerance)
    for rows in _batches(inputs):
        part = [output.reshape(len(rows), -1) for output in _one_run(encoder, inputs, rows)]
        worst = max(worst, _worst_difference([output[rows] for output in whole], part, scale))
        if not worst <= tolerance:
            return False, f"in a batch of {len(rows):,}: {_within(worst, tolerance)[1]}"
    return True, f"{_within(worst, tolerance)[1]}, in batches of 1 to {max(_CHEAP_BATCHES):,}"


def _different(encoder: Encoder, _: Path) -> Outcome:
    """Different materials have different vectors."""
    materials = _some(encoder)
    outputs = zip(encoder.card.layers, _all_layers(encoder, materials), strict=True)
    constant = [layer.name for layer, output in outputs if (output == output[0]).all()]
    found = f"layer {', '.join(constant)} has one vector for all" if constant else "vectors of all layers differ"
    return not constant, f"{found}, {len(materials)} materials compared"


def _repeatable(encoder: Encoder, _: Path) -> Outcome:
    """The same input gives the same vector."""
    inputs = encoder.inputs(_some(encoder))
    names = [layer.name for layer in encoder.card.layers]
    one, other = (encoder.encode_inputs(inputs, names) for _ in range(2))
    wrong = [name for name, a, b in zip(names, one, other, strict=True) if (a != b).any()]
    return not wrong, f"layer {wrong[0]} has another vector each time" if wrong else f"{len(inputs)} materials, twice"


def _every_element(encoder: Encoder, _: Path) -> Outcome:
    """Every element of the card has a finite vector."""
    symbols = encoder.card.input_parameters.elements
    materials = [_pure(encoder.input, ATOMIC_NUMBER[symbol]) for symbol in symbols]
    try:
        _all_layers(encoder, encoder.columns(materials))
    except Exception:  # onnxruntime's exceptions share no base class
        for symbol, material in zip(symbols, materials, strict=True):
            try:
                _all_layers(encoder, encoder.columns([material]))
            except Exception as error:  # noqa: BLE001
                return False, f"element {symbol}: {' '.join(str(error).split())[:_SHOWN]}"
        raise
    return True, f"{len(symbols)} elements"


def _threads(encoder: Encoder, folder: Path) -> Outcome:
    """A vector does not depend on the number of threads."""
    materials = _many(encoder)
    other = open_encoder(folder, threads=2)
    return _compare(encoder, _all_layers(encoder, materials), _all_layers(other, materials))


def _partial(encoder: Encoder, _: Path) -> Outcome:
    """One layer alone equals that layer of a full run."""
    materials = _some(encoder)
    whole = _all_layers(encoder, materials)
    alone = [encoder.encode(materials, layer.name) for layer in encoder.card.layers]
    return _within(_worst_difference(whole, alone, _largest(encoder, whole)), _SMALLEST_TOLERANCE)


def _input_untouched(encoder: Encoder, _: Path) -> Outcome:
    """The input is not changed."""
    materials = _some(encoder)
    before = [array.copy() for array in vars(materials).values()]
    _all_layers(encoder, materials)
    same = all((a == b).all() for a, b in zip(before, vars(materials).values(), strict=True))
    return same, f"{len(materials):,} materials compared"


def _finite_compositions(encoder: Encoder, _: Path) -> Outcome:
    """All vectors of real compositions are finite."""
    return _finite(encoder, "compositions")


def _scale_invariant(encoder: Encoder, _: Path) -> Outcome:
    """Equal compositions have equal vectors."""
    differing = []
    for formulas in _SAME_COMPOSITION:
        vectors = [encoder.encode(encoder.columns([parse_formula(formula)])) for formula in formulas]
        if any((vector != vectors[0]).any() for vector in vectors):
            differing.append(" = ".join(formulas))
    return not differing, "; ".join(differing) or ", ".join(" = ".join(formulas) for formulas in _SAME_COMPOSITION)


def _operators(_: Encoder, folder: Path) -> Outcome:
    """The graph has no operator that is slow, wrong with two threads, or missing on CUDA."""
    import onnx

    used = {node.op_type for node in onnx.load(folder / MODEL_FILE).graph.node}
    wrong = sorted(op for op in used if op.startswith(FORBIDDEN_OPERATORS))
    return not wrong, ", ".join(wrong) or f"{len(used)} kinds of operators"


def _finite_crystals(encoder: Encoder, _: Path) -> Outcome:
    """All vectors of real crystals, single atoms and isolated atoms are finite."""
    return _finite(encoder, "crystals")


def _all_atoms(encoder: Encoder, folder: Path) -> Outcome:
    """Symmetry-distinct atoms give what all atoms give."""
    opened = open_crystal_encoder(folder)
    crystals = covered_materials(encoder)
    full = opened.encode_inputs(opened.inputs(crystals, resolution=0.0), [layer.name for layer in opened.card.layers])
    return _compare(encoder, full, _all_layers(encoder, crystals))


def _atom_order(encoder: Encoder, _: Path) -> Outcome:
    """A vector does not depend on the order of the atoms."""
    random = np.random.default_rng(1)

    def shuffled(crystal: Crystal) -> Crystal:
        order = random.permutation(len(crystal.numbers))
        return Crystal(crystal.numbers[order], crystal.lattice, crystal.positions[order])

    return _unchanged(encoder, [shuffled])


def _translation(encoder: Encoder, _: Path) -> Outcome:
    """A vector does not depend on the origin of the cell."""
    random = np.random.default_rng(2)

    def moved(crystal: Crystal) -> Crystal:
        return Crystal(crystal.numbers, crystal.lattice, (crystal.positions + random.random(3)) % 1.0)

    return _unchanged(encoder, [moved])


def _basis(encoder: Encoder, _: Path) -> Outcome:
    """A vector does not depend on the choice of the lattice vectors."""

    def changed(basis: NDArray[np.int_]) -> Callable[[Crystal], Crystal]:
        inverse = np.linalg.inv(basis)
        return lambda crystal: Crystal(crystal.numbers, basis @ crystal.lattice, crystal.positions @ inverse)

    return _unchanged(encoder, [changed(basis) for basis in _BASES])


def _supercell(encoder: Encoder, _: Path) -> Outcome:
    """A vector does not depend on the size of the cell."""
    return _unchanged(encoder, [partial(_in_supercell, matrix=matrix) for matrix in _SUPERCELLS])


_SHARED: Final[tuple[Clause, ...]] = (
    *(_dimensions, _different, _repeatable, _batch_independent),
    *(_threads, _partial, _input_untouched),
)

_CONTRACTS: Final[dict[InputKind, tuple[Clause, ...]]] = {
    InputKind.COMPOSITION: (_operators, _every_element, _finite_compositions, *_SHARED, _scale_invariant),
    InputKind.CRYSTAL: (
        *(_operators, _every_element, _finite_crystals),
        *_SHARED,
        _all_atoms,
        _atom_order,
        _translation,
        _basis,
        _supercell,
    ),
}
"""What an encoder is held to, by what it encodes."""


def batch_tolerance(parity_tolerance: float) -> float:
    """Return how far a vector may move with its batch, relative to the layer's largest value.

    Matrix products add up in another order in another batch; quantised ones may then round to the next level.
    A tenth of what the encoder's precision costs anyway leaves room for that, and for nothing more.
    """
    return max(_SMALLEST_TOLERANCE, _BATCH_SHARE * parity_tolerance)


def _finite(encoder: Encoder, noun: str) -> Outcome:
    materials = covered_materials(encoder)
    try:
        _all_layers(encoder, materials)
    except NotFiniteError as error:
        first = np.unique(materials.take(error.rows[:1]).numbers)
        elements = "-".join(SYMBOLS[number - 1] for number in first)
        found = f"{len(error.rows):,} of {len(materials):,} {noun} have a vector that is not finite"
        return False, f"{found}, the first is one of {elements}"
    return True, f"{len(materials):,} {noun}"


def _batches(inputs: Inputs) -> Iterator[NDArray[np.int64]]:
    """Yield places of materials that run together: in all orders, small ones in batches of many sizes."""
    random, count = np.random.default_rng(0), len(inputs)
    costs = inputs.graphs.edges if isinstance(inputs, GraphsToEncode) else np.zeros(count)
    cheap = np.argsort(costs, kind="stable")[:_CHEAP]
    yield from np.arange(max(0, count - _FEW), count)[:, None]
    for size in (*_MIXED_BATCHES, count):
        yield random.permutation(count)[:size]
    for size in _CHEAP_BATCHES:
        yield random.choice(cheap, size, replace=size > len(cheap))


def _one_run(encoder: Encoder, inputs: Inputs, rows: NDArray[np.int64]) -> list[NDArray[Any]]:
    """Return the outputs of one run on some of the materials, in the order of the card's layers."""
    outputs = [layer.output for layer in encoder.card.layers]
    found: list[NDArray[Any]] = encoder.session.run(outputs, encoder.feed(encoder.take(inputs, rows)))
    return found


def _pure(kind: InputKind, number: int) -> Composition | Crystal:
    """Return a material of one element: for an encoder of crystals, face-centred cubic."""
    if kind is not InputKind.CRYSTAL:
        return Composition(((number, 1),))
    return make_crystal([number], (1 - np.eye(3)) * _LATTICE_A / 2, [[0.0, 0.0, 0.0]])


def _worst_difference(
    expected: Sequence[NDArray[np.floating]],
    found: Sequence[NDArray[np.floating]],
    scale: Sequence[NDArray[np.floating]],
) -> float:
    """Return the largest difference over all layers, each relative to its scale; NaN where a value is NaN."""
    return float(np.max([(np.abs(a - b) / s).max() for a, b, s in zip(expected, found, scale, strict=True)]))


def _largest(encoder: Encoder, outputs: Sequence[NDArray[np.floating]]) -> list[NDArray[np.floating]]:
    """Return the largest absolute value of each layer, in a descriptor of each attribute; one where all are zero.

    Attributes have units of their own: what is small beside a volume in Å³ may be large for a coordination number.
    """
    axis = 0 if encoder.card.is_descriptor else None
    largest = [np.abs(output).max(axis=axis) for output in outputs]
    return [np.where(values > 0, values, 1.0) for values in largest]


def _within(worst: float, tolerance: float) -> Outcome:
    """Compare a difference with what is allowed."""
    return worst <= tolerance, f"largest relative difference {worst:.1e}, allowed {tolerance:.0e}"


def _some(encoder: Encoder) -> Materials:
    """Return a few materials that an encoder takes, the hard cases at the end included."""
    materials = covered_materials(encoder)
    return materials.take(np.arange(max(0, len(materials) - _FEW), len(materials)))


def _many(encoder: Encoder) -> Materials:
    materials = covered_materials(encoder)
    return materials.take(np.arange(min(len(materials), _MOST)))


def _all_layers(encoder: Encoder, materials: Materials) -> Vectors:
    """Return the vectors of all layers."""
    return encoder.encode_inputs(encoder.inputs(materials), [layer.name for layer in encoder.card.layers])


def _compare(encoder: Encoder, expected: Vectors, found: Vectors) -> Outcome:
    """Compare vectors that may differ within what an encoder's precision allows."""
    return _within(
        _worst_difference(expected, found, _largest(encoder, expected)), batch_tolerance(encoder.card.parity_tolerance)
    )


def _unchanged(encoder: Encoder, changes: list[Callable[[Crystal], Crystal]]) -> Outcome:
    crystals = _some(encoder)
    assert isinstance(crystals, CrystalColumns)  # noqa: S101 - clauses of encoders of crystals
    expected = _all_layers(encoder, crystals)
    scale, worst = _largest(encoder, expected), 0.0
    for change in changes:
        other = CrystalColumns.of([change(crystals[i]) for i in range(len(crystals))])
        worst = max(worst, _worst_difference(expected, _all_layers(encoder, other), scale))
    return _within(worst, batch_tolerance(encoder.card.parity_tolerance))


def _in_supercell(crystal: Crystal, matrix: NDArray[np.int_]) -> Crystal:
    """Return the same crystal in a larger cell.

    Args:
        crystal: The crystal.
        matrix: int [3, 3]; its rows are the new cell vectors in terms of the old ones.
    """
    reach = int(np.abs(matrix).sum())
    grid = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    inverse = np.linalg.inv(matrix)
    fractional = grid @ inverse
    inside = grid[(np.abs(fractional - 0.5 + _ROUNDING) < 0.5).all(axis=1)]  # noqa: PLR2004 - from 0 up to 1
    positions = (crystal.positions[:, None] + inside[None]).reshape(-1, 3) @ inverse
    return Crystal(np.repeat(crystal.numbers, len(inside)), matrix @ crystal.lattice, positions)
