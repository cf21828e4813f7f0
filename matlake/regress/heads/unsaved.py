"""A head that is trained and not saved."""

from dataclasses import dataclass

from matlake.regress.features.labels import Missing
from matlake.regress.heads.card import HeadCard
from matlake.regress.heads.storage import HeadFiles
from matlake.regress.heads.train_result import HeldOutRows, TrainResult


@dataclass(frozen=True)
class UnsavedHead:
    """A head that is trained and not saved.

    Attributes:
        files: What is saved.
        missing: Rows left out.
        test: The test rows.
        fractions_model: See ``TrainResult``.
    """

    files: HeadFiles
    missing: tuple[Missing, ...]
    test: HeldOutRows
    fractions_model: str

    def result(self, card: HeadCard) -> TrainResult:
        """Return the result, with the card as it was saved."""
        return TrainResult(card, self.missing, self.test, self.fractions_model)
