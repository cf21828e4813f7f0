"""The card of a head: what it predicts, from what, how well, and how its predictions are to be judged."""

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from matlake.errors import HeadError
from matlake.files import write_whole
from matlake.regress.features.feature import Feature
from matlake.regress.uncertainty.intervals import Interval

CARD_FILE: Final = "card.json"
FORMAT_VERSION: Final = 2
"""1 had no intervals, scores, reference rows, and fewer metrics."""

NAME_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,99}")


@dataclass(frozen=True)
class HeadCard:
    """Everything known about a head apart from its weights and the rows it remembers.

    Metrics are documents of ``evaluation.Evaluation``.

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
        metrics: Errors of this very file on the test rows, in the target's unit.
        baseline: The same of predicting the training rows' mean.
        fractions_baseline: The same of the same model on element fractions.
        cross_validation: What the choice was made from.
        parity: Largest difference from scikit-learn, relative to the target's standard deviation.
        tool_versions: Versions that made the file.
        created: Time of training, ISO 8601 with offset.
        sha256: Digest of the ONNX file, hexadecimal.
        split_description: What the split did, for people.
        n_dropped: Rows on neither side of the split.
        evaluation: Errors on the test rows with bootstrap intervals, beside the baselines.
        random_evaluation: The same model fitted and measured on a random split; None where the split is random.
        learning_curve: ``rows`` and ``mae`` of the same model fitted to parts of the training rows.
        interval: How intervals are made; None for format 1.
        interval_check: On the test rows: ``coverage``, share of measured values in their interval; ``mean_width``, in
            the target's unit.
        ood_check: On the test rows: ``rank_correlation`` of absolute error and score; ``beyond``, share of scores
            above 1.
        reference_sha256: Digest of the file of remembered training rows.
        reference_rows: Number of them.
        element_rows: Number of training rows that hold an element.
        block_rows: Number of training rows of each set of blocks of the periodic table that elements are in, such as
            ``spd``; empty in cards older than it.
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
    split_description: str = ""
    n_dropped: int = 0
    evaluation: dict[str, Any] = field(default_factory=dict)
    random_evaluation: dict[str, Any] | None = None
    learning_curve: list[dict[str, float]] = field(default_factory=list)
    interval: Interval | None = None
    interval_check: dict[str, float] = field(default_factory=dict)
    ood_check: dict[str, float | None] = field(default_factory=dict)
    reference_sha256: str = ""
    reference_rows: int = 0
    element_rows: dict[str, int] = field(default_factory=dict)
    block_rows: dict[str, int] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION


def read_card(path: Path) -> HeadCard:
    """Read a head's card, of this format or an older one.

    Raises:
        HeadError: It is missing, damaged, or newer than this version.
    """
    try:
        fields = json.loads(path.read_bytes())
        if fields["format_version"] > FORMAT_VERSION:
            raise HeadError(
                f"{path} has card format {fields['format_version']}, newer than {FORMAT_VERSION}", "update matlake"
            )
        fields["features"] = tuple(Feature(**feature) for feature in fields["features"])
        if fields.get("interval") is not None:
            fields["interval"] = Interval(**fields["interval"])
        return HeadCard(**fields)
    except OSError as error:
        raise HeadError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HeadError(f"{path} is not a head's card: {error!r}", "train the head again") from error


def write_card(card: HeadCard, path: Path) -> None:
    """Write a card, whole or not at all."""
    write_whole(path, (json.dumps(asdict(card), indent=2, ensure_ascii=False) + "\n").encode())


def check_name(name: str) -> None:
    """Raise HeadError unless a name is safe as a folder."""
    if not NAME_PATTERN.fullmatch(name):
        raise HeadError(f"{name!r} is not a head name", "use letters, digits, '.', '_', '+' and '-'")
