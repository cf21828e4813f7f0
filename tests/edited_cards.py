"""Cards that say something else, with the digest of what they say: what a test changes is not what the digest finds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matlake.documents import DIGEST, sealed_json


def edit_card(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the entries of a card in place."""
    entries = json.loads(path.read_bytes())
    del entries[DIGEST]
    change(entries)
    path.write_bytes(sealed_json(entries))
