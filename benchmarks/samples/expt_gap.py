"""Make the bundled sample of measured band gaps from its two published forms, without labels that cannot be right.

    python -m benchmarks.samples.expt_gap [--check]

Reads the development data (``matbench_expt_gap``; ``expt_bandgap``, ``mbj_bandgap`` and ``optb88vdw_bandgap`` of
``jarvis_targets``; ``oqmd``; ``mp_structures``), and writes ``matlake/data/expt_gap.parquet`` and, beside this script,
``expt_gap_dropped.csv``: each row that was left out, with the rule that it breaks and the evidence. ``--check`` writes
nothing and fails if the files differ.

No rule knows a literature value of a compound, except the last: its rows are refuted by a paper that the rule cites.
"""

import argparse
import csv
import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.helpers.common import DATA, ROOT
from benchmarks.helpers.formula_order import in_usual_order
from matlake.errors import FormulaError
from matlake.materials.formula import Composition, parse_formula
from matlake.materials.formula_reading.charge_balance import is_balanced
from matlake.materials.periodic_table import ATOMIC_NUMBER

SAMPLE: Final = ROOT / "matlake" / "data" / "expt_gap.parquet"
DROPPED: Final = Path(__file__).with_name("expt_gap_dropped.csv")

MATBENCH: Final = "Zhuo 2018, as cleaned for Matbench"
CROSS_PROPERTY: Final = "Zhuo 2018, as in the cross-property study"

SAME_EV: Final = 0.1
"""Two rows of one composition that differ by more contradict each other; Matbench's rule for the first source."""

OPEN_GAP_EV: Final = 0.5
"""A semi-local calculation with such a gap contradicts a metal: these functionals understate gaps, by 40 % or so
(J. P. Perdew, Int. J. Quantum Chem. 28, 497 (1985))."""

TOO_NARROW_EV: Final = 1.0
"""For the same reason no measured gap lies that far below several semi-local calculations."""

CLOSED_SHELL: Final = frozenset(
    ATOMIC_NUMBER[symbol]
    for symbol in (
        "H Li Na K Rb Cs Be Mg Ca Sr Ba Sc Y La Ce Pr Nd Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Zr Hf Ta Ag Zn Cd Hg "
        "B Al Ga In Tl C Si Ge Sn Pb N P As Sb Bi O S Se Te F Cl Br I"
    ).split()
)
"""Elements without partly filled d shells in their common oxidation states; f electrons of lanthanides are localised,
and only semi-local calculations make metals of them."""

ANIONS: Final = frozenset(ATOMIC_NUMBER[symbol] for symbol in "N O F S Cl Se Br I".split())
"""Compounds of the heavier pnictogens and of tellurium may be semimetals although they are balanced (GdSb, HgTe)."""

REFUTED: Final = {
    "InN": "0.7 eV: J. Wu et al., Appl. Phys. Lett. 80, 3967 (2002)",
}


@dataclass(frozen=True)
class Label:
    """One row of a source.

    Attributes:
        formula: As published.
        composition: What it is.
        gap: Band gap in eV, 0 for metals.
        source: Where the row comes from.
    """

    formula: str
    composition: Composition
    gap: float
    source: str


class Calculations:
    """Smallest semi-local band gap of each composition, in eV, by database.

    The Materials Project's is that of its most stable structure; where a database has several structures without
    saying which is stable, the smallest of their gaps counts.
    """

    def __init__(self) -> None:
        jarvis = pq.read_table(DATA / "jarvis_targets.parquet")
        optb88 = jarvis.filter(pc.equal(jarvis["property"], "optb88vdw_bandgap"))
        oqmd = pq.read_table(DATA / "oqmd.parquet", columns=["formula", "band_gap_eV"])
        project = pq.read_table(
            DATA / "mp_structures.parquet", columns=["formula", "band_gap_eV", "energy_above_hull_eV_per_atom"]
        ).sort_by("energy_above_hull_eV_per_atom")
        self._gaps: Final = {
            "JARVIS (OptB88vdW)": _by_composition(optb88, "value", min),
            "OQMD": _by_composition(oqmd, "band_gap_eV", min),
            "Materials Project": _by_composition(project, "band_gap_eV", lambda first, _: first),
        }

    def of(self, composition: Composition) -> dict[str, float]:
        """Return the gaps of a composition by database."""
        key = composition.content_hash
        return {name: gaps[key] for name, gaps in self._gaps.items() if key in gaps}


