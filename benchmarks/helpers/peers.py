"""What a user would run instead: the networks of PyTorch Geometric and of the original CGCNN, with our weights.

They get the graphs that such a user builds: every atom, every edge, and for DimeNet++ every triplet of edges. Where the
neighbour cap cuts a shell of equally distant atoms, whichever come first stay.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn.models import DimeNetPlusPlus, SchNet
from torch_geometric.utils import scatter

from matlake.export.pretraining.run import load_trained
from matlake.materials.crystal import Crystal
from matlake.materials.graph_recipe import GraphRecipe
from matlake.materials.neighbours import neighbour_list
from matlake.networks.architectures import ARCHITECTURES
from matlake.networks.cgcnn import ATOM_FEATURES, GAUSSIAN_STEP_A

Tensors = tuple[Any, ...]


@dataclass(frozen=True)
class Neighbours:
    """The neighbours of all atoms of one crystal, by atom and nearest first.

    Attributes:
        numbers: int64 [atoms], atomic numbers.
        centres: int64 [edges], the atom that has the neighbour.
        neighbours: int64 [edges], the neighbour's index in the cell.
        images: int64 [edges, 3], the cell that it is in.
        distances: float64 [edges] in Å.
        vectors: float64 [edges, 3], from the atom to its neighbour in Å.
    """

    numbers: NDArray[np.int64]
    centres: NDArray[np.int64]
    neighbours: NDArray[np.int64]
    images: NDArray[np.int64]
    distances: NDArray[np.float64]
    vectors: NDArray[np.float64]


class CrystalData(Data):  # type: ignore[misc] # PyTorch Geometric is published without types
    """A crystal whose triplets count edges, and whose neighbour table counts atoms."""

    def __inc__(self, key: str, value: Any, *arguments: Any) -> Any:
        """Return by how much an index grows behind this crystal in a batch."""
        if key in ("idx_kj", "idx_ji"):
            return self.edge_index.shape[1]
        if key == "table":
            return self.num_nodes
        return super().__inc__(key, value, *arguments)


@dataclass(frozen=True)
class Peer:
    """A network, the data of a crystal for it, and the arguments that it takes for a batch."""

    network: nn.Module
    data: Callable[[Neighbours], CrystalData]
    arguments: Callable[[Any], Tensors]

    def batches(self, crystals: Any, size: int, workers: int = 0) -> Iterator[Tensors]:
        """Yield the arguments of the network for a sequence of ``CrystalData``, which may be made on the way."""
        for batch in DataLoader(crystals, batch_size=size, num_workers=workers):
            yield self.arguments(batch)

    def compiled(self) -> nn.Module:
        """Return a copy of the network that is compiled when it first runs.

        Of CGCNN only the convolutions are: its pooling takes a list of crystals, and is compiled anew for each batch.
        """
        network = copy.deepcopy(self.network)
        for part in getattr(network, "convs", [network]):
            part.compile(dynamic=True)
        return network


def ready_neighbours(crystal: Crystal, recipe: GraphRecipe) -> Neighbours:
    """Find the neighbours with our own kernel."""
    found = neighbour_list(crystal, recipe.cutoff_A, recipe.max_neighbours)
    centres = np.repeat(np.arange(len(crystal.numbers)), np.diff(found.first))
    return _capped(
        (crystal.numbers, crystal.lattice, crystal.positions),
        (centres, found.neighbours, found.shifts, found.distances),
        recipe.max_neighbours,
    )


def pymatgen_neighbours(structure: Any, recipe: GraphRecipe) -> Neighbours:
    """Find the neighbours with pymatgen."""
    return _capped(
        (structure.atomic_numbers, structure.lattice.matrix, structure.frac_coords),
        structure.get_neighbor_list(recipe.cutoff_A),
        recipe.max_neighbours,
    )


def load_peer(kind: str, weights: Path, recipe: GraphRecipe) -> Peer:
    """Build the peer of an architecture.

    Args:
        kind: Key of ``ARCHITECTURES``.
        weights: ``best.pt`` of a run; where there is none, fresh weights of the usual sizes are drawn.
        recipe: The graphs.
    """
    if weights.exists():
        reference, identity = load_trained(weights)
        sizes = identity["sizes"]
    else:
        sizes = ARCHITECTURES[kind].sizes
        torch.manual_seed(0)
        reference = ARCHITECTURES[kind].network(**sizes).eval()
    network = {"cgcnn": _cgcnn, "schnet": _schnet, "dimenet++": _Dimenet}[kind](sizes)
    inner = network.inner if isinstance(network, _Dimenet) else network
    missing, unexpected = inner.load_state_dict(reference.state_dict(), strict=False)
    aliases = [name for name in missing if ".conv.nn." in name]  # in SchNet, second names of the filter networks
    if unexpected or len(aliases) < len(missing):
        raise ValueError(f"{kind}: parameters {missing} and {unexpected} do not match")
    if isinstance(network, _Dimenet):
        network.shift.copy_(reference.get_buffer("shift"))
    network.requires_grad_(requires_grad=False).eval()
    if kind == "cgcnn":
        return Peer(network, lambda found: _table_data(found, recipe), _table_arguments)
    if kind == "schnet":
        return Peer(network, _edge_data, _edge_arguments)
    return Peer(network, _triplet_data, _triplet_arguments)


def _cgcnn(sizes: dict[str, Any]) -> nn.Module:
    from cgcnn2.model import CrystalGraphConvNet

    network: nn.Module = CrystalGraphConvNet(
        92,
        round(sizes["cutoff"] / GAUSSIAN_STEP_A) + 1,
        atom_fea_len=sizes["atom_width"],
        n_conv=sizes["convolutions"],
        h_fea_len=sizes["hidden_width"],
        n_h=sizes.get("hidden_layers", 1),
    )
    return network


def _schnet(sizes: dict[str, Any]) -> nn.Module:
    # its forward asks for edges where it has positions: here they are handed in instead
    network: nn.Module = SchNet(**sizes, readout="mean", interaction_graph=lambda edges, _: edges)
    return network


class _Dimenet(nn.Module):
    """The forward of PyTorch Geometric behind its search for edges and triplets; means over atoms."""

    shift: torch.Tensor

    def __init__(self, sizes: dict[str, Any]) -> None:
        super().__init__()
        self.inner = DimeNetPlusPlus(**sizes, out_channels=1)
        self.register_buffer("shift", torch.zeros(1))

    def forward(
        self,
        z: torch.Tensor,
        edge_index: torch.Tensor,
        distances: torch.Tensor,
        angles: torch.Tensor,
        idx_kj: torch.Tensor,
        idx_ji: torch.Tensor,
        batch: torch.Tensor,
    ) -> torch.Tensor:
        j, i = edge_index
        radial = self.inner.rbf(distances)
        spherical = self.inner.sbf(distances, angles, idx_kj)
        x = self.inner.emb(z, radial, i, j)
        total = self.inner.output_blocks[0](x, radial, i, num_nodes=len(z))
        for interaction, output in zip(self.inner.interaction_blocks, self.inner.output_blocks[1:], strict=True):
            x = interaction(x, radial, spherical, idx_kj, idx_ji)
            total = total + output(x, radial, i, num_nodes=len(z))
        mean: torch.Tensor = scatter(total, batch, dim=0, reduce="mean")
        return mean + self.shift


def _capped(crystal: tuple[Any, Any, Any], found: tuple[Any, ...], most: int) -> Neighbours:
    numbers, lattice, positions = crystal
    centres, neighbours, images, distances = found
    order = np.lexsort((distances, centres))
    if most:
        counts = np.bincount(centres, minlength=len(numbers))
        rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        order = order[rank < most]
    centres, neighbours, images = centres[order], neighbours[order], images[order]
    return Neighbours(
        np.asarray(numbers, dtype=np.int64),
        centres.astype(np.int64),
        neighbours.astype(np.int64),
        images.astype(np.int64),
        distances[order],
        (positions[neighbours] + images - positions[centres]) @ lattice,
    )


def _triplets(found: Neighbours) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return for each pair of edges k→j and j→i both edges and their angle; edge i→j of the same image is none."""
    degrees = np.bincount(found.centres, minlength=len(found.numbers))
    first = np.cumsum(degrees) - degrees
    counts = degrees[found.neighbours]
    idx_ji = np.repeat(np.arange(len(found.centres)), counts)
    starts = np.cumsum(counts) - counts
    idx_kj = np.arange(len(idx_ji)) + np.repeat(first[found.neighbours] - starts, counts)
    back = found.neighbours[idx_kj] == found.centres[idx_ji]
    back &= (found.images[idx_kj] == -found.images[idx_ji]).all(axis=1)
    idx_kj, idx_ji = idx_kj[~back], idx_ji[~back]
    a, b = found.vectors[idx_ji], found.vectors[idx_kj]
    angles = np.arctan2(np.linalg.norm(np.cross(a, b), axis=1), (a * b).sum(axis=1))
    return idx_kj, idx_ji, angles


