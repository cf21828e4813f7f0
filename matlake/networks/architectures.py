"""The catalogue of architectures: sizes and settings by default, what to cite, and where their code is.

It imports no torch, so that commands can list architectures; a network's module is imported when it is asked for.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from inspect import signature
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Final

from matlake.encoders.training_contents import RANDOM_SHARES
from matlake.errors import PluginError, TrainingError
from matlake.networks.training_config import TrainingConfig
from matlake.plugins import PluginKind, check_kind, check_same_name

if TYPE_CHECKING:
    from torch import nn

    from matlake.materials.graph_kinds import GraphKind
    from matlake.materials.graph_recipe import GraphRecipe


@dataclass(frozen=True)
class Architecture:
    """A kind of network. Its code is named as ``module:name`` in this folder, or ``package.module:name`` elsewhere.

    Attributes:
        name: What users call it.
        network_code: The reference network.
        config: Training settings by default.
        shares: Shares of train, val and test in a random split.
        citation: The papers.
        sizes: Arguments of the network by default.
        kind: The graphs it takes, as in ``GraphRecipe``; ``""`` for compositions.
        max_neighbours: Neighbour cap of the graphs by default.
        resolution_A: What ``GraphRecipe`` says, where it is finer than usual; 0 for the usual one.
        fast_code: Of a graph network: the same function, rearranged for ONNX Runtime.
        unfold_code: Of a graph network: gives a reference network the weights of an encoder's file; ``""`` for one
            that cannot be fine-tuned.
        default_layer: The layer of its encoders that is meant when none is named; ``""`` for the usual one.
        output: Pattern of the names of the parameters that make the prediction: another target has others.
        fresh_sizes: Sizes that are others where the output is made for another target.
        fine_tuning: Training settings that begin with an encoder's weights; None for ``config`` at half its rate.
        published_as: Of a network that is exported from published weights and not trained here: the format of these,
            which users name in place of the network; ``""`` for one that is trained here.
    """

    name: str
    network_code: str
    config: TrainingConfig
    shares: tuple[float, float, float]
    citation: tuple[str, ...]
    sizes: dict[str, Any] = field(default_factory=dict)
    kind: str = ""
    max_neighbours: int = 0
    resolution_A: float = 0.0  # noqa: N815 - the unit
    fast_code: str = ""
    unfold_code: str = ""
    default_layer: str = ""
    output: str = ""
    fresh_sizes: dict[str, Any] = field(default_factory=dict)
    fine_tuning: TrainingConfig | None = None
    published_as: str = ""

    @property
    def input(self) -> str:
        """``composition`` or ``crystal``."""
        return "crystal" if self.kind else "composition"

    @property
    def network(self) -> "Callable[..., nn.Module]":
        """Builds the reference network from sizes."""
        return _code(self.network_code)

    @property
    def fast(self) -> "Callable[[nn.Module], nn.Module]":
        """Rearranges a reference network for ONNX Runtime."""
        return _code(self.fast_code)

    @property
    def unfold(self) -> Callable[..., None]:
        """Gives a reference network the weights of an encoder's file."""
        return _code(self.unfold_code)

    @property
    def output_pattern(self) -> re.Pattern[str]:
        """What the names of the output's parameters begin with; nothing matches where that is not known."""
        return re.compile(self.output or r"(?!)")

    @property
    def batch(self) -> Callable[..., Any]:
        """Turns graphs into what the reference network takes."""
        return _code(_BATCHES.get(self.kind) or _of_plugin(self.kind).batch_code)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the ONNX inputs of a graph network: the arguments of its rearranged form."""
        return tuple(signature(self.fast.forward).parameters)[1:]  # type: ignore[attr-defined]

    def recipe(
        self, network: "nn.Module", cutoff: float, max_neighbours: int, *, keep_images: bool = True
    ) -> "GraphRecipe":
        """Return the recipe of the graphs that a network of this kind takes."""
        from matlake.materials.graph_recipe import GRAPH_PLUGINS, GraphRecipe

        blocks = next(getattr(network, name) for name in _BLOCKS if hasattr(network, name))
        degrees = getattr(network, "num_spherical", 0)
        bond_cutoff = getattr(network, "bond_cutoff", 0.0)
        recipe = GraphRecipe(self.kind, cutoff, max_neighbours, len(blocks), degrees, keep_images, bond_cutoff)
        if self.kind not in _BATCHES:
            options = ((name, float(getattr(network, name))) for name in sorted(_of_plugin(self.kind).options))
            recipe = replace(recipe, package=GRAPH_PLUGINS.package(self.kind) or "", options=tuple(options))
        return replace(recipe, resolution_A=self.resolution_A) if self.resolution_A else recipe


def _code(place: str) -> Callable[..., Any]:
    elsewhere = "." in place.partition(":")[0]
    found: Callable[..., Any] = resolve_name(place if elsewhere else f"matlake.networks.{place}")
    return found


def _of_plugin(kind: str) -> "GraphKind":
    """Return a kind of graphs of another package.

    Raises:
        PluginError: No package that is installed adds it, with what networks need, or it cannot be used.
    """
    from matlake.materials.graph_recipe import GRAPH_PLUGINS

    found = GRAPH_PLUGINS.find(kind)
    if found is None or not found.batch_code:
        raise PluginError(
            f"networks are trained on graphs of the kinds {', '.join(_BATCHES)} and of plug-ins with batch_code, and "
            f"{kind!r} is none of them",
            f"install the package that has the entry point {kind!r} in the group {GRAPH_PLUGINS.group}",
        )
    return found


_BATCHES: Final = {
    "pairs": "batches:pair_batch",
    "angles": "batches:angular_batch",
    "bonds": "bond_batches:bond_batch",
    "triplets": "triplet_batches:triplet_batch",
    "vectors": "vector_batches:vector_batch",
}
_BLOCKS: Final = (
    "convs",
    "interactions",
    "interaction_blocks",
    "atom_conv_layers",
    "graph_layers",
    "layers",
    "blocks",
)
_CRYSTAL_SHARES: Final = (0.84, 0.08, 0.08)

ARCHITECTURES: Final = {
    architecture.name: architecture
    for architecture in (
        Architecture(
            name="elemnet",
            network_code="elemnet:ElemNet",
            config=TrainingConfig(),
            shares=RANDOM_SHARES,
            citation=(
                "D. Jha et al., Sci. Rep. 8, 17593 (2018), doi:10.1038/s41598-018-35934-y (ElemNet)",
                (
                    "V. Gupta et al., Nat. Commun. 12, 6595 (2021), doi:10.1038/s41467-021-26921-5 "
                    "(transfer of hidden layers)"
                ),
            ),
        ),
        Architecture(
            name="cgcnn",
            network_code="cgcnn:CGCNN",
            config=TrainingConfig(epochs=90, batch_size=64, learning_rate=2e-3, weight_decay=0.02, averaging=0.998),
            shares=_CRYSTAL_SHARES,
            citation=("T. Xie, J. C. Grossman, Phys. Rev. Lett. 120, 145301 (2018) (CGCNN)",),
            sizes={"atom_width": 128, "convolutions": 4, "hidden_width": 128, "cutoff": 8.0},
            kind="pairs",
            max_neighbours=12,
            fast_code="rearranged:FastCGCNN",
            unfold_code="rearranged:unfold_cgcnn",
            output=r"fc_out\.",
            fine_tuning=TrainingConfig(epochs=50, batch_size=32, learning_rate=1e-3, warmup=0.2, weight_decay=0.02),
        ),
        Architecture(
            name="schnet",
            network_code="schnet:SchNet",
            config=TrainingConfig(epochs=90, batch_size=32, learning_rate=1e-3, weight_decay=0.01, averaging=0.999),
            shares=_CRYSTAL_SHARES,
            citation=("K. T. Schütt et al., J. Chem. Phys. 148, 241722 (2018) (SchNet)",),
            sizes={
                "hidden_channels": 128,
                "num_filters": 128,
                "num_interactions": 4,
                "num_gaussians": 50,
                "cutoff": 6.0,
            },
            kind="pairs",
            max_neighbours=24,
            fast_code="rearranged:FastSchNet",
            unfold_code="rearranged:unfold_schnet",
            output=r"lin2\.",
            fine_tuning=TrainingConfig(epochs=30, batch_size=32, learning_rate=1e-3, warmup=0.2, weight_decay=0.01),
        ),
        Architecture(
            name="dimenet++",
            network_code="dimenet:DimeNetPlusPlus",
            config=TrainingConfig(epochs=45, batch_size=32, learning_rate=1e-3, weight_decay=0.01, averaging=0.999),
            shares=_CRYSTAL_SHARES,
            citation=(
                "J. Gasteiger et al., ICLR 2020, arXiv 2003.03123 (DimeNet)",
                "J. Gasteiger et al., arXiv 2011.14115 (2020) (DimeNet++)",
            ),
            sizes={
                "hidden_channels": 96,
                "num_blocks": 3,
                "int_emb_size": 48,
                "basis_emb_size": 8,
                "out_emb_channels": 128,
                "num_spherical": 7,
                "num_radial": 6,
                "cutoff": 6.0,
            },
            kind="angles",
            max_neighbours=16,
            fast_code="rearranged:FastDimeNetPlusPlus",
            unfold_code="rearranged:unfold_dimenet",
            default_layer="sums_0",
            output=r"output_blocks\.\d+\.lin\.",
        ),
        Architecture(
            name="chgnet",
            network_code="chgnet:CHGNet",
            config=TrainingConfig(),
            shares=_CRYSTAL_SHARES,
            citation=("B. Deng et al., Nat. Mach. Intell. 5, 1031 (2023), doi:10.1038/s42256-023-00716-3 (CHGNet)",),
            kind="bonds",
            fast_code="rearranged_chgnet:FastCHGNet",
            unfold_code="unfolded_chgnet:unfold_chgnet",
            output=r"(mlp|composition_model|readout_norm|output)\.",
            fine_tuning=TrainingConfig(epochs=20, batch_size=32, learning_rate=1e-3, warmup=0.2, weight_decay=0.01),
            fresh_sizes={"linear_output": True},  # dense layers forget what an energy does not need
            published_as="chgnet",
        ),
        Architecture(
            name="m3gnet",
            network_code="m3gnet:M3GNet",
            config=TrainingConfig(),
            shares=_CRYSTAL_SHARES,
            citation=("C. Chen, S. P. Ong, Nat. Comput. Sci. 2, 718 (2022), doi:10.1038/s43588-022-00349-3 (M3GNet)",),
            kind="triplets",
            fast_code="rearranged_m3gnet:FastM3GNet",
            published_as="matgl",
        ),
        Architecture(
            name="tensornet",
            network_code="tensornet:TensorNet",
            config=TrainingConfig(),
            shares=_CRYSTAL_SHARES,
            citation=("G. Simeon, G. De Fabritiis, NeurIPS 2023, arXiv 2306.06482 (TensorNet)",),
            kind="vectors",
            fast_code="rearranged_tensornet:FastTensorNet",
            published_as="matgl",
        ),
        Architecture(
            name="megnet",
            network_code="megnet:MEGNet",
            config=TrainingConfig(),
            shares=_CRYSTAL_SHARES,
            citation=("C. Chen et al., Chem. Mater. 31, 3564 (2019), doi:10.1021/acs.chemmater.9b01294 (MEGNet)",),
            kind="pairs",
            resolution_A=2e-6,  # differences of 1e-5 Å move its read-out by more than the tolerance
            fast_code="rearranged_megnet:FastMEGNet",
            published_as="matgl",
        ),
    )
}

TRAINABLE: Final = tuple(name for name, architecture in ARCHITECTURES.items() if not architecture.published_as)
EXPORTABLE: Final = tuple(dict.fromkeys(one.published_as or name for name, one in ARCHITECTURES.items()))
"""What ``encoders export`` takes: a network that is trained here, or the format of published ones."""

GRAPH_NETWORKS: Final = tuple(name for name in TRAINABLE if ARCHITECTURES[name].kind)
FINE_TUNABLE: Final = tuple(name for name, one in ARCHITECTURES.items() if one.unfold_code)
"""Graph networks that are read back from an encoder's file; some of them are not trained from scratch here."""

