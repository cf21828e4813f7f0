"""Adversarial learning and targeted fine-tuning under shifts (Li, Miklaucic and Hu, arXiv 2408.09297), with few labels.

Formation energies of the Materials Project. Some rows are held out for good: compositions of the piezoelectric set
(relation shift), the lowest tenth of the others (prior shift), the sparse 15 % of the others in a two-dimensional map
of their attributes (covariate shift), a tenth of the rest at random. From what remains, a few hundred labels are drawn,
and every method is fitted to the same ones and tested on all four sets. For the targeted part up to 256 rows of a
shifted set get labels, a network fitted before is tuned on them, and the rest of the set is tested.

Run it again to resume; every measurement is a line of the ledger. ``--report`` measures nothing
and writes the page's tables, the figures and the plots. A method may carry changed constants, such as
``cal:share=1,cut=random``.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

import matlake
from benchmarks.helpers.adversarial_plots import draw
from benchmarks.helpers.common import DATA, fill_page, results_of, table, write_results
from matlake.materials.formula import parse_formula
from matlake.metrics import measure
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import Matrix, read_matrix
from matlake.regress.finetuning.tuning import CAL_INPUTS, PLAIN, TARGETED, Tuning, tune
from matlake.regress.regressors import MODELS, Fitted, Model, fit_model
from matlake.regress.regressors.adversarial.settings import METHODS, USUAL, AdversarialSettings, adversarial_parameters
from matlake.regress.regressors.ir_net import IR_NET_KIND, ir_net_model, parse_widths
from matlake.regress.splits import subsample
from matlake.regress.splits.density_and_clusters import find_radii, project, standardised
from matlake.regress.splits.ordered import find_cut
from matlake.store.lake import Lake, open_lake

PAGE = Path(__file__).with_name("adversarial.md")
RESULTS = results_of(Path(__file__))
TARGET = "formation_energy_eV_per_atom"
FEATURES = ("magpie", "elemnet-oqmd-volume")
"""The second has learned volumes, not energies, of compositions that are partly the same."""

LOWEST, SPARSE, RANDOM = 0.10, 0.15, 0.10
LABELS = (100, 250, 500, 1000)
TUNED_FROM = 1000
TARGET_LABELS = (64, 256)
SHIFTS = ("covariate", "prior", "relation")
STILL = "cal:attack_steps=0"
"""As many steps on the worst rows as ``cal``, which stay where they are: what of its effect is the attack's?"""

FAR = "cal:attack_rate=0.1"
"""Ten steps that move a standardised feature by up to 1; the paper's move it by 0.003."""

FITS = ("svr", "svr-rbf", "ir-net", "cal", FAR, STILL, "sal")
TUNINGS = ("plain", "cal", STILL, "cal-inputs")
PLAIN_NETWORK = "ir-net"

PUBLISHED = {
    "random": 0.0851 / 0.0830,
    "covariate": 0.0856 / 0.0841,
    "prior": 0.1564 / 0.1602,
    "relation": 0.0781 / 0.0840,
}
"""CAL over IR-net in smooth-L1, as published (arXiv 2408.09297)."""

COMPARED = (
    (False, "cal", "ir-net"),
    (False, "cal", STILL),
    (False, FAR, "ir-net"),
    (False, "sal", "ir-net"),
    (False, "svr", "ir-net"),
    (True, "cal, last", "plain, last"),
    (True, "cal, last", f"{STILL}, last"),
    (True, "plain, last", "plain, best"),
    (True, "plain, last", "before"),
)
"""Whether networks were tuned; a method; what it is compared with."""

FEWEST_RATIOS = 2

Rows = NDArray[np.intp]
Record = dict[str, Any]


