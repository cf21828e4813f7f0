"""A trained head of a lake: a folder, saved and replaced as a whole, loaded without running code.

It holds the ONNX file, its card, its reference rows, and the plots of its training.
"""

import hashlib
import math
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.documents import opened, read_json
from matlake.encoders.card import MODEL_FILE as ENCODER_FILE
from matlake.encoders.card import EncoderCard
from matlake.encoders.registry import RegisteredEncoder
from matlake.encoders.releases import last_release
from matlake.encoders.session import open_session, read_audited
from matlake.errors import DamageWarning, EncoderError, HeadError, UnknownEncoderError
from matlake.platforms import NOT_PORTABLE, is_portable
from matlake.regress.features.carried import encoder_of
from matlake.regress.features.feature import Feature, layers_of
from matlake.regress.heads.card import FORMAT_VERSION, HeadCard, check_name
from matlake.regress.heads.card_files import CARD_FILE, card_bytes, read_card
from matlake.regress.uncertainty.applicability import agreement_limit
from matlake.regress.uncertainty.reference_set import FILE as REFERENCE_FILE
from matlake.regress.uncertainty.reference_set import Reference
from matlake.store.folders import MEMBER, LakeFolders
from matlake.store.head_folders import copy_head, remove_head, replace_card, replace_head
from matlake.store.storage.claims import STALE_SECONDS, ClaimedError
from matlake.store.storage.places import LakePath

MODEL_FILE: Final = "head.onnx"
PLOTS: Final = "plots"
_FEATURES: Final = "features"
_VALUE: Final = "value"
_COORDINATES: Final = "coordinates"
OPINIONS: Final = "opinions"
_PREDICTING: Final = (CARD_FILE, MODEL_FILE, REFERENCE_FILE)
"""Files of a head that predictions need; its plots they do not."""

_AGAIN: Final = "train the head again"
_SHOWN: Final = 300  # characters of what ONNX Runtime says


@dataclass(frozen=True)
class Head:
    """A head that is ready to predict.

    Attributes:
        card: What it is.
        session: The ONNX Runtime session.
        reference: Training rows that predictions are compared with; None for format 1.
    """

    card: HeadCard
    session: Any
    reference: Reference | None

    @cached_property
    def agreement_limit(self) -> float:
        """By how much neighbours may differ and still agree, in the card's unit; infinite for format 1."""
        if self.reference is None:
            return math.inf
        return agreement_limit(self.reference.value, self.reference.residual)

    def predict(self, x: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float32] | None]:
        """Return predictions, and where the rows lie among the training rows.

        Args:
            x: float32 [n, d], the card's features side by side.

        Returns:
            float64 [n], in the card's unit; and coordinates float32 [n, p], None if the head has no reference rows.

        Raises:
            HeadError: The graph fails: its file is not what a head should be.
        """
        values, coordinates, _ = self.outputs(x)
        return values, coordinates

    def outputs(
        self, x: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32] | None, NDArray[np.float64]]:
        """Return what ``predict`` does, and second opinions float64 [n, k] on the fitted scale; k may be 0."""
        names = [_VALUE] if self.reference is None else [_VALUE, _COORDINATES]
        if self.has_opinions:
            names.append(OPINIONS)
        try:
            found = self.session.run(names, {_FEATURES: x})
        except Exception as error:  # onnxruntime's exceptions share no public base class
            reason = " ".join(str(error).split())[:_SHOWN]
            raise HeadError(f"head {self.card.name} fails to run: {reason}", _AGAIN) from error
        values = self.card.shifted(np.asarray(found[0], dtype=np.float64).reshape(len(x)))
        if self.reference is None:
            return values, None, np.empty((len(x), 0))
        if found[1].shape != (len(x), self.reference.coordinates.shape[1]):
            raise HeadError(f"the coordinates of head {self.card.name} are not those of its reference rows", _AGAIN)
        opinions = np.asarray(found[2], dtype=np.float64) if self.has_opinions else np.empty((len(x), 0))
        return values, found[1], opinions

    @cached_property
    def has_opinions(self) -> bool:
        """Whether its graph gives second opinions."""
        return any(output.name == OPINIONS for output in self.session.get_outputs())


