"""The networks that can be pretrained and exported, with the sizes and settings they are trained with by default."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from torch import nn

from matlake.export.pretraining.sources import ELEMNET_PAPERS
from matlake.export.pretraining.training_data import RANDOM_SHARES
from matlake.materials.graph_recipe import GraphRecipe
from matlake.networks.batches import angular_batch, pair_batch
from matlake.networks.cgcnn import CGCNN
from matlake.networks.dimenet import DimeNetPlusPlus
from matlake.networks.elemnet import ElemNet
from matlake.networks.rearranged import ANGULAR_INPUTS, PAIR_INPUTS, FastCGCNN, FastDimeNetPlusPlus, FastSchNet
from matlake.networks.schnet import SchNet
from matlake.networks.training_loop import TrainingConfig


@dataclass(frozen=True)
class Architecture:
    """A kind of network.

    Attributes:
        name: What users call it.
        network: Builds the reference network from sizes.
        config: Training settings.
        shares: Shares of train, val and test in a random split.
        citation: The papers.
        sizes: Arguments of ``network``.
        fast: Rearranges a reference network for ONNX Runtime; None where nothing needs to be.
        kind: The graphs it takes, as in ``GraphRecipe``; ``""`` for compositions.
        max_neighbours: Neighbour cap of the graphs.
        batch: Turns graphs into what the reference network takes.
    """

    name: str
    network: Callable[..., nn.Module]
    config: TrainingConfig
    shares: tuple[float, float, float]
    citation: tuple[str, ...]
    sizes: dict[str, Any] = field(default_factory=dict)
    fast: Callable[[Any], nn.Module] | None = None
    kind: str = ""
    max_neighbours: int = 0
    batch: Callable[..., Any] | None = None

    @property
    def input(self) -> str:
        """``composition`` or ``crystal``."""
        return "crystal" if self.kind else "composition"

    @property
    def cutoff_A(self) -> float:  # noqa: N802 - the unit
        """Cutoff of a graph network in Å, by default."""
        return float(self.sizes["cutoff"])

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the ONNX inputs of a graph network."""
        return PAIR_INPUTS if self.kind == "pairs" else ANGULAR_INPUTS

    def recipe(
        self, network: nn.Module, cutoff: float, max_neighbours: int, *, keep_images: bool = True
    ) -> GraphRecipe:
        """Return the recipe of the graphs that a network of this kind takes."""
        blocks = next(getattr(network, name) for name in _BLOCKS if hasattr(network, name))
        return GraphRecipe(
            self.kind,
            cutoff,
            max_neighbours,
            len(blocks),
            getattr(network, "num_spherical", 0),
            keep_images,
        )


_BLOCKS: Final = ("convs", "interactions", "interaction_blocks")
_CRYSTAL_SHARES: Final = (0.84, 0.08, 0.08)

ARCHITECTURES: Final = {
    architecture.name: architecture
    for architecture in (
        Architecture(
            name="elemnet",
            network=ElemNet,
            config=TrainingConfig(),
            shares=RANDOM_SHARES,
            citation=ELEMNET_PAPERS,
        ),
        Architecture(
            name="cgcnn",
            network=CGCNN,
            config=TrainingConfig(epochs=90, batch_size=64, learning_rate=2e-3, weight_decay=0.02, averaging=0.998),
            shares=_CRYSTAL_SHARES,
            citation=("T. Xie, J. C. Grossman, Phys. Rev. Lett. 120, 145301 (2018) (CGCNN)",),
            sizes={"atom_width": 128, "convolutions": 4, "hidden_width": 128, "cutoff": 8.0},
            fast=FastCGCNN,
            kind="pairs",
            max_neighbours=12,
            batch=pair_batch,
        ),
        Architecture(
            name="schnet",
            network=SchNet,
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
            fast=FastSchNet,
            kind="pairs",
            max_neighbours=24,
            batch=pair_batch,
        ),
        Architecture(
            name="dimenet++",
            network=DimeNetPlusPlus,
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
            fast=FastDimeNetPlusPlus,
            kind="angles",
            max_neighbours=16,
            batch=angular_batch,
        ),
    )
}
