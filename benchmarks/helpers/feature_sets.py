"""The sets of features that ``encoders.py`` compares."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

GRAPHS: Final = tuple(f"{name}-mp-formation-energy" for name in ("cgcnn", "schnet", "dimenet++"))
ELEMNETS: Final = tuple(f"elemnet-oqmd-{name}" for name in ("formation-energy", "band-gap", "total-energy", "volume"))
CHGNET: Final = "chgnet-mptrj"
TENSORNET: Final = "tensornet-matpes-pbe"
"""Exported by the benchmark from matgl's file where that is present; it does not ship with matlake."""
POTENTIALS: Final = (CHGNET, TENSORNET)
LEARNED: Final = (*GRAPHS, *POTENTIALS)
BASELINE: Final = ("geometry", "magpie")
"""What has learned nothing: every learned encoder of crystals is compared with it."""
COMPOSITION_BASELINE: Final = ("magpie",)

STARTING_LAYERS: Final = {
    **dict.fromkeys(GRAPHS, "pooled"), **dict.fromkeys(ELEMNETS, "2"), CHGNET: "2", TENSORNET: "1",
}  # fmt: skip
"""Default layers before they were chosen by this study: others are compared with them."""

DEPTHS: Final = (1, 2, 3, 4, 6, 8)
"""Layers of ElemNet that might be the default: the seventeen narrow down to the property that it was trained on."""


@dataclass(frozen=True)
class FeatureSet:
    """Features that stand side by side.

    Attributes:
        label: As tables show it.
        features: ``NAME@LAYER`` or ``NAME@all``.
        adds: Whether it holds the baseline, and more.
        process: Whether ``gaussian-process`` is measured, too.
        process_apart: Whether it is on folds with formulas apart.
        curve: Whether it has a learning curve.
    """

    label: str
    features: tuple[str, ...]
    adds: bool = False
    process: bool = False
    process_apart: bool = False
    curve: bool = False

    @property
    def encoders(self) -> set[str]:
        """Names of the encoders that it takes."""
        return {feature.partition("@")[0] for feature in self.features}


def crystal_sets() -> Iterator[FeatureSet]:
    """Yield the sets for crystals."""
    pooled = tuple(f"{name}@pooled" for name in GRAPHS)
    base = " + ".join(BASELINE)
    everything = tuple(f"{name}@all" for name in POTENTIALS)
    yield FeatureSet("CGCNN, SchNet, DimeNet++ `@pooled`", pooled, curve=True)
    yield FeatureSet("those + magpie", (*pooled, "magpie"))
    yield FeatureSet("magpie", ("magpie",))
    yield FeatureSet("geometry", ("geometry",))
    yield FeatureSet(base, BASELINE, process=True, process_apart=True, curve=True)
    for name in LEARNED:
        yield FeatureSet(f"{name}@all", (f"{name}@all",), curve=name == CHGNET)
    for name in LEARNED:
        yield FeatureSet(
            f"{base} + {name}@all", (*BASELINE, f"{name}@all"), adds=True, process=name == CHGNET,
            process_apart=name == CHGNET, curve=name == CHGNET,
        )  # fmt: skip
    deviations = tuple(f"{CHGNET}@{layer}_std" for layer in range(5))
    yield FeatureSet(f"{CHGNET}@all with deviations", (f"{CHGNET}@all", *deviations))
    yield FeatureSet(f"{base} + {CHGNET}@all with deviations", (*BASELINE, f"{CHGNET}@all", *deviations), adds=True)
    ours = tuple(f"{name}@1" for name in GRAPHS)
    yield FeatureSet(f"{base} + {CHGNET}@all + ours `@1`", (*BASELINE, f"{CHGNET}@all", *ours), adds=True, process=True)
    yield FeatureSet(f"{base} + {CHGNET}@all + {TENSORNET}@all", (*BASELINE, *everything), adds=True, process=True)
    yield FeatureSet(f"{base} + {CHGNET}@all + {TENSORNET}@all + ours `@1`", (*BASELINE, *everything, *ours), adds=True)


def composition_sets() -> Iterator[FeatureSet]:
    """Yield the sets for compositions; ``@1`` is the default layer, ``@2`` that of 0.1.0."""
    yield FeatureSet("fractions", ("fractions",), curve=True)
    yield FeatureSet("magpie", ("magpie",), curve=True)
    for name in ELEMNETS:
        yield FeatureSet(f"{name}@1", (f"{name}@1",), curve=name == ELEMNETS[0])
    for name in ELEMNETS:
        yield FeatureSet(f"magpie + {name}@1", ("magpie", f"{name}@1"), adds=True)
    every = tuple(f"{name}@1" for name in ELEMNETS)
    yield FeatureSet("four ElemNets `@1`", every)
    yield FeatureSet("magpie + four ElemNets `@1`", ("magpie", *every), adds=True, curve=True)