COMPOSITION_NETWORKS: Final = tuple(name for name, one in ARCHITECTURES.items() if not one.kind)


def _accept(name: str, found: Any) -> Architecture | None:
    """Return what an entry point adds, if it is a graph network of its name; None for the folder of an encoder."""
    if isinstance(found, str | os.PathLike):
        return None
    check_kind(found, Architecture, "matlake.networks.architectures.Architecture, nor the folder of an encoder")
    architecture: Architecture = found
    check_same_name(name, architecture.name)
    if not architecture.kind or not architecture.fast_code or architecture.published_as:
        raise PluginError(f"it is not a graph network with fast_code and a kind of {', '.join(_BATCHES)}")
    if architecture.kind not in _BATCHES:
        _of_plugin(architecture.kind)
    return architecture


ARCHITECTURE_PLUGINS: Final = PluginKind(
    "matlake.encoders", "architecture", _accept, lambda: {*ARCHITECTURES, *EXPORTABLE}
)
"""Graph networks of other packages."""


def find_architecture(name: str) -> Architecture:
    """Return the architecture of a name, of matlake or of a plug-in.

    Raises:
        TrainingError: There is none.
        PluginError: A plug-in has one of this name, and it cannot be used.
    """
    found = ARCHITECTURES.get(name) or ARCHITECTURE_PLUGINS.find(name)
    if found is None:
        raise TrainingError(f"unknown architecture {name!r}", f"architectures: {', '.join(ARCHITECTURES)}")
    return found
