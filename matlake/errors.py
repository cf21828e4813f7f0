"""Every error that matlake raises on purpose.

A message says what was wrong and where; ``hint`` says what to do about it, in Python. The command line prints both, the
hint in its own words, and ``--json`` answers with ``{"error": ..., "hint": ...}``.
"""

from typing import Any, Final, Self


class Hint(str):
    """What to do about an error, in the words of Python.

    Args:
        python: For who calls functions.
        cli: The same for who types commands.
    """

    __slots__ = ("cli",)
    cli: str

    def __new__(cls, python: str, *, cli: str) -> Self:
        """Keep both."""
        hint = super().__new__(cls, python)
        hint.cli = cli
        return hint

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, str]]:
        """Let pickle and copy make it again."""
        return (str(self),), {"cli": self.cli}


RAISE_MAX_ATOMS: Final = Hint("raise max_atoms", cli="raise --max-atoms")
REPAIR: Final = Hint("repair the lake: matlake.check(lake, repair=True)", cli="run `matlake check --repair`")
USE_CPU: Final = Hint("use device='cpu'", cli="use --device cpu")


def embed_first(feature: str) -> Hint:
    """Return the hint for a layer that is not embedded."""
    return Hint(f"embed first: matlake.embed(lake, ['{feature}'])", cli=f"run `matlake embed --encoder {feature}`")


def import_first(encoder: str) -> Hint:
    """Return the hint for vectors of an external encoder that are not in a lake."""
    return Hint(
        f"import them: lake.import_embeddings(table, encoder={encoder!r}, dataset=…)",
        cli=f"import them: `matlake import-embeddings FILE --encoder {encoder} --dataset NAME`",
    )


class MatlakeError(Exception):
    """Root of all matlake errors.

    Args:
        message: What was wrong, and where (file, row, id).
        hint: What the user can do about it: plain text, or a ``Hint`` where Python and the command line differ.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        """Keep the message and the remedy apart, so that each output can lay them out."""
        super().__init__(message)
        self.hint = hint
        if hint:
            self.add_note(f"hint: {hint}")  # a traceback shows it

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process have it, such as those of a search by scikit-learn, whatever its class takes."""
        return BaseException.__new__, (type(self), *self.args), self.__dict__

    @property
    def cli_hint(self) -> str:
        """The hint in the words of the command line."""
        return self.hint.cli if isinstance(self.hint, Hint) else self.hint


class FormulaError(MatlakeError):
    """A chemical formula cannot be read, or holds an element that an encoder does not take."""

    @property
    def reason(self) -> str:
        """The message with what to write instead, for a row of failures, which has no place for a hint."""
        return f"{self}; {self.hint}" if self.hint else str(self)


class StructureError(MatlakeError):
    """A crystal structure cannot be read, or is not valid: disordered, without a cell, atoms on top of each other."""


class TooManyAtomsError(StructureError):
    """A crystal structure has more atoms than are allowed."""

    @classmethod
    def of(cls, atoms: int, max_atoms: int) -> "TooManyAtomsError":
        """Return the error for a number of atoms."""
        return cls(f"{atoms:,} atoms, more than {max_atoms:,}", RAISE_MAX_ATOMS)


class SourceError(MatlakeError):
    """A file or table to be read is missing, empty, of an unknown kind, or lacks a named column."""


class MissingExtraError(MatlakeError):
    """An optional dependency is needed that is not installed."""


class PluginError(MatlakeError):
    """What another package adds was asked for by name, and cannot be used."""


class EncoderError(MatlakeError):
    """An encoder is unknown, damaged, refused by the audit, or fails its own contract."""


class UnknownEncoderError(EncoderError):
    """No encoder of a name is in the package, in the lake or among the plug-ins."""


class NotFiniteError(EncoderError):
    """An encoder returned values that are not finite.

    Args:
        message: Which encoder.
        rows: Places of the inputs in question.
    """

    def __init__(self, message: str, rows: list[int]) -> None:
        """Keep the rows, so that a caller can go on without them."""
        super().__init__(message, "leave these materials out, or use another encoder")
        self.rows = rows


class NotEncodedError(EncoderError):
    """Materials have no vector: they cannot be read, or an encoder does not take them.

    Args:
        message: How many, and the first ones.
        failures: All of them, each with its ``row`` and its ``reason``.
    """

    def __init__(self, message: str, failures: list[Any]) -> None:
        """Keep the failures, so that a caller can go on without them."""
        super().__init__(message, "leave them out; or take rows of NaN: errors='nan', or return_failures=True")
        self.failures = failures


class NotEncodedWarning(UserWarning):
    """Rows of a matrix are NaN, because their materials have no vector."""


class LakeError(MatlakeError):
    """A lake is missing, has a newer format, or holds something that it should not."""


class DamageWarning(UserWarning):
    """A file of the lake is damaged, and what it held is left out.

    Args:
        message: What is damaged, and where.
    """

    def __init__(self, message: str) -> None:
        """Add what to do, in both faces' words."""
        super().__init__(f"{message}; what it held is left out. {REPAIR[0].upper()}{REPAIR[1:]}")
        self.cli_message = f"{message}; what it held is left out. `matlake check` says what to do"


class CommitUnknownError(LakeError):
    """A commit may or may not have been recorded; look at the table before writing again."""


class StorageError(MatlakeError):
    """A bucket, or the store that it is in, does not do what it was asked: no such bucket, no credentials, no answer.

    It says nothing of the lake, in which nothing is damaged.

    Args:
        message: What was wrong.
        hint: What to do.
        is_open: Whether the store may have done it all the same: an answer can get lost.
    """

    def __init__(self, message: str, hint: str, *, is_open: bool = False) -> None:
        """Keep what a writer must know."""
        super().__init__(message, hint)
        self.is_open = is_open


class QueryError(MatlakeError):
    """An SQL query is not valid, not read-only, or reaches outside the lake."""


class TrainingError(MatlakeError):
    """A head or an encoder cannot be trained from the data given."""


class LeakageError(MatlakeError):
    """Test rows, or their compositions, are in the training set."""


class HeadError(MatlakeError):
    """A head is missing, damaged, or does not fit the encoder at hand."""


class PlotError(MatlakeError):
    """A plot cannot be drawn or saved: an unknown format, nothing to draw, a file that cannot be written."""