def save_head(
    lake: LakeFolders,
    card: HeadCard,
    content: bytes,
    reference: Reference | None,
    plots: Mapping[str, bytes] | None = None,
) -> HeadCard:
    """Save a head, in place of one of the same name.

    Readers find the old head or the new one, also if the machine stops in between; see ``replace_head``.

    Args:
        lake: The lake.
        card: The card; its digests are filled in.
        content: The ONNX file.
        reference: Its reference rows; None to keep a head of format 1 as it is.
        plots: Files for the folder ``plots``, by name.

    Returns:
        The card as saved.

    Raises:
        HeadError: The name is not valid, or another process is replacing the same head.
        KeyboardInterrupt: The command was interrupted, and a library has swallowed that.
    """
    return save_head_files(lake, HeadFiles(card, content, reference, plots or {}))


@dataclass(frozen=True)
class HeadFiles:
    """What a head on disk is made of.

    Attributes:
        card: The card.
        content: The ONNX file.
        reference: Its reference rows; None for a head of format 1.
        plots: Files for the folder ``plots``, by name.
        carried: Files of the encoders that it carries, by their paths.
    """

    card: HeadCard
    content: bytes
    reference: Reference | None
    plots: Mapping[str, bytes]
    carried: Mapping[str, bytes] = field(default_factory=dict)


def files_of(head: HeadFiles) -> tuple[HeadCard, dict[str, bytes]]:
    """Return the card of a head with its digests, and its files by their paths, the card among them."""
    card = replace(head.card, sha256=hashlib.sha256(head.content).hexdigest(), format_version=FORMAT_VERSION)
    files = {MODEL_FILE: head.content}
    if head.reference is not None and card.domain is not None:
        files[REFERENCE_FILE] = head.reference.to_bytes()
        digest = hashlib.sha256(files[REFERENCE_FILE]).hexdigest()
        domain = replace(card.domain, reference_sha256=digest, reference_rows=len(head.reference.value))
        card = replace(card, domain=domain)
    files |= head.carried
    files |= {f"{PLOTS}/{name}": plot for name, plot in head.plots.items()}
    return card, files | {CARD_FILE: card_bytes(card)}


def save_head_files(lake: LakeFolders, head: HeadFiles) -> HeadCard:
    """Save what a head is made of; see ``save_head``."""
    card, files = files_of(head)
    save_files(lake, card.name, files)
    return card


def save_files(lake: LakeFolders, name: str, files: Mapping[str, bytes]) -> None:
    """Save the folder of a head, in place of one of the same name; see ``save_head``."""
    check_new_name(lake, name)
    try:
        with _one_writer(name):
            replace_head(lake, name, files)
    except OSError as error:
        raise HeadError(
            f"cannot save head {name}: {error}", "check the disk, and that no other process saves this head"
        ) from error


def check_new_name(lake: LakeFolders, name: str) -> None:
    """Check the name of a head that is to be saved; it may be that of one that is there, to take its place.

    Raises:
        HeadError: It cannot name a folder, or not on Windows; or it differs from that of a head in capitals alone,
            which the file systems of Windows and macOS take for the same.
    """
    check_name(name)
    if not is_portable(name):
        raise HeadError(f"no folder can be named {name!r} on Windows", NOT_PORTABLE)
    if isinstance(lake.heads_folder, Path) and lake.heads_folder.is_dir():
        same = [one.name for one in lake.heads_folder.iterdir() if one.name.lower() == name.lower()]
        if same and name not in same:
            raise HeadError(
                f"there is a head {same[0]!r} already, and Windows and macOS do not tell {name!r} from it",
                f"use the name {same[0]!r} to replace it, or another name",
            )


def save_card(lake: LakeFolders, former: HeadCard, card: HeadCard) -> None:
    """Put another card in place of that of a head, whose files stay.

    Args:
        lake: The lake.
        former: The card that the new one was made from, as it was read.
        card: The new one.

    Raises:
        HeadError: The head is another one by now, or another process is replacing it; or the card cannot be written.
    """
    name = former.name

    def is_same(folder: Path) -> bool:
        return card_bytes(read_card(folder / CARD_FILE, name)) == card_bytes(former)

    try:
        with _one_writer(name):
            done = replace_card(lake, name, is_same, card_bytes(card))
    except OSError as error:
        raise HeadError(f"cannot write the card of head {name}: {error}", "check the disk") from error
    if not done:
        raise HeadError(f"head {name} was changed meanwhile", "run the same again with the head as it is now")


