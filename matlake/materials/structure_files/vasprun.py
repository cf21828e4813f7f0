"""VASP's ``vasprun.xml`` to the crystal at the end of a finished run.

The text is read by expat, event by event, and nothing but numbers and symbols is taken from it. A document type, which
could define entities that expand without bound, is refused.
"""

from typing import Final
from xml.parsers import expat

from matlake.errors import StructureError, TooManyAtomsError
from matlake.materials.crystal import MAX_ATOMS, Crystal, make_crystal
from matlake.materials.structure_files.species import atomic_number
from matlake.materials.structure_files.text import check_length

_FINAL: Final = "finalpos"
_CHUNK: Final = 1 << 20


def parse_vasprun(data: bytes, *, max_atoms: int = MAX_ATOMS) -> Crystal:
    """Read the final crystal of a run.

    Args:
        data: The file.
        max_atoms: Largest cell allowed.

    Raises:
        StructureError: It is not a vasprun.xml, the run did not finish, or the structure is not a crystal.
    """
    check_length(len(data))
    reader = _Reader()
    broken = ""
    try:
        for start in range(0, len(data), _CHUNK):
            reader.parser.Parse(data[start : start + _CHUNK], start + _CHUNK >= len(data))
    except expat.ExpatError as error:
        broken = str(error)
    if not reader.is_vasprun:
        raise StructureError(f"not a vasprun.xml: {broken or 'no element <modeling>'}")
    if not reader.finished:
        steps = f"it ends after {reader.steps} ionic steps" if broken else "no final structure in it"
        raise StructureError(
            f"vasprun.xml of a run that did not finish: {steps}", "give the CONTCAR, or finish the run"
        )
    if len(reader.symbols) > max_atoms:
        raise TooManyAtomsError.of(len(reader.symbols), max_atoms)
    try:
        lattice, positions = (
            [[float(word) for word in line.split()] for line in reader.final[name]] for name in _ARRAYS
        )
        return make_crystal([atomic_number(one) for one in reader.symbols], lattice, positions, max_atoms=max_atoms)
    except (KeyError, ValueError) as error:
        raise StructureError(f"the final structure cannot be read: {error}") from error


_ARRAYS: Final = ("basis", "positions")


class _Reader:
    """Takes note of the atoms and of the final structure.

    Attributes:
        parser: Feed it the file.
        is_vasprun: Whether the root is the right one.
        steps: Complete ionic steps.
        finished: Whether the final structure is complete.
        symbols: Element of each atom.
        final: Lines of the final cell and positions.
    """

    def __init__(self) -> None:
        self.is_vasprun = False
        self.steps = 0
        self.finished = False
        self.symbols: list[str] = []
        self.final: dict[str, list[str]] = {}
        self._path: list[str] = []
        self._text: list[str] | None = None
        self._columns = 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._data
        self.parser.StartDoctypeDeclHandler = _refuse_doctype

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._path:
            self.is_vasprun = tag == "modeling"
        self._path.append(attributes.get("name", tag))
        if tag == "rc":
            self._columns = 0
        elif tag == "structure" and attributes.get("name") == _FINAL:
            self.final = {}
        wanted = (tag == "c" and "atoms" in self._path[-4:]) or (tag == "v" and _FINAL in self._path)
        self._text = [] if wanted else None

    def _data(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _end(self, tag: str) -> None:
        name = self._path.pop()
        if tag == "calculation":
            self.steps += 1
        elif tag == "structure" and name == _FINAL:
            self.finished = True
        if self._text is None:
            return
        if tag == "v" and self._path[-1] in _ARRAYS:
            self.final.setdefault(self._path[-1], []).append("".join(self._text))
        elif tag == "c":
            if self._columns == 0:  # the element, then its type
                self.symbols.append("".join(self._text))
            self._columns += 1
        self._text = None


def _refuse_doctype(*_: object) -> None:
    raise StructureError("a document type in the XML, which VASP does not write")
