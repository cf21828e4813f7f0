"""Interrupts: at any moment they end a command with exit code 1 and one line, and nothing that looks finished is saved.

Signals are real ones, sent to real processes, by a clock or from inside the function that is to be interrupted.
"""

import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from commands import interrupted_after, run, start
from conftest import FEATURE

import matlake
from matlake.interrupts import not_swallowed
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.storage import list_heads
from matlake.regress.heads.train import train
from matlake.regress.heads.train_result import TrainResult
from matlake.store.folders import LakeFolders

KILL = "import os, signal; me = lambda *_: os.kill(os.getpid(), signal.{})"

IN_THE_MLP = """
import os, signal
from sklearn.neural_network import MLPRegressor
steps, real = [], MLPRegressor._backprop
def step(self, *arguments):
    steps.append(1)
    if len(steps) == {step}:
        os.kill(os.getpid(), signal.{signal})
    return real(self, *arguments)
MLPRegressor._backprop = step
"""


@pytest.fixture
def small(tmp_path: Path, embedded: matlake.Lake) -> Path:
    """A copy of the embedded lake."""
    return Path(shutil.copytree(embedded.path, tmp_path / "lake", ignore=shutil.ignore_patterns("heads")))


def training(lake: Path, model: str, *more: str) -> list[str | Path]:
    what = ["train", "--target", "band_gap_eV", "--features", FEATURE, "--model", model, "--name", "new", *more]
    return ["--lake", lake, *what]


NO_PLOTS = """
import matlake.regress.heads.train as training
training.draw_plots = lambda *_: {}
"""
"""Before a training whose interrupt comes late: drawing takes half of its time."""


def left_over(lake: Path) -> list[str]:
    """Return what lies in a lake's folder of heads, hidden files and all, but for empty folders."""
    heads = lake / "heads"
    return sorted(str(path.relative_to(heads)) for path in heads.rglob("*") if path.is_file())


def assert_stopped(done: "subprocess.CompletedProcess[str]", lake: Path, said: str = "interrupted") -> None:
    assert done.returncode == 1, done.stderr
    assert f"error: {said}" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert left_over(lake) == []


