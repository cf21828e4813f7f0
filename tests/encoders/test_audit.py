"""ONNX files that ask for more than they hold, or hide what they do, are refused in a line, a second and little memory.

ONNX Runtime computes constants while it opens a file: each of these would fill the memory, hang or crash then.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hostile_onnx import AXIS, GOOD, HOSTILE, model, old_tree, tree

from matlake.encoders.audit import audit
from matlake.encoders.card import MODEL_FILE, read_card
from matlake.encoders.registry import SHIPPED
from matlake.errors import EncoderError, HeadError

WIDTHS = {"features": 3, "value": 1}
DATA = Path(__file__).parents[1] / "data"
MEMORY = 600 << 20
"""Bytes that a process may take beside what it takes anyway."""


LIMITED = """
import resource, sys, time
from pathlib import Path
import onnx.shape_inference, numpy
from matlake.encoders.audit import audit
from matlake.errors import HeadError
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + {memory}, size + {memory}))
for path in sorted(Path(sys.argv[1]).glob("*.onnx")):
    content, started = path.read_bytes(), time.process_time()
    try:
        audit(content, path, HeadError, {widths})
    except HeadError as error:
        print(path.stem, len(str(error).splitlines()), round(time.process_time() - started, 2), sep="\\t")
"""


@pytest.mark.parametrize(("hostile", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_with_its_reason(hostile: onnx.ModelProto, message: str) -> None:
    with pytest.raises(HeadError, match=message):
        audit(hostile.SerializeToString(), Path("x.onnx"), HeadError, WIDTHS)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux to limit memory")
def test_hostile_files_are_refused_in_a_line_a_second_and_little_memory(tmp_path: Path) -> None:
    for name, (hostile, _) in HOSTILE.items():
        (tmp_path / f"{name}.onnx").write_bytes(hostile.SerializeToString())
    script = LIMITED.format(memory=MEMORY, widths=WIDTHS)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = [line.split("\t") for line in done.stdout.splitlines()]
    assert {name for name, _, _ in found} == HOSTILE.keys()
    assert {name for name, lines, _ in found if lines != "1"} == set()
    assert {name: seconds for name, _, seconds in found if float(seconds) > 1} == {}


@pytest.mark.parametrize("content", [b"", b"\x80\x04cposix\nsystem\n.", b"x" * 1000, b"\x3a\xff\xff\xff\xff\x0f"])
def test_what_is_not_onnx_is_refused(content: bytes) -> None:
    with pytest.raises(HeadError, match="is not an ONNX file"):
        audit(content, Path("x.onnx"), HeadError)


def test_good_trees_and_means_pass() -> None:
    for good in (model(GOOD, [AXIS]), tree([0], [1]), tree([1, 0], [0, 1]), old_tree()):
        audit(good.SerializeToString(), Path("x.onnx"), HeadError, WIDTHS)


@pytest.mark.parametrize("folder", sorted(SHIPPED.iterdir()), ids=lambda folder: folder.name)
def test_what_ships_passes(folder: Path) -> None:
    widths = {layer.output: layer.dim for layer in read_card(folder).layers}
    audit((folder / MODEL_FILE).read_bytes(), folder, EncoderError, widths)


@pytest.mark.parametrize("path", sorted(DATA.rglob("*.onnx")), ids=lambda path: path.parent.name)
def test_what_older_versions_made_passes(path: Path) -> None:
    audit(path.read_bytes(), path, HeadError)


def test_numbers_that_are_compared_with_a_list_pass() -> None:
    """onnx takes the distances of this graph, as torch exports it, for a shape, and fails to follow it."""
    made = onnx.helper.make_model(
        onnx.helper.make_graph(
            [
                onnx.helper.make_node("Unsqueeze", ["lengths", "last"], ["column"]),
                onnx.helper.make_node("Sub", ["column", "centres"], ["basis"]),
            ],
            "g",
            [onnx.helper.make_tensor_value_info("lengths", onnx.TensorProto.FLOAT, ["distances"])],
            [onnx.helper.make_tensor_value_info("basis", onnx.TensorProto.FLOAT, ["distances", 8])],
            [
                onnx.numpy_helper.from_array(np.array([1]), "last"),
                onnx.numpy_helper.from_array(np.linspace(0, 5, 8, dtype=np.float32), "centres"),
            ],
        ),
        ir_version=10,
        opset_imports=[onnx.helper.make_opsetid("", 20)],
    )
    audit(made.SerializeToString(), Path("basis.onnx"), EncoderError, {"basis": 8})
