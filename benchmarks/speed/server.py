"""``matlake serve`` against what one would write instead, under load from 1, 16 and 64 clients.

    python -m benchmarks.speed.server [--seconds 20]

Both sides run in processes of their own and take turns; the clients are a third process on the same machine. Each of
our answers is compared with what ``predict`` says of the same material alone.
"""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import joblib
import pyarrow.parquet as pq

from benchmarks.helpers.common import ENCODER, ROOT, in_child, report
from matlake import Lake, embed, import_table, open_lake
from matlake.encoders.layer_ref import LayerRef
from matlake.materials.structure_files.sniff import parse_structure
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import read_matrix
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.train import train
from matlake.regress.prediction.opened_head import open_head

DATA: Final = ROOT / "matlake" / "data"
CLIENTS: Final = (1, 16, 64)
LAYER: Final = 2
PATIENCE_S: Final = 120
HELPERS: Final = ROOT / "benchmarks" / "helpers"


@dataclass(frozen=True)
class Contest:
    """A head, and what is asked of it.

    Attributes:
        name: Name of the head.
        title: For the table.
        table: Sample that it is trained on.
        column: What a request holds.
        input: ``formulas`` or ``structures``.
        target: Property.
        feature: Embedding.
        model: Kind of regressor.
    """

    name: str
    title: str
    table: str
    column: str
    input: str
    target: str
    feature: str
    model: str


COMPOSITION: Final = ("expt_gap", "formula", "formulas", "band_gap_eV", f"{ENCODER}@{LAYER}")
CRYSTAL: Final = ("mp_elasticity", "poscar", "structures", "bulk_modulus_VRH_GPa", "cgcnn-mp-formation-energy@pooled")
CONTESTS: Final = (
    Contest("gap-svr", "composition, SVR", *COMPOSITION, "svr"),
    Contest("gap-ridge", "composition, ridge", *COMPOSITION, "ridge"),
    Contest("modulus-svr", "crystal, SVR", *CRYSTAL, "svr"),
)


def main() -> None:
    """Prepare both sides, let them take turns, and report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of load for each row of the table")
    options = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        for contest in CONTESTS:
            sides = {"matlake": ours(folder, contest), "eager": peer(folder, contest)}
            for clients in CLIENTS:
                for side, start in sides.items():
                    with start() as port:
                        load(folder, contest, side, port, clients, 2.0)
                        found = load(folder, contest, side, port, clients, options.seconds)
                    results.setdefault(contest.title, {}).setdefault(str(clients), {})[side] = found
                    print(f"{contest.title}, {clients} clients, {side}: {found}", file=sys.stderr)
    report(Path(__file__), {"seconds": options.seconds, "results": results}, *table(results))
    print(f"\n{verdict(results)}")


def prepare(folder: Path, contests: Sequence[Contest] = CONTESTS) -> None:
    """Make a lake with the heads, the same regressors as scikit-learn pickles, and the requests."""
    lake = open_lake(folder / "lake", create=True)
    for dataset, feature in {(contest.table, contest.feature) for contest in contests}:
        import_table(lake, DATA / f"{dataset}.parquet", dataset)
        embed(lake, [feature], dataset=dataset, workers=os.cpu_count() or 1)
    for contest in contests:
        request = TrainRequest(
            contest.target, [contest.feature], contest.model, dataset=contest.table, name=contest.name
        )
        parameters = train(lake, request).card.model.parameters
        _pickle(lake, folder, contest, parameters)
        predictor = open_head(lake, contest.name)
        texts = pq.read_table(DATA / f"{contest.table}.parquet")[contest.column].to_pylist()
        if contest.input == "formulas":
            predicted = predictor.predict(texts)
        else:
            predicted = predictor.predict_crystals([parse_structure(text) for text in texts])
        for side in ("matlake", "eager"):
            requests = [
                {
                    "body": json.dumps({contest.input: [text]}),
                    "value": float(value) if side == "matlake" else None,
                }
                for text, value, reason in zip(texts, predicted.values, predicted.reasons, strict=True)
                if reason is None
            ]
            (folder / f"{contest.name}-{side}.json").write_text(json.dumps(requests))


def _pickle(lake: Lake, folder: Path, contest: Contest, parameters: dict[str, Any]) -> None:
    """Fit what scikit-learn has of the same kind to the same rows."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    matrix = read_matrix(lake, contest.target, resolve_features(lake, [contest.feature]), dataset=contest.table)
    if contest.model == "svr":
        inner = SVR(C=parameters["C"], epsilon=parameters["epsilon"], gamma="scale")
    else:
        inner = Ridge(alpha=parameters["alpha"])
    pipeline = make_pipeline(StandardScaler(), inner)
    regressor = TransformedTargetRegressor(pipeline, transformer=StandardScaler()).fit(matrix.x, matrix.y)
    encoder = LayerRef.parse(contest.feature).encoder
    joblib.dump(
        {"input": contest.input, "encoder": encoder, "layers": LAYER, "regressor": regressor},
        folder / f"{contest.name}.joblib",
    )


def ours(folder: Path, contest: Contest, checkout: Path = ROOT) -> Any:
    """Return what starts our server, or that of another checkout."""
    command = [sys.executable, "-m", "matlake", "--lake", str(folder / "lake"), "serve", contest.name]
    return lambda: started([*command, "--port"], folder / "matlake.log", checkout)


def peer(folder: Path, contest: Contest) -> Any:
    """Return what starts the other one."""
    return lambda: started(
        [sys.executable, "-m", "benchmarks.helpers.server_peer", str(folder), contest.name], folder / "eager.log"
    )


@contextlib.contextmanager
def started(command: list[str], log: Path, checkout: Path = ROOT) -> Iterator[int]:
    """Start a server at a free port, wait until it listens, and stop it in the end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with log.open("w") as file:
        environment = os.environ | {"PYTHONPATH": str(checkout.resolve())}
        process = subprocess.Popen([*command, str(port)], cwd=checkout, env=environment, stdout=file, stderr=file)
    try:
        end = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(log.read_text())
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


def load(folder: Path, contest: Contest, side: str, port: int, clients: int, seconds: float) -> dict[str, Any]:
    """Put load on a server."""
    requests = folder / f"{contest.name}-{side}.json"
    return in_child(HELPERS / "server_load.py", str(port), str(requests), str(clients), str(seconds))


def table(results: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows."""
    header = ["requests", "clients", "server", "requests/s", "×", "p50, ms", "p95, ms", "p99, ms", "lost", "wrong"]
    rows = []
    for title, by_clients in results.items():
        for clients, sides in by_clients.items():
            base = sides["eager"]["requests_per_s"]
            for side, found in sides.items():
                rate = found["requests_per_s"]
                lost = found["sent"] - found["answered"] + found["refused"]
                wrong = str(found["wrong"]) if side == "matlake" else ""
                times = [f"{found[f'p{q}_ms']:.1f}" for q in (50, 95, 99)]
                rows.append([title, clients, side, f"{rate:,.0f}", f"{rate / base:.1f}", *times, str(lost), wrong])
    return header, rows


def verdict(results: dict[str, Any]) -> str:
    """Say what was expected, and whether it was met."""
    lines = ["Expected at 64 clients: 5 times the requests, and our p99 below the other's p50."]
    for title, by_clients in results.items():
        mine, other = (by_clients[str(CLIENTS[-1])][side] for side in ("matlake", "eager"))
        times = mine["requests_per_s"] / other["requests_per_s"]
        lines.append(f"{title}: {times:.1f} times; p99 {mine['p99_ms']:.0f} ms against p50 {other['p50_ms']:.0f} ms")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
