"""The Python reference: the public names of the package's stub, documented from their docstrings."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

_STUB: Final = Path(__file__).parents[2] / "matlake" / "__init__.pyi"
_MARK: Final = "<!-- every other public name -->"


def public_names() -> Iterator[tuple[str, str]]:
    """Yield each public name, and the dotted path of what it is."""
    for node in ast.walk(ast.parse(_STUB.read_text())):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.name, ".".join(filter(None, ("matlake", node.module, alias.name)))


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace the mark by every public name that is not documented on the page of the lake."""
    del page, files
    if _MARK not in markdown:
        return markdown
    shown = (Path(config.docs_dir) / "reference" / "lake.md").read_text()
    names = sorted(public_names(), key=lambda pair: pair[0].lower())
    others = [path for _, path in names if f"::: {path}\n" not in shown]
    return markdown.replace(_MARK, "\n\n".join(f"::: {path}" for path in others))
