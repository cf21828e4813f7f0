"""The command ``map``: its answer, its files, and one line for what cannot be drawn."""

import json

import pyarrow.parquet as pq
import pytest
from samples import Cli

FEATURE = "fractions"


@pytest.fixture(scope="module")
def cli(tmp_path_factory) -> Cli:
    """A lake with four oxides, embedded with their element fractions, and two other materials that are not."""
    folder = tmp_path_factory.mktemp("map")
    (folder / "oxides.csv").write_text("formula,band_gap_eV\nTiO2,3.0\nSiO2,8.9\nGeO2,5.5\nZrO2,\n")
    cli = Cli(folder / "lake")
    cli("import", str(folder / "oxides.csv"), "--dataset", "oxides")
    cli("embed", "--encoder", FEATURE)
    (folder / "others.csv").write_text("formula\nNaCl\nKBr\n")
    cli("import", str(folder / "others.csv"), "--dataset", "others")
    return cli


def test_the_answer_says_what_was_written_and_what_was_left_out(cli, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["map", "oxides", "others", "--encoder", FEATURE, "--color", "band_gap_eV"]
    document = cli.json(*arguments)
    assert document["output"] == "map.html"
    assert document["bytes"] == (tmp_path / "map.html").stat().st_size
    assert (document["points"], document["selected"], document["without_value"]) == (4, 6, 1)
    assert [one["material_id"] for one in document["left_out"]] == ["others-0", "others-1"]
    assert 0 < sum(document["explained_variance"]) <= 1
    out = cli(*arguments, "--export", "parquet", "--title", "unused")
    assert "left out, not embedded: others-0, others-1" in out
    assert "wrote map.parquet" in out
    table = pq.read_table(tmp_path / "map.parquet")
    assert table.column_names == ["dataset", "material_id", "formula", "x", "y", "band_gap_eV"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "Missing argument"),
        (["oxides"], 2, "Missing option '--encoder'"),
        (["oxides", "--encoder", FEATURE, "--projection", "tsne"], 2, "'tsne' is not one of"),
        (["oxide", "--encoder", FEATURE], 1, "do you mean 'oxides'?"),
        (["oxides", "--encoder", "magpie"], 1, "run `matlake embed --encoder magpie@attributes`"),
        (["others", "--encoder", FEATURE], 1, "run `matlake embed --encoder fractions@fractions --dataset others`"),
        (["oxides", "--encoder", FEATURE, "--color", "gap"], 1, "no property 'gap'"),
        (["oxides", "--encoder", FEATURE, "--output", "map.parquet"], 1, "with --export"),
    ],
)
def test_what_cannot_be_drawn_is_one_line_with_a_hint(cli, arguments, code, message) -> None:
    document = json.loads(cli("map", *arguments, "--json", code=code))
    assert message in f"{document['error']}; {document['hint']}"
