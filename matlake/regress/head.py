"""A trained head on disk: one ONNX file and its card, saved and replaced as a whole, loaded without running code."""

import hashlib
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.card import EncoderCard
from matlake.encoders.session import open_session
from matlake.errors import HeadError
from matlake.files import fsync_folder, write_whole
from matlake.regress.features import Feature

CARD_FILE: Final = "card.json"
MODEL_FILE: Final = "head.onnx"
FORMAT_VERSION: Final = 1
NAME_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,99}")
_SAVING: Final = ".saving"
_REPLACED: Final = ".replaced"


@dataclass(frozen=True)
class HeadCard:
    """Everything known about a head apart from its weights.

    Attributes:
        name: Name in the lake.
        target: Property predicted.
        unit: Its unit; empty where the column's name states none.
        features: Embedded layers that make up the input, in order, with the digests of their encoders.
        training_sql: The query that selected the rows.
        split: How test rows were set aside.
        model: Kind of regressor.
        parameters: Its parameters, chosen by cross-validation on training rows.
        seed: Seed of split, choice and model.
        n_train: Rows the head was fitted to; test rows were never added.
        n_test: Rows the metrics were measured on.
        metrics: ``mae``, ``rmse``, ``r2`` of this very file on the test rows, in the target's unit.
        baseline: The same of predicting the training rows' mean.
        fractions_baseline: The same of the same model on element fractions.
        cross_validation: What the choice was made from.
        parity: Largest difference from scikit-learn, relative to the target's standard deviation.
        tool_versions: Versions that made the file.
        created: Time of training, ISO 8601 with offset.
        sha256: Digest of the ONNX file, hexadecimal.
        format_version: Version of this schema.
    """

    name: str
    target: str
    unit: str
    features: tuple[Feature, ...]
    training_sql: str
    split: str
    model: str
    parameters: dict[str, Any]
    seed: int
    n_train: int
    n_test: int
    metrics: dict[str, float | None]
    baseline: dict[str, float | None]
    fractions_baseline: dict[str, float | None]
    cross_validation: dict[str, Any] = field(default_factory=dict)
    parity: float | None = None
    tool_versions: dict[str, str] = field(default_factory=dict)
    created: str = ""
    sha256: str = ""
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True)
class Head:
    """A head that is ready to predict.

    Attributes:
        card: What it is.
        session: The ONNX Runtime session.
    """

    card: HeadCard
    session: Any

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return predictions.

        Args:
            x: float32 [n, d], the card's features side by side.

        Returns:
            float64 [n], in the card's unit.
        """
        if not len(x):
            return np.empty(0)
        (values,) = self.session.run(["value"], {"features": x})
        return np.asarray(values, dtype=np.float64)


def check_name(name: str) -> None:
    """Raise HeadError unless a name is safe as a folder."""
    if not NAME_PATTERN.fullmatch(name):
        raise HeadError(f"{name!r} is not a head name", "use letters, digits, '.', '_', '+' and '-'")


def save_head(lake: Path, card: HeadCard, content: bytes) -> HeadCard:
    """Save a head, in place of one of the same name.

    The new folder is complete and on disk before it gets its name. A head that is replaced is kept aside until then,
    and is what a reader finds if the machine stops in between.

    Args:
        lake: Folder of the lake.
        card: The card; its digest is filled in.
        content: The ONNX file.

    Returns:
        The card as saved.

    Raises:
        HeadError: The name is not one, or another process is replacing the same head.
    """
    check_name(card.name)
    card = replace(card, sha256=hashlib.sha256(content).hexdigest())
    heads = lake / "heads"
    new = heads / _SAVING / f"{card.name}.{os.getpid()}"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    (heads / _REPLACED).mkdir(exist_ok=True)
    aside = heads / _REPLACED / card.name
    try:
        write_whole(new / MODEL_FILE, content)
        write_whole(new / CARD_FILE, (json.dumps(asdict(card), indent=2, ensure_ascii=False) + "\n").encode())
        if (heads / card.name).exists():
            shutil.rmtree(aside, ignore_errors=True)
            (heads / card.name).rename(aside)
            fsync_folder(aside.parent)
        new.rename(heads / card.name)
    except OSError as error:
        raise HeadError(
            f"cannot save head {card.name}: {error}", "check the disk, and that no other process saves this head"
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    fsync_folder(heads)
    shutil.rmtree(aside, ignore_errors=True)
    return card


def load_head(lake: Path, name: str, *, threads: int = 1) -> Head:
    """Open a head after checking its digest and its operators.

    Args:
        lake: Folder of the lake.
        name: Name of the head.
        threads: Threads inside one operator.

    Raises:
        HeadError: No such head, or a file that is damaged, changed, refused or newer than this version.
        MissingExtraError: ONNX Runtime is not installed.
    """
    check_name(name)
    folder = _folder(lake, name)
    if folder is None:
        known = ", ".join(card.name for card in list_heads(lake)) or "none yet: `matlake train` makes one"
        raise HeadError(f"there is no head {name!r} in {lake}", f"heads: {known}")
    card = _read_card(folder / CARD_FILE)
    return Head(card, open_session(folder / MODEL_FILE, card.sha256, error=HeadError, threads=threads))


def list_heads(lake: Path) -> list[HeadCard]:
    """Return the cards of all heads by name.

    Raises:
        HeadError: A card is damaged or newer than this version.
    """
    heads = lake / "heads"
    found = {card.parent.name for pattern in ("*", f"{_REPLACED}/*") for card in heads.glob(f"{pattern}/{CARD_FILE}")}
    folders = [folder for name in sorted(found) if (folder := _folder(lake, name)) is not None]
    return [_read_card(folder / CARD_FILE) for folder in folders]


def check_encoder(card: HeadCard, feature: Feature, encoder: EncoderCard) -> None:
    """Refuse an encoder other than the one a head was trained on.

    Raises:
        HeadError: The digests differ.
    """
    if encoder.sha256 != feature.sha256:
        raise HeadError(
            f"head {card.name} was trained on {feature.encoder} with sha256 {feature.sha256}, "
            f"but the encoder of that name here has sha256 {encoder.sha256}",
            "put the encoder back that it was trained on, or train the head again",
        )


def _folder(lake: Path, name: str) -> Path | None:
    heads = lake / "heads"
    return next((f for f in (heads / name, heads / _REPLACED / name) if (f / CARD_FILE).exists()), None)


def _read_card(path: Path) -> HeadCard:
    try:
        fields = json.loads(path.read_bytes())
        if fields["format_version"] > FORMAT_VERSION:
            raise HeadError(
                f"{path} has card format {fields['format_version']}, newer than {FORMAT_VERSION}", "update matlake"
            )
        fields["features"] = tuple(Feature(**feature) for feature in fields["features"])
        return HeadCard(**fields)
    except OSError as error:
        raise HeadError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HeadError(f"{path} is not a head's card: {error!r}", "train the head again") from error
