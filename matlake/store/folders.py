"""The folders of a lake: where each lies is said here and nowhere else."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LakeFolders:
    """The folders of a lake, whether they are there or not. Light to import, for commands that need no table.

    Attributes:
        path: The folder of the lake.
    """

    path: Path

    @property
    def datasets(self) -> Path:
        """The folder of the datasets, a Delta table each."""
        return self.path / "datasets"

    @property
    def embeddings(self) -> Path:
        """The Delta table of vectors, partitioned by encoder, digest and layer."""
        return self.path / "embeddings"

    @property
    def failures(self) -> Path:
        """The Delta table of contents that an encoder rejects, partitioned by encoder and digest."""
        return self.path / "failures"

    @property
    def encoders(self) -> Path:
        """The folder of the encoders used in this lake."""
        return self.path / "encoders"

    @property
    def heads(self) -> Path:
        """The folder of the trained heads."""
        return self.path / "heads"

    @property
    def evaluations(self) -> Path:
        """The Delta table of measurements of transfer."""
        return self.path / "evaluations"

    @property
    def extrapolations(self) -> Path:
        """The Delta table of measurements of extrapolation."""
        return self.path / "extrapolations"

    @property
    def unfinished(self) -> Path:
        """The folder of trainings that an evaluation was stopped in."""
        return self.path / "unfinished"

    @property
    def plots(self) -> Path:
        """The folder of the plots of ``quickstart``."""
        return self.path / "plots"

    @property
    def structures(self) -> Path:
        """The folder of the structure files of ``quickstart``."""
        return self.path / "structures"
