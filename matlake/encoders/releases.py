"""Encoders of earlier versions that this one does not ship, or ships with another file: where their files come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from matlake.errors import Hint, UnknownEncoderError
from matlake.sequences import closest

RELEASED: Final[Mapping[str, Mapping[str, str]]] = {
    "0.1.0": {
        "cgcnn-mp-formation-energy": "227bdeebf575eb963a3f7957365a3f35b4b7176662df8068b539c840873cdbc5",
        "dimenet++-mp-formation-energy": "7380de01e3b685fb29621132e33a8d1fba10f24152f669e946776d729548aa9a",
        "elemnet-oqmd-band-gap": "490ff1241fc276cacc21ffec33c684cccdbf4bdf292a46f895e6dd05d17de994",
        "elemnet-oqmd-formation-energy": "b7b580e315ad8dd9695e5a0c2fdd9742446c78d50c125dfa3a34044a0eee1391",
        "elemnet-oqmd-formation-energy-int8": "f4f85ce66a7eda922a78b295a54124e2786b07d351db62a109ac3ec822f09a6e",
        "elemnet-oqmd-total-energy": "8fed54b40d3e735d3b99fcb1b70de9899d0eb76da56840cc84a564fc60f6dc3b",
        "elemnet-oqmd-volume": "c6d87ba060d49975407b47bc6e164c70cfc02414c66dc6f3a7a1fe69cfdcb358",
        "fractions": "20b88c0934eca95127b046de109dcc4858a102130630bcf2e6243ee2e4aa164a",
        "magpie": "ebd67f34e0dd8449193a610bb9b9228a9b5b192e4d5af7daeb86ebf1073927d2",
        "schnet-mp-formation-energy": "f27393dd8b14314f5f08d85b81997c164a022e7de96aaa3dd701e1ae7c17343e",
    },
}
"""Version of matlake -> name of an encoder that it shipped -> sha256 of the file, the last version last. What is
released is added once, and never changes."""


@dataclass(frozen=True)
class Release:
    """A file that a version of matlake shipped.

    Attributes:
        name: Of the encoder.
        sha256: Of the file.
        version: The last version that shipped it.
    """

    name: str
    sha256: str
    version: str

    @property
    def said(self) -> str:
        """Which versions shipped it, for a message."""
        return f"matlake shipped it up to version {self.version}"

    @property
    def hint(self) -> Hint:
        """How to get the file."""
        folder = f"matlake/encoders/shipped/{self.name}"
        copy = f"a lake that has used it holds a copy in encoders/{self.name}: copy that folder into this lake"
        wheel = f"`pip download --no-deps 'matlake=={self.version}'` and unpack the wheel: {folder} has the files"
        return Hint(
            f"{copy}. Or run {wheel}; give them to lake.encoders.register(…)",
            cli=f"{copy}. Or run {wheel}; give them to `matlake encoders register`",
        )


def last_release(name: str, sha256: str | None = None) -> Release | None:
    """Return the last release of an encoder of a name, with this file if a digest is given; None if there is none."""
    for version in reversed(list(RELEASED)):
        known = RELEASED[version].get(name)
        if known is not None and sha256 in (None, known):
            return Release(name, known, version)
    return None


def unknown_encoder(name: str, known: Sequence[str]) -> UnknownEncoderError:
    """Return the error for a name that no encoder has here.

    Args:
        name: Of the encoder.
        known: Names of those that are here, for the hint.
    """
    release = last_release(name)
    if release is None:
        return UnknownEncoderError(
            f"no encoder named {name!r}", f"{closest(name, known)}known encoders: {', '.join(known) or 'none'}"
        )
    return UnknownEncoderError(f"no encoder named {name!r} here: {release.said}", release.hint)