@pytest.mark.parametrize("step", [1, 300])
def test_an_interrupt_in_the_perceptron_is_no_finished_fit(
    step: int, embedded: matlake.Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """scikit-learn returns what is half trained; this is Python's own handler, as in a notebook."""
    from sklearn.neural_network import MLPRegressor

    steps, real = [], MLPRegressor._backprop

    def interrupting(self: MLPRegressor, *arguments: object) -> object:
        steps.append(1)
        if len(steps) == step:
            signal.raise_signal(signal.SIGINT)
        return real(self, *arguments)

    monkeypatch.setattr(MLPRegressor, "_backprop", interrupting)
    before = [card.name for card in list_heads(embedded)]
    with pytest.raises(KeyboardInterrupt):
        train(embedded, TrainRequest("band_gap_eV", [FEATURE], "mlp", name="half"))
    assert len(steps) == step
    assert [card.name for card in list_heads(embedded)] == before


@pytest.mark.parametrize(("model", "name"), [("mlp", "SIGINT"), ("auto", "SIGTERM")])
def test_a_command_that_is_interrupted_in_the_perceptron_saves_nothing(small: Path, model: str, name: str) -> None:
    done = run(training(small, model), IN_THE_MLP.format(step=40, signal=name))
    assert_stopped(done, small, {"SIGINT": "interrupted", "SIGTERM": "terminated"}[name])


@pytest.mark.parametrize(
    ("place", "swallowed"),
    [
        ("matlake.regress.heads.train.read_shared_rows", True),
        ("matlake.regress.heads.train.measure_fitted", False),
        ("matlake.store.head_folders.write_whole", False),
        ("matlake.store.head_folders.write_whole", True),
    ],
)
def test_an_interrupt_anywhere_in_training_saves_nothing(small: Path, place: str, swallowed: bool) -> None:
    """Also where what is interrupted goes on as if nothing had happened, as destructors and some libraries do."""
    module, _, function = place.rpartition(".")
    patch = (
        KILL.format("SIGINT")
        + NO_PLOTS
        + f"""
import contextlib, {module} as module
real = module.{function}
def interrupted(*arguments, **named):
    with contextlib.suppress({"KeyboardInterrupt" if swallowed else ""}):
        me()
    return real(*arguments, **named)
module.{function} = interrupted
"""
    )
    assert_stopped(run(training(small, "ridge"), patch), small)


def test_an_interrupt_that_comes_after_the_head_was_saved_comes_too_late(small: Path) -> None:
    patch = (
        KILL.format("SIGINT")
        + NO_PLOTS
        + """
real = training.save_head_files
training.save_head_files = lambda *arguments: (real(*arguments), me())[0]
"""
    )
    done = run(training(small, "ridge", "--json"), patch)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["head"] == "new"
    assert [card.name for card in list_heads(LakeFolders(small))] == ["new"]


def test_an_interrupt_while_python_ends_changes_nothing(small: Path) -> None:
    done = run(["--lake", small, "status", "--json"], KILL.format("SIGINT") + "\nimport atexit\natexit.register(me)")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["heads"] == []


def test_the_answer_to_an_interrupt_is_json_where_that_was_asked_for(small: Path) -> None:
    done = run(training(small, "mlp", "--json"), IN_THE_MLP.format(step=40, signal="SIGTERM"))
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"].startswith("terminated")
    assert set(json.loads(done.stdout)) == {"error", "hint"}


def test_a_command_that_does_not_come_back_is_ended(small: Path) -> None:
    """Compiled code may run for minutes before Python hears of a signal."""
    patch = """
import time, matlake.interrupts as interrupts, matlake.regress.heads.train as module
interrupts.GRACE_S = 0.3
def stuck(*_, **__):
    while True:
        try:
            print(".", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            pass
module.search_model = stuck
"""
    process = start(training(small, "ridge"), patch)
    assert process.stdout is not None
    assert process.stdout.readline() == ".\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 1
    assert err.endswith("error: interrupted\nhint: " + err.partition("hint: ")[2])
    assert err.count("error:") == 1
    assert left_over(small) == []


def test_what_a_process_was_started_to_ignore_stays_ignored(small: Path) -> None:
    patch = KILL.format("SIGHUP") + "\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\nme()"
    assert run(["--lake", small, "status"], patch).returncode == 0


def test_an_interrupt_before_anything_has_begun_is_one_line_too(small: Path) -> None:
    patch = (
        KILL.format("SIGTERM")
        + """
import sys
class AtTheFirstImport:
    def find_spec(self, name, *_):
        if name == "click":
            me()
sys.meta_path.insert(0, AtTheFirstImport())
"""
    )
    done = run(["--lake", small, "status", "--json"], patch)
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout)["error"] == "terminated"


@pytest.mark.parametrize(("command", "seconds"), [("import", 0.5), ("embed", 1.0), ("mlp", 2.5), ("predict", 0.7)])
def test_at_whatever_time_it_comes(
    command: str, seconds: float, small: Path, gaps: Path, embedded: matlake.Lake, trained: TrainResult, tmp_path: Path
) -> None:
    """Where it strikes differs from machine to machine; what must hold does not."""
    assert trained.card.name == "gap"
    shutil.copytree(embedded.path / "heads" / "gap", small / "heads" / "gap")
    arguments: dict[str, list[str | Path]] = {
        "import": ["import", gaps, "--dataset", "again"],
        "embed": ["embed", "--encoder", "magpie,elemnet-oqmd-formation-energy@3"],
        "mlp": training(small, "mlp", "--where", "band_gap_eV > 2", "--max-fits", "1")[2:],
        "predict": ["predict", "gap", "--input", gaps, "--output", tmp_path / "out.csv"],
    }
    done = interrupted_after(seconds, ["--lake", small, *arguments[command]])
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1)
    assert ("interrupted" in done.stderr) is (done.returncode == 1)
    heads = {card.name for card in list_heads(LakeFolders(small))}
    assert heads == ({"gap", "new"} if command == "mlp" and done.returncode == 0 else {"gap"})
    assert (tmp_path / "out.csv").exists() is (command == "predict" and done.returncode == 0)
    assert not list(tmp_path.glob(".*")) + list(small.rglob("*.tmp")) + list(small.rglob("*.part"))
    assert run(["--lake", small, *arguments[command]]).returncode == 0


def test_not_swallowed_restores_the_handler_and_lets_errors_through() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="own"), not_swallowed():
        raise ValueError("own")
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_that_an_interrupt_was_turned_into_is_an_interrupt() -> None:
    def turned() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            raise RuntimeError("a worker has failed") from error

    with pytest.raises(KeyboardInterrupt), not_swallowed():
        turned()
