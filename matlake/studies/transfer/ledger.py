"""The table of an evaluation of transfer."""

from matlake.store.lake import Lake
from matlake.studies import ledger
from matlake.studies.transfer.measurement import SCHEMA, Measurement


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
        super().__init__(lake.evaluations, name, SCHEMA, Measurement)
