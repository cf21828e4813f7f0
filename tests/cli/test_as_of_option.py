"""``--as-of`` of sql, train and predict."""

import json
from collections.abc import Callable

import pytest
from conftest import FEATURE

import matlake
from matlake.regress.heads.train_result import TrainResult

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    embedded: matlake.Lake,
    trained: TrainResult,  # noqa: ARG001 - makes the head
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Call:
    """Run a command in this process."""
    from matlake.__main__ import main

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["matlake", "--lake", str(embedded.path), *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def test_sql_says_which_versions_it_reads(call: Call) -> None:
    code, out, err = call("sql", "SELECT count(*) AS n FROM gaps", "--format", "json", "--as-of", "head:gap")
    assert (code, json.loads(out)) == (0, [{"n": 307}])
    assert "as of the training of head gap: gaps version 0, embeddings version " in err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("sql", "SELECT 1", "--as-of", "1999"), 1, "not a moment of a lake"),
        (("sql", "SELECT 1", "--as-of", "1999-01-01"), 1, "was not there on 1999-01-01"),
        (("train", "--target", "band_gap_eV", "--features", FEATURE, "--as-of", "gaps=9"), 1, "gaps has no version 9"),
        (("predict", "gap", "--dataset", "gaps", "--as-of", "head:no"), 1, "there is no head 'no'"),
        (("predict", "gap", "--formula", "NaCl", "--as-of", "gaps=0"), 2, "--as-of goes with --dataset and --where"),
        (("predict", "gap", "--dataset", "gaps", "--save", "--as-of", "gaps=0"), 2, "--save does not go with --as-of"),
    ],
)
def test_what_does_not_fit_is_one_line(call: Call, arguments: tuple[str, ...], status: int, message: str) -> None:
    code, _, err = call(*arguments)
    assert code == status
    assert message in err
    assert "Traceback" not in err


def test_datasets_show_the_version_to_ask_for(call: Call) -> None:
    assert "for --as-of: gaps=0" in call("datasets", "show", "gaps")[1]
    assert json.loads(call("datasets", "show", "gaps", "--json")[1])["table_version"] == 0


def test_heads_show_the_versions_that_they_were_trained_from(call: Call) -> None:
    assert "read from gaps version 0, embeddings version " in call("heads", "show", "gap")[1]
    document = json.loads(call("heads", "show", "gap", "--json")[1])
    assert [one["table"] for one in document["training_tables"]] == ["datasets/gaps", "embeddings"]