def main() -> None:
    """Make both files, or compare them with those that are there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the files differ")
    check = parser.parse_args().check
    labels, dropped = sift(list(matbench()) + list(cross_property()), Calculations())
    table = sample(labels)
    text = dropped_text(dropped)
    if check:
        same = pq.read_table(SAMPLE).equals(table) and DROPPED.read_text() == text
        sys.exit(0 if same else "the files in the checkout differ from what this script makes")
    pq.write_table(table, SAMPLE, compression="zstd")
    DROPPED.write_text(text)
    print(f"{len(labels):,} compositions, {len(dropped):,} rows left out")


def matbench() -> Iterator[Label]:
    """Yield the rows of Matbench's form, which lacks compositions whose reports differ by more than 0.1 eV."""
    table = pq.read_table(DATA / "matbench_expt_gap.parquet")
    yield from _labels(table["formula"], table["band_gap_eV"], MATBENCH)


def cross_property() -> Iterator[Label]:
    """Yield the rows of the cross-property study's form, which has these compositions, in order of the formula."""
    table = pq.read_table(DATA / "jarvis_targets.parquet")
    table = table.filter(pc.equal(table["property"], "expt_bandgap")).sort_by("formula")
    yield from _labels(table["formula"], table["value"], CROSS_PROPERTY)


def sift(rows: list[Label], calculations: Calculations) -> tuple[list[Label], list[tuple[Label, str, str]]]:
    """Return one row a composition, and the rows that break a rule, each with the rule and the evidence."""
    by_composition: dict[str, list[Label]] = {}
    for row in rows:
        found = by_composition.setdefault(row.composition.content_hash, [])
        if all(row.gap != other.gap for other in found):
            found.append(row)
    kept, dropped = [], []
    for found in by_composition.values():
        if max(row.gap for row in found) - min(row.gap for row in found) > SAME_EV:
            values = ", ".join(f"{row.gap:g} eV" for row in found)
            dropped += [(row, "contradictory rows", values) for row in found]
        elif (broken := broken_rule(found[0], calculations.of(found[0].composition))) is not None:
            dropped.append((found[0], *broken))
        else:
            kept.append(found[0])
    return kept, dropped


def broken_rule(row: Label, calculated: dict[str, float]) -> tuple[str, str] | None:
    """Return the rule that a row breaks and the evidence, or None."""
    gaps = ", ".join(f"{name} {gap:.2f} eV" for name, gap in calculated.items())
    if row.gap == 0 and max(calculated.values(), default=0) >= OPEN_GAP_EV:
        return "metal with a calculated gap", gaps
    amounts = dict(row.composition.amounts)
    if row.gap == 0 and amounts.keys() <= CLOSED_SHELL and amounts.keys() & ANIONS and is_balanced(amounts):
        return "metal with balanced charges and closed shells", gaps
    if len(calculated) > 1 and min(calculated.values()) > row.gap + TOO_NARROW_EV:
        return "gap below calculated gaps", gaps
    if (reason := REFUTED.get(row.composition.reduced_formula)) is not None:
        return "refuted", reason
    return None


def sample(labels: list[Label]) -> pa.Table:
    """Return the bundled table: formulas in usual order, gaps in eV, sources."""
    return pa.table(
        {
            "formula": [in_usual_order(row.formula) for row in labels],
            "band_gap_eV": pa.array([row.gap for row in labels], pa.float64()),
            "source": pa.array([row.source for row in labels]),
        }
    )


def dropped_text(dropped: list[tuple[Label, str, str]]) -> str:
    """Return the rows that were left out as CSV, by rule and formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["formula", "band_gap_eV", "source", "rule", "evidence"])
    lines = [(in_usual_order(row.formula), row.gap, row.source, rule, evidence) for row, rule, evidence in dropped]
    writer.writerows(sorted(lines, key=lambda line: (line[3], line[0])))
    return text.getvalue()


def _labels(formulas: pa.ChunkedArray, gaps: pa.ChunkedArray, source: str) -> Iterator[Label]:
    for formula, gap in zip(formulas.to_pylist(), gaps.to_pylist(), strict=True):
        yield Label(formula, parse_formula(formula), gap, source)


def _by_composition(table: pa.Table, column: str, chosen: Callable[[float, float], float]) -> dict[str, float]:
    """Return a gap for each composition; ``chosen`` decides between the one so far and the next."""
    gaps: dict[str, float] = {}
    for formula, gap in zip(table["formula"].to_pylist(), table[column].to_pylist(), strict=True):
        if gap is None:
            continue
        try:
            key = parse_formula(formula).content_hash
        except FormulaError:
            continue
        gaps[key] = chosen(gaps.get(key, gap), gap)
    return gaps


if __name__ == "__main__":
    main()
