"""The main job on compositions, on the sample of measured band gaps that comes with the package."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from matlake.plots.embedding_map import embedding_map
from matlake.plots.files import save_files
from matlake.plots.parity import parity_plot
from matlake.quickstart.steps import BUDGET, Progress, Say, embed_sample, import_sample, indented, told, train_head
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import read_matrix
from matlake.regress.heads.train import TrainRequest
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.prediction.predict import predict
from matlake.store.lake import Lake
from matlake.store.sql_output import render

SAMPLE: Final = Path(__file__).parents[1] / "data" / "expt_gap.parquet"
DATASET: Final = "expt_gap"
TARGET: Final = "band_gap_eV"
FEATURE: Final = "elemnet-oqmd-formation-energy@2"
HEAD: Final = "expt-gap"
UNSEEN: Final = {"GaN": 3.4, "ZnO": 3.3, "BaZrS3": 1.8}
"""Well-known semiconductors that the sample lacks, with the gap that the literature gives, in eV."""

FAMILIES: Final = f"""\
SELECT CASE WHEN list_contains(elements, 'F') THEN 'fluorides'
            WHEN list_contains(elements, 'O') THEN 'oxides'
            WHEN list_contains(elements, 'S') THEN 'sulfides'
            WHEN list_contains(elements, 'Se') THEN 'selenides'
            WHEN list_contains(elements, 'Te') THEN 'tellurides'
            ELSE 'others' END AS family,
       count(*) AS n,
       round(100 * avg(CAST({TARGET} = 0 AS INTEGER)), 1) AS metals_percent,
       round(median({TARGET}) FILTER ({TARGET} > 0), 2) AS median_gap_eV
FROM {DATASET} GROUP BY family ORDER BY median_gap_eV DESC"""

NEIGHBOURS: Final = f"""\
SELECT m.formula, m.{TARGET}, round(array_distance(e.vector, q.vector), 2) AS distance
FROM embed."{FEATURE}" AS e JOIN {DATASET} AS m USING (material_id),
     (SELECT vector FROM embed."{FEATURE}" JOIN {DATASET} USING (material_id) WHERE formula = 'GaP' LIMIT 1) AS q
WHERE NOT list_contains(m.elements, 'Ga') ORDER BY distance LIMIT 6"""


@dataclass(frozen=True)
class CompositionReport:
    """What was found and made from compositions.

    Attributes:
        materials: Rows imported.
        embedded: Vectors added in this run.
        families: Result of the first query.
        neighbours: Result of the second query.
        training: Result of training.
        predictions: One entry a formula that the sample lacks: ``input``, ``value`` and ``literature_eV``, in eV.
        plots: Files drawn.
    """

    materials: int
    embedded: int
    families: pa.Table
    neighbours: pa.Table
    training: TrainResult
    predictions: list[dict[str, Any]]
    plots: list[Path]

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {
            "materials": self.materials,
            "embedded": self.embedded,
            "families": self.families.to_pylist(),
            "neighbours": self.neighbours.to_pylist(),
            "training": self.training.document(),
            "predictions": self.predictions,
            "plots": [str(plot) for plot in self.plots],
        }


def compositions(lake: Lake, say: Say, progress: Progress, workers: int) -> CompositionReport:
    """Import, embed, query, train, predict and draw; running it again repeats only what is needed.

    Args:
        lake: The lake.
        say: Told what is going on, a line at a time.
        progress: Makes a tracker from a label and a unit.
        workers: Threads that embed.
    """
    say(f"1. import {SAMPLE.name}: measured band gaps, Zhuo et al., J. Phys. Chem. Lett. 9, 1668 (2018)")
    imported = import_sample(lake, SAMPLE, DATASET, "materials", say, progress)

    say(f"2. embed with {FEATURE} (ONNX Runtime, CPU)")
    embedded = embed_sample(lake, [FEATURE], DATASET, say, progress, workers)

    say("3. SQL: which families are metals, and how wide are the gaps of the others?")
    families = lake.query(FAMILIES)
    say(indented(render(families, "table").decode()))
    say("   SQL on embeddings: what is nearest to GaP that has no gallium?")
    neighbours = lake.query(NEIGHBOURS)
    say(indented(render(neighbours, "table").decode()))

    say("4. train a regressor on the embedding, model chosen by cross-validation")
    training = train_head(lake, TrainRequest(TARGET, [FEATURE], dataset=DATASET, name=HEAD, budget=BUDGET), say)

    say("5. predict compositions that the sample does not hold")
    answer = predict(lake, HEAD, list(UNSEEN))
    predictions = [p.document() | {"literature_eV": UNSEEN[p.input]} for p in answer.predictions]
    for p in answer.predictions:
        say(f"   {p.input:<8} {told(p, 'eV')}   literature: about {UNSEEN[p.input]:.1f} eV")

    say("6. plots: predictions against measured values, and a map of the embedding coloured by the gap")
    folder = lake.plots
    folder.mkdir(exist_ok=True)
    matrix = read_matrix(lake, TARGET, resolve_features(lake, [FEATURE]), dataset=DATASET)
    held = training.test
    drawn = parity_plot("parity", held.y, held.predicted, quantity="band gap", unit="eV")
    drawn |= embedding_map("map", matrix.x, matrix.y, quantity="measured band gap", unit="eV")
    plots = save_files(folder, drawn)
    for plot in plots:
        say(f"   {plot}")
    return CompositionReport(imported.rows, embedded.embedded, families, neighbours, training, predictions, plots)
