"""``finetune`` and ``train --adversarial`` on the command line: JSON shapes, exit codes, where errors go."""

import shutil

import pytest
from samples import Cli

import matlake

FEATURE = "elemnet-oqmd-formation-energy@13"
LOW = "band_gap_eV < 2"
TRAIN = ("train", "--target", "band_gap_eV", "--features", FEATURE)


FEW_EPOCHS = """
from functools import partial
from matlake.regress.finetuning import finetune
from matlake.regress.finetuning.tuning import Tuning
from matlake.regress.regressors.ir_net import IR_NET_KIND
from matlake.regress.regressors.training_settings import TrainingSettings
IR_NET_KIND.training["epochs"] = 7
finetune.Tuning = partial(Tuning, training=TrainingSettings(1e-3, 8, 200, 8))
"""


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory, imported: matlake.Lake) -> Cli:
    """A lake with a layer embedded, which all tests here share: each head has a name of its own."""
    lake = matlake.open_lake(shutil.copytree(imported.path, tmp_path_factory.mktemp("train") / "lake"))
    matlake.embed(lake, [FEATURE])
    return Cli(lake.path)


def test_an_ir_net_is_trained_fine_tuned_and_asked(cli: Cli) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    cli = Cli(cli.lake, FEW_EPOCHS)
    few = "band_gap_eV > 1.5 AND band_gap_eV < 2"
    trained = cli.json(*TRAIN, "--where", few, "--model", "ir-net:8", "--adversarial", "cal")
    assert trained["head"] == "band_gap_eV-ir-net-8-cal"
    assert trained["parameters"]["adversarial"] == "cal"  # type: ignore[index]
    rows = "band_gap_eV BETWEEN 2 AND 2.5"
    tuned = cli.json("finetune", str(trained["head"]), "--target-rows", rows, "--name", "high")
    assert tuned.keys() >= {"head", "from_head", "from_sha256", "method", "before", "after", "baseline", "forgetting"}
    assert (tuned["head"], tuned["from_head"], tuned["method"]) == ("high", trained["head"], "plain")
    (prediction,) = cli.json("predict", "high", "--formula", "TiO2")["predictions"]  # type: ignore[misc]
    assert prediction["input"] == "TiO2"
    assert "from_head=band_gap_eV-ir-net-8-cal" in cli("heads", "show", "high")


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        ((*TRAIN, "--model", "ridge", "--adversarial", "cal"), 1, "ridge cannot learn from adversarial samples"),
        ((*TRAIN, "--model", "ir-net", "--adversarial", "gan"), 2, "'gan' is not one of"),
        (("finetune", "gap", "--target-rows", LOW), 1, "no head 'gap'"),
        (("finetune", "gap", "--target-rows", LOW, "--method", "gan"), 2, "'gan' is not one of"),
        (("finetune", "gap"), 2, "Missing option '--where'"),
    ],
)
def test_errors_are_documents_with_a_remedy(cli: Cli, arguments: tuple[str, ...], code: int, error: str) -> None:
    document = cli.json(*arguments, code=code)
    assert error in str(document["error"])
    assert document["hint"]


def test_a_head_that_is_no_ir_net_is_refused(cli: Cli) -> None:
    cli(*TRAIN, "--model", "ridge", "--name", "flat")
    document = cli.json("finetune", "flat", "--target-rows", LOW, code=1)
    assert "flat is ridge, not an IR-net" in str(document["error"])
    assert "ir-net" in str(document["hint"])
