"""Files that arrive whole, and names that no file can have."""

from pathlib import Path

from matlake.files import is_there


def test_a_text_of_any_length_is_asked_for(tmp_path: Path) -> None:
    assert is_there(tmp_path)
    assert not is_there("x" * 100_000)