class Ledger:
    """Measurements, a line of JSON each; what is there is not measured again."""

    def __init__(self, path: Path) -> None:
        """Read what is there."""
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.records: list[Record] = [json.loads(line) for line in lines if line.endswith("}")]
        self._known = {self.key(record) for record in self.records}

    @staticmethod
    def key(record: Record) -> str:
        """Return what a measurement depends on."""
        names = ("features", "widths", "labels", "seed", "method", "from", "shift", "target_labels")
        return json.dumps([record.get(name) for name in names])

    def lacks(self, record: Record) -> bool:
        """Say whether a measurement is still to be made."""
        return self.key(record) not in self._known

    def add(self, records: list[Record]) -> None:
        """Write the measurements of one fit; half a line of a run that was killed is closed first."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        broken = self.path.exists() and not self.path.read_bytes().endswith(b"\n") and self.path.stat().st_size > 0
        with self.path.open("a") as file:
            file.write(("\n" if broken else "") + "".join(json.dumps(record) + "\n" for record in records))
        self.records += records
        self._known |= {self.key(record) for record in records}


def main() -> None:
    """Measure, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", type=Path, default=Path("adversarial-lake"), help="made where it does not exist")
    parser.add_argument("--ledger", type=Path, default=RESULTS.with_suffix(".jsonl"))
    parser.add_argument("--features", default=",".join(FEATURES))
    parser.add_argument("--widths", default="2048-1024-512")
    parser.add_argument("--labels", default=",".join(map(str, LABELS)))
    parser.add_argument(
        "--methods",
        nargs="+",
        default=list(FITS),
        help="ir-net, or another model to compare with; cal, sal, with constants or without",
    )
    parser.add_argument("--tunings", nargs="*", default=list(TUNINGS), help="plain, cal, cal-inputs, likewise")
    parser.add_argument("--tune-from", nargs="+", default=["ir-net"], help="ir-net, or cal")
    parser.add_argument("--target-labels", default=",".join(map(str, TARGET_LABELS)))
    parser.add_argument(
        "--from-labels", type=int, default=TUNED_FROM, help="that the network to be tuned was fitted to"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=float, default=math.inf, help="seconds after which no fit is begun")
    parser.add_argument("--report", action="store_true", help="measure nothing, write the page")
    arguments = parser.parse_args()
    ledger = Ledger(arguments.ledger)
    if arguments.report:
        report(ledger.records)
    else:
        run(arguments, ledger)


def run(arguments: argparse.Namespace, ledger: Ledger) -> None:
    """Make the measurements that are missing, seed by seed, so that a run that is stopped has all methods."""
    ends = time.monotonic() + arguments.budget
    lake = prepare(arguments.lake)
    names = arguments.features.split(",")
    matrices = {name: read_matrix(lake, TARGET, resolve_features(lake, [name])) for name in {"magpie", *names}}
    sets, pool = test_sets(matrices["magpie"])
    labels = [int(count) for count in arguments.labels.split(",")]
    for seed, name in product(range(arguments.seeds), names):
        bench = Bench(matrices[name], sets, pool, {"features": name, "widths": arguments.widths}, ledger)
        for count, method in product(labels, arguments.methods):
            if time.monotonic() > ends:
                return
            bench.fit(method, count, seed)
        for count, (source, method), shift in product(
            [int(count) for count in arguments.target_labels.split(",")],
            product(arguments.tune_from, arguments.tunings),
            SHIFTS,
        ):
            if time.monotonic() > ends:
                return
            bench.tune(source, arguments.from_labels, method, shift, count, seed)


def prepare(folder: Path) -> Lake:
    """Open the lake, or make it: ids, formulas and formation energies of the Materials Project, embedded."""
    if (folder / "lake.json").exists():
        return open_lake(folder)
    table = pq.read_table(DATA / "mp_structures.parquet", columns=["material_id", "formula", TARGET])
    plain = folder.with_name(f"{folder.name}-energies.parquet")
    pq.write_table(table, plain)
    lake = open_lake(folder, create=True)
    matlake.import_table(lake, plain, "mp")
    matlake.embed(lake, [name for name in FEATURES if name != "magpie"])
    return lake


def test_sets(matrix: Matrix) -> tuple[dict[str, Rows], Rows]:
    """Set rows aside, whole compositions at a time; return the sets, and the rows that labels are drawn from."""
    formulas = pq.read_table(DATA / "mp_piezoelectric_tensor.parquet", columns=["formula"])["formula"].to_pylist()
    piezo = sorted({parse_formula(formula).content_hash for formula in formulas})
    left = np.arange(len(matrix.y))
    chosen: list[tuple[str, Callable[[Rows], NDArray[np.bool_]]]] = [
        ("relation", lambda rows: np.isin(matrix.groups[rows], piezo)),
        ("prior", lambda rows: -matrix.y[rows] > find_cut(-matrix.y[rows], LOWEST)),
        ("covariate", lambda rows: above(find_radii(project(standardised(matrix.x[rows]))), SPARSE)),
        ("random", lambda rows: np.isin(np.arange(len(rows)), subsample(matrix.groups[rows], _part(rows), 0))),
    ]
    sets = {}
    for name, choose in chosen:
        aside = np.isin(matrix.groups[left], matrix.groups[left][choose(left)])
        sets[name], left = left[aside], left[~aside]
    return sets, left


def above(values: NDArray[np.float64], share: float) -> NDArray[np.bool_]:
    """Say which values are the largest share."""
    return np.asarray(values > find_cut(values, share))


def _part(rows: Rows) -> int:
    return round(RANDOM * len(rows))


