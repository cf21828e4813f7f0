"""Pretraining: kill it anywhere and resume, refuse what does not belong together, keep the record."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from matlake.errors import MissingExtraError, TrainingError

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from matlake.export.pretraining.report import duration, epoch_line, seconds_left  # noqa: E402
from matlake.export.pretraining.run import load_trained, pretrain_request, run_pretraining  # noqa: E402
from matlake.export.pretraining.run_record import read_run  # noqa: E402
from matlake.export.pretraining.training_data import TrainingTable  # noqa: E402
from matlake.networks.architectures import ARCHITECTURES  # noqa: E402
from matlake.networks.training import check_device  # noqa: E402

KILLED_RUN = """
import os, signal, sys
from pathlib import Path
import torch
from matlake.export.pretraining.run import PretrainRequest, run_pretraining
from matlake.encoders.training_record import TableRecipe
from matlake.export.pretraining.training_data import TrainingTable
from matlake.networks.training_config import TrainingConfig

torch.set_num_threads(int(sys.argv[5]))  # sums of several threads differ in their last bits
steps = 0
step = torch.optim.AdamW.step
def step_or_die(self, *args, **kwargs):
    global steps
    steps += 1
    if steps == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *args, **kwargs)
torch.optim.AdamW.step = step_or_die
run_pretraining(
    PretrainRequest("elemnet", TrainingTable.from_file(Path(sys.argv[1])), TableRecipe((sys.argv[3],)),
                    TrainingConfig(epochs=4, batch_size=64), Path(sys.argv[2])),
    lambda data: None, lambda history: None)
