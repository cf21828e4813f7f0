"""The table of an evaluation of transfer."""

from matlake.regress import ledger
from matlake.regress.transfer.measurement import SCHEMA, Measurement
from matlake.store.lake import Lake


class Ledger(ledger.Ledger[Measurement]):
    """The measurements of one evaluation of transfer, in the Delta table ``evaluations`` of a lake."""

    def __init__(self, lake: Lake, name: str) -> None:
        """Open the table, or make it, and read what is there.

        Args:
            lake: The lake.
            name: Of the evaluation.

        Raises:
            LakeError: The table cannot be read.
        """
        super().__init__(lake.path / "evaluations", name, SCHEMA, Measurement)