class Bench:
    """Fits on one set of features. The last few fitted networks are kept: tuning begins with them."""

    def __init__(self, matrix: Matrix, sets: dict[str, Rows], pool: Rows, constant: Record, ledger: Ledger) -> None:
        """Take the rows, and what all measurements have in common."""
        self.matrix, self.sets, self.pool, self.constant, self.ledger = matrix, sets, pool, constant, ledger
        self._fitted: dict[tuple[str, int, int], Fitted] = {}

    def fit(self, method: str, labels: int, seed: int) -> None:
        """Fit a method, and test it on all sets."""
        base = {**self.constant, "labels": labels, "seed": seed, "method": method}
        missing = [shift for shift in self.sets if self.ledger.lacks({**base, "shift": shift})]
        if missing:
            started = time.perf_counter()
            fitted = self._network(method, labels, seed)
            seconds = time.perf_counter() - started
            self.ledger.add(
                [
                    {**base, "shift": shift, **self._errors(fitted, self.sets[shift]), "seconds": seconds}
                    for shift in missing
                ]
            )

    def tune(self, source: str, labels: int, method: str, shift: str, count: int, seed: int) -> None:
        """Tune a fitted network on some rows of a shifted set, and test it before and after on the others."""
        base = {**self.constant, "labels": labels, "seed": seed, "from": source, "shift": shift, "target_labels": count}
        if not self.ledger.lacks({**base, "method": f"{method}, last"}):
            return
        rows = self.sets[shift]
        drawn = subsample(self.matrix.groups[rows], count, seed)
        known, tested = rows[drawn], np.delete(rows, drawn)
        start, own = self._network(source, labels, seed), self._labelled(labels, seed)
        x, y = self.matrix.x, self.matrix.y
        started = time.perf_counter()
        tuned = tune(start, tuning_of(method), (x[known], y[known]), (x[own], y[own]), seed)
        seconds = time.perf_counter() - started
        found = {f"{method}, last": tuned.last, "before": start}
        if not method.startswith(CAL_INPUTS):  # without labels nothing tells which epoch is best
            found[f"{method}, best"] = tuned.best
        records = [
            {
                **base,
                "method": name,
                **self._errors(fitted, tested),
                "forgot": self._errors(fitted, self.sets["random"]),
            }
            for name, fitted in found.items()
        ]
        self.ledger.add([{**one, "seconds": seconds} for one in records if self.ledger.lacks(one)])

    def _network(self, method: str, labels: int, seed: int) -> Fitted:
        key = (method, labels, seed)
        if key not in self._fitted:
            rows = self._labelled(labels, seed)
            model = self._model(method)
            parameters = model.grid(self.matrix.x.shape[1])[0]
            self._fitted[key] = fit_model(model, parameters, self.matrix.x[rows], self.matrix.y[rows], seed)
        return self._fitted[key]

    def _model(self, method: str) -> Model:
        if method in MODELS and method != PLAIN_NETWORK:
            return MODELS[method]
        kind, settings = with_constants(method, USUAL)
        adversary = adversarial_parameters(kind, settings) if settings else None
        return ir_net_model(IR_NET_KIND, parse_widths(self.constant["widths"]), adversary)

    def _labelled(self, labels: int, seed: int) -> Rows:
        return self.pool[subsample(self.matrix.groups[self.pool], labels, seed)]

    def _errors(self, fitted: Fitted, rows: Rows) -> Record:
        y, predicted = self.matrix.y[rows], fitted.predict(self.matrix.x[rows])
        off = np.abs(predicted - y)
        found = measure(y, predicted)
        huber = float(np.mean(np.where(off < 1.0, 0.5 * off**2, off - 0.5)))
        return {"n": len(rows), "mae": found.mae, "rmse": found.rmse, "smooth_l1": huber}


def tuning_of(method: str) -> Tuning:
    """Return how to tune, from a method with constants or without."""
    kind, settings = with_constants(method, dict.fromkeys((CAL_INPUTS, "cal"), TARGETED))
    return Tuning(kind, adversarial=settings or TARGETED, dropout=IR_NET_KIND.dropout)


def with_constants(method: str, usual: dict[str, AdversarialSettings]) -> tuple[str, AdversarialSettings | None]:
    """Return ``cal:attack_rate=0.03`` as its parts; no settings where a method has none."""
    kind, _, changes = method.partition(":")
    if kind not in (PLAIN_NETWORK, PLAIN, *METHODS, CAL_INPUTS):
        raise SystemExit(f"unknown method {kind!r}")
    settings = usual.get(kind)
    if settings is None:
        return kind, None
    pairs = dict(change.split("=") for change in changes.split(",")) if changes else {}
    return kind, replace(settings, **{name: type(getattr(settings, name))(value) for name, value in pairs.items()})


