"""From a checkpoint to a network, whatever the format."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from matlake.errors import EncoderError
from matlake.export.checkpoints import cdvae, cgcnn, open_catalyst, pyg
from matlake.export.checkpoints.loaded import LoadedNetwork, Stated
from matlake.export.checkpoints.reading import read_checkpoint
from matlake.networks.architectures import GRAPH_NETWORKS

_Recognise = Callable[[Any], str | None]
_Load = Callable[[Any, Path, Stated], LoadedNetwork]

_FORMATS: Final[tuple[tuple[_Recognise, _Load], ...]] = (
    (cdvae.recognise, cdvae.load),
    (cgcnn.recognise, cgcnn.load),
    (open_catalyst.recognise, open_catalyst.load),
    (pyg.recognise, pyg.load),
)

_LISTED: Final = 8


def load_published(path: Path, architecture: str, stated: Stated | None = None) -> LoadedNetwork:
    """Load trained weights; the format is known from the names in the file.

    Graph parameters belong to the network and are never guessed: what the file says counts, what it does not say must
    be stated, and a contradiction is an error.

    Args:
        path: A checkpoint.
        architecture: ``cgcnn``, ``schnet`` or ``dimenet++``.
        stated: What the caller knows of the graphs.

    Raises:
        EncoderError: The file cannot be read, holds another network, lacks something that is not stated, or
            contradicts what is.
    """
    if architecture not in GRAPH_NETWORKS:
        raise EncoderError(f"no published format holds a {architecture}", f"one of {', '.join(GRAPH_NETWORKS)}")
    stated = stated or Stated()
    stated.check(architecture)
    content = read_checkpoint(path)
    for recognise, load in _FORMATS:
        found = recognise(content)
        if found == architecture:
            return load(content, path, stated)
        if found is not None:
            hint = f"export it as {found}" if found in GRAPH_NETWORKS else f"one of {', '.join(GRAPH_NETWORKS)}"
            raise EncoderError(f"{path} holds a {found}, not a {architecture}", hint)
    raise EncoderError(
        f"{path} is of no known format: it holds {_summary(content)}",
        "known are CGCNN's .pth.tar, CDVAE's property networks, SchNet and DimeNet++ of PyTorch Geometric and Open"
        " Catalyst; of a pretraining run name the folder",
    )


def _summary(content: Any) -> str:
    if not isinstance(content, dict):
        return f"a {type(content).__name__}"
    names = [str(name) for name in content]
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more keys" if more > 0 else "") if names else "no keys"
