"""What the card of a head says of a baseline."""

from dataclasses import dataclass

from matlake.metrics import Metrics


@dataclass(frozen=True)
class Baseline:
    """What a head is compared with, besides what every head is.

    Attributes:
        name: What it is, such as ``random forest on magpie`` or ``NAME@prediction``.
        rows: Test rows that both are measured on.
        metrics: Its errors on these rows.
        head_metrics: Errors of the head on the same rows.
        interval: Ends of the 95 % bootstrap interval of the head's error minus its own (see ``difference_intervals``).
        remark: What limits the comparison, in words, such as what an encoder was trained on; empty if nothing does.
        encoder: Name of the encoder whose prediction it is; empty if it is none.
        exposed: Rows of these whose composition that encoder may have been trained on.
    """

    name: str
    rows: int
    metrics: Metrics
    head_metrics: Metrics
    interval: tuple[float, ...]
    remark: str = ""
    encoder: str = ""
    exposed: int = 0
