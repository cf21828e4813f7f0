"""Networks from folders in matgl's format, by the class of the network inside."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from matlake.errors import EncoderError
from matlake.export.checkpoints import m3gnet, megnet, tensornet
from matlake.export.checkpoints.loaded import Stated, Trained
from matlake.export.checkpoints.matgl_folder import MatglFolder, read_folder

MATGL: Final = "matgl"
"""What stands for the architecture where the folder names it."""

_BUILDERS: Final[Mapping[str, Callable[[MatglFolder], Trained]]] = {
    "M3GNet": m3gnet.load,
    "MEGNet": megnet.load,
    "TensorNet": tensornet.load,
}
"""By the class of the network."""


def load(path: Path, stated: Stated) -> Trained:
    """Load a folder in matgl's format.

    Raises:
        EncoderError: The folder cannot be read, holds a network that is not supported, or settings are stated that it
            says itself.
    """
    if stated != Stated():
        raise EncoderError(f"{path} says the settings of its graphs itself", "leave them out")
    folder = read_folder(path)
    build = _BUILDERS.get(folder.network)
    if build is None:
        raise EncoderError(f"{path} holds a {folder.network}", f"supported are {', '.join(_BUILDERS)}")
    return build(folder)