@contextmanager
def _one_writer(name: str) -> Iterator[None]:
    try:
        yield
    except ClaimedError as error:
        raise HeadError(
            f"another process is saving or deleting head {name}",
            f"wait until it has ended; one that was killed is taken to be at it for {STALE_SECONDS / 60:.0f} minutes",
        ) from error


def load_head(lake: LakeFolders, name: str, *, threads: int = 1) -> Head:
    """Open a head after checking its digests and its operators.

    Args:
        lake: The lake.
        name: Name of the head.
        threads: Threads inside one operator.

    Raises:
        HeadError: No such head, or a file that is damaged, changed, refused or newer than this version.
        MissingExtraError: ONNX Runtime is not installed.
    """
    return found_head(lake, name).load(threads)


@dataclass(frozen=True)
class FoundHead:
    """A head of which the card was read.

    Attributes:
        card: The card.
        folder: Where its files are.
    """

    card: HeadCard
    folder: Path

    def load(self, threads: int) -> Head:
        """Open it; see ``load_head``."""
        session = open_session(
            self.folder / MODEL_FILE,
            self.card.sha256,
            error=HeadError,
            threads=threads,
            widths=_widths(self.card),
        )
        return Head(self.card, session, _read_reference(self.folder, self.card))


def found_head(lake: LakeFolders, name: str) -> FoundHead:
    """Find a head and read its card; see ``load_head``."""
    folder = find_head(lake, name, _PREDICTING)
    return FoundHead(read_card(folder / CARD_FILE, name), folder)


def check_head(lake: LakeFolders, name: str) -> HeadCard:
    """Check the files of a head as ``load_head`` does, without opening it, and return its card.

    Raises:
        HeadError: No such head, or a file that is damaged, changed, refused or newer than this version.
        EncoderError: The same of an encoder that it carries.
    """
    folder = find_head(lake, name)
    card = read_card(folder / CARD_FILE, name)
    read_audited(folder / MODEL_FILE, card.sha256, HeadError, _widths(card))
    _read_reference(folder, card)
    for feature in card.features:
        if feature.carried_by:
            encoder = encoder_of(lake, feature)
            check_encoder(card, feature, encoder.card)
            read_audited(encoder.folder / ENCODER_FILE, encoder.card.sha256, EncoderError)
    return card


def _widths(card: HeadCard) -> dict[str, int]:
    """Return the numbers for each row of what the graph takes and returns."""
    return {_FEATURES: sum(feature.dim for feature in card.features), _VALUE: 1}


def _read_reference(folder: Path, card: HeadCard) -> Reference | None:
    """Return the reference rows of a head, None if it is older than those."""
    if card.domain is None:
        return None
    path = folder / REFERENCE_FILE
    try:
        return Reference.from_bytes(path.read_bytes(), card.domain.reference_sha256, card.name)
    except OSError as error:
        raise HeadError(f"cannot read {path}: {error.strerror}", "restore it, or train the head again") from error


def find_head(lake: LakeFolders, name: str, files: Collection[str] | None = None) -> Path:
    """Return the folder of a head of one target, or of a member of one with several.

    Args:
        lake: The lake.
        name: Name of the head.
        files: Names of the files that are needed there; all by default.

    Raises:
        HeadError: There is none of that name, or it has several targets.
    """
    folder = find_folder(lake, name, files)
    members = sorted(f"{name}{MEMBER}{card.parent.name}" for card in folder.glob(f"*/{CARD_FILE}"))
    if members:
        raise HeadError(f"head {name} predicts several targets, and one is needed", f"heads: {', '.join(members)}")
    return folder


def find_folder(lake: LakeFolders, name: str, files: Collection[str] | None = None) -> Path:
    """Return the folder of a head, of one target or several.

    Raises:
        HeadError: There is none of that name.
    """
    for part in name.split(MEMBER, 1):
        check_name(part)
    folder = lake.head_folder(name, files)
    if folder is None:
        names = [one if MEMBER in name else one.partition(MEMBER)[0] for one in lake.head_names()]
        known = ", ".join(dict.fromkeys(names)) or "none yet: train one"
        raise HeadError(f"there is no head {name!r} in {lake.path}", f"heads: {known}")
    return folder


