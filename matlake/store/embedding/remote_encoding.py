"""Encoding on other machines: what they open by name, and what becomes of a lake that they do not share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from matlake.encoders.encoder import open_encoder
from matlake.encoders.registry import check_same_file
from matlake.errors import LakeError
from matlake.store.embedding.encoding import Encoded, Output, ShardEncoder
from matlake.store.embedding.targets import Target
from matlake.store.lake import Lake
from matlake.store.shared_lake import SHARED, open_sent, to_send
from matlake.store.views import embedding_partition


@dataclass(frozen=True)
class RemoteEncoders:
    """The encoders of a run, for machines that open them in the lake.

    Attributes:
        lake: The lake, by its full address.
        layers: Name of the encoder, its sha256 and the layer, of each target.
        device: ``cpu`` or ``cuda``.
    """

    lake: Lake
    layers: tuple[tuple[str, str, str], ...]
    device: str

    @classmethod
    def of(cls, lake: Lake, targets: Sequence[Target], device: str) -> Self:
        """Return what is named of the targets of a run."""
        cards = [(target.model.encoder.card, target.layer) for target in targets]
        return cls(to_send(lake), tuple((card.name, card.sha256, layer) for card, layer in cards), device)

    def open(self) -> tuple[Any, Any]:
        """Open the encoders, and return the stages of ``ShardEncoder``.

        Raises:
            LakeError: The lake is not there.
            EncoderError: An encoder is another one than that of the driver.
            MissingExtraError: ONNX Runtime or the device is not there.
        """
        lake = open_sent(self.lake)
        encoders = {}
        for name, sha256 in dict.fromkeys((name, sha256) for name, sha256, _ in self.layers):
            found = lake.find_encoder(name)
            check_same_file(found, sha256)
            layers = [layer for owner, _, layer in self.layers if owner == name]
            encoders[name] = open_encoder(found.folder, device=self.device, layers=layers)
        outputs = [
            Output(encoders[name], layer, lake.embeddings, embedding_partition(encoders[name].card, layer))
            for name, _, layer in self.layers
        ]
        return ShardEncoder(outputs).stages


def check_shared(shard: Sequence[Encoded], targets: Sequence[Target]) -> None:
    """Raise LakeError if a part that another machine has written is not in the lake as this machine sees it."""
    for encoded in shard:
        for place, part in zip(encoded.outputs, encoded.parts, strict=False):
            path = targets[place].vectors.root / part.path
            if not path.exists():
                raise LakeError(f"another node has written {path}, which this machine does not see", SHARED)
