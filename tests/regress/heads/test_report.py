"""A head's report: one page with all facts of its card, for HTML and Markdown, escaped."""

import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from samples import Cli

import matlake
from matlake.errors import HeadError
from matlake.regress.heads.card_files import CARD_FILE, card_bytes
from matlake.regress.heads.report import repeat_command
from matlake.regress.heads.report_files import write_report
from matlake.regress.heads.storage import find_head
from matlake.regress.heads.train_result import TrainResult

HEADINGS = [
    *("Result", "Baselines", "Data", "Features", "Model", "Intervals and expected errors", "Applicability domain"),
    *("Learning curve", "To repeat", "To cite"),
]


class Page(HTMLParser):
    """Collects headings, images and text, and holds that every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.images: list[str] = []
        self.headings: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "img":
            self.images.append(str(dict(attrs)["src"]))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)
        self.words += data


def test_a_page_holds_everything_in_one_file(embedded: matlake.Lake, trained: TrainResult, tmp_path: Path) -> None:
    card, licence = trained.card, embedded.find_encoder(trained.card.features[0].encoder).card.licence
    (path,) = write_report(embedded, "gap", tmp_path / "report.html")
    page = Page(path.read_text())
    assert page.open == []
    assert page.headings == HEADINGS
    assert [image.split(";")[0] for image in page.images] == ["data:image/svg+xml"] * 4
    assert not {"script", "link", "iframe"} & set(page.tags)
    facts = [
        *(card.training.sql, card.training.split_description, card.sha256, card.features[0].sha256),
        *(f"{card.evaluation.metrics.mae:.4g} [", card.more_baselines[1].name, card.more_baselines[1].remark),
        *("random forest on magpie", "matlake train --target band_gap_eV", card.provenance.tool_versions["numpy"]),
        *(f"{card.evaluation.n_train:,} rows", "90% intervals", licence),
    ]  # fmt: skip
    assert not [fact for fact in facts if fact not in page.words]


def test_markdown_has_its_images_beside_it(embedded: matlake.Lake, trained: TrainResult, tmp_path: Path) -> None:
    assert trained.card.name == "gap"
    for plot in (find_head(embedded, "gap") / "plots").glob("*.png"):  # training draws none in tests
        plot.write_bytes(b"\x89PNG of " + plot.name.encode())
    paths = write_report(embedded, "gap", tmp_path / "gap.md")
    text = (tmp_path / "gap.md").read_text()
    images = re.findall(r"!\[.*?\]\(<(.*?)>\)", text)
    assert len(images) == 4
    assert {path.name for path in paths} == {"gap.md", *images}
    assert all((tmp_path / image).read_bytes().startswith(b"\x89PNG") for image in images)
    assert re.findall("^## (.*)$", text, re.MULTILINE) == HEADINGS


def test_the_command_of_a_report_trains_the_same_head(embedded: matlake.Lake, trained: TrainResult) -> None:
    command = shlex.split(repeat_command(replace(trained.card, name="again")))
    document = Cli(embedded.path).json(*command[1:])
    assert document["metrics"]["mae"] == pytest.approx(trained.metrics.mae)  # type: ignore[index]
    assert document["n_train"] == trained.card.evaluation.n_train


def test_names_of_strangers_are_text(embedded: matlake.Lake, trained: TrainResult, tmp_path: Path) -> None:
    matlake.train(
        embedded,
        matlake.TrainRequest("band_gap_eV", ["fractions"], "ridge", where="formula <> '<b>|`x`'", name="strange"),
    )
    (page,) = write_report(embedded, "strange", tmp_path / "r.html")
    assert "<b>" not in page.read_text()
    assert "'&lt;b&gt;|`x`'" in page.read_text().replace("&#x27;", "'")
    folder = find_head(embedded, "strange")
    card = replace(trained.card, name="strange", target="a|b <i>_eV")
    (folder / CARD_FILE).write_bytes(card_bytes(card))
    write_report(embedded, "strange", tmp_path / "r.md")
    assert "a\\|b \\<i\\>" in (tmp_path / "r.md").read_text()


def test_another_ending_is_refused(embedded: matlake.Lake, trained: TrainResult, tmp_path: Path) -> None:
    assert trained.card.name == "gap"
    with pytest.raises(HeadError, match=r"written as \.html or \.md, not as gap\.pdf"):
        write_report(embedded, "gap", tmp_path / "gap.pdf")
    with pytest.raises(HeadError, match="cannot write"):
        write_report(embedded, "gap", tmp_path / "absent" / "gap.html")
