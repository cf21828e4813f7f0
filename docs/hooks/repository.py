"""Pages of the repository that lie outside docs/, and links between them, as parts of the site.

Links in the repository are relative paths, so that they also lead somewhere where the repository is browsed. Here each
is turned into one between pages of the site: a linked file that is no page comes along as it is, and of a link to a
folder the text stays.
"""

import os.path
import re
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote, unquote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[2]

_MEASURED: Final = "science/measurements"

_PAGES: Final = {
    "CHANGELOG.md": "inside/changes.md",
    "CONTRIBUTING.md": "inside/contributing.md",
    "SECURITY.md": "inside/security.md",
    "README.md": "index.md",
    "examples/plugin/README.md": "inside/plugin.md",
    "examples/slurm/README.md": "guides/slurm.md",
    "matlake/data/README.md": "science/samples.md",
}
"""Path in the repository -> page of the site; those below benchmarks/ are found."""

_LINK: Final = re.compile(
    r"(?P<fence>^(?P<ticks>```+|~~~+).*?^(?P=ticks)[ \t]*$)|(?P<code>(?<!`)(`+)(?!`).+?(?<!`)\4(?!`))"
    r"|(?P<text>!?\[(?:[^\[\]]|\[[^\[\]]*\])*\])\((?P<target>[^)\s]+)\)"
    r"|(?P<attribute>\b(?:src|srcset|href)=\")(?P<value>[^\"]+)\"",
    re.MULTILINE | re.DOTALL,
)
_ELSEWHERE: Final = re.compile(r"[a-z][a-z0-9+.-]*:|/|#")


def on_config(config: MkDocsConfig) -> None:
    """Put the pages of benchmarks/ where the navigation has an empty list."""
    for section in config.nav or []:
        for entry in next(iter(section.values())):
            if isinstance(entry, dict) and [] in entry.values():
                (name,) = entry
                entry[name] = [page_of(path) for path in measurements() if "results" not in path.parts]


def on_files(files: Files, *, config: MkDocsConfig) -> None:
    """Add pages and linked files from outside docs/."""
    paths = {*measurements(), *(PurePosixPath(path) for path in _PAGES if _PAGES[path] != "index.md")}
    for path in sorted(paths):
        _add(files, config, path, InclusionLevel.NOT_IN_NAV if "results" in path.parts else InclusionLevel.INCLUDED)
    pages = [(repository_path(file.src_uri), file) for file in files.documentation_pages()]
    for path, page in pages:
        for target in _linked(page.content_string, path):
            if (ROOT / target).is_file() and site_path(target) not in files.src_uris and target.suffix != ".md":
                _add(files, config, target, InclusionLevel.INCLUDED)


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links within the repository into links within the site."""
    del config
    here = repository_path(page.file.src_uri)

    def replaced(match: re.Match[str]) -> str:
        target = match["target"] or match["value"]
        if target is None or _ELSEWHERE.match(target):
            return match[0]
        name, hash_sign, anchor = target.partition("#")
        path = _resolved(here, name)
        there = site_path(path)
        if there not in files.src_uris:
            if match["text"] and (ROOT / path).is_dir():
                return match["text"][1:-1]
            return match[0]  # the build says that it leads nowhere
        new = quote(os.path.relpath(there, PurePosixPath(page.file.src_uri).parent)) + hash_sign + anchor
        return f"{match['text']}({new})" if match["text"] else f'{match["attribute"]}{new}"'

    return _LINK.sub(replaced, markdown)


def measurements() -> list[PurePosixPath]:
    """Return the pages below benchmarks/, those of a folder before those of its folders."""
    found = [PurePosixPath(path.relative_to(ROOT)) for path in (ROOT / "benchmarks").rglob("*.md")]
    return sorted(found, key=lambda path: (path.parent, path.name != "README.md", path.name))


def page_of(path: PurePosixPath) -> str:
    """Return the page that a Markdown file outside docs/ becomes."""
    return _PAGES.get(str(path)) or f"{_MEASURED}/{path.relative_to('benchmarks')}"


def site_path(path: PurePosixPath) -> str:
    """Return where a file of the repository is within the site."""
    if path.parts[:1] == ("docs",):
        return str(PurePosixPath(*path.parts[1:]))
    is_measured = path.parts[:1] == ("benchmarks",) and path.suffix in (".md", ".svg", ".png")
    if str(path) in _PAGES or is_measured:
        return page_of(path)
    shown = path.suffix in (".ipynb", ".json", ".csv", ".txt")
    return f"source/{path}" if shown else f"source/{path}.txt"


def repository_path(uri: str) -> PurePosixPath:
    """Return the file of the repository that a page is made of."""
    if uri.startswith(_MEASURED):
        return "benchmarks" / PurePosixPath(uri).relative_to(_MEASURED)
    outside = {page: path for path, page in _PAGES.items() if page != "index.md"}
    return PurePosixPath(outside[uri]) if uri in outside else "docs" / PurePosixPath(uri)


def _add(files: Files, config: MkDocsConfig, path: PurePosixPath, inclusion: InclusionLevel) -> None:
    files.append(File.generated(config, site_path(path), abs_src_path=str(ROOT / path), inclusion=inclusion))


def _linked(markdown: str, here: PurePosixPath) -> set[PurePosixPath]:
    targets = {match["target"] or match["value"] for match in _LINK.finditer(markdown)} - {None}
    return {_resolved(here, target.partition("#")[0]) for target in targets if not _ELSEWHERE.match(target)}


def _resolved(here: PurePosixPath, target: str) -> PurePosixPath:
    return PurePosixPath(os.path.normpath(here.parent / unquote(target)))
