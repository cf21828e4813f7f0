"""Encoders of other programs in a lake: registered, replaced and deleted, as long as nothing is bound to them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path
from typing import Any, Final

from matlake.encoders.card import CARD_FILE, EncoderCard, check_name, read_card
from matlake.encoders.listing import card_lines
from matlake.encoders.registering import prepared
from matlake.encoders.registry import ENCODER_PLUGINS, SHIPPED, RegisteredEncoder
from matlake.encoders.verify import Check
from matlake.encoders.written_cards import read_written
from matlake.errors import EncoderError, HeadError, Hint, LakeError
from matlake.files import sha256_of
from matlake.plugins import installed, package_of
from matlake.regress.heads.card_files import read_card as read_head_card
from matlake.reports import Report
from matlake.store.encoder_folders import (
    drop_vectors,
    one_writer,
    put_encoder_card,
    put_encoder_folder,
    remove_encoder_folder,
    stored_vectors,
)
from matlake.store.lake import Lake
from matlake.store.storage.copies import local_copy

_NAMED: Final = 5  # heads that a message names
_DELETED: Final = "deleted"


@dataclass(frozen=True, repr=False)
class RegisterReport(Report):
    """An encoder that was registered.

    Attributes:
        registered: The encoder, as the lake has it.
        checks: The clauses of the contract, and what was found.
    """

    registered: RegisteredEncoder
    checks: tuple[Check, ...]

    @property
    def card(self) -> EncoderCard:
        """Its card, with what was filled in."""
        return self.registered.card

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        card = self.card
        return {
            "encoder": card.name,
            "folder": str(self.registered.folder),
            "sha256": card.sha256,
            "version": card.version,
            "input": card.input,
            "layers": {layer.name: layer.dim for layer in card.layers},
            "default_layer": card.default_layer,
            "checks": [{"name": check.name, "detail": check.detail} for check in self.checks],
        }

    def lines(self) -> list[str]:
        """Return the text for people."""
        kept = f"it keeps the contract of encoders: {len(self.checks)} clauses"
        return [*card_lines(self.registered), kept, f"`matlake embed --encoder {self.card.name}` embeds with it"]


def register(
    lake: Lake, onnx: str | Path, card: str | Path | Mapping[str, Any], *, name: str | None, replace: bool
) -> RegisterReport:
    """Make a graph and a card that a person wrote an encoder of a lake; see ``Encoders.register``.

    Raises:
        EncoderError: The card or the graph is refused, the name is taken, or the files cannot be written.
        LakeError: The lake is read as of a moment, cannot be read, or is changed by another process meanwhile.
        MatlakeError: See ``registering.prepared``.
    """
    lake.check_writable()
    lake.check_there()
    written = read_written(card, name)
    present = _present(lake, written.name, may_replace=replace)
    uses = _uses(lake, written.name)
    sha256 = _digest(Path(onnx))
    same_file = present is not None and present.sha256 == sha256
    if not same_file and uses.digests - {sha256}:
        raise _used(written.name, uses, "replaced by another file")
    # heads from elsewhere may need another file than the lake has: that comes as a whole
    mended = present if same_file and uses.digests else None
    if mended is not None:
        _check_same(mended, written, ("input", "input_parameters"), uses)
    version = written.version or (present.version + (present.sha256 != sha256) if present else 1)
    with prepared(onnx, changed(written, version=version)) as found:
        if found.card.sha256 != sha256:
            raise EncoderError(f"{onnx} changed while it was read", "run the same again")
        with _writing(f"register encoder {written.name}"), one_writer(lake, written.name):
            if (_present(lake, written.name, may_replace=replace), _uses(lake, written.name)) != (present, uses):
                raise LakeError(f"another process changed encoder {written.name} meanwhile", "run the same again")
            if mended is not None:
                _check_same(mended, found.card, ("layers",), uses)
                put_encoder_card(lake, found.folder, written.name)
            else:
                put_encoder_folder(lake, found.folder, written.name)
        return RegisterReport(lake.find_encoder(written.name), found.checks)


def delete(lake: Lake, name: str, *, vectors: bool = False) -> int:
    """Delete an encoder of a lake, and return how many vectors went with it; see ``Encoders.delete``.

    Raises:
        EncoderError: The lake has none of that name, or something is bound to it.
        LakeError: The lake is read as of a moment, cannot be read, or is changed by another process meanwhile.
    """
    lake.check_writable()
    check_name(name)
    with _writing(f"delete encoder {name}"), one_writer(lake, name):
        present = (lake.encoders_folder / name / CARD_FILE).exists()
        uses = _uses(lake, name)
        if not present and not (vectors and uses.vectors):  # vectors alone: an embed went on while it was deleted
            lake.find_encoder(name)  # or raise
            raise EncoderError(f"encoder {name} {_owner(name)}, and cannot be deleted")
        if uses.heads or (uses.vectors and not vectors):
            raise _used(name, uses, _DELETED)
        dropped = drop_vectors(lake, name)
        if present:
            remove_encoder_folder(lake, name)
    return dropped


@dataclass(frozen=True)
class _Uses:
    """What of a lake is bound to encoders of a name.

    Attributes:
        heads: Names of heads.
        vectors: Layers and how many vectors each has.
        digests: Of the files that heads and vectors are bound to.
    """

    heads: tuple[str, ...]
    vectors: dict[str, int]
    digests: frozenset[str]

    @property
    def text(self) -> str:
        """What it is, for people: ``head a, and 12 vectors of layer pooled``."""
        parts = []
        if self.heads:
            more = f" and {len(self.heads) - _NAMED} more" if len(self.heads) > _NAMED else ""
            parts.append(f"head{'s' * (len(self.heads) > 1)} {', '.join(self.heads[:_NAMED])}{more}")
        if self.vectors:
            layers = ", ".join(self.vectors)
            parts.append(f"{sum(self.vectors.values()):,} vectors of layer{'s' * (len(self.vectors) > 1)} {layers}")
        return ", and ".join(parts)


def _uses(lake: Lake, name: str) -> _Uses:
    """Return what is bound to encoders of a name.

    Raises:
        EncoderError: The card of a head cannot be read, so that it is not known.
        LakeError: The table of embeddings cannot be read.
    """
    heads, vectors, digests = [], dict[str, int](), set[str]()
    for head, folder in lake.head_folders().items():
        try:
            features = read_head_card(folder / CARD_FILE, head).features
        except HeadError as error:
            raise EncoderError(
                f"it is not known whether head {head} uses encoder {name}: {error}", error.hint
            ) from error
        bound = [one.sha256 for one in features if one.encoder == name and not one.carried_by]
        heads += [head] if bound else []
        digests |= {*bound}
    for stored in stored_vectors(lake, name):
        vectors[stored.layer] = vectors.get(stored.layer, 0) + stored.rows
        digests.add(stored.sha256)
    return _Uses(tuple(heads), vectors, frozenset(digests))


def _used(name: str, uses: _Uses, done: str) -> EncoderError:
    new, new_cli = ("", "") if done == _DELETED else ("use another name; ", "use another --name; ")
    return EncoderError(
        f"encoder {name} cannot be {done}: {uses.text} are bound to the one that the lake has",
        Hint(
            f"{new}heads.delete(…) deletes heads, and encoders.delete({name!r}, vectors=True) an encoder with its "
            "vectors",
            cli=f"{new_cli}`matlake heads delete` deletes heads, and `matlake encoders delete {name} --vectors` an "
            "encoder with its vectors",
        ),
    )


def _ships(name: str) -> bool:
    return (SHIPPED / name / CARD_FILE).exists()


def _owner(name: str) -> str:
    if _ships(name):
        return "ships with matlake"
    packages = [package_of(entry) for entry in installed(ENCODER_PLUGINS.group) if entry.name == name]
    return f"belongs to the package {', '.join(packages)}"


def _present(lake: Lake, name: str, *, may_replace: bool) -> EncoderCard | None:
    """Return the card of the encoder that is to be replaced; None where there is none, or it is damaged.

    Raises:
        EncoderError: The name is taken.
    """
    if _ships(name) or name in ENCODER_PLUGINS.names():
        raise EncoderError(f"encoder {name} {_owner(name)}, and cannot be replaced", "choose another name")
    folder = local_copy(lake.encoders_folder / name, CARD_FILE, (CARD_FILE,))
    if folder is None:
        return None
    if not may_replace:
        raise EncoderError(
            f"the lake has an encoder {name} already",
            Hint("set replace=True, or choose another name", cli="add --replace, or choose another --name"),
        )
    try:
        return read_card(folder)
    except EncoderError:
        return None


def _check_same(present: EncoderCard, card: EncoderCard, entries: Sequence[str], uses: _Uses) -> None:
    """Refuse a card by which the same file would give other vectors than those that there are."""
    for what in entries:
        if getattr(present, what) != getattr(card, what):
            raise _used(present.name, uses, f"given other {what.replace('_', ' ')}")


def _digest(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise EncoderError(f"cannot read {path}: {error.strerror}") from error


@contextmanager
def _writing(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EncoderError(f"cannot {what}: {error}", "check the disk and its permissions") from error
