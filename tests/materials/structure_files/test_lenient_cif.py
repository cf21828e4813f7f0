"""CIFs that break the syntax: the words that pymatgen finds, the same crystals, and no surprise in time."""

import contextlib
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen_referee import difference, read_with_pymatgen

from matlake.errors import StructureError
from matlake.materials.crystal import Crystal
from matlake.materials.structure_files.cif import parse_cif, read_cif
from matlake.materials.structure_files.cif_blocks import read_blocks
from matlake.materials.structure_files.lenient_cif import Items, split_blocks

AWKWARD = sorted((Path(__file__).parents[2] / "data" / "awkward_cifs").glob("*.cif"))
TEXTS = [path.read_text("utf-8-sig", "replace").encode("ascii", "replace").decode() for path in AWKWARD]
HALITE = next(text for path, text in zip(AWKWARD, TEXTS, strict=True) if path.stem == "name_only")

SLIPS = {
    "a name of two words without quotes": "_chemical_name_common rock salt\n",
    "a quote that nothing closes": "_chemical_name_common 'rock salt\n",
    "a remark without a hash": "measured at room temperature\n",
    "a text that ends on the line of another word": "_publ_section_comment\n;\nno comment\n; really\n",
    "brackets of the newer syntax": "_audit_author [ 'A. Author' 'B. Author' ]\n",
}


def words_of_pymatgen(text: str) -> list[tuple[str, Items]] | None:
    """Return what pymatgen splits a text into; None where it fails."""
    from pymatgen.io.cif import CifFile

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            blocks = CifFile.from_str(text).data.values()
        except (ValueError, ZeroDivisionError, IndexError):
            return None
    return [
        (block.header, [(t.lower(), [v] if isinstance(v, str) else v) for t, v in block.data.items()])
        for block in blocks
    ]


@pytest.mark.parametrize("text", TEXTS, ids=[path.stem for path in AWKWARD])
def test_the_words_of_a_file_are_those_of_gemmi(text: str) -> None:
    blocks = read_blocks(text)
    assert [name for name, _ in split_blocks(text)] == [block.name for block in blocks]
    for (_, items), block in zip(split_blocks(text), blocks, strict=True):
        for tag, values in items:
            if tag.startswith(("_cell_", "_atom_site_", "_symmetry_")):
                assert [value.strip("'\"") for value in block.column(tag) or []] == values


@pytest.mark.parametrize("slip", SLIPS.values(), ids=SLIPS)
@pytest.mark.parametrize("line", range(1, 7))
def test_a_slip_anywhere_above_the_loop_leaves_the_crystal(slip: str, line: int) -> None:
    lines = HALITE.splitlines(keepends=True)
    text = "".join([*lines[:line], slip, *lines[line:]])
    assert difference(parse_cif(text), parse_cif(HALITE)) == ""
    assert difference(parse_cif(text), read_with_pymatgen(text)) == ""


def test_a_loop_that_is_not_filled_is_refused() -> None:
    text = HALITE + "Cl2 Cl 0.5\n"
    assert words_of_pymatgen(text) is None
    with pytest.raises(StructureError, match="not a CIF"):
        parse_cif(text)


def test_a_length_given_twice_is_refused_beside_a_slip() -> None:
    text = HALITE.replace("_cell_length_b", "_cell_length_a 5.7\nrock salt\n_cell_length_b")
    with pytest.raises(StructureError, match="_cell_length_a is there twice"):
        parse_cif(text)


def test_a_tag_without_a_value_does_not_take_the_next_tag() -> None:
    text = HALITE.replace("_cell_length_a", "rock salt\n_chemical_name_common\n_cell_length_a")
    assert difference(parse_cif(text), parse_cif(HALITE)) == ""
    with pytest.raises(StructureError, match="_cell_angle_gamma is ''"):
        parse_cif(HALITE.replace("_cell_angle_gamma 90", "rock salt\n_cell_angle_gamma"))


# no single semicolon: of a text that nothing closes, pymatgen keeps other lines
pieces = st.sampled_from(["'", '"', " ", "\n", "_x", "loop_", "salt", "'rock salt'", "\n;a\n;\n", "?"])
edits = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1), pieces), max_size=3)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.sampled_from([text for text in TEXTS if len(text) < 3000]), edits)
def test_a_broken_file_gives_the_words_of_pymatgen(text: str, edits: list[tuple[float, int, str]]) -> None:
    for where, lost, piece in edits:
        place = int(where * len(text))
        text = text[:place] + piece + text[place + lost :]
    theirs = words_of_pymatgen(text)
    assume(theirs is not None)
    # pymatgen takes a tag for the value of the one before, starts comments within quotes and texts, and stops at _eof
    assume(not any(value.startswith(("_", "loop_")) for _, items in theirs for _, values in items for value in values))
    assume("#" not in text)
    assert _spaced_alike(split_blocks(text)) == _spaced_alike(theirs)


def _spaced_alike(blocks: list[tuple[str, Items]]) -> list[tuple[str, dict[str, list[str]]]]:
    """Leave out what spaces and empty lines a text between semicolons has, and the end of a long name."""
    return [(name[:74], {t: [" ".join(v.split()) for v in values] for t, values in items}) for name, items in blocks]


def test_cases_of_bug_reports_are_read_alike_with_a_slip(development_data: Callable[[str], Path]) -> None:
    for path in sorted(development_data("../cases/reading").glob("*.cif")):
        text = path.read_text()
        assert _outcome(text.replace("_cell_length_a", "rock salt\n_cell_length_a", 1)) == _outcome(text), path.name


def _outcome(text: str) -> list[tuple[str, str]]:
    return [(name, found.content_hash if isinstance(found, Crystal) else str(found)) for name, found in read_cif(text)]


LONG = 1 << 18


@pytest.mark.parametrize(
    "text",
    [
        "data_x\n" + "'a" * (LONG // 2 - 10),
        "data_x\n" + "\"'" * (LONG // 2 - 10),
        "data_x\n'" + "\n" * (LONG - 20),
        "data_x\n;" + "\n a" * (LONG // 3 - 10),
        "data_\n" * (LONG // 6 - 1) + "'a",
        "data_x\nloop_\n" + "_a\n" * (LONG // 3 - 10) + "'a",
        "data_x\nloop_\n_atom_site_fract_x\n" + "0\n" * (LONG // 2 - 30) + "'",
    ],
)
def test_a_hostile_file_is_settled_soon(text: str) -> None:
    start = time.perf_counter()
    with contextlib.suppress(StructureError):
        read_cif(text)
    assert time.perf_counter() - start < 10
