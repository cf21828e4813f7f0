"""What a map takes: seconds and bytes of the page, and how it moves in a browser without a graphics card.

    python -m benchmarks.speed.map [--umap] [--sizes 1000 10000 100000] [--repeats 3]

Needs ``pip install psutil selenium``, Chromium and its driver. Compositions of OQMD, drawn at random, with the 145
attributes of Magpie. Each map is a command of its own, in a fresh process. The pages of principal components are then
opened from their files in headless Chromium, which draws in software: how long until a page is drawn, between two
frames while it is dragged, and until a search and a lasso are answered. Beside that, the processor time of the page's
own thread and of the process that draws in place of a graphics card, which depends less on other work.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from subprocess import DEVNULL, run
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

from benchmarks.helpers.common import OQMD, needs_oqmd, report

SIZES: Final = (1_000, 10_000, 100_000)
ENCODER: Final = "magpie"
COLOR: Final = "formation_energy_eV_per_atom"
SEED: Final = 0
REPEATS: Final = 3
MOVES: Final = 40
PATIENCE_S: Final = 300
FLAGS: Final = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --enable-unsafe-swiftshader --no-first-run "
    "--disable-background-networking --window-size=1280,900"
)
FRAMES: Final = """
window.frames_at = [];
const note = (time) => { window.frames_at.push(time); window.frame = requestAnimationFrame(note); };
window.frame = requestAnimationFrame(note);
"""
READY: Final = "return document.documentElement.dataset.ready === 'yes'"
DRAWN: Final = "const on = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(on, 0)))"
SELECTED: Final = "return document.getElementById('selected-title').textContent"


def main() -> None:
    """Embed once, write each map several times, and open the largest."""
    needs_oqmd()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="*", type=int, default=list(SIZES))
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--umap", action="store_true", help="UMAP as well, which takes minutes")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        embed(folder, max(asked.sizes))
        projections = ["pca", "umap"] if asked.umap else ["pca"]
        maps = [
            written(folder, size, projection, asked.repeats if projection == "pca" else 1)
            for projection in projections
            for size in asked.sizes
        ]
        pages = [opened(folder / f"pca-{size}.html", asked.repeats) for size in asked.sizes]
    rows = [
        [f"{one['points']:,}", one["projection"], f"{one['seconds']:.1f}", f"{one['processor_s']:.1f}",
         f"{one['bytes'] / 1e6:.1f}"]
        for one in maps
    ]  # fmt: skip
    document = {"encoder": ENCODER, "maps": maps, "pages": pages}
    report(Path(__file__), document, ["points", "projection", "s", "processor s", "MB"], rows)
    for page in pages:
        print(json.dumps(page))


def embed(folder: Path, rows: int) -> None:
    """Import and embed compositions."""
    table = pq.read_table(OQMD, columns=["formula", COLOR]).drop_null()
    table = table.take(np.sort(np.random.default_rng(SEED).permutation(len(table))[:rows]))
    pq.write_table(table, folder / "oqmd.parquet")
    matlake(folder, "import", str(folder / "oqmd.parquet"), "--dataset", "oqmd")
    matlake(folder, "embed", "--encoder", ENCODER)


def matlake(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run a command on the lake of a folder, and return its answer."""
    command = [sys.executable, "-m", "matlake", "--lake", str(folder / "lake"), *arguments, "--json"]
    done = run(command, capture_output=True, text=True, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def written(folder: Path, size: int, projection: str, repeats: int) -> dict[str, Any]:
    """Return what a map of so many points takes."""
    import resource

    walls, processors, answer = [], [], {}
    for _ in range(repeats):
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        answer = matlake(
            folder, "map", "oqmd", "--encoder", ENCODER, "--color", COLOR, "--projection", projection,
            "--max-points", str(size), "--output", str(folder / f"{projection}-{size}.html"),
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        walls.append(time.perf_counter() - started)
        processors.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {
        "points": answer["points"],
        "projection": projection,
        "seconds": statistics.median(walls),
        "processor_s": statistics.median(processors),
        "bytes": answer["bytes"],
        "explained_variance": answer["explained_variance"],
    }


@contextmanager
def browser() -> Iterator[Any]:
    """Start Chromium without a window."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for flag in FLAGS.split():
        options.add_argument(flag)
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(log_output=DEVNULL))
    started.set_script_timeout(PATIENCE_S)
    try:
        yield started
    finally:
        started.quit()


def opened(path: Path, repeats: int) -> dict[str, Any]:
    """Return how a page moves: medians of several fresh browsers, in ms."""
    runs = []
    for _ in range(repeats):
        with browser() as started:
            runs.append(_one(started, path))
    medians = {name: statistics.median(one[name] for one in runs) for name in runs[0]}
    return {"points": int(path.stem.rpartition("-")[2]), **medians}


def _used(started: Any) -> dict[str, float]:
    """Return processor ms so far of the threads that run pages, and of the process that draws."""
    psutil = import_module("psutil")  # published without type information
    spent = {"page": 0.0, "drawing": 0.0}
    for process in psutil.Process(started.service.process.pid).children(recursive=True):
        kind = " ".join(process.cmdline())
        if "--type=renderer" in kind:
            spent["page"] += sum(1000 * sum(one[1:]) for one in process.threads() if one.id == process.pid)
        elif "--type=gpu-process" in kind:
            spent["drawing"] += 1000 * sum(process.cpu_times()[:2])
    return spent


def _one(started: Any, path: Path) -> dict[str, float]:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    def until(script: str) -> None:
        end = time.perf_counter() + PATIENCE_S
        while not started.execute_script(script):
            if time.perf_counter() > end:
                raise TimeoutError(script)

    since = time.perf_counter()
    started.get(path.as_uri())
    until(READY)
    found = {"drawn_ms": 1000 * (time.perf_counter() - since)}
    found |= {f"drawn_{name}_processor_ms": spent for name, spent in _used(started).items()}
    plot = started.find_element("id", "map")
    started.execute_script(FRAMES)
    hand = ActionChains(started, duration=16).move_to_element(plot).click_and_hold()
    for number in range(MOVES):
        hand.move_by_offset(4 if number % 2 else 6, 3)
    before = _used(started)
    hand.perform()
    found |= {f"move_{name}_processor_ms": (spent - before[name]) / MOVES for name, spent in _used(started).items()}
    ActionChains(started).release().perform()
    times = np.array(started.execute_script("cancelAnimationFrame(window.frame); return window.frames_at"))
    found["frame_ms"] = float(np.median(np.diff(times)))
    found["slowest_frame_ms"] = float(np.diff(times).max())
    started.find_element("id", "query").send_keys("Al2O3")
    since = time.perf_counter()
    started.execute_script("document.getElementById('search').requestSubmit()")
    until(f"{SELECTED} !== 'Nothing selected'")
    started.execute_async_script(DRAWN)
    found["search_ms"] = 1000 * (time.perf_counter() - since)
    started.find_element("tag name", "body").send_keys(Keys.ESCAPE)
    until(f"{SELECTED} === 'Nothing selected'")
    started.find_element("css selector", "[data-drag=lasso]").click()
    hand = ActionChains(started, duration=16).move_to_element_with_offset(plot, -80, -80).click_and_hold()
    for dx, dy in ((160, 0), (0, 160), (-160, 0), (0, -150)):
        for _ in range(5):
            hand.move_by_offset(dx // 5, dy // 5)
    hand.perform()
    since = time.perf_counter()
    ActionChains(started).release().perform()
    until(f"{SELECTED}.endsWith('selected')")
    started.execute_async_script(DRAWN)
    found["lasso_ms"] = 1000 * (time.perf_counter() - since)
    return found


if __name__ == "__main__":
    main()
