"""The files of one VASP run: several names, one material.

A run leaves the structure that it began with (POSCAR), the one that it has come to (CONTCAR), and the one at its end
(``vasprun.xml``). The last of them that holds a structure is the material.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from matlake.errors import StructureError
from matlake.materials.crystal import Crystal
from matlake.store.importing.readers.streams import COMPRESSED_FORM

Found = list[tuple[str, Crystal | StructureError]]
"""The structures of a file, with the names of their blocks; none where the file is empty."""

_NAME: Final = re.compile(
    r"(?P<kind>POSCAR|CONTCAR)(?P<label>(?:[._-].*?)?)(?:\.vasp)?"
    rf"{COMPRESSED_FORM}|vasprun(?:\.xml(?P<behind>(?:[._-].*?)?)|(?P<before>[._-].*?)\.xml){COMPRESSED_FORM}",
    re.IGNORECASE,
)
_VASPRUN: Final = 0
_RANKS: Final = {"": _VASPRUN, "CONTCAR": 1, "POSCAR": 2}


def is_vasprun(name: str) -> bool:
    """Tell by its name whether a file is a ``vasprun.xml``, perhaps with a label such as ``.relax1``."""
    found = _NAME.fullmatch(name.rpartition("/")[2])
    return found is not None and not found["kind"]


def runs_of(names: Iterable[str]) -> dict[str, str]:
    """Return what stands for the run of each file: ``FOLDER/POSCAR`` with a label, or the name of a file of no run.

    Args:
        names: Paths of structure files.
    """
    runs = {}
    for name in names:
        folder, slash, last = name.rpartition("/")
        found = _NAME.fullmatch(last)
        label = "" if found is None else found["label"] or found["behind"] or found["before"] or ""
        runs[name] = name if found is None else f"{folder}{slash}POSCAR{label}"
    counts = Counter(runs.values())
    return {name: run if counts[run] > 1 else name for name, run in runs.items()}


def one_each(read: Iterable[tuple[str, Found]], runs: dict[str, str]) -> Iterator[tuple[str, Found]]:
    """Yield the structures of each run, or of each file that is not of one, as soon as all its files were read.

    Args:
        read: Name of each file and what is in it.
        runs: As ``runs_of`` returns them.
    """
    missing = Counter(runs.values())
    held: dict[str, dict[tuple[int, str], Found]] = {}
    for name, found in read:
        run = runs[name]
        if run == name and run not in held and missing[run] == 1:
            yield run, found or _empty()
            continue
        held.setdefault(run, {})[_rank(name), name] = found
        missing[run] -= 1
        if missing[run] <= 0:
            yield run, _last(held.pop(run))
    for run, some in held.items():
        yield run, _last(some)


def _rank(name: str) -> int:
    found = _NAME.fullmatch(name.rpartition("/")[2])
    return _RANKS[found["kind"].upper() if found and found["kind"] else ""]


def _last(files: dict[tuple[int, str], Found]) -> Found:
    """Return the last structure of a run; an empty CONTCAR, or a vasprun.xml without an end, is passed over."""
    unfinished: Found = []
    for (rank, _), found in sorted(files.items()):
        if rank == _VASPRUN and any(isinstance(one, StructureError) for _, one in found):
            unfinished = found
        elif found:
            return found
    return unfinished or _empty()


def _empty() -> Found:
    return [("", StructureError("an empty file"))]
