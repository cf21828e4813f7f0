"""Which contents encoders were trained on, from the tables that their cards name."""

from collections.abc import Iterable

from matlake.encoders.card import EncoderCard
from matlake.encoders.training_contents import TrainingContents
from matlake.encoders.training_record import TableRecipe
from matlake.errors import EncoderError, SourceError
from matlake.export.pretraining.training_data import TrainingTable, read_training_data
from matlake.materials.crystal import CrystalColumns


def read_training_contents(
    tables: Iterable[TrainingTable], cards: Iterable[EncoderCard]
) -> dict[str, TrainingContents]:
    """Read what encoders were trained on, where their table is among those given.

    A table is known by its digest and read by the recipe on the card, so that the rows are those of the training: its
    split, what it held out and what it dropped. The result goes by the sha256 of the encoder.

    Raises:
        SourceError: A table is that of no encoder here, or lacks a column of the recipe.
        EncoderError: A card names a table, but not how it was read.
    """
    known = list(cards)
    found: dict[str, TrainingContents] = {}
    for table in tables:
        read: dict[TableRecipe, TrainingContents] = {}
        for card in known:
            if card.training.table is None or card.training.table.sha256 != table.sha256:
                continue
            recipe = card.training.columns
            if recipe is None:
                raise EncoderError(
                    f"the card of {card.name} does not say how its table was read",
                    "leave the table out: all of its rows then count as possibly trained on",
                )
            if recipe not in read:
                read[recipe] = _read(table, recipe)
            found[card.sha256] = read[recipe]
        if not read:
            named = ", ".join(
                f"{card.name} ({card.training.table.file if card.training.table else 'no table'})" for card in known
            )
            raise SourceError(
                f"{table.name} is not the table that any of these encoders was trained on: {named}",
                "name the very file or dataset: its digest is compared with that of the card",
            )
    return found


def _read(table: TrainingTable, recipe: TableRecipe) -> TrainingContents:
    parts = read_training_data(table, recipe).parts
    trained = parts["train"]
    materials = trained.materials
    crystals = materials if isinstance(materials, CrystalColumns) else CrystalColumns.of([])
    return TrainingContents(
        frozenset(trained.compositions),
        frozenset(crystals[row].content_hash for row in range(len(crystals))),
        frozenset(parts["val"].compositions),
    )
