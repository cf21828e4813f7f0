"""The datasets, heads and encoders of a lake: listed, and asked for by name, as ``matlake datasets …`` does."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pyarrow as pa

from matlake.api.head import Head
from matlake.encoders.card import EncoderCard
from matlake.encoders.listing import card_lines, encoder_table
from matlake.encoders.registry import RegisteredEncoder
from matlake.progress import Progress, watched
from matlake.regress.heads.listing import head_summary, head_table
from matlake.regress.heads.storage import list_heads
from matlake.reports import Report, TableReport, rows_to_arrow
from matlake.sequences import as_list
from matlake.store.datasets import DatasetDetails, DatasetSummary, dataset_table
from matlake.store.folders import MEMBER
from matlake.store.lake import Lake
from matlake.store.storage.places import LakePath, lake_path
from matlake.text_tables import Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from matlake.api.registering import RegisterReport
    from matlake.encoders.verify import VerifyReport
    from matlake.export.pretraining.run_record import RunRecord
    from matlake.export.teacher.run import LabelReport
    from matlake.regress.heads.compare import HeadComparison
    from matlake.regress.heads.recalibrate_head import RecalibrationResult

Shown = TypeVar("Shown")


class Listing(TableReport, Generic[Shown]):
    """Things of a lake by name: ``name in listing``, ``listing[name]``, ``for name in listing``.

    Args:
        lake: The lake.
    """

    def __init__(self, lake: Lake) -> None:
        """Read nothing yet: a listing is of the moment at which it is looked at."""
        self.lake = lake

    @abstractmethod
    def names(self) -> Sequence[str]:
        """Return all names."""

    @abstractmethod
    def show(self, name: str) -> Shown:
        """Return one of them."""

    def __getitem__(self, name: str) -> Shown:
        """Return one of them."""
        return self.show(name)

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self.names())

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.names())

    def __contains__(self, name: object) -> bool:
        """Say whether there is one of that name."""
        return name in self.names()


class Datasets(Listing[DatasetDetails]):
    """The datasets of a lake."""

    def names(self) -> Sequence[str]:
        """Return the names of all datasets."""
        return self.lake.dataset_names()

    def list(self) -> Sequence[DatasetSummary]:
        """Return all datasets: materials, failures, properties, when and from where imported."""
        return self.lake.list_datasets()

    def show(self, name: str) -> DatasetDetails:
        """Return a dataset with its property columns.

        Raises:
            LakeError: There is no such dataset.
        """
        return self.lake.show_dataset(name)

    def delete(self, name: str) -> None:
        """Delete a dataset. Embeddings belong to contents and stay, as do heads.

        Raises:
            LakeError: There is no such dataset.
        """
        self.lake.delete_dataset(name)

    def rename(self, name: str, new_name: str) -> None:
        """Rename a dataset.

        Raises:
            LakeError: There is no such dataset, or the new name is taken or cannot be a dataset's.
        """
        self.lake.rename_dataset(name, new_name)

    def export(self, name: str, output: str | Path, *, structures: bool = False) -> int:
        """Write the materials of a dataset to a table; return their number. See ``Lake.export_dataset``."""
        return self.lake.export_dataset(name, output, structures=structures)

    def lines(self) -> Sequence[Line]:
        """Return a table of them."""
        return (
            [dataset_table(found)] if (found := self.list()) else ["no datasets yet: lake.add(…, dataset=…) makes one"]
        )

    def to_arrow(self) -> pa.Table:
        """Return a row for each: name, materials, failures, crystals, properties, when and from where imported."""
        return rows_to_arrow(DatasetSummary, self.list())


class Heads(Listing[Head]):
    """The trained heads of a lake."""

    def names(self) -> Sequence[str]:
        """Return the names of all heads."""
        return [*dict.fromkeys(name.partition(MEMBER)[0] for name in self.lake.head_names())]

    def list(self) -> Sequence[Head]:
        """Return all heads."""
        return [Head(self.lake, name) for name in self.names()]

    def show(self, name: str) -> Head:
        """Return a head.

        Raises:
            HeadError: There is none of that name.
        """
        return Head(self.lake, name)

    def delete(self, name: str) -> None:
        """Delete a head. Embeddings and data stay."""
        self.show(name).delete()

    def export(self, name: str, output: str | LakePath) -> LakePath:
        """Check a head and copy its files to a new folder or address."""
        return self.show(name).export(output)

    def report(self, name: str, output: str | Path) -> Sequence[Path]:
        """Write all that is known of a head as one page; see ``Head.report``."""
        return self.show(name).report(output)

    def plot(
        self, name: str, kind: str | None = None, *, ax: "Axes | None" = None, output: str | Path | None = None
    ) -> "Axes | Sequence[Path]":
        """Draw one plot of a head on axes, or write it to a file, or all to a folder; see ``Head.plot``."""
        head = self.show(name)
        return head.plot(kind, ax=ax) if output is None else head.plot(kind, output=output)

    def compare(self, name: str, other: str, *, where: str | None = None, seed: int = 0) -> "HeadComparison":
        """Compare two heads of one property on the same rows, with a paired test."""
        return self.show(name).compare(other, where=where, seed=seed)

    def calibrate(self, name: str, where: str, *, seed: int = 0) -> "RecalibrationResult":
        """Fit the intervals of a head to labels of a new domain; see ``Head.calibrate``."""
        return self.show(name).calibrate(where, seed=seed)

    def lines(self) -> Sequence[Line]:
        """Return a table of them."""
        cards = list_heads(self.lake)
        return [head_table(cards)] if cards else ["no heads yet: lake.train(…) makes one"]

    def to_arrow(self) -> pa.Table:
        """Return a row for each and for each target: name, target, unit, model, features, error, digest."""
        return pa.Table.from_pylist([head_summary(card) for card in list_heads(self.lake)])


@dataclass(frozen=True, repr=False)
class ShownEncoder(Report):
    """An encoder that a lake can use.

    Attributes:
        registered: Where it is, and its card.
    """

    registered: RegisteredEncoder

    @property
    def card(self) -> EncoderCard:
        """What it is: layers, training data, errors, licence, citations."""
        return self.registered.card

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self.registered.folder

    def lines(self) -> Sequence[str]:
        """Return its card for people."""
        return card_lines(self.registered)


class Encoders(Listing[ShownEncoder]):
    """The encoders that a lake can use: those that ship with matlake, and its own."""

    def names(self) -> Sequence[str]:
        """Return the names of all encoders."""
        return [one.card.name for one in self.lake.list_encoders()]

    def list(self) -> Sequence[ShownEncoder]:
        """Return all encoders."""
        return [ShownEncoder(one) for one in self.lake.list_encoders()]

    def show(self, name: str) -> ShownEncoder:
        """Return an encoder.

        Raises:
            EncoderError: There is none of that name.
        """
        return ShownEncoder(self.lake.find_encoder(name))

    def verify(self, name: str) -> "VerifyReport":
        """Check an encoder against its contract."""
        from matlake.store.external.verifying import verify

        return verify(self.lake, name)

    def register(
        self,
        onnx: str | Path,
        card: str | Path | Mapping[str, Any],
        *,
        name: str | None = None,
        replace: bool = False,
    ) -> "RegisterReport":
        """Register an ONNX graph as an encoder of the lake, once it has passed the checks of the contract.

        Args:
            onnx: The graph; its inputs are those of docs/science/encoders.md, "Bring your own".
            card: What it is: a JSON file, or its entries. Digest, dimensions and versions are filled in.
            name: Name of the encoder, in place of the card's.
            replace: Whether it may replace an encoder of this name, which no head and no vectors are bound to.

        Raises:
            EncoderError: Card and graph do not fit together, a clause of the contract fails, or the name is taken.
            PluginError: Its graphs are of a kind whose package is not installed.
            MissingExtraError: ONNX Runtime is not installed.
        """
        from matlake.api.registering import register

        return register(self.lake, onnx, card, name=name, replace=replace)

    def delete(self, name: str, *, vectors: bool = False) -> None:
        """Delete an encoder of the lake, or the lake's copy of a packaged one, unless a head is bound to it.

        Args:
            name: Name of the encoder.
            vectors: Delete its vectors, too; by default an encoder that has vectors is not deleted.

        Raises:
            EncoderError: The lake has none of that name, or something is bound to it.
            LakeError: The lake cannot be changed, or is by another process meanwhile.
        """
        from matlake.api.registering import delete

        delete(self.lake, name, vectors=vectors)

    def export(
        self,
        architecture: str,
        *,
        checkpoint: str | Path,
        name: str,
        output: str | Path | None = None,
        data: str | Path | None = None,
        dataset: str | None = None,
        **settings: Any,
    ) -> EncoderCard:
        """Export a trained network to ONNX, check that the two agree, and write its card; needs the extra ``train``.

        Args:
            architecture: Kind of network, such as ``elemnet``, ``cgcnn`` or ``chgnet``.
            checkpoint: The folder of a pretraining run, its ``best.pt``, or a published checkpoint.
            name: Name of the encoder.
            output: Folder or address that receives it; by default the encoders of the lake.
            data: Table that the network was trained on, for its errors on held-out rows.
            dataset: The same, as a dataset of the lake.
            settings: More fields of ``ExportRequest``: ``precision``, ``replace``, ``licence``, ``citation``, ….

        Raises:
            EncoderError: The folder holds an encoder already, or the file fails its parity tolerance.
            TrainingError: The checkpoint cannot be read.
            MissingExtraError: torch is not installed.
        """
        from matlake.api.making_encoders import export

        folder = self.lake.encoders_folder / name if output is None else lake_path(output)
        settings |= {"architecture": architecture, "checkpoint": Path(checkpoint), "name": name, "folder": folder}
        return export(self.lake.path, data=data, dataset=dataset, **settings)

    def label(
        self,
        data: str | Path | None = None,
        *,
        output: str | Path,
        dataset: str | None = None,
        teacher: str = "chgnet-mptrj",
        progress: bool | Progress = True,
        **settings: Any,
    ) -> "LabelReport":
        """Label crystals with moduli and a highest phonon frequency, from energies that an encoder predicts; or resume.

        Args:
            data: Table of structures.
            output: Receives the table with its labels, as ``.parquet``.
            dataset: A dataset of the lake, instead of a table.
            teacher: Encoder that predicts energies.
            progress: Whether a terminal or a notebook shows the progress; or what to report to.
            settings: More fields of ``LabelRequest``: ``structure_column``, ``max_atoms``, ``device``, ``workers``.

        Raises:
            SourceError: The table cannot be read or has labels already, or the output is another file.
            EncoderError: The encoder predicts no energy of crystals, or one that jumps.
        """
        from matlake.api.making_encoders import label

        settings |= {"output": Path(output), "teacher": teacher}
        with watched(progress, "labelling", "rows") as reporter:
            return label(self.lake.path, reporter, data=data, dataset=dataset, **settings)

    def pretrain(
        self,
        architecture: str,
        *,
        output: str | Path,
        data: str | Path | None = None,
        dataset: str | None = None,
        target: str | tuple[str, ...] = "formation_energy_eV_per_atom",
        progress: bool | Progress = True,
        **settings: Any,
    ) -> "RunRecord":
        """Train a network on a table of materials and values, or resume; needs the extra ``train``.

        Args:
            architecture: Kind of network, such as ``elemnet`` or ``cgcnn``.
            output: Folder of the run.
            data: Table to train on.
            dataset: The same, as a dataset of the lake.
            target: Column to learn, or several.
            progress: Whether a terminal or a notebook shows the progress; or what to report to.
            settings: Sizes and settings of the training, in the words of ``encoders pretrain``: ``epochs``, ``seed``,
                ``batch_size``, ``sizes``, ….

        Raises:
            TrainingError: The table or a setting does not allow it.
            MissingExtraError: torch, or the device, is not there.
        """
        from matlake.api.making_encoders import pretrain

        settings["targets"] = tuple(as_list(target))
        with watched(progress, f"training {architecture}", "epochs") as reporter:
            return pretrain(
                self.lake.path, architecture, Path(output), reporter, data=data, dataset=dataset, **settings
            )

    def lines(self) -> Sequence[Line]:
        """Return a table of them."""
        return [encoder_table(self.lake.list_encoders())]

    def to_arrow(self) -> pa.Table:
        """Return a row for each: name, input, dimension, architecture, layers, what it was trained on, licence."""
        cards = [one.card for one in self.lake.list_encoders()]
        return pa.table(
            {
                "name": [card.name for card in cards],
                "input": [str(card.input) for card in cards],
                "dim": [card.layer(None).dim for card in cards],
                "default_layer": [card.default_layer for card in cards],
                "layers": [[layer.name for layer in card.layers] for card in cards],
                "architecture": [card.architecture for card in cards],
                "trained_on": [[*card.trained_on] for card in cards],
                "licence": [card.licence for card in cards],
            }
        )
