"""Completion in the shell: what exists is offered, quickly, in bash, zsh and fish."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.shell_completion import get_completion_class
from samples import LAKE_0_1_0

import matlake
from matlake.cli import completion
from matlake.cli.main import cli
from matlake.store.folders import LakeFolders

Ask = Callable[..., list[str]]

NOT_NEEDED = {
    "numpy",
    "duckdb",
    "pyarrow",
    "deltalake",
    "onnx",
    "onnxruntime",
    "pandas",
    "rich",
    "urllib3",
    "matplotlib",
}
SCRIPT = """#!{python}
import sys
from matlake.__main__ import main
sys.argv[0] = "matlake"
try:
    main()
finally:
    sys.stderr.write(" ".join(name for name in sys.modules if "." not in name))
"""
IN_BASH = """
source <(_MATLAKE_COMPLETE=bash_source matlake)
complete -p matlake
COMP_WORDS=(matlake --lake {lake} train --target band); COMP_CWORD=5
_matlake_completion matlake
echo "${{COMPREPLY[@]}}"
"""


@pytest.fixture(params=["bash", "zsh", "fish"])
def offered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Ask as a shell does, by its own protocol."""
    shell = request.param

    def ask(*words: str) -> list[str]:
        monkeypatch.setenv("COMP_WORDS", " ".join(["matlake", *words]))
        monkeypatch.setenv("COMP_CWORD", words[-1] if shell == "fish" else str(len(words)))
        kind = get_completion_class(shell)
        assert kind is not None
        answer = kind(cli, {}, "matlake", "_MATLAKE_COMPLETE").complete()
        if shell == "zsh":
            lines = answer.splitlines()
            return [value for kind, value in zip(lines[::3], lines[1::3], strict=True) if kind == "plain"]
        return [line.partition(",")[2].partition("\t")[0] for line in answer.splitlines()]

    return ask


def test_commands_and_options_are_completed(offered) -> None:
    assert offered("da") == ["datasets"]
    assert offered("datasets", "re") == ["rename"]
    assert "--encoder" in offered("embed", "--e")
    assert offered("train", "--adversarial", "s") == ["sal"]


def test_names_of_the_lake_are_completed(offered) -> None:
    lake = ("--lake", str(LAKE_0_1_0))
    heads = sorted(LakeFolders(LAKE_0_1_0).head_names())
    assert offered(*lake, "predict", heads[0][:3]) == [name for name in heads if name.startswith(heads[0][:3])]
    assert offered(*lake, "datasets", "show", "ga") == ["gaps"]
    assert offered(*lake, "heads", "compare", heads[0], heads[1]) == [heads[1]]
    assert offered(*lake, "train", "--target", "band") == ["band_gap_eV"]
    assert offered(*lake, "embed", "--encoder", "mag") == ["magpie"]
    assert offered(*lake, "train", "--features", "magpie,frac") == ["magpie,fractions"]
    assert offered(*lake, "train", "--features", "magpie,mag") == []


def test_what_is_offered_is_what_the_lake_says() -> None:
    lake = matlake.open_lake(LAKE_0_1_0)
    names = lake.dataset_names()
    assert sorted(completion._dataset_names(LAKE_0_1_0)) == names
    assert sorted(completion._with_cards(lake.heads_folder)) == sorted(
        {name.partition(":")[0] for name in lake.head_names()}
    )
    encoders = {*completion._with_cards(completion._SHIPPED), *completion._with_cards(lake.encoders_folder)}
    plugins = {one.card.name for one in lake.list_encoders() if not one.shipped} - encoders
    assert encoders | plugins == {one.card.name for one in lake.list_encoders()}
    for name in names:
        numbers = [one.name for one in lake.show_dataset(name).columns if one.type != "VARCHAR"]
        assert sorted(completion._columns(lake.dataset(name))) == sorted(numbers)


@pytest.mark.parametrize("place", ["nowhere", "s3://bucket/lake", "file"])
def test_without_a_lake_nothing_is_offered_and_nothing_fails(offered, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    given = place if "://" in place else str(tmp_path / place)
    assert offered("--lake", given, "predict", "g") == []
    assert offered("--lake", given, "train", "--target", "b") == []
    assert offered("--lake", given, "embed", "--encoder", "frac") == ["fractions"]


def test_a_damaged_log_is_passed_over(tmp_path: Path) -> None:
    lake = Path(shutil.copytree(LAKE_0_1_0, tmp_path / "lake"))
    (log,) = (lake / "datasets" / "gaps" / "_delta_log").glob("*.json")
    log.write_bytes(b'{"metaData"\x00' + log.read_bytes()[:100])
    assert list(completion._columns(lake / "datasets" / "gaps")) == []


def test_bash_completes_and_waits_for_nothing_heavy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    (tmp_path / "matlake").write_text(SCRIPT.format(python=sys.executable))
    (tmp_path / "matlake").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    done = subprocess.run([bash, "-c", IN_BASH.format(lake=LAKE_0_1_0)], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[-2:] == ["band_gap_eV", ""]
    assert "-F _matlake_completion matlake" in done.stdout
    assert not set(done.stderr.split()) & NOT_NEEDED


def test_arguments_that_name_something_of_the_lake_are_completed() -> None:
    for words in ("heads show", "heads compare", "predict", "serve", "finetune", "datasets delete", "encoders show"):
        command = cli
        for word in words.split():
            command = command.get_command(None, word)
        assert any(param._custom_shell_complete for param in command.params if param.param_type_name == "argument")
