"""Units as they stand in column names: ``formation_energy_eV_per_atom`` is in eV/atom, ``E [eV]`` in eV.

A letter alone may be a unit or a label: ``melting_point_K`` is in kelvin, ``bulk_modulus_K`` and ``class_A`` state no
unit. It counts as a unit where a word before it names such a quantity. Where the name is not clear there is no unit.
"""

import re
from dataclasses import dataclass
from typing import Final

_SYMBOLS: Final = {
    **dict.fromkeys(("A", "Ang", "ang", "angstrom", "Angstrom"), "Å"),
    **dict.fromkeys(("A2", "Ang2", "angstrom2"), "Å²"),
    **dict.fromkeys(("A3", "Ang3", "angstrom3"), "Å³"),
    **{f"{unit}{power}": f"{unit}{'²³'[power - 2]}" for unit in ("m", "cm", "mm", "nm") for power in (2, 3)},
    **dict.fromkeys(("C", "degC", "celsius", "Celsius"), "°C"),
    **dict.fromkeys(("kelvin", "Kelvin"), "K"),
    **dict.fromkeys(("ohm", "Ohm"), "Ω"),
    **dict.fromkeys(("percent", "pct"), "%"),
    **dict.fromkeys(("muB", "uB"), "μB"),
    **dict.fromkeys(("deg", "degree", "degrees"), "°"),
    **{f"u{unit}": f"µ{unit}" for unit in ("V", "W", "A", "m", "s", "C", "F")},
    "ev": "eV",
    "gpa": "GPa",
    "um2": "µm²",
    "um3": "µm³",
}
"""Units that people write with other signs than column names do."""

_UNITS: Final = frozenset(
    (
        *_SYMBOLS,
        *("meV", "eV", "keV", "Ry", "mRy", "kJ", "MJ", "kcal", "mJ", "mHa", "Wh", "kWh", "mWh"),
        *("GPa", "MPa", "kPa", "kbar", "GHz", "THz", "MHz", "Hz", "kHz", "nm", "pm", "mm", "cm", "km"),
        *("mV", "kV", "mA", "mAh", "Ah", "mS", "mW", "kW", "pC", "nC", "pF", "nF", "fs", "ns", "ms"),
        *("kg", "amu", "emu", "Oe", "kOe", "mT", "ppm", "mK", "K", "V", "S", "N", "J", "W", "g", "m", "s", "T", "F"),
        *("Pa", "bar", "mg", "ps", "mol", "L", "mL", "min", "h", "kmol", "cm1", "l"),
    )
)
_COUNTS: Final = {
    **{word: word for word in ("atom", "cell", "ion", "site", "bond", "molecule", "pair", "electron", "layer")},
    "atoms": "atom",
    "fu": "f.u.",
    "formula": "formula",
    "unit": "unit",
    "unitcell": "unit cell",
}
_TOGETHER: Final = {
    "mK": ("m", "K"),
    "Vs": ("V", "s"),
    "molK": ("mol", "K"),
    "kgK": ("kg", "K"),
    "gK": ("g", "K"),
    "cmK": ("cm", "K"),
}
"""Two units written as one below a ``per``: ``W_per_mK`` is per metre and kelvin."""

_LENGTH: Final = (
    r"lengths?|bonds?|distances?|thickness|spacing|lattice|latt|positions?|displacements?|width|height|depth|diameter|"
    r"separation|wavelength|cutoff|rmsd?|edges?|coordinates?|tolerance|amplitude|a|b|c|d|x|y|z|difference|vacuum|"
    r"perimeter|roughness|gap_?width|cell"
)
_TEMPERATURE: Final = (
    r"temperatures?|temp|melting|boiling|curie|neel|debye|liquidus|solidus|freezing|"
    r"[tT](?:c|m|g|n|b|d|C|M|G|N|B|D|max|min|melt|crit|room|onset|\d+)|T|theta"
)
_PRESSURE: Final = r"pressures?|stress|modulus|moduli|strength|hardness|tension|p|P"
_QUANTITIES: Final = {
    "K": {"K": _TEMPERATURE},
    "C": {"°C": _TEMPERATURE, "C": r"charges?"},
    "A": {"Å": _LENGTH, "A": r"currents?|amperage"},
    "m": {"m": r"lengths?|thickness|height|width|depth|diameter|wavelength|distances?"},
    "V": {"V": r"voltages?|potentials?|bias|ocv|voc|electrode|overpotential"},
    "S": {"S": r"conductance"},
    "N": {"N": r"forces?|load"},
    "J": {"J": r"energy|energies|enthalpy|heat|work|barrier"},
    "W": {"W": r"power"},
    "T": {"T": r"fields?|induction|remanence"},
    "F": {"F": r"capacitance"},
    "g": {"g": r"mass|weight"},
    "s": {"s": r"times?|duration|lifetime"},
    "h": {"h": r"times?|duration"},
    "min": {"min": r"times?|duration"},
    "L": {"L": r"volume"},
    "l": {},
    "Pa": {"Pa": _PRESSURE},
    "bar": {"bar": _PRESSURE},
    "mg": {"mg": r"mass|weight"},
    "mol": {"mol": r"amount"},
    "m2": {"m²": r"areas?|surface"},
    "m3": {"m³": r"volumes?"},
    "pm": {"pm": _LENGTH + "|radius|radii"},
    "mK": {"mK": _TEMPERATURE},
    "deg": {"°": r"angles?|alpha|beta|gamma|theta|phi|tilt|rotation"},
}
"""Units that are also labels, symbols of elements or words: the quantities that they are units of, as words before."""

