"""The commands ``encoders …``: JSON of the contract on stdout and nothing else, exit codes, clear refusals."""

import importlib.util
import json
from collections.abc import Callable

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from samples import BUNDLED

from matlake.cli import main as cli_main
from matlake.encoders.card import MODEL_FILE
from matlake.encoders.registry import copy_to_lake, find_encoder

ENCODER = "elemnet-oqmd-formation-energy"


@pytest.fixture
def matlake(tmp_path, monkeypatch, capfd) -> Callable[..., tuple[int, str, str]]:
    """Runs a command line on a lake: exit code, what stdout held, what stderr held."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["matlake", "--lake", str(tmp_path / "lake"), *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            cli_main.main()
        captured = capfd.readouterr()
        return exit_.value.code, captured.out, captured.err

    return run


def test_list_names_the_shipped_encoder(matlake) -> None:
    code, out, _ = matlake("encoders", "list", "--json")
    (encoder,) = [e for e in json.loads(out)["encoders"] if e["name"] == ENCODER]
    assert code == 0
    assert (encoder["input"], encoder["dim"], encoder["shipped"]) == ("composition", 1024, True)
    assert len(encoder["sha256"]) == 64


def test_show_prints_the_card(matlake) -> None:
    code, out, _ = matlake("encoders", "show", ENCODER)
    assert code == 0
    assert "CC BY 4.0" in out
    assert "formation energy (eV/atom)" in out
    _, out, _ = matlake("encoders", "show", ENCODER, "--json")
    assert json.loads(out)["architecture"] == "elemnet"


def test_verify_passes_and_fails_with_its_exit_code(matlake, tmp_path) -> None:
    code, out, _ = matlake("encoders", "verify", ENCODER, "--json")
    document = json.loads(out)
    assert code == 0
    assert document["encoder"] == ENCODER
    assert document["passed"] is True
    assert all(set(check) == {"name", "passed", "detail"} for check in document["checks"])

    copy = copy_to_lake(find_encoder(ENCODER), tmp_path / "lake" / "encoders")
    (copy.folder / MODEL_FILE).write_bytes(b"damaged")
    code, out, _ = matlake("encoders", "verify", ENCODER, "--json")
    assert code == 1
    assert json.loads(out)["passed"] is False


def test_an_unknown_encoder_is_an_error_with_a_hint(matlake) -> None:
    code, out, _ = matlake("encoders", "verify", "absent", "--json")
    assert code == 1
    assert ENCODER in json.loads(out)["hint"]


@pytest.mark.parametrize("command", ["pretrain", "export"])
def test_a_missing_extra_is_named(matlake, monkeypatch, tmp_path, command) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "torch" else find_spec(name))
    options = {
        "pretrain": ["--data", tmp_path / "t.csv", "--target", "y", "--output", tmp_path / "run"],
        "export": ["--checkpoint", tmp_path, "--name", "x"],
    }[command]
    code, out, _ = matlake("encoders", command, "elemnet", *options, "--json")
    assert code == 1
    assert json.loads(out)["hint"] == "pip install 'matlake[train]'"


def test_pretrain_then_export_then_list(matlake, tmp_path) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    table = tmp_path / "oxides.csv"
    rows = [f"{metal}{n}O{k},{-n / (n + k)}" for metal in ("Ti", "Fe", "Mg") for n in range(1, 6) for k in range(1, 6)]
    table.write_text("formula,energy_eV\n" + "\n".join(rows) + "\n")
    arguments = ("--data", table, "--target", "energy_eV", "--output", tmp_path / "run", "--epochs", 2, "--threads", 2)
    code, out, err = matlake("encoders", "pretrain", "elemnet", *arguments, "--json")
    assert code == 0
    document = json.loads(out)
    assert document["unit"] == "eV"
    assert document["epochs"] == 2
    assert "epoch 1 of 2" in err
    assert "left" in err

    arguments = ("--checkpoint", tmp_path / "run", "--name", "oxides", "--precision", "float16", "--data", table)
    code, out, _ = matlake("encoders", "export", "elemnet", *arguments, "--json")
    assert code == 0
    assert "test_mae_eV" in json.loads(out)["metrics"]
    _, out, _ = matlake("encoders", "list", "--json")
    names = [e["name"] for e in json.loads(out)["encoders"]]
    assert names == sorted(names)
    assert {ENCODER, f"{ENCODER}-int8", "oxides"} < set(names)


def test_help_is_there_for_every_command() -> None:
    from matlake.cli.encoders import encoders_command

    for name in encoders_command.commands:
        assert CliRunner().invoke(encoders_command, [name, "--help"]).exit_code == 0


def test_pretrain_and_export_a_graph_network_from_a_dataset(matlake, tmp_path) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    sample = tmp_path / "elasticity.parquet"
    pq.write_table(pq.read_table(BUNDLED / "mp_elasticity.parquet").slice(0, 60), sample)
    assert matlake("import", sample, "--dataset", "elasticity")[0] == 0
    sizes = ("--size", "hidden_channels=8", "--size", "num_filters=8", "--size", "num_interactions=1")
    arguments = ("--dataset", "elasticity", "--target", "bulk_modulus_VRH_GPa", "--output", tmp_path / "run", *sizes)
    code, out, _ = matlake("encoders", "pretrain", "schnet", *arguments, "--epochs", 1, "--threads", 1, "--json")
    assert code == 0
    assert json.loads(out)["unit"] == "GPa"
    arguments = ("--checkpoint", tmp_path / "run", "--name", "moduli", "--dataset", "elasticity", "--database", "mp")
    code, out, _ = matlake("encoders", "export", "schnet", *arguments, "--json")
    assert code == 0
    assert "test_mae_GPa" in json.loads(out)["metrics"]
    code, out, err = matlake("embed", "--encoder", "moduli@pooled,moduli@prediction", "--json")
    assert code in (0, 3), err
    assert json.loads(out)["embedded"] > 0


def test_label_a_dataset_and_say_which_rows_lack_labels(matlake, tmp_path) -> None:
    sample = tmp_path / "elasticity.parquet"
    pq.write_table(pq.read_table(BUNDLED / "mp_elasticity.parquet").slice(0, 3), sample)
    assert matlake("import", sample, "--dataset", "elasticity")[0] == 0
    output = tmp_path / "labelled.parquet"
    arguments = ("encoders", "label", "--dataset", "elasticity", "--output", output, "--max-atoms", 1)
    code, out, _ = matlake(*arguments, "--json")
    assert code == 3
    assert json.loads(out)["failed"] == 3
    assert "more than the 1 that are labelled" in json.loads(out)["examples"][0]
    assert pq.read_table(output)["volume_A3_per_atom"].null_count == 0
    assert matlake(*arguments)[0] == 3  # labelled already
    code, _, err = matlake("encoders", "label", "--output", output)
    assert code == 2
    assert "name a TABLE or --dataset NAME" in err


def test_pretrain_needs_one_source_of_data(matlake, tmp_path) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    code, _, err = matlake("encoders", "pretrain", "cgcnn", "--output", tmp_path / "run")
    assert code == 2
    assert "give --data FILE or --dataset NAME" in err
