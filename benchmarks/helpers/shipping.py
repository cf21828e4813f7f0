"""What an encoder adds to what has learned nothing: the measurements of ``encoders.py --shipping``.

Predictions are kept in the cache, by the digests of encoder, baseline and rows: a run that was stopped resumes, and
another encoder costs its own measurements only.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.helpers.evaluation_sets import SEEDS, Source
from benchmarks.helpers.feature_blocks import Block, FeatureBlocks
from benchmarks.helpers.feature_sets import BASELINE
from benchmarks.helpers.folds import APART, CLUSTER, PUBLISHED_APART, TIME, Fold, fewer, folds_of
from benchmarks.helpers.mixed_kernel_ridge import MixedKernelRidge
from benchmarks.helpers.shipping_rule import Case, is_learned
from matlake.encoders.card import PREDICTION, EncoderCard, read_card
from matlake.metrics import GroupBootstrap

Float = NDArray[np.float64]

LABELS: Final = (50, 200, 1000)
"""Training rows at most; folds by time have 500, others what the sets have, some 750 to 1,000."""

COMPOSITION_BASELINE: Final = ("magpie", "fractions")
"""Fractions are all that a network of compositions is given: one with random weights adds them to ``magpie``."""

TESTED: Final = {PUBLISHED_APART: 1000, CLUSTER: 300}
"""Rows of compositions that a fold tests at most, drawn, the same for all seeds: some sets have thousands."""

_RNG: Final = np.random.default_rng
_VERSION: Final = "1"
"""Counts changes of the regressor and of folds: what was measured before is measured again."""

_FOLDS: Final = {APART: "random", CLUSTER: "cluster", TIME: "time", PUBLISHED_APART: "published rows"}
_COLUMNS: Final = {
    "expt_deltae": ("formation_energy_eV_per_atom", True),
    "expt_bandgap": ("band_gap_eV", True),
    "mbj_bandgap": ("band_gap_eV", False),
    "ehull": ("energy_above_hull_eV_per_atom", False),
}
"""Columns whose names do not say it -> the column that they are like, and whether their values were measured."""


@dataclass(frozen=True)
class Contender:
    """An encoder that is measured.

    Attributes:
        folder: Of its files.
        card: Its card.
        baseline: What it is added to.
    """

    folder: Path
    card: EncoderCard
    baseline: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path, baseline: tuple[str, ...] | None = None) -> "Contender":
        """Read the card; the baseline is that of its input."""
        card = read_card(folder)
        return cls(folder, card, baseline or (BASELINE if card.input == "crystal" else COMPOSITION_BASELINE))

    @property
    def features(self) -> tuple[str, ...]:
        """Its best declared layers: all of a crystal network; of compositions the default one and the prediction."""
        name, layers = self.card.name, {layer.name for layer in self.card.layers}
        if self.card.input == "crystal":
            return (f"{name}@all",)
        return tuple(
            f"{name}@{layer}" for layer in dict.fromkeys((self.card.default_layer, PREDICTION)) if layer in layers
        )

    @property
    def digest(self) -> str:
        """What its measurements depend on, beside rows and regressor."""
        return f"{self.card.sha256}\n{self.features}"

    def with_card(self, name: str) -> Path | None:
        """Return its folder; see ``EncoderFolders``."""
        return self.folder if name == self.card.name else None

    def with_cards(self) -> Mapping[str, Path]:
        """Return its folder by its name."""
        return {self.card.name: self.folder}

    def with_files(self, _: str) -> Path:
        """Return its folder."""
        return self.folder


@dataclass(frozen=True)
class Draw:
    """Folds, and what is drawn of their training rows.

    Attributes:
        kind: Of the folds.
        labels: Training rows at most.
        seed: Of what is drawn.
    """

    kind: str
    labels: int
    seed: int


def draws_of(source: Source) -> Iterator[Draw]:
    """Yield all that is measured on a source."""
    if not source.is_crystals:
        kinds: tuple[str, ...] = (PUBLISHED_APART, CLUSTER)
    else:
        kinds = (TIME,) if source.parts[0] else (APART, CLUSTER)
    for kind in kinds:
        for labels in LABELS:
            yield from (Draw(kind, labels, seed) for seed in SEEDS)


class Shipping:
    """Predictions with and without encoders, kept in a folder."""

    def __init__(self, cache: Path) -> None:
        """Name the folder."""
        self._cache = cache
        self._plain = FeatureBlocks(cache)
        self.seconds = 0.0

    def measure(self, source: Source, contenders: Sequence[Contender]) -> None:
        """Predict what has not been predicted, of encoders with one baseline."""
        (self._cache / "shipping").mkdir(parents=True, exist_ok=True)
        started = time.process_time()
        baseline = contenders[0].baseline
        base = self._plain.blocks(source, baseline)
        blocks: dict[str, list[Block]] = {}
        for draw in draws_of(source):
            folds = folds_of_draw(source, draw)
            files = {one.digest: self._file(source, folds, one.digest, baseline) for one in contenders}
            alone = self._file(source, folds, "", baseline)
            missing = [one for one in contenders if not files[one.digest].exists()]
            if not missing and alone.exists():
                continue
            found = {key: np.full(source.values.shape, np.nan) for key in ("", *(one.digest for one in missing))}
            for fold in folds:
                ridge = MixedKernelRidge(base, source.targets, fold.train, fold.test)
                found[""][fold.test] = ridge.predict()
                for one in missing:
                    if one.digest not in blocks:
                        blocks[one.digest] = FeatureBlocks(self._cache, one, every_layer=False).blocks(
                            source, one.features
                        )
                    found[one.digest][fold.test] = ridge.predict_with(blocks[one.digest])
            for key, predicted in found.items():
                np.save(files.get(key, alone), source.in_units(predicted))
        self.seconds += time.process_time() - started

    def cases(self, source: Source, contender: Contender) -> Iterator[Case]:
        """Yield what was measured of an encoder on a source."""
        draws = list(draws_of(source))
        for kind, labels in dict.fromkeys((draw.kind, draw.labels) for draw in draws):
            drawn = [folds_of_draw(source, draw) for draw in draws if (draw.kind, draw.labels) == (kind, labels)]
            base, own = (
                np.stack([self._errors(source, folds, key, contender.baseline) for folds in drawn])
                for key in ("", contender.digest)
            )
            clusters = [fold.test for fold in drawn[0]] if kind == CLUSTER else []
            for place, one in enumerate(source.properties):
                column, measured = _COLUMNS.get(one.column, (one.column, False))
                learned = is_learned(contender.card, column, measured=measured)
                measurement = Paired(base[:, :, place], own[:, :, place], source.formulas, clusters)
                yield measurement.case(one.name, _FOLDS[kind], labels, learned=learned)

    def _errors(self, source: Source, folds: Sequence[Fold], digest: str, baseline: tuple[str, ...]) -> Float:
        errors: Float = np.abs(np.load(self._file(source, folds, digest, baseline)) - source.values)
        return errors

    def _file(self, source: Source, folds: Sequence[Fold], digest: str, baseline: tuple[str, ...]) -> Path:
        text = hashlib.blake2b(digest_size=12)
        for part in (_VERSION, digest, self._plain.digest(source, baseline)):
            text.update(f"{part}\n".encode())
        for fold in folds:
            text.update(fold.train.astype(np.int64).tobytes() + fold.test.astype(np.int64).tobytes())
        return self._cache / "shipping" / f"{source.name}-{text.hexdigest()}.npy"


def folds_of_draw(source: Source, draw: Draw) -> list[Fold]:
    """Return the folds of a draw, in the order of rows: with no more of them than labels, all seeds have the same."""
    key = (source.name, draw.kind, draw.seed)
    if key not in _KNOWN:
        _KNOWN[key] = _whole(source, draw)
    tested = None if source.is_crystals else TESTED[draw.kind]
    return [
        Fold(np.sort(fewer(fold, draw.labels, draw.seed).train), np.sort(_RNG(0).permutation(fold.test)[:tested]))
        for fold in _KNOWN[key]
    ]


_KNOWN: Final[dict[tuple[str, str, int], list[Fold]]] = {}


def _whole(source: Source, draw: Draw) -> list[Fold]:
    seed = 0 if draw.kind == CLUSTER and source.is_crystals else draw.seed
    return folds_of(source, draw.kind, seed)


@dataclass(frozen=True, eq=False)
class Paired:
    """Absolute errors of the same rows, with an encoder and without; NaN in rows that are not tested.

    Attributes:
        base: Of the baseline, float64 [seeds, n].
        own: With the encoder, float64 [seeds, n].
        formulas: Reduced formulas [n].
        clusters: Rows of each cluster, where whole clusters are left out.
    """

    base: Float
    own: Float
    formulas: NDArray[np.str_]
    clusters: Sequence[NDArray[np.intp]] = ()

    def case(self, name: str, folds: str, labels: int, *, learned: bool) -> Case:
        """Return what the rule is applied to."""
        base, own = self.base.mean(axis=0), self.own.mean(axis=0)
        tested = np.isfinite(base)
        drawn = GroupBootstrap(self.formulas[tested], 0)
        deviation = float(np.std(np.log(drawn.means(own[tested]) / drawn.means(base[tested]))))
        seeds = tuple(_ratio(*pair) for pair in zip(self.own, self.base, strict=True))
        clusters = tuple(_ratio(own[rows], base[rows]) for rows in self.clusters)
        return Case(name, folds, labels, _ratio(own, base), deviation, seeds, clusters, learned)


def _ratio(own: Float, base: Float) -> float:
    return float(np.nanmean(own) / np.nanmean(base))