_LABELS: Final = re.compile(
    r"class|rank|site|phase|group|type|label|index|count|number|element|ratio|fraction|frac|grade|category|cluster|set|"
    r"flag|series|sample|composition|formula|material|compound|name|position_?label|sublattice|anion|cation|dopant|spin|x|n"
)
"""Words after which a letter is a label, even in brackets."""

_AMPERE_PER: Final = frozenset(("cm2", "m2", "mm2", "m", "g", "kg", "V"))
_SYMBOL_QUANTITIES: Final = re.compile(r"modulus|moduli|stiffness|entropy|capacity|constant|coupling|exchange")
"""Quantities with a letter of their own, which a name may repeat: ``bulk_modulus_K``, ``heat_capacity_C``."""

_PER: Final = "per"
_INVERSE: Final = {
    "cm": r".*",
    "K": r"expansion|alpha|cte|coefficient",
    "cm3": r"concentration|carriers?",
    "m3": r"concentration|carriers?",
}
"""Units that stand below one, and the words before that make it clear; ``peak_per_cm`` is a wavenumber."""

_BRACKETS: Final = re.compile(r"^(?P<quantity>.*?)[\s_]*[\[(](?P<unit>[^\[\]]*)[\])]\s*$")
_AFTER_SLASH: Final = re.compile(r"^(?P<quantity>[^/]*?)(?P<slash>\s*/\s*)(?P<unit>\S.*)$")
_AFTER_COMMA: Final = re.compile(r"^(?P<quantity>.*?),\s*(?P<unit>[^,]+)$")
_SIGNS: Final = str.maketrans(
    {"Å": "A", "µ": "u", "μ": "u", "Ω": "ohm", "²": "2", "³": "3", "·": " ", "*": " ", "⋅": " ", "−": "-", "⁻": "-"}
    | {"¹": "1", "°": "deg", "%": "percent"}
)
_NEGATIVE_POWER: Final = re.compile(r"^([A-Za-z]+)\^?-([123])$")


@dataclass(frozen=True)
class _Found:
    """A unit in a name: what is before it, how it is written, and how people write it."""

    quantity: str
    written: str
    symbol: str


_NONE: Final = _Found("", "", "")


def unit_suffix(column: str) -> str:
    """Return the unit at the end of a column name as it is written there, ``""`` if there is none."""
    return _find(column).written


def unit_of(column: str) -> str:
    """Return the unit of a column for people: ``eV/atom``, ``Å³/atom``; ``""`` where the name states none."""
    return _find(column).symbol


def quantity_of(column: str) -> str:
    """Return what a column holds, for people: ``formation energy`` for ``formation_energy_eV_per_atom``."""
    found = _find(column)
    return (found.quantity if found.symbol else column).replace("_", " ").strip()


def _find(column: str) -> _Found:
    for form in (_BRACKETS, _AFTER_SLASH, _AFTER_COMMA):
        if match := form.match(column):
            words, written = _words(match["quantity"]), match["unit"].strip()
            plain_ratio = match.groupdict().get("slash") == "/" and len(written) == 1  # c/a, S/N
            symbol = "" if plain_ratio else _symbol(_tokens(written), words, in_brackets=form is _BRACKETS)
            if symbol:
                return _Found(match["quantity"], written, symbol)
    tokens = [(m.group(), m.start()) for m in re.finditer(r"[^_\s]+", column.replace("mu_B", "muB "))]
    if len(tokens) > 2 and tokens[-2][0] in ("g", "kg", "mg") and tokens[-1][0] in ("cm3", "m3", "cc", "L", "ml"):  # noqa: PLR2004
        start = tokens[-2][1]  # a density without its per: density_g_cm3
        return _Found(column[:start], column[start:].strip(), f"{tokens[-2][0]}/{_written(tokens[-1][0])}")
    for place, (_, start) in enumerate(tokens):
        symbol = _symbol([token for token, _ in tokens[place:]], [token for token, _ in tokens[:place]])
        if symbol:
            return _Found(column[:start], column[start:].strip(), symbol)
    return _NONE


