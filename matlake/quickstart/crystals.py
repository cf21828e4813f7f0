"""The main job on crystals, on the sample of computed elastic properties that comes with the package."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from matlake.quickstart.steps import DATA, Sample, Steps
from matlake.regress.heads.plots import PlotKind, draw_plot
from matlake.regress.prediction.predict import predict_structures
from matlake.store.lake import Lake
from matlake.store.storage.copies import local_folder
from matlake.store.storage.places import write_whole

SAMPLE: Final = Sample(
    DATA / "mp_elasticity.parquet",
    "elasticity",
    "crystals",
    ["chgnet-mptrj@all"],
    ["chgnet-mptrj@all", "geometry", "magpie"],
    "bulk_modulus_VRH_GPa",
    "bulk-modulus",
)

POLYMORPHS: Final = f"""\
SELECT formula, count(*) AS n, round(min({SAMPLE.target})) AS softest_GPa, round(max({SAMPLE.target})) AS stiffest_GPa
FROM {SAMPLE.dataset} GROUP BY formula HAVING n > 1 ORDER BY stiffest_GPa - softest_GPa DESC LIMIT 5"""


@dataclass(frozen=True)
class Polymorph:
    """A crystal that the sample lacks, of a formula that it has in another structure.

    Attributes:
        name: What it is called.
        poscar: Its structure.
        literature_GPa: Measured bulk modulus.
        source: The paper that gives it.
    """

    name: str
    poscar: str
    literature_GPa: float  # noqa: N815 - the unit
    source: str


NEW: Final = (
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


def crystals(steps: Steps) -> dict[str, Any]:
    """Import, embed, query, train, predict and draw, and return the JSON document."""
    lake, say = steps.lake, steps.say
    say(f"7. import {SAMPLE.file.name}: crystals with computed bulk moduli, de Jong et al., Sci. Data 2, 150009 (2015)")
    materials = steps.import_sample()

    say("8. embed with all layers of the potential chgnet-mptrj")
    embedded = steps.embed()

    say("9. SQL: how far apart are the bulk moduli of polymorphs?")
    polymorphs = steps.query(POLYMORPHS)

    say(
        "10. train a regressor on these, on structural numbers (geometry) and on attributes of the composition (magpie)"
    )
    training = steps.train()

    say("11. predict crystals that the sample lacks; it has their formulas in other structures")
    answer = predict_structures(lake, SAMPLE.head, _write_structures(lake))
    predictions = []
    for p, crystal in zip(answer.predictions, NEW, strict=True):
        steps.show_prediction(crystal.name, p, answer, f"measured: {crystal.literature_GPa:.0f} GPa, {crystal.source}")
        literature = {"literature_GPa": crystal.literature_GPa, "source": crystal.source}
        predictions.append(p.document() | {"input": crystal.name} | literature)
    steps.show_notes(answer)

    say("12. plot predictions against computed values")
    drawn = draw_plot(PlotKind.PARITY, training.card, training.test, "bulk_modulus")
    return {
        "materials": materials,
        "embedded": embedded,
        "polymorphs": polymorphs,
        "training": training.document(),
        "predictions": predictions,
        "plots": steps.save_plots(drawn),
    }


def _write_structures(lake: Lake) -> list[Path]:
    """Write the structures into the lake, and return files of this machine that have them."""
    local = local_folder(lake.structures)
    for folder in {local, lake.structures}:
        folder.mkdir(parents=True, exist_ok=True)
        for crystal in NEW:
            write_whole(folder / f"{crystal.name}.vasp", crystal.poscar.encode())
    return [local / f"{crystal.name}.vasp" for crystal in NEW]
