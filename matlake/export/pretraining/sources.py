"""Public databases that encoders are trained on: their licence, and what to cite."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Database:
    """A source of training data.

    Attributes:
        title: Full name.
        licence: Licence of the data, which encoders made from them carry on.
        citation: Papers to cite.
    """

    title: str
    licence: str
    citation: tuple[str, ...]


DATABASES: Final = {
    "oqmd": Database(
        "Open Quantum Materials Database",
        "CC BY 4.0",
        (
            "J. E. Saal et al., JOM 65, 1501 (2013), doi:10.1007/s11837-013-0755-4 (OQMD)",
            "S. Kirklin et al., npj Comput. Mater. 1, 15010 (2015), doi:10.1038/npjcompumats.2015.10 (OQMD)",
        ),
    ),
    "mp": Database(
        "Materials Project",
        "CC BY 4.0",
        ("A. Jain et al., APL Mater. 1, 011002 (2013), doi:10.1063/1.4812323 (Materials Project)",),
    ),
}
