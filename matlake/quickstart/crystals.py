"""The main job on crystals, on the sample of computed elastic properties that comes with the package."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from matlake.files import write_whole
from matlake.plots.files import save_files
from matlake.plots.parity import parity_plot
from matlake.quickstart.steps import BUDGET, Progress, Say, embed_sample, import_sample, indented, told, train_head
from matlake.regress.heads.train import TrainRequest
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.prediction.predict import predict_structures
from matlake.store.lake import Lake
from matlake.store.sql_output import render

SAMPLE: Final = Path(__file__).parents[1] / "data" / "mp_elasticity.parquet"
DATASET: Final = "elasticity"
TARGET: Final = "bulk_modulus_VRH_GPa"
FEATURES: Final = ["cgcnn-mp-formation-energy", "schnet-mp-formation-energy", "dimenet++-mp-formation-energy"]
HEAD: Final = "bulk-modulus"

POLYMORPHS: Final = f"""\
SELECT formula, count(*) AS n, round(min({TARGET})) AS softest_GPa, round(max({TARGET})) AS stiffest_GPa
FROM {DATASET} GROUP BY formula HAVING n > 1 ORDER BY stiffest_GPa - softest_GPa DESC LIMIT 5"""


@dataclass(frozen=True)
class Polymorph:
    """A crystal that the sample lacks, of a formula that it has in another structure.

    Attributes:
        name: What it is called.
        poscar: Its structure.
        literature_GPa: Measured bulk modulus, and where it stands.
        source: Where.
    """

    name: str
    poscar: str
    literature_GPa: float  # noqa: N815 - the unit
    source: str


UNSEEN: Final = (
    Polymorph(
        "cubic-BN",
        "BN\n1.0\n0 1.8075 1.8075\n1.8075 0 1.8075\n1.8075 1.8075 0\nB N\n1 1\ndirect\n0 0 0\n0.25 0.25 0.25\n",
        395.0,
        "F. Datchi et al., Phys. Rev. B 75, 214104 (2007)",
    ),
    Polymorph(
        "stishovite-SiO2",
        "SiO2\n1.0\n4.177 0 0\n0 4.177 0\n0 0 2.665\nSi O\n2 4\ndirect\n0 0 0\n0.5 0.5 0.5\n"
        "0.306 0.306 0\n0.694 0.694 0\n0.194 0.806 0.5\n0.806 0.194 0.5\n",
        306.0,
        "D. J. Weidner et al., J. Geophys. Res. 87, 4740 (1982)",
    ),
    Polymorph(
        "rutile-TiO2",
        "TiO2\n1.0\n4.594 0 0\n0 4.594 0\n0 0 2.959\nTi O\n2 4\ndirect\n0 0 0\n0.5 0.5 0.5\n"
        "0.305 0.305 0\n0.695 0.695 0\n0.195 0.805 0.5\n0.805 0.195 0.5\n",
        211.0,
        "M. H. Manghnani, J. Geophys. Res. 74, 4317 (1969)",
    ),
)


@dataclass(frozen=True)
class CrystalReport:
    """What was found and made from crystals.

    Attributes:
        materials: Crystals imported.
        embedded: Vectors added in this run.
        polymorphs: Result of the query.
        training: Result of training.
        predictions: One entry a crystal that the sample lacks: ``input``, ``value`` and ``literature_GPa``, in GPa.
        plots: Files drawn.
    """

    materials: int
    embedded: int
    polymorphs: pa.Table
    training: TrainResult
    predictions: list[dict[str, Any]]
    plots: list[Path]

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {
            "materials": self.materials,
            "embedded": self.embedded,
            "polymorphs": self.polymorphs.to_pylist(),
            "training": self.training.document(),
            "predictions": self.predictions,
            "plots": [str(plot) for plot in self.plots],
        }


def crystals(lake: Lake, say: Say, progress: Progress, workers: int) -> CrystalReport:
    """Import, embed, query, train, predict and draw; running it again repeats only what is needed.

    Args:
        lake: The lake.
        say: Told what is going on, a line at a time.
        progress: Makes a tracker from a label and a unit.
        workers: Threads that embed.
    """
    say(f"7. import {SAMPLE.name}: crystals with computed bulk moduli, de Jong et al., Sci. Data 2, 150009 (2015)")
    imported = import_sample(lake, SAMPLE, DATASET, "crystals", say, progress)

    say(f"8. embed with {', '.join(FEATURES)}")
    embedded = embed_sample(lake, FEATURES, DATASET, say, progress, workers)

    say("9. SQL: how much can a bulk modulus differ at one and the same formula?")
    polymorphs = lake.query(POLYMORPHS)
    say(indented(render(polymorphs, "table").decode()))

    say("10. train a regressor on the three embeddings together; no formula is on both sides of the split")
    training = train_head(lake, TrainRequest(TARGET, FEATURES, dataset=DATASET, name=HEAD, budget=BUDGET), say)

    say("11. predict crystals that the sample lacks, though it has their formulas in other structures")
    folder = lake.structures
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{polymorph.name}.vasp" for polymorph in UNSEEN]
    for path, polymorph in zip(paths, UNSEEN, strict=True):
        write_whole(path, polymorph.poscar.encode())
    answer = predict_structures(lake, HEAD, paths)
    predictions = []
    for p, crystal in zip(answer.predictions, UNSEEN, strict=True):
        literature = {"literature_GPa": crystal.literature_GPa, "source": crystal.source}
        predictions.append(p.document() | {"input": crystal.name} | literature)
        say(f"   {crystal.name:<16} {told(p, 'GPa')}   measured: {crystal.literature_GPa:.0f} GPa, {crystal.source}")

    say("12. plot: predictions against computed values")
    held = training.test
    drawn = parity_plot("bulk_modulus", held.y, held.predicted, quantity="bulk modulus", unit="GPa")
    plots = save_files(lake.plots, drawn)
    for plot in plots:
        say(f"   {plot}")
    return CrystalReport(imported.rows, embedded.embedded, polymorphs, training, predictions, plots)
