"""Structure files: from the text of one file to crystals, one module a format.

Everything here reads text that someone else wrote: no code in it is run, work is bounded by the size of the text and
by ``max_atoms``, and what cannot be read is a ``StructureError`` that says what was wrong.
"""

from matlake.materials.structure_files.sniff import parse_structure, recognised

__all__ = ["parse_structure", "recognised"]
