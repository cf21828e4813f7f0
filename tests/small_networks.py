"""Small graph networks with random weights, exported as ours are: a sample of an encoder that does not ship."""

from pathlib import Path
from typing import Any, Final

from matlake.encoders.card import read_card
from matlake.encoders.registry import RegisteredEncoder

SMALL_SCHNET: Final = "schnet-small"
SMALL: Final[dict[str, dict[str, Any]]] = {
    "cgcnn": {"atom_width": 16, "convolutions": 2, "hidden_width": 16},
    "schnet": {"hidden_channels": 16, "num_filters": 16, "num_interactions": 2},
    "dimenet++": {"hidden_channels": 16, "num_blocks": 2, "int_emb_size": 8, "out_emb_channels": 16},
}
"""Sizes of networks that train and export in a second."""

ENERGY: Final = "formation_energy_eV_per_atom"


def export_small(architecture: str, name: str, folder: Path) -> RegisteredEncoder:
    """Export a network with random weights, as if a run had trained it; needs the extra ``train``.

    Args:
        architecture: Key of ``SMALL``.
        name: Of the encoder.
        folder: Receives the run, and the encoder in the folder ``name``.
    """
    import torch

    from matlake.export.packaging import ExportRequest, export_encoder
    from matlake.networks.architectures import ARCHITECTURES
    from matlake.networks.checkpoints import BEST_FILE

    made = ARCHITECTURES[architecture]
    torch.manual_seed(7)
    sizes = {**made.sizes, **SMALL[architecture]}
    network = made.network(**sizes)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))  # no bias is zero or like another, as if it were trained
    identity = {
        "architecture": architecture,
        "sizes": sizes,
        "graph": {"cutoff_A": sizes["cutoff"], "max_neighbours": made.max_neighbours},
        "targets": [ENERGY],
    }
    run = folder / f"{name}-run"
    run.mkdir(parents=True)
    scaling = {"target_mean": [-1.0], "target_std": [0.5]}
    torch.save({"network": network.state_dict(), **scaling, "identity": identity, "epoch": 1}, run / BEST_FILE)
    export_encoder(ExportRequest(architecture, run, name, folder / name))
    return RegisteredEncoder(read_card(folder / name), folder / name, shipped=False)
