"""An architecture of another package is trained and exported like one of matlake."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from plugin_packages import add_package, on_the_path
from samples import BUNDLED

from matlake.cli.main import cli
from matlake.diagnosis.checks import State
from matlake.diagnosis.plugins import check_plugins
from matlake.encoders.registry import find_encoder
from matlake.errors import EncoderError, PluginError, TrainingError
from matlake.networks.architectures import ARCHITECTURES, find_architecture
from matlake.testing import check_encoder

CODE = """
from dataclasses import replace
from matlake.networks.architectures import ARCHITECTURES

def architecture(name, **changed):
    code = {"network_code": "matlake.networks.cgcnn:CGCNN", "fast_code": "matlake.networks.rearranged:FastCGCNN"}
    sizes = {"atom_width": 8, "convolutions": 1, "hidden_width": 8, "cutoff": 5.0}
    return replace(ARCHITECTURES["cgcnn"], name=name, sizes=sizes, **{**code, **changed})

MINE = architecture("mine")
CGCNN = architecture("cgcnn")
OF_COMPOSITIONS = architecture("of-compositions", kind="")
NUMBER = 7
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path) -> Iterator[None]:
    folder = tmp_path / "packages"
    folder.mkdir()
    names = {"mine": "MINE", "cgcnn": "CGCNN", "of-compositions": "OF_COMPOSITIONS", "number": "NUMBER"}
    add_package(folder, "networks-of-mine", CODE, {"matlake.encoders": names})
    with on_the_path(folder):
        yield


def test_it_is_found_by_its_name_and_faults_are_named() -> None:
    assert find_architecture("mine").name == "mine"
    assert find_architecture("cgcnn") is ARCHITECTURES["cgcnn"]
    with pytest.raises(TrainingError, match="unknown architecture 'yours'"):
        find_architecture("yours")
    with pytest.raises(PluginError, match="it is not a graph network with fast_code and a kind of pairs, "):
        find_architecture("of-compositions")
    found = {check.name: check for check in check_plugins()}
    assert found["plug-in mine"].state is State.OK
    assert found["plug-in mine"].found.startswith("architecture of networks-of-mine 1.0")
    assert "matlake itself has one of this name" in found["plug-in cgcnn"].found
    assert "it is of type int, not matlake.networks.architectures.Architecture" in found["plug-in number"].found
    with pytest.raises(EncoderError, match="no encoder named 'mine'"):
        find_encoder("mine")


def test_it_is_pretrained_and_exported_by_the_commands(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    pq.write_table(pq.read_table(BUNDLED / "mp_elasticity.parquet").slice(0, 40), tmp_path / "crystals.parquet")
    lake, run = ("--lake", str(tmp_path / "lake")), str(tmp_path / "run")
    data = ("--data", str(tmp_path / "crystals.parquet"), "--structure-column", "poscar")
    commands = [
        ("encoders", "pretrain", "mine", *data, "--target", "bulk_modulus_VRH_GPa", "--epochs", "1", "--output", run),
        ("encoders", "export", "mine", "--checkpoint", run, "--name", "mine-mp-bulk-modulus", "--licence", "CC BY 4.0"),
    ]
    for command in commands:
        done = CliRunner().invoke(cli, [*lake, *command])
        assert done.exit_code == 0, (done.output, done.exception)
    check_encoder(tmp_path / "lake" / "encoders" / "mine-mp-bulk-modulus")


def test_the_commands_refuse_other_names() -> None:
    done = CliRunner().invoke(cli, ["encoders", "pretrain", "yours", "--data", "x", "--target", "y", "--output", "x"])
    assert done.exit_code == 2
    assert "'yours' is not one of" in done.output
