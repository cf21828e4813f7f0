import pytest
from transfer_samples import facts, measured, on_test, study

from matlake.studies.transfer.configurations import BASE, SC_DL_EF, SC_ML_EF, TL_CONCAT, TL_ML
from matlake.studies.transfer.report import TransferReport, summarise
from matlake.studies.transfer.tables import markdown


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def table(text: str, first: str) -> list[dict[str, str]]:
    """Return the rows of the table whose heading begins so."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(first))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(dict(zip(cells(lines[start]), cells(line), strict=True)))
    return rows


@pytest.fixture
def small() -> TransferReport:
    found = []
    for target, base, scratch, transfer in (("gap", 1.0, 0.5, 0.4), ("slme", 10.0, 5.0, 6.0)):
        for configuration, mae in ((BASE, base), (SC_ML_EF, scratch), (TL_ML, transfer)):
            way = measured(configuration, mae, target=target, features=("net@2",) if configuration == TL_ML else ())
            found += [way, on_test(way, mae, outside_mae=1.1 * mae)]
    return summarise(found, {"gap": facts(1234), "slme": facts(500, unit="")})


def test_the_page_holds_errors_against_the_papers(small: TransferReport) -> None:
    text = markdown(small, {"gap": (1.001, 0.6, 0.5)})
    gap, slme = table(text, "| property | size")
    assert gap["property"] == "gap (eV)"
    assert (gap["size"], gap["Base"], gap["best SC"], gap["best TL"]) == ("1,234", "1", "0.5", "**0.4**")
    assert (gap["paper's best SC"], gap["paper's best TL"], gap["TL: ours/paper"]) == ("0.6", "0.5", "0.800")
    assert (gap["winner's configuration"], gap["features"], gap["model"]) == (TL_ML, "net@2", "svr")
    assert (gap["new compositions: SC"], gap["winner"]) == ("0.55", "0.44")
    assert slme["property"] == "slme"
    assert (slme["best SC"], slme["best TL"], slme["TL: ours/paper"]) == ("**5**", "6", "–")
    assert "our best TL over the paper's best TL: mean 0.800, geometric mean 0.800, at most 1 on 1 of 1 targets" in text
    assert "Base within 1% of the paper's on 1 of 1 targets" in text


def test_a_base_that_does_not_reproduce_is_named(small: TransferReport) -> None:
    text = markdown(small, {"gap": (0.9, 0.6, 0.5), "slme": (10.0, 4.0, 3.0)})
    assert "Base within 1% of the paper's on 1 of 2 targets; not on gap (1.111 times)" in text
    assert "our best TL over the paper's best TL: mean 1.400, geometric mean 1.265, at most 1 on 1 of 2" in text


def test_without_the_papers_numbers_their_columns_are_left_out(small: TransferReport) -> None:
    assert "paper" not in markdown(small)


def test_cells_that_were_not_run_are_marked(small: TransferReport) -> None:
    rows = table(markdown(small), "| property | Base")
    assert [row[SC_DL_EF] for row in rows] == ["not run", "not run"]
    assert rows[1][TL_ML] == "6"
    assert TL_CONCAT not in rows[0]  # nothing that the study lacks was tried


def test_all_tables_of_a_whole_study_are_rectangular() -> None:
    found, about = study()
    text = markdown(summarise(found, about), dict.fromkeys(about, (1.0, 0.5, 0.4)))
    assert len(table(text, "| property | size")) == len(table(text, "| property | Base")) == 41
    assert {row["targets"] for row in table(text, "| compared")} == {"all", "without pem300k"}
    assert "None" not in text
    assert "nan" not in text
