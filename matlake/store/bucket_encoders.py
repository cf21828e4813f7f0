"""Encoders of a lake in a bucket: read through local copies, written with the card last."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from matlake.encoders.card import CARD_FILE
from matlake.encoders.registry import encoder_files
from matlake.errors import EncoderError
from matlake.store.storage.copies import local_copies, local_copy
from matlake.store.storage.remote_path import RemotePath

_CARD: Final = (CARD_FILE,)


@dataclass(frozen=True)
class BucketEncoders:
    """Encoders below a prefix of a bucket, as the registry asks for them.

    Attributes:
        root: The prefix.
    """

    root: RemotePath

    def with_card(self, name: str) -> Path | None:
        """Return a local folder that holds the card of an encoder; None where there is none of that name."""
        return local_copy(self.root / name, CARD_FILE, _CARD)

    def with_cards(self) -> Mapping[str, Path]:
        """Return a local folder that holds its card for each encoder, by name."""
        return local_copies(self.root, CARD_FILE, _CARD)

    def with_files(self, name: str) -> Path:
        """Return a local folder that holds all files of an encoder.

        Raises:
            EncoderError: It has been deleted meanwhile.
        """
        folder = local_copy(self.root / name, CARD_FILE)
        if folder is None:
            raise EncoderError(f"the encoder at {self.root / name} is there no more", "export it again")
        return folder


def put_encoder(source: Path, place: RemotePath) -> None:
    """Put the files of an encoder into a bucket, the card last: an encoder without a card does not exist."""
    for name, content in encoder_files(source):
        (place / name).write_bytes(content)


@contextmanager
def encoder_in_bucket(place: RemotePath) -> Iterator[Path]:
    """Give a local folder with the encoder at a place in a bucket, empty if there is none, and put what it holds then.

    Where the block fails, the bucket stays as it is.
    """
    with TemporaryDirectory() as name:
        folder = Path(name) / place.name
        present = local_copy(place, CARD_FILE)
        if present is not None:
            shutil.copytree(present, folder)
        yield folder
        (place / CARD_FILE).unlink(missing_ok=True)
        put_encoder(folder, place)
