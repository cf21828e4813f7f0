"""The command ``search``: the shape of the contract, and one clear line for what cannot be searched."""

import json

import pytest
from samples import CRYSTAL_ENCODER, ELASTIC, Cli

import matlake

FEATURE = "fractions"


@pytest.fixture(scope="module")
def cli(tmp_path_factory) -> Cli:
    """A lake with four materials, embedded with their element fractions."""
    folder = tmp_path_factory.mktemp("search")
    (folder / "oxides.csv").write_text("formula,band_gap_eV\nTiO2,3.0\nSiO2,8.9\nGeO2,5.5\nNaCl,8.5\n")
    cli = Cli(folder / "lake")
    cli("import", str(folder / "oxides.csv"), "--dataset", "oxides")
    cli("embed", "--encoder", FEATURE)
    return cli


def test_neighbours_come_in_the_shape_of_the_contract(cli) -> None:
    document = cli.json("search", "--formula", "TiO2", "--encoder", FEATURE, "-k", "2")
    assert [list(neighbour) for neighbour in document["neighbours"]] == [
        ["dataset", "material_id", "formula", "distance"]
    ] * 2
    assert document["neighbours"][0] == {
        "dataset": "oxides", "material_id": "oxides-0", "formula": "TiO2", "distance": 0.0
    }  # fmt: skip


def test_an_id_is_searched_for_among_the_others(cli) -> None:
    found = cli.json("search", "--id", "oxides-0", "--encoder", FEATURE, "--where", "band_gap_eV > 6")["neighbours"]
    assert [neighbour["formula"] for neighbour in found] == ["SiO2", "NaCl"]


def test_people_get_a_table(cli) -> None:
    out = cli("search", "--id", "oxides-0", "--encoder", FEATURE, "--dataset", "oxides")
    assert out.splitlines()[0] == "3 nearest by fractions@fractions"
    assert out.splitlines()[5].split()[1:] == ["NaCl", "oxides/oxides-3"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--encoder", FEATURE], 2, "give one of --id, --formula, --structure and --input"),
        (["--id", "a", "--formula", "NaCl", "--encoder", FEATURE], 2, "give one of --id"),
        (["--formula", "NaCl", "--encoder", FEATURE, "-k", "0"], 2, "0 is not in the range"),
        (["--id", "nobody", "--encoder", FEATURE], 1, "there is no material 'nobody'"),
        (["--formula", "NaCl", "--encoder", "magpie"], 1, "nothing is embedded with magpie@attributes"),
        (["--formula", "NaCl", "--encoder", f"{FEATURE}@2"], 1, "no layer '2'"),
        (["--formula", "Xx", "--encoder", FEATURE], 1, "unknown element"),
        (["--structure", "absent.cif", "--encoder", FEATURE], 1, "no file at absent.cif"),
        (["--formula", "NaCl", "--encoder", FEATURE, "--where", "nonsense"], 1, "cannot select by"),
    ],
)
def test_what_cannot_be_searched_is_one_line_with_a_hint(cli, arguments, code, message) -> None:
    document = cli.json("search", *arguments, code=code)
    assert message in document["error"]


def test_an_encoder_of_crystals_says_that_a_formula_is_not_enough(tmp_path) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    matlake.import_table(lake, ELASTIC, "elastic")
    matlake.embed(lake, [CRYSTAL_ENCODER], where="material_id IN (SELECT min(material_id) FROM materials)")
    out = Cli(tmp_path / "lake")("search", "--formula", "NaCl", "--encoder", CRYSTAL_ENCODER, "--json", code=1)
    assert "takes crystals, not formulas" in json.loads(out)["error"]