def _table_data(found: Neighbours, recipe: GraphRecipe) -> CrystalData:
    atoms, most = len(found.numbers), recipe.max_neighbours
    counts = np.bincount(found.centres, minlength=atoms)
    rank = np.arange(len(found.centres)) - np.repeat(np.cumsum(counts) - counts, counts)
    table = np.zeros((atoms, most), dtype=np.int64)
    distances = np.full((atoms, most), recipe.cutoff_A + 1.0)
    table[found.centres, rank] = found.neighbours
    distances[found.centres, rank] = found.distances
    offsets = np.arange(round(recipe.cutoff_A / GAUSSIAN_STEP_A) + 1) * GAUSSIAN_STEP_A
    bonds = np.exp(-(((distances[..., None] - offsets) / GAUSSIAN_STEP_A) ** 2))
    features = _ATOM_FEATURES[found.numbers]
    return CrystalData(
        x=torch.from_numpy(features), bonds=torch.from_numpy(bonds).float(), table=torch.from_numpy(table)
    )


def _table_arguments(batch: Any) -> Tensors:
    members = torch.split(torch.arange(len(batch.x)), batch.ptr.diff().tolist())
    return batch.x, batch.bonds, batch.table, list(members)


def _edge_data(found: Neighbours) -> CrystalData:
    return CrystalData(
        z=torch.from_numpy(found.numbers),
        num_nodes=len(found.numbers),
        edge_index=torch.from_numpy(np.stack([found.neighbours, found.centres])),
        distances=torch.from_numpy(found.distances).float(),
    )


def _edge_arguments(batch: Any) -> Tensors:
    return batch.z, (batch.edge_index, batch.distances), batch.batch


def _triplet_data(found: Neighbours) -> CrystalData:
    data = _edge_data(found)
    idx_kj, idx_ji, angles = _triplets(found)
    data.idx_kj, data.idx_ji = torch.from_numpy(idx_kj), torch.from_numpy(idx_ji)
    data.angles = torch.from_numpy(angles).float()
    return data


def _triplet_arguments(batch: Any) -> Tensors:
    return batch.z, batch.edge_index, batch.distances, batch.angles, batch.idx_kj, batch.idx_ji, batch.batch


_ATOM_FEATURES = np.load(ATOM_FEATURES, allow_pickle=False).astype(np.float32)