def member_names(lake: LakeFolders, name: str) -> list[str]:
    """Return the names of the heads of one target that make up a head: its members as they were given, or itself.

    Raises:
        HeadError: There is none of that name, or its card is damaged.
    """
    folder = find_folder(lake, name, (CARD_FILE,))
    known = [f"{name}{MEMBER}{card.parent.name}" for card in folder.glob(f"*/{CARD_FILE}")]
    if not known:
        return [name]
    path = folder / CARD_FILE
    try:
        named = [f"{name}{MEMBER}{member.partition(MEMBER)[2]}" for member in opened(read_json(path))["members"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise HeadError(f"{path} is not the card of a head of several targets: {error}", _AGAIN) from error
    if set(named) != set(known):
        raise HeadError(
            f"head {name} has the members {', '.join(sorted(known))}, and its card names {', '.join(named)}", _AGAIN
        )
    return named


def list_heads(lake: LakeFolders) -> list[HeadCard]:
    """Return the cards of all heads by name; one that is damaged or edited is left out, with a ``DamageWarning``."""
    cards = []
    for name, folder in lake.head_folders().items():
        try:
            cards.append(read_card(folder / CARD_FILE, name))
        except HeadError as error:
            warnings.warn(f"{error}; {error.cli_hint}", DamageWarning, stacklevel=2)
    return cards


def delete_head(lake: LakeFolders, name: str) -> None:
    """Delete a head; readers see it whole or not at all.

    Raises:
        HeadError: There is none of that name, or it cannot be deleted.
        LakeError: The lake is read as of a moment.
    """
    lake.check_writable()
    _check_whole(lake, name)
    try:
        with _one_writer(name):
            remove_head(lake, name)
    except OSError as error:
        raise HeadError(f"cannot delete head {name}: {error}", "check the disk and its permissions") from error


def export_head(lake: LakeFolders, name: str, target: LakePath) -> list[HeadCard]:
    """Copy a head, after checking it, to ``target``, a folder or an address, which must not exist.

    Returns:
        Its card; those of its members if it has several targets.

    Raises:
        HeadError: See ``load_head``; or the folder exists or cannot be written.
    """
    _check_whole(lake, name)
    cards = [load_head(lake, member).card for member in member_names(lake, name)]
    try:
        if target.exists():
            raise HeadError(f"{target} exists", "name a new folder")
        copy_head(find_folder(lake, name), target)
    except OSError as error:
        raise HeadError(f"cannot write {target}: {error}", "check the path and the disk") from error
    return cards


def _check_whole(lake: LakeFolders, name: str) -> None:
    """Refuse a member of a head of several targets, which goes where the others go."""
    find_folder(lake, name, (CARD_FILE,))
    whole, is_member, _ = name.partition(MEMBER)
    if is_member:
        raise HeadError(f"{name} is a part of head {whole}", f"name head {whole}")


def find_encoders(lake: LakeFolders, card: HeadCard) -> dict[str, RegisteredEncoder]:
    """Find the encoders of a head, by name, after checking that they are those it was trained on.

    Raises:
        HeadError: There is another encoder under the same name.
        EncoderError: An encoder is damaged; an UnknownEncoderError where it is missing.
    """
    found: dict[str, RegisteredEncoder] = {}
    for feature in layers_of(card.features):
        try:
            found[feature.encoder] = encoder_of(lake, feature)
        except EncoderError as error:
            kind = UnknownEncoderError if isinstance(error, UnknownEncoderError) else EncoderError
            raise kind(f"head {card.name} needs encoder {feature.encoder}: {error}", error.hint) from error
        check_encoder(card, feature, found[feature.encoder].card)
    return found


_RESTORE: Final = "restore the encoder that it was trained on"
_USE_THAT_LAKE: Final = "use the lake that made the head, which holds a copy of that file"


def check_encoder(card: HeadCard, feature: Feature, encoder: EncoderCard) -> None:
    """Refuse an encoder other than the one a head was trained on.

    Raises:
        HeadError: The digests differ, or the card of the head has another dimension.
    """
    if encoder.sha256 != feature.sha256:
        release = last_release(feature.encoder, feature.sha256)
        raise HeadError(
            f"head {card.name} was trained on {feature.encoder} with sha256 {feature.sha256}"
            f"{f' ({release.said})' if release else ''}, "
            f"but the encoder of that name here has sha256 {encoder.sha256}",
            f"{_USE_THAT_LAKE if release else _RESTORE}, or train the head again",
        )
    if encoder.layer(feature.layer).dim != feature.dim:
        raise HeadError(f"head {card.name} takes {feature.dim} numbers of {feature.feature}, which has another", _AGAIN)
