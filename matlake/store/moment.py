"""A moment of a lake: which version of each table it had. Light to import; ``as_of`` finds moments."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class TableVersion:
    """A version of a Delta table.

    Attributes:
        table: Its folder in the lake: ``embeddings``, ``datasets/NAME``, ….
        id: The id that the table has in this version. A dataset that is renamed keeps its log, with the ids in it; one
            that is imported under the name of a deleted dataset has others.
        version: Number of the version, from 0.
    """

    table: str
    id: str
    version: int

    @property
    def text(self) -> str:
        """The version for people, such as ``oqmd version 3``."""
        return f"{self.table.rpartition('/')[2]} version {self.version}"


@dataclass(frozen=True)
class Moment:
    """Versions that are read together.

    Attributes:
        name: What it is called, such as ``2026-11-01 12:00:00 UTC``; empty for the present.
        versions: By the folder in the lake, as it is now, of each table that there was.
        folders: By the name of each dataset of then, its folder among the datasets: a dataset may have been renamed.
    """

    name: str
    versions: Mapping[str, TableVersion]
    folders: Mapping[str, str]

    @property
    def text(self) -> str:
        """The moment with its versions, for people."""
        datasets = map(self.of_dataset, sorted(self.folders))
        others = (one for place, one in self.versions.items() if "/" not in place)
        return f"{self.name}: {', '.join(one.text for one in (*datasets, *others) if one is not None)}"

    def of_dataset(self, name: str) -> TableVersion | None:
        """Return the version of a dataset, under its name of then; None where it cannot be read."""
        found = self.versions.get(place_of(self.folders.get(name, name)))
        return found and TableVersion(place_of(name), found.id, found.version)


def place_of(dataset: str) -> str:
    """Return the folder in a lake of the dataset in a folder among the datasets."""
    return f"datasets/{dataset}"
