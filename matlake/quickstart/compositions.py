"""The main job on compositions, on the sample of measured band gaps that comes with the package."""

import csv
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from matlake.plots.embedding_map import embedding_map
from matlake.quickstart.steps import DATA, Sample, Steps
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import read_matrix
from matlake.regress.heads.plots import PlotKind, draw_plot
from matlake.regress.prediction.predict import predict
from matlake.regress.prediction.results import Prediction
from matlake.store.quoting import literal

LAYER: Final = "elemnet-oqmd-formation-energy@2"
"""What is searched and mapped."""

PREDICTIONS: Final = [
    f"elemnet-oqmd-{source}@prediction" for source in ("formation-energy", "band-gap", "volume", "total-energy")
]
"""With attributes and fractions, the features that docs/science/transfer.md recommends for compositions."""

WITHHELD: Final = DATA / "well_known_gaps.csv"
"""Well-known compounds that the head does not learn from, with their gap in the literature."""

SHOWN: Final = ("GaN", "ZnO", "SiO2", "MgO", "BaZrS3")
"""What is predicted one by one; the sample lacks the last."""

BAZRS3: Final = 1.8
"""Its gap in eV: S. Niu et al., Adv. Mater. 29, 1604733 (2017)."""

FEW_EV: Final = 1.0
"""Errors above it are counted."""


def literature() -> dict[str, float]:
    """Return the gaps of the compounds that are withheld from training, in eV."""
    with WITHHELD.open(newline="", encoding="utf-8") as file:
        return {row["formula"]: float(row["band_gap_eV"]) for row in csv.DictReader(file)}


SAMPLE: Final = Sample(
    DATA / "expt_gap.parquet",
    "expt_gap",
    "materials",
    [LAYER, *PREDICTIONS],
    ["magpie", "fractions", *PREDICTIONS],
    "band_gap_eV",
    "expt-gap",
    f"formula NOT IN ({', '.join(map(literal, literature()))})",
    "hurdle",  # half of the gaps are zero
)

FAMILIES: Final = f"""\
SELECT CASE WHEN list_contains(elements, 'F') THEN 'fluorides'
            WHEN list_contains(elements, 'O') THEN 'oxides'
            WHEN list_contains(elements, 'S') THEN 'sulfides'
            WHEN list_contains(elements, 'Se') THEN 'selenides'
            WHEN list_contains(elements, 'Te') THEN 'tellurides'
            ELSE 'others' END AS family,
       count(*) AS n,
       round(100 * avg(CAST({SAMPLE.target} = 0 AS INTEGER)), 1) AS metals_percent,
       round(median({SAMPLE.target}) FILTER ({SAMPLE.target} > 0), 2) AS median_gap_eV
FROM {SAMPLE.dataset} GROUP BY family ORDER BY median_gap_eV DESC"""

NEIGHBOURS: Final = f"""\
SELECT m.formula, m.{SAMPLE.target}, round(array_distance(e.vector, q.vector), 2) AS distance
FROM embed."{LAYER}" AS e JOIN {SAMPLE.dataset} AS m USING (material_id),
     (SELECT vector FROM embed."{LAYER}" JOIN {SAMPLE.dataset} USING (material_id) WHERE formula = 'GaP' LIMIT 1) AS q
WHERE NOT list_contains(m.elements, 'Ga') ORDER BY distance LIMIT 6"""


def well_known_lines(predictions: Sequence[Prediction], known: Mapping[str, float]) -> list[str]:
    """Return what a reader should know of the predictions of the compounds that are withheld."""
    errors = np.array([abs(p.value - known[p.input]) for p in predictions])
    limits = [(p.lower, known[p.input], p.upper) for p in predictions]
    held = np.mean([low is not None and high is not None and low <= gap <= high for low, gap, high in limits])
    large = [bool(p.warnings) for p, error in zip(predictions, errors, strict=True) if error > FEW_EV]
    worst = sorted(zip(errors, predictions, strict=True), key=lambda pair: -pair[0])[:5]
    mean, middle = errors.mean(), np.median(errors)
    return [
        f"all {len(predictions)} of them: mean error {mean:.2f} eV, median {middle:.2f} eV; {held:.0%} in the interval",
        f"{len(large)} are off by more than {FEW_EV:g} eV; {sum(large)} of these carry a warning",
        "worst: " + ", ".join(f"{p.input} {p.value:.1f} (measured {known[p.input]:.1f})" for _, p in worst),
    ]


def compositions(steps: Steps) -> dict[str, Any]:
    """Import, embed, query, train, predict and draw, and return the JSON document."""
    lake, say = steps.lake, steps.say
    say(f"1. import {SAMPLE.file.name}: measured band gaps, Zhuo et al., J. Phys. Chem. Lett. 9, 1668 (2018)")
    materials = steps.import_sample()

    say("2. embed with a hidden layer of ElemNet, for search and map, and with the predictions of four ElemNets")
    embedded = steps.embed()

    say("3. SQL: which families are metals, and how wide are the gaps of the others?")
    families = steps.query(FAMILIES)
    say("   SQL on embeddings: which materials without gallium are nearest to GaP?")
    neighbours = steps.query(NEIGHBOURS)

    known = literature()
    say(
        "4. train a hurdle model (metal or not, then how wide the gap is) on attributes (magpie), element fractions\n"
        f"   and these predictions, without {len(known)} well-known compounds ({WITHHELD.name})"
    )
    training = steps.train()

    say("5. predict compounds that the head has not learned from")
    expected = known | {"BaZrS3": BAZRS3}
    answer = predict(lake, SAMPLE.head, [*SHOWN, *(formula for formula in known if formula not in SHOWN)])
    for p in answer.predictions[: len(SHOWN)]:
        steps.show_prediction(p.input, p, answer, f"literature: about {expected[p.input]:.1f} eV")
    steps.show_notes(answer)
    predictions = [p.document() | {"literature_eV": expected[p.input]} for p in answer.predictions]
    steps.show(well_known_lines([p for p in answer.predictions if p.input in known], known))

    say("6. plot predictions against measured values, and a map of the embedding coloured by the gap")
    matrix = read_matrix(lake, SAMPLE.target, resolve_features(lake, [LAYER]), dataset=SAMPLE.dataset)
    drawn = draw_plot(PlotKind.PARITY, training.card, training.test)
    drawn |= embedding_map("map", matrix.x, matrix.y, quantity="measured band gap", unit="eV")
    return {
        "materials": materials,
        "embedded": embedded,
        "families": families,
        "neighbours": neighbours,
        "training": training.document(),
        "predictions": predictions,
        "plots": steps.save_plots(drawn),
    }
