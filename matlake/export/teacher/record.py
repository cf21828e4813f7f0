"""Which teacher labelled a table: kept in the table's file, and from there on the card of who learned from it."""

import json
from dataclasses import asdict
from typing import Any, Final

import pyarrow as pa

from matlake.encoders.card import EncoderCard
from matlake.encoders.training_record import Teacher
from matlake.errors import SourceError

METADATA_KEY: Final = b"matlake.teacher"
PREFIX: Final = "teacher_"
"""Of columns that a teacher computed."""

_FORMAT: Final = 1


def teacher_of(card: EncoderCard, columns: tuple[str, ...]) -> Teacher:
    """Return what tables and cards say of an encoder that labelled columns."""
    return Teacher(card.name, card.sha256, columns, card.trained_on, card.licence, card.citation, card.training.scope)


def write_entry(teacher: Teacher, settings: dict[str, Any]) -> bytes:
    """Return the entry of a table's file."""
    document = {"format_version": _FORMAT, "teacher": asdict(teacher), "settings": settings}
    return json.dumps(document, ensure_ascii=False).encode()


def read_entry(schema: pa.Schema) -> tuple[Teacher, dict[str, Any]] | None:
    """Read who labelled a table, and how; None where no teacher did.

    Raises:
        SourceError: The entry cannot be read.
    """
    content = (schema.metadata or {}).get(METADATA_KEY)
    if content is None:
        return None
    try:
        document = json.loads(content)
        if document["format_version"] != _FORMAT:
            raise SourceError(
                f"the table's entry on its teacher has format {document['format_version']}, not {_FORMAT}",
                "update matlake",
            )
        return Teacher.read_entries(document["teacher"]), dict(document["settings"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(
            f"the table's entry on its teacher cannot be read: {error!r}", "label the table again"
        ) from error
