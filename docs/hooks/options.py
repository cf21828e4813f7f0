"""Options in inline code, such as ``--features``, which no line may end within.

Browsers break lines behind any hyphen, and no property of CSS forbids that for some hyphens alone. So each option is an
element of its own, which the style sheet keeps on one line.
"""

import re
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

_CODE: Final = re.compile(r"(?P<block><pre\b.*?</pre>)|(?P<start><code\b[^>]*>)(?P<text>[^<]*)(?=</code>)", re.DOTALL)
_OPTION: Final = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")


def on_page_content(html: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Mark the options in inline code; blocks of code stay as they are."""
    del page, config, files

    def marked(match: re.Match[str]) -> str:
        if match["block"]:
            return match["block"]
        return match["start"] + _OPTION.sub(r'<span class="option">\g<0></span>', match["text"])

    return _CODE.sub(marked, html)
