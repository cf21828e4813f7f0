"""A map as one HTML file that works offline: points, crystals, the library that draws them and the scripts in it.

Everything large is compressed and stands in the page as base64, which holds no character that HTML could take for
markup. Names and formulas become text nodes in the browser, never HTML. The content security policy of the page lets
nothing run but its own two scripts, by their digests, and lets nothing be loaded from anywhere. The library makes
functions of text that it writes itself to fill buffers of the graphics card, hence ``unsafe-eval``.
"""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.maps.crystal_drawing import draw
from matlake.maps.page_files import FOLDER, SHARED, plotly_script
from matlake.materials.crystal import Crystal

CRYSTALS_TOGETHER: Final = 32
"""Crystals that are compressed together, and unpacked when one of them is looked at."""

_SCRIPTS: Final = (*SHARED, "unpack.js", "moving.js", "map.js")
"""Modules of the page, each before those that import it."""

_IMPORT: Final = re.compile(r"^import \{[^}]*\} from \"\./[\w.]+\";\n", re.MULTILINE)
_EXPORT: Final = re.compile(r"^export ", re.MULTILINE)
_DIGITS: Final = 4


def page_file(
    title: str,
    facts: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    texts: Mapping[str, list[Any]],
    crystals: Iterable[Crystal],
) -> bytes:
    """Return the page.

    Args:
        title: Of the page.
        facts: What else it shows, as JSON.
        arrays: Numbers of the points, by name; little-endian.
        texts: Names of the points, by what they are.
        crystals: In the order of the array ``crystal`` of the points that have one in the file.
    """
    blocks = {name: np.ascontiguousarray(array).tobytes() for name, array in arrays.items()}
    blocks |= {name: _json(list_) for name, list_ in texts.items()}
    blocks["facts"] = _json({**facts, "title": title, "crystals_together": CRYSTALS_TOGETHER})
    drawings, number = map(_drawing, crystals), 0
    while some := list(islice(drawings, CRYSTALS_TOGETHER)):
        blocks[f"crystals-{number}"] = _json(some)
        number += 1
    library, script = _library(), _script()
    blocks["library"] = library
    policy = (
        f"default-src 'none'; script-src {_digest(script)} {_digest(library)} 'unsafe-eval'; "
        "style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "title": escape(title),
        "policy": policy,
        "style": (FOLDER / "map.css").read_text(encoding="utf-8"),
        "script": script.decode(),
        "data": "\n".join(
            f'<script type="text/plain" id="data-{name}">{_packed(b)}</script>' for name, b in blocks.items()
        ),
    }
    template = (FOLDER / "map.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template).encode()


def _drawing(crystal: Crystal) -> dict[str, Any]:
    """Return what is drawn of a crystal, in as many digits as a picture needs."""
    drawing = draw(crystal)
    for name in ("lattice", "edges_A", "angles_deg", "volume_A3"):
        drawing[name] = np.round(drawing[name], _DIGITS).tolist()
    return drawing


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


def _json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _digest(script: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"


def _script() -> bytes:
    """Return the modules of the page as one script: a file that is opened from a disk cannot import others."""
    texts = [(FOLDER / name).read_text(encoding="utf-8") for name in _SCRIPTS]
    joined = "\n".join(_EXPORT.sub("", _IMPORT.sub("", text)) for text in texts)
    return f'"use strict";\n(() => {{\n{joined}}})();\n'.encode()


@cache
def _library() -> bytes:
    return plotly_script().read_bytes()