"""


def ignore(_: object) -> None:
    pass


def state_of(folder) -> dict[str, Any]:
    return torch.load(folder / "checkpoint.pt", weights_only=True)


def test_a_request_has_the_usual_settings_of_its_architecture(table, tmp_path) -> None:
    data = TrainingTable.from_file(table)
    columns = {"formula_column": "formula", "structure_column": "cif", "hold_out": "year > 2005"}
    for name, column in (("elemnet", "formula"), ("schnet", "cif")):
        usual = ARCHITECTURES[name].config
        request = pretrain_request(name, data, tmp_path, targets=("y_eV",), **columns, epochs=7, seed=None, threads=2)
        assert request.config == replace(usual, epochs=7)
        assert (request.recipe.material_column, request.recipe.held_out) == (column, "year > 2005")
        assert (request.recipe.seed, request.recipe.shares) == (usual.seed, ARCHITECTURES[name].shares)
        assert (request.threads, request.unit, request.target_unit) == (2, None, "eV")


def test_a_killed_run_resumes_to_the_same_bits(run_folder, request_in, table, recipe, tmp_path) -> None:
    folder = tmp_path / "killed"
    steps_per_epoch = -(-read_run(run_folder).account.rows["train"] // 64)
    in_third_epoch = 2 * steps_per_epoch + 2
    script = [sys.executable, "-c", KILLED_RUN, table, folder, recipe.target_columns[0], str(in_third_epoch)]
    script.append(str(torch.get_num_threads()))
    assert subprocess.run(script, check=False).returncode == -signal.SIGKILL
    assert len(state_of(folder)["history"]) == 2

    run_pretraining(request_in(folder), ignore, ignore)
    whole, resumed = state_of(run_folder), state_of(folder)
    for name, weights in whole["network"].items():
        assert torch.equal(weights, resumed["network"][name]), name
    for key, moments in whole["optimizer"]["state"].items():
        assert all(torch.equal(moments[k], resumed["optimizer"]["state"][key][k]) for k in moments)
    curves = [[{**r, "seconds": 0, "processor_seconds": 0} for r in state["history"]] for state in (whole, resumed)]
    assert curves[0] == curves[1]
    best = [torch.load(f / "best.pt", weights_only=True)["network"] for f in (run_folder, folder)]
    assert all(torch.equal(best[0][name], best[1][name]) for name in best[0])


def test_a_finished_run_without_record_is_reported_and_not_trained_again(run_folder, request_in, tmp_path) -> None:
    folder = tmp_path / "finished"
    folder.mkdir()
    for name in ("checkpoint.pt", "best.pt", "history.json"):
        shutil.copy(run_folder / name, folder)
    before = (folder / "checkpoint.pt").read_bytes()
    record = run_pretraining(request_in(folder), ignore, lambda _: pytest.fail("trained again"))
    assert (folder / "checkpoint.pt").read_bytes() == before
    assert record == read_run(folder) == read_run(run_folder)


def test_the_record_tells_data_settings_and_results(run_folder, table) -> None:
    record = read_run(run_folder)
    assert record.account.file == table.name
    assert record.account.read == 200
    assert record.unit == "eV/atom"
    assert record.settings["epochs"] == 4
    cost = {"seconds", "processor_seconds", "cores"}
    assert set(record.results) == {"epochs", "best_epoch", "val_mae", "test_mae", *cost}
    history = json.loads((run_folder / "history.json").read_bytes())
    assert record.results["val_mae"] == pytest.approx(min(epoch["val_mae"] for epoch in history), rel=1e-5)


def test_the_learning_curve_is_drawn_as_png_and_svg(run_folder) -> None:
    assert (run_folder / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (run_folder / "learning_curve.svg").read_bytes()


@pytest.mark.parametrize("change", ["settings", "data"])
def test_a_folder_with_another_run_is_refused(run_folder, request_in, write_table, recipe, change) -> None:
    request = request_in(run_folder)
    if change == "settings":
        request = replace(request, config=replace(request.config, learning_rate=0.5))
    else:
        columns = {"formula": ["TiO2", "Fe"] * 20, recipe.target_columns[0]: [-3.0, 0.0] * 20}
        request = replace(request, data=TrainingTable.from_file(write_table(**columns)))
    before = read_run(run_folder)
    with pytest.raises(TrainingError, match="holds a run"):
        run_pretraining(request, ignore, ignore)
    assert read_run(run_folder) == before


def test_an_empty_part_is_refused(request_in, write_table, recipe, tmp_path) -> None:
    table = write_table(
        **{"formula": ["TiO2", "Fe"], recipe.target_columns[0]: [-3.0, 0.0], "split": ["train", "train"]}
    )
    request = replace(
        request_in(tmp_path / "run"), data=TrainingTable.from_file(table), recipe=replace(recipe, split_column="split")
    )
    with pytest.raises(TrainingError, match="2 training and 0 validation rows"):
        run_pretraining(request, ignore, ignore)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"\x80\x04K\x01."])
def test_a_damaged_checkpoint_is_refused(tmp_path, content) -> None:
    (tmp_path / "best.pt").write_bytes(content)
    with pytest.raises(TrainingError, match="is not a checkpoint, or a damaged one"):
        load_trained(tmp_path / "best.pt")


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path) -> None:
    torch.save({"network": print}, tmp_path / "best.pt")
    with pytest.raises(TrainingError, match="is not a checkpoint"):
        load_trained(tmp_path / "best.pt")


def test_another_network_is_refused(tmp_path) -> None:
    torch.save({"network": {}, "target_mean": 0.0, "target_std": 1.0}, tmp_path / "best.pt")
    with pytest.raises(TrainingError, match="is not the checkpoint of a run"):
        load_trained(tmp_path / "best.pt")


def test_a_damaged_run_is_not_overwritten(run_folder, request_in, tmp_path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes((run_folder / "checkpoint.pt").read_bytes()[:1000])
    with pytest.raises(TrainingError, match="is not a checkpoint, or a damaged one"):
        run_pretraining(request_in(tmp_path), ignore, ignore)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_missing_device_is_an_error(request_in, tmp_path) -> None:
    with pytest.raises(MissingExtraError, match="cuda"):
        run_pretraining(replace(request_in(tmp_path), device="cuda"), ignore, ignore)
    check_device("cpu")


def test_the_time_left_follows_recent_epochs(run_folder, config) -> None:
    from matlake.networks.training_history import EpochReport

    assert seconds_left([100.0, 10.0, 10.0, 10.0, 10.0, 10.0], epochs=10) == 40.0
    assert [duration(s) for s in (12.4, 200, 3900)] == ["12 s", "3 min 20 s", "1 h 05 min"]
    history = [EpochReport.from_document(epoch) for epoch in json.loads((run_folder / "history.json").read_bytes())]
    assert epoch_line(history[:2], config, "eV/atom").startswith("epoch 2 of 4: training error ")
