"""One value or many: text and a path are one."""

from pathlib import Path

import pytest

from matlake import ExtrapolationRequest, TrainRequest, TransferRequest
from matlake.errors import MatlakeError
from matlake.sequences import as_list, split_names


def test_text_and_paths_are_one_value() -> None:
    assert as_list("GaN") == ["GaN"]
    assert as_list(Path("a.cif")) == [Path("a.cif")]
    assert as_list(one for one in "ab") == ["a", "b"]
    with pytest.raises(MatlakeError, match="a dict where a list should be"):
        as_list({"GaN": 1})


def test_requests_take_one_name_for_several() -> None:
    assert TrainRequest("gap", "magpie").features == ["magpie"]  # type: ignore[arg-type]
    assert TransferRequest(targets="gap", sources="elemnet").targets == ("gap",)  # type: ignore[arg-type]
    request = ExtrapolationRequest("gap", splits="random", features=("magpie", ("a", "b")))  # type: ignore[arg-type]
    assert (request.splits, request.features) == (("random",), (("magpie",), ("a", "b")))


def test_commas_part_names_but_not_in_quotes() -> None:
    assert split_names('magpie, geometry ,,column:"T, K"') == ["magpie", "geometry", 'column:"T, K"']
    assert split_names(" , ") == []
