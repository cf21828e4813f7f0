"""Import from the OPTIMADE consortium's own server: paging, a kill on the road, and what is new or changed.

Run ``python tests/installed/check_optimade.py`` where matlake and its tests are installed; it takes about a minute and
needs a package index. The server gets an environment of its own: its pins are not ours. ``check_beside.py`` runs
the same check in its environment, so that CI makes one.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from environments import ROOT, make_quickly

sys.path.insert(0, str(ROOT / "tests"))

from optimade_server import entry

from matlake.errors import MatlakeError
from matlake.store.importing.merging import Update
from matlake.store.lake import Lake, open_lake
from matlake.store.sources.importing import import_named

SERVER = "optimade[server]>=1.5,<2"
ROWS, PAGE = 57, 10
PATIENCE_S = 60.0


def stored(number: int, edge: float = 4.2, day: int = 1) -> dict[str, Any]:
    """Return a rock salt as the server's database keeps it."""
    found = entry(number, edge)
    attributes = found["attributes"]
    metal, oxygen = attributes["species_at_sites"]
    elements = sorted([metal, oxygen])
    attributes["gap"] = attributes.pop("_db_gap_eV")
    del attributes["_db_list"]
    attributes |= {
        "last_modified": {"$date": f"2026-01-{day:02}T00:00:00Z"},
        "elements": elements,
        "nelements": 2,
        "elements_ratios": [0.5, 0.5],
        "chemical_formula_reduced": "".join(elements),
        "chemical_formula_descriptive": "".join(elements),
        "chemical_formula_anonymous": "AB",
    }
    return found


@contextlib.contextmanager
def serving(python: Path, folder: Path, port: int, entries: list[dict[str, Any]]) -> Iterator[str]:
    """Run the server on this machine with some structures, and yield how an import names it."""
    data, settings, log = folder / "data.jsonl", folder / "server.json", folder / "server.log"
    data.write_text("\n".join(map(json.dumps, [{"x-optimade": {"meta": {"api_version": "1.2.0"}}}, *entries])))
    settings.write_text(
        json.dumps(
            {
                "insert_from_jsonl": str(data),
                "insert_test_data": False,
                "log_dir": str(folder),
                "page_limit_max": PAGE,
                "provider": {"name": "Rock salts", "description": "a check", "prefix": "rs"},
                "provider_fields": {"structures": [{"name": "gap", "type": "float", "unit": "eV", "description": "x"}]},
            }
        )
    )
    command = [python, "-m", "uvicorn", "optimade.server.main:app", "--port", str(port), "--log-level", "warning"]
    with log.open("w") as file:
        server = subprocess.Popen(
            command, env=os.environ | {"OPTIMADE_CONFIG_FILE": str(settings)}, stdout=file, stderr=file
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/v1/info", server, log)
        yield f"optimade:http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server answers."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            urlopen(address, timeout=PATIENCE_S).close()  # noqa: S310 - of this machine
        except (URLError, OSError):
            if server.poll() is not None or time.monotonic() > until:
                sys.exit(f"the server did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.2)
        else:
            return


def killed_import(lake: Lake, spec: str) -> None:
    """Start an import in a process of its own, and kill it when some pages are there."""
    command = [sys.executable, "-m", "matlake", "--lake", str(lake.path), "import", spec, "--dataset", "salts"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + PATIENCE_S
        while not any(path.stat().st_size for path in lake.unfinished.glob("import-*/ids.jsonl")):
            if process.poll() is not None or time.monotonic() > until:
                sys.exit("the import ended before it could be killed")
            time.sleep(0.01)
        process.kill()
    print("killed while pages arrived")


def rows(lake: Lake) -> list[dict[str, Any]]:
    """Return all materials of the dataset."""
    found: list[dict[str, Any]] = lake.query("SELECT * FROM salts ORDER BY material_id").to_pylist()
    return found


def expect(what: str, found: object, wanted: object) -> None:
    """Say what was found, and end with an error if it is something else."""
    print(f"{what}: {found}", flush=True)
    if found != wanted:
        sys.exit(f"wanted {wanted}")


def main() -> None:
    """Install the server into an environment of its own, and check."""
    with tempfile.TemporaryDirectory() as scratch:
        check(make_quickly(Path(scratch) / "environment", SERVER))


def check(python: Path) -> None:
    """Serve, import, kill, go on, change, import again.

    Args:
        python: The interpreter of an environment that has the server.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        entries = [stored(number) for number in range(ROWS)]
        lake, clean = (open_lake(folder / name, create=True) for name in ("lake", "clean"))
        port = free_port()
        with serving(python, folder, port, entries) as spec:
            killed_import(lake, spec)
            report = import_named(lake, spec, "salts")
            expect("materials, failures", (report.rows, report.failed), (ROWS, 0))
            import_named(clean, spec, "salts")
            expect("the same as an import that was not killed", rows(lake) == rows(clean), True)
            expect("gap of the first", rows(lake)[0]["_rs_gap"], 1.0)
            expect("calcium", import_named(clean, f'{spec}?filter=elements HAS "Ca"', "calcium").rows, 6)
            expect("again", import_named(clean, spec, "salts").update, Update(0, 0, 0, ROWS))
            with contextlib.suppress(MatlakeError):
                import_named(clean, f"{spec}?filter=elements HAZ", "wrong")
                sys.exit("a wrong filter was answered")
        entries[3] = stored(3, edge=4.4, day=9)
        entries += [stored(number, day=9) for number in (ROWS, ROWS + 1)]
        with serving(python, folder, port, entries) as spec:
            expect("new and changed", import_named(lake, spec, "salts").update, Update(2, 1, 0, ROWS - 1))


if __name__ == "__main__":
    main()
