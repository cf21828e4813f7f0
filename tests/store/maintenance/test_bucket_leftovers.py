"""What killed writers of heads and encoders left in a bucket."""

import time

import pytest

from matlake.store.folders import LakeFolders
from matlake.store.head_folders import replace_head
from matlake.store.maintenance.bucket_leftovers import left_beside_cards
from matlake.store.storage.remote_path import RemotePath

HEAD = {"card.json": b"{}", "head.onnx": b"graph"}
LEFT = {
    "heads/.saving/gap",  # a claim
    "heads/.replaced/gap/card.json",  # beside the head that replaced it
    "heads/.replaced/gap/head.onnx",
    "heads/new/head.onnx",  # a first head without its card
    "encoders/half/encoder.onnx",
}
KEPT = {
    "heads/.replaced/old/card.json",  # what readers find while the new one is not complete
    "heads/.replaced/old/head.onnx",
    "heads/old/head.onnx",
    "encoders/whole/card.json",
    "encoders/whole/encoder.onnx",
}


@pytest.mark.parametrize(("age", "found"), [(-60, LEFT), (60, set())])
def test_what_belongs_to_nothing_is_found_when_it_is_old(in_memory: LakeFolders, age: float, found: set[str]) -> None:
    replace_head(in_memory, "gap", HEAD)
    for key in LEFT | KEPT:
        in_memory.path.joinpath(*key.split("/")).write_bytes(b"x")
    heads, encoders = in_memory.heads_folder, in_memory.encoders_folder
    assert isinstance(heads, RemotePath)
    assert isinstance(encoders, RemotePath)
    left = left_beside_cards(heads, encoders, time.time() - age)
    assert {str(path.relative_to(in_memory.path)) for path in left} == found
