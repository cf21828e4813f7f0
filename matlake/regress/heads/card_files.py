"""Cards of heads as files: one reader per format version, one writer."""

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

from matlake.documents import from_document
from matlake.errors import HeadError
from matlake.files import write_whole
from matlake.regress.heads.card import FORMAT_VERSION, HeadCard
from matlake.regress.heads.flat_card import read_flat

CARD_FILE: Final = "card.json"

_READERS: Final[dict[int, Callable[[dict[str, Any]], HeadCard]]] = {
    1: read_flat,
    2: read_flat,
    3: partial(from_document, HeadCard),
}


def read_card(path: Path) -> HeadCard:
    """Read a head's card, of this format or an older one.

    Raises:
        HeadError: It is missing, damaged, or newer than this version.
    """
    try:
        fields = json.loads(path.read_bytes())
        version = fields["format_version"]
        if version > FORMAT_VERSION:
            raise HeadError(f"{path} has card format {version}, newer than {FORMAT_VERSION}", "update matlake")
        return _READERS[version](fields)
    except OSError as error:
        raise HeadError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise HeadError(f"{path} is not a head's card: {error!r}", "train the head again") from error


def write_card(card: HeadCard, path: Path) -> None:
    """Write a card, whole or not at all."""
    write_whole(path, (json.dumps(asdict(card), indent=2, ensure_ascii=False) + "\n").encode())
