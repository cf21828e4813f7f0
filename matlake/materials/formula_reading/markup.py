"""From a formula as it is written in papers and web pages to plain text: subscripts, separators, blanks.

Nothing is dropped without being understood: a character that is none of a formula's is named in the error.
"""

import re
import unicodedata
from typing import Final

from matlake.errors import FormulaError
from matlake.materials.formula_reading.grammar import AMOUNT

SEPARATOR: Final = "·"
"""What stands between the parts of a compound after ``plain_text``, as in ``CuSO4·5H2O``."""

_HTML_SUBSCRIPT: Final = re.compile(r"<sub>\s*(.*?)\s*</sub>", re.IGNORECASE)
_FONT: Final = r"\\(?:ce|rm|sf|text(?:rm|sf|bf|it)?|math(?:rm|sf|bf|it)|ensuremath)(?![a-z])"
_LATEX_FONT: Final = re.compile(rf"{_FONT}\s*\{{([^{{}}]*)\}}|\{{{_FONT}\s*([^{{}}]*)\}}|\\[()]")
_LATEX_SUBSCRIPT: Final = re.compile(r"(?:_|\\textsubscript)(?:\{\s*([\d.]+)\s*\}|(\d))", re.ASCII)
_UNICODE_SUBSCRIPT: Final = re.compile(r"[₀-₉]+(?:\.[₀-₉]+)?")
_DIGITS: Final = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SUBSCRIPT: Final = re.compile(r"\x01([\d.]+)\x02", re.ASCII)
_DOT_BEHIND_SUBSCRIPT: Final = re.compile(r"(?<=\x02)\.(?=.)")
_SEPARATORS: Final = re.compile(r"\\cdot(?![a-z])|\\bullet(?![a-z])|&middot;|&bull;|[·•⋅∙*×‧・●]")
_DOT_WITH_BLANK: Final = re.compile(r"\s+\.\s*|\.\s+(?=\S)")
_AMOUNT_BEHIND_SEPARATOR: Final = re.compile(rf"({SEPARATOR}\s*{AMOUNT})\s+(?=[A-Z(\[{{])", re.ASCII)
_ALLOWED: Final = re.compile(rf"[A-Za-z0-9.()\[\]{{}}{SEPARATOR}\s]*", re.ASCII)
_SPACED_TOKEN: Final = re.compile(
    rf"[(\[{{]*(?:[A-Z][a-z]?{AMOUNT}?)?(?:[)\]}}]{AMOUNT}?)*|[(\[{{][^\s]*[)\]}}]{AMOUNT}?", re.ASCII
)
_SYMBOL: Final = re.compile(r"[A-Z][a-z]?")
_SYMBOL_THEN_BLANK: Final = re.compile(r"(?<=[A-Za-z])\s+(?=[A-Z(\[{])")
_IN_BRACKETS: Final = re.compile(r"[(\[{].*[)\]}]")
_CHARGES: Final = "+-\u2212\u2010\u2011\u2012\u2013\u2014\u207a\u207b^\u00b9\u00b2\u00b3\u00b1"
_MIXTURES: Final = "/:,;%&|@~=<>"


def plain_text(text: str) -> str:
    r"""Return a formula without markup and blanks, its parts separated by ``SEPARATOR``.

    Read are ``TiO$_2$``, ``TiO$_{2}$``, ``\ce{TiO2}``, ``TiO<sub>2</sub>``, ``TiO₂``; ``·``, ``•``, ``*`` and a dot
    beside a blank as separators; blanks between elements (``Ba Ti O3``).

    Raises:
        FormulaError: A character that is not a formula's, or blanks that allow several readings.
    """
    formula = _SEPARATORS.sub(SEPARATOR, text.strip())
    if not formula.isascii() or any(mark in formula for mark in "$_\\<"):
        formula = _without_markup(formula, text)
    allowed = _ALLOWED.match(formula)
    if allowed is not None and allowed.end() < len(formula):
        raise _refusal(formula[allowed.end()], text)
    if any(character.isspace() for character in formula):
        formula = _DOT_WITH_BLANK.sub(SEPARATOR, formula)
        formula = _AMOUNT_BEHIND_SEPARATOR.sub(r"\1", formula)
        formula = SEPARATOR.join(_without_blanks(part.strip(), text) for part in formula.split(SEPARATOR))
    return formula


def _without_markup(formula: str, text: str) -> str:
    formula = _HTML_SUBSCRIPT.sub(_marked, formula)
    formula = _UNICODE_SUBSCRIPT.sub(lambda found: f"\x01{found.group().translate(_DIGITS)}\x02", formula)
    if any(mark in formula for mark in "$_\\"):
        latex = "$" in formula or "\\" in formula
        formula = _LATEX_SUBSCRIPT.sub(_marked, formula.replace("$", ""))
        before = ""
        while before != formula:  # from the inside
            before, formula = formula, _LATEX_FONT.sub(lambda found: found.group(1) or found.group(2) or "", formula)
        if latex and "{" in formula:  # which are no brackets there
            raise _refusal("{", text)
    formula = _DOT_BEHIND_SUBSCRIPT.sub(SEPARATOR, formula)  # the dot of a decimal would be a subscript, too
    return _SUBSCRIPT.sub(lambda found: _subscript(found, text), formula)


def _marked(found: re.Match[str]) -> str:
    amount = next(group for group in found.groups() if group is not None)
    return f"\x01{amount}\x02" if re.fullmatch(AMOUNT, amount, re.ASCII) else found.group()


def _subscript(found: re.Match[str], text: str) -> str:
    before, after = found.string[: found.start()][-1:], found.string[found.end() :][:1]
    if not (before.isalpha() or before in (")", "]", "}")) or after.isdigit() or after == "\x01":
        raise FormulaError(
            f"a subscript beside another number in formula {text!r}",
            f"write a dot before the second part of a compound: CuSO4{SEPARATOR}5H2O",
        )
    return found.group(1)


def _without_blanks(part: str, text: str) -> str:
    """Return a part without its blanks, if they stand between elements or around brackets."""
    tokens = part.split()
    if len(tokens) < 2:  # noqa: PLR2004 - no blank
        return part
    first = re.sub(rf"^{AMOUNT}(?=[A-Z(\[{{])", "", tokens[0], flags=re.ASCII)
    symbols = _SYMBOL.findall(_IN_BRACKETS.sub("", part))
    if len(set(symbols)) < len(symbols) or not all(_SPACED_TOKEN.fullmatch(token) for token in (first, *tokens[1:])):
        raise FormulaError(
            f"blanks in formula {text!r} leave it open what belongs together",
            f"write it without blanks, and with a dot between two parts: BaTiO3, CuSO4{SEPARATOR}5H2O",
        )
    return "".join(_SYMBOL_THEN_BLANK.sub("1", part).split())


def _refusal(character: str, text: str) -> FormulaError:
    if character in _CHARGES:
        return FormulaError(
            f"charge, sign or range in formula {text!r}",
            "give the neutral composition with all amounts: NaCl rather than Na+, La0.7Sr0.3MnO3 rather than "
            "La1-xSrxMnO3, atomic fractions rather than Ti-6Al-4V",
        )
    if character in _MIXTURES:
        return FormulaError(
            f"cannot read {character!r} in formula {text!r}",
            "give one composition with amounts: no fractions, percent, dopants, mixtures or lists",
        )
    name = unicodedata.name(character, "a control character")
    return FormulaError(
        f"cannot read {character!r} (U+{ord(character):04X}, {name}) in formula {text!r}",
        "write it in plain Latin letters and digits",
    )