def _words(text: str) -> list[str]:
    return re.findall(r"[^_\s]+", text)


def _tokens(unit: str) -> list[str]:
    """Return a unit of other people's making as tokens: ``W/(m K)`` as W, per, m, K; ``cm^-1`` as per, cm."""
    if unit.startswith("1/"):
        unit = unit[1:]
    above: list[str] = []
    below: list[str] = []
    side = above
    unit = re.sub(r"(?<=[A-Za-z])-(?=[A-Za-z])", " ", unit.translate(_SIGNS)).replace("degC", " degC")
    for word in re.findall(r"/|[^\s/()]+", unit):
        power = _NEGATIVE_POWER.match(word)
        if word in ("/", _PER):
            side = below
        elif power:
            below.append(power.group(1) + power.group(2).replace("1", ""))
        else:
            side.append(word.replace("^", ""))
    return [*above, _PER, *below] if below else above


def _symbol(tokens: list[str], before: list[str], *, in_brackets: bool = False) -> str:
    """Return how people write a unit, ``""`` if the tokens are not one.

    Args:
        tokens: Its parts, the first ``per`` between what is above and below.
        before: The words before it.
        in_brackets: Whether it stands in brackets, which say that it is one.
    """
    at = tokens.index(_PER) if _PER in tokens else len(tokens)
    above, below = tokens[:at], [word for word in tokens[at + 1 :] if word != _PER]
    known = all(word in _UNITS for word in above) and not (above[1:] and above[0] in _QUANTITIES)
    if not known or (at < len(tokens) and not below):
        return ""
    if not above:
        return _inverse(below, before, in_brackets=in_brackets) if below else ""
    if below:
        return _ratio(above, [part for word in below for part in _TOGETHER.get(word, (word,))], before)
    return "·".join(map(_written, above)) if above[1:] else _alone(above[0], before, in_brackets=in_brackets)


def _ratio(above: list[str], below: list[str], before: list[str]) -> str:
    """Return a unit with a ``per``; a letter above one must stand above a unit, not above ``row`` or ``cell``."""
    letter = above[0] in _QUANTITIES
    counted = not all(word in _UNITS for word in below)
    known = all(word in _UNITS or word in _COUNTS for word in below)
    if letter and counted:
        known = known and (above[0] in ("J", "g") or (above[0] in ("C", "K") and bool(_names(above[0], before))))
    elif not letter and len(below) == 1:
        known = known or below[0].isalpha()
    if not known:
        return ""
    top = "·".join(_above(word, below) for word in above)
    bottom = "·".join(_COUNTS.get(word) or _written(word) for word in below)
    return f"{top}/({bottom})" if len(below) > 1 else f"{top}/{bottom}"


def _alone(unit: str, before: list[str], *, in_brackets: bool) -> str:
    if unit not in _QUANTITIES:
        return _written(unit)
    named = _names(unit, before)
    if named or not in_brackets:
        return named
    words = [word.lower() for word in before]
    if any(_LABELS.fullmatch(word) or _SYMBOL_QUANTITIES.fullmatch(word) for word in words) or unit in ("l", "h"):
        return ""
    return _written(unit)


def _names(unit: str, before: list[str]) -> str:
    """Return the unit that a letter is after some words, ``""`` if it may be a label."""
    if not before or _LABELS.fullmatch(before[-1].lower()):
        return ""
    if any(_SYMBOL_QUANTITIES.fullmatch(word.lower()) for word in before) and unit in ("K", "C", "S", "J", "A", "V"):
        return ""
    for symbol, words in _QUANTITIES[unit].items():
        if any(re.fullmatch(words, word) or re.fullmatch(words, word.lower()) for word in before):
            return symbol
    return ""


def _inverse(below: list[str], before: list[str], *, in_brackets: bool) -> str:
    if in_brackets:
        return f"1/{'·'.join(_written(unit) for unit in below)}" if all(unit in _UNITS for unit in below) else ""
    (unit, *more) = below
    clear = not more and unit in _INVERSE and any(re.fullmatch(_INVERSE[unit], word.lower()) for word in before)
    return f"1/{_written(unit)}" if clear or (unit == "cm" and not more) else ""


def _above(unit: str, below: list[str]) -> str:
    """Return a unit above a ``per``: there ``C`` is coulomb, and ``A`` ampere where a current has such units."""
    if unit == "C" or (unit == "A" and below[0] in _AMPERE_PER):
        return unit
    return _written(unit)


def _written(unit: str) -> str:
    return _SYMBOLS.get(unit, unit)
