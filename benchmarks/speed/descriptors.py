"""Magpie's attributes: rows a second against matminer in the same run, one core each.

    python -m benchmarks.speed.descriptors [--rows N] [--matminer-rows N] [--rounds N]

OQMD formulas in random order. matminer is timed without parsing, on ready-made compositions of pymatgen; matlake from
element fractions, from compositions, and from the text of the formulas. Rounds alternate; medians are reported. Needs
the extra ``dev``.
"""

import argparse
import statistics
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.helpers.common import OQMD, needs_oqmd, report, timed
from matlake.encoders.encoder import open_encoder
from matlake.encoders.registry import SHIPPED
from matlake.errors import FormulaError
from matlake.export.magpie import featurizers, largest_differences, matminer_attributes
from matlake.materials.compositions import check_elements, element_fractions
from matlake.materials.formula import Composition, parse_formula

MATMINER = "matminer, from pymatgen compositions"


def main() -> None:
    """Time both sides in turn, and compare what they return."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--matminer-rows", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    needs_oqmd()
    warnings.simplefilter("ignore")  # of matminer's dependencies

    compositions = covered(options.rows)
    formulas = [composition.reduced_formula for composition in compositions]
    fractions = element_fractions(compositions)
    some = compositions[: options.matminer_rows]
    magpie, identity = (open_encoder(SHIPPED / name) for name in ("magpie", "fractions"))
    magpie.encode(fractions[:100])  # compiles
    differences = largest_differences(matminer_attributes(some), magpie.encode(fractions[: len(some)]))
    timings: dict[str, tuple[int, Callable[[], Any]]] = {
        MATMINER: (len(some), matminer_loop(some)),
        "magpie, from element fractions": (len(fractions), lambda: magpie.encode(fractions)),
        "magpie, from compositions": (len(fractions), lambda: magpie.encode(element_fractions(compositions))),
        "magpie, from text": (
            len(fractions),
            lambda: magpie.encode(element_fractions([parse_formula(formula) for formula in formulas])),
        ),
        "of it: whether charges can be neutral": (len(fractions), lambda: magpie.feed(fractions)),
        "fractions, from element fractions": (len(fractions), lambda: identity.encode(fractions)),
    }
    rates: dict[str, list[float]] = {name: [] for name in timings}
    for _ in range(options.rounds):
        for name, (rows, run) in timings.items():
            rates[name].append(rows / timed(run))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    report(
        Path(__file__),
        {
            "rows": len(fractions),
            "matminer_rows": len(some),
            "rounds": options.rounds,
            "rows_per_second": medians,
            "times_matminer": {name: rate / medians[MATMINER] for name, rate in medians.items()},
            "largest_relative_difference": float(differences.max()),
        },
        ["what", "rows/s, one core", "× matminer"],
        [[name, f"{rate:,.0f}", f"{rate / medians[MATMINER]:,.0f}"] for name, rate in medians.items()],
    )
    print(f"largest difference, relative to each attribute's largest value: {differences.max():.1e}")


def covered(count: int) -> list[Composition]:
    """Return OQMD compositions whose elements both sides know."""
    table = pq.read_table(OQMD, columns=["formula"])["formula"]
    found: list[Composition] = []
    for row in np.random.default_rng(0).permutation(len(table)):
        try:
            composition = parse_formula(table[int(row)].as_py())
            check_elements(composition)
        except FormulaError:  # noble gases
            continue
        found.append(composition)
        if len(found) == count:
            break
    return found


def matminer_loop(compositions: list[Composition]) -> Callable[[], Any]:
    """Return a run of matminer on ready-made compositions."""
    from pymatgen.core.composition import Composition as PymatgenComposition

    made = featurizers()
    given = [PymatgenComposition(composition.canonical) for composition in compositions]
    return lambda: [[value for featurizer in made for value in featurizer.featurize(one)] for one in given]


if __name__ == "__main__":
    main()