def report(records: list[Record]) -> None:
    """Write the page's tables, the figures and the plots."""
    if not records:
        raise SystemExit("nothing has been measured yet")
    names = list(dict.fromkeys(name for record in records for name in record))
    write_results(
        RESULTS, {"measurements": {name: [record.get(name) for record in records] for name in names}}, indent=None
    )
    columns = [*SHIFTS, "random"]
    header = ["features, blocks", "method", "over", *columns]
    parts = ["## Ratios of errors, over all seeds and numbers of labels", table(header, list(_overall(records)))]
    for features, widths in dict.fromkeys((record["features"], record["widths"]) for record in records):
        mine = [record for record in records if (record["features"], record["widths"]) == (features, widths)]
        fits = [record for record in mine if "from" not in record]
        tuned = [record for record in mine if "from" in record]
        stem = f"{features}-{widths}"
        lasting = {"before", *(f"{method}, last" for method in TUNINGS)}
        pictures = draw(
            RESULTS.parent,
            stem,
            [record for record in fits if record["method"] in FITS],
            [record for record in tuned if record["method"] in lasting and record["from"] == PLAIN_NETWORK],
            columns,
        )
        keys: tuple[str, ...] = ("labels", "method")
        parts += [
            f"## `{features}`, blocks of {widths}",
            table([*keys, "seeds", *columns], list(_rows(fits, columns, keys))),
        ]
        parts += [f"![Errors by labels](results/{pictures['labels']})"]
        if tuned:
            keys = ("from", "target_labels", "method")
            parts += [
                "Tuned on rows of the target:",
                table([*keys, "seeds", *SHIFTS], list(_rows(tuned, [*SHIFTS], keys))),
            ]
            parts += [f"![Errors after tuning](results/{pictures['tuned']})"]
    fill_page(PAGE, parts)


def _rows(records: list[Record], shifts: list[str], keys: tuple[str, ...]) -> Iterator[list[str]]:
    for case in dict.fromkeys(tuple(record[key] for key in keys) for record in sorted(records, key=_order)):
        mine = [record for record in records if tuple(record[key] for key in keys) == case]
        cells = [_cell([record for record in mine if record["shift"] == shift], records) for shift in shifts]
        yield [*map(str, case), str(len({record["seed"] for record in mine})), *cells]


def _order(record: Record) -> tuple[int, int, int, str]:
    kind = record["method"].partition(",")[0]
    place = (*TUNINGS, kind).index(kind) if "from" in record else (*FITS, kind).index(kind)
    return record["labels"], record.get("target_labels", 0), place, record["method"]


def _cell(mine: list[Record], records: list[Record]) -> str:
    """Return the mean over seeds; of ratios to the reference the geometric mean ± its standard error."""
    if not mine:
        return "not run"
    text = f"{np.mean([record['mae'] for record in mine]):.4f}"
    reference = PLAIN_NETWORK if "from" not in mine[0] else f"{PLAIN}, last"
    ratio = _ratio(mine, [record for record in records if record["method"] == reference])
    return text if mine[0]["method"] == reference or not ratio else f"{text} ({ratio})"


def _ratio(mine: list[Record], references: list[Record]) -> str:
    """Return the geometric mean of the ratios of measurements on the same rows, ± its standard error; or nothing."""
    same = ("features", "widths", "labels", "seed", "from", "shift", "target_labels")
    known = {tuple(record.get(name) for name in same): record["mae"] for record in references}
    keyed = [(record["mae"], known.get(tuple(record.get(name) for name in same))) for record in mine]
    logs = np.log([mae / other for mae, other in keyed if other])
    if len(logs) < FEWEST_RATIOS:
        return ""
    ratio = np.exp(logs.mean())
    return f"{ratio:.3f} ± {ratio * logs.std(ddof=1) / math.sqrt(len(logs)):.3f}"


def _overall(records: list[Record]) -> Iterator[list[str]]:
    """Yield rows of the ratios over all seeds and numbers of labels, beside the published one."""
    columns = [*SHIFTS, "random"]
    yield ["published smooth-L1, 10⁵ labels", "cal", "ir-net", *(f"{PUBLISHED[shift]:.3f}" for shift in columns)]
    for features, widths in dict.fromkeys((record["features"], record["widths"]) for record in records):
        own = [record for record in records if (record["features"], record["widths"]) == (features, widths)]
        for tuned, over, under in COMPARED:
            of = [record for record in own if ("from" in record) == tuned]
            cells = []
            for shift in columns:
                at = [record for record in of if record["shift"] == shift]
                pair = [[record for record in at if record["method"] == method] for method in (over, under)]
                cells.append(_ratio(pair[0], pair[1]) or "–")
            if any(cell != "–" for cell in cells):
                yield [f"`{features}`, {widths}{', tuned' if tuned else ''}", over, under, *cells]


if __name__ == "__main__":
    main()
