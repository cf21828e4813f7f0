"""Cards of heads as files: one reader per format version, one writer."""

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from matlake.documents import EditedError, from_document, opened, read_json, sealed_json
from matlake.errors import HeadError
from matlake.regress.features.feature import columns_of
from matlake.regress.heads.card import FORMAT_VERSION, HeadCard
from matlake.regress.heads.flat_card import read_flat

CARD_FILE: Final = "card.json"

_READERS: Final[dict[int, Callable[[dict[str, Any]], HeadCard]]] = {
    1: read_flat,
    2: read_flat,
    3: partial(from_document, HeadCard),
    4: lambda fields: from_document(HeadCard, opened(fields)),
    5: lambda fields: from_document(HeadCard, opened(fields)),
    6: lambda fields: from_document(HeadCard, opened(fields)),
    7: lambda fields: from_document(HeadCard, opened(fields)),
    8: lambda fields: from_document(HeadCard, opened(fields)),
}


def read_card(path: Path, name: str | None = None) -> HeadCard:
    """Read a head's card, of this format or an older one.

    Args:
        path: Of the file.
        name: What the lake calls the head, which may have been copied under another name; default: that on the card.

    Raises:
        HeadError: It is missing, damaged, edited, or newer than this version.
    """
    try:
        fields = read_json(path)
        version = fields["format_version"]
        if version > FORMAT_VERSION:
            raise HeadError(f"{path} has card format {version}, newer than {FORMAT_VERSION}", "update matlake")
        card = _READERS[version](fields)
        _check_numbers(card)
    except EditedError as error:
        raise HeadError(f"{path}: {error}", "restore the file, or train the head again") from error
    except OSError as error:
        raise HeadError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise HeadError(f"{path} is not a head's card: {_reason(error)}", "train the head again") from error
    return card if name in (None, card.name) else _renamed(card, name)


def _renamed(card: HeadCard, name: str) -> HeadCard:
    features = (replace(one, carried_by=name) if one.carried_by else one for one in card.features)
    return replace(card, name=name, features=tuple(features))


def _reason(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)


def _check_numbers(card: HeadCard) -> None:
    """Refuse intervals and ranges of columns that no training makes: JSON has numbers such as 1e999."""
    interval = card.interval
    if interval and not all(math.isfinite(value) for value in (interval.level, interval.quantile, interval.floor)):
        raise ValueError("an interval is not finite")
    ranges = card.domain.column_ranges if card.domain else {}
    for column in columns_of(card.features):
        smallest, middle, largest = ranges.get(column, (math.nan,) * 3)
        if not smallest <= middle <= largest:
            raise ValueError(f"column {column} has no range")


def card_bytes(card: HeadCard) -> bytes:
    """Return the file of a card in this format."""
    return sealed_json(asdict(replace(card, format_version=FORMAT_VERSION)))
