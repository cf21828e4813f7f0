"""MatFold's folds, made by MatFold itself.

MatFold (Witman and Schindler, Digital Discovery 4, 625 (2025)) cuts the labels of a scheme, such as all elements or all
space groups, into K folds, and tests the rows with a label of one fold. It reads crystals, finds symmetry at 0.1 Å, and
speaks through files and the global random states: the files are temporary here, and the states are put back. Its
schemes ``index`` and ``structureid`` are left out: they part duplicates.
"""

import contextlib
import io
import random
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.extras import require_extra
from matlake.materials.crystal import CrystalColumns
from matlake.materials.periodic_table import SYMBOLS
from matlake.regress.features.matrix import Matrix
from matlake.regress.splits.split import Proposal, Split

SCHEMES: Final = (
    "composition",
    "chemsys",
    "sgnum",
    "pointgroup",
    "crystalsys",
    "elements",
    "periodictablerows",
    "periodictablegroups",
)
FOLDS: Final = 10
"""MatFold's own default."""


def matfold_split(argument: str | None) -> Split:
    """Return the split that tests one of MatFold's folds: K of them, or one for each label where K is 0."""
    scheme, colon, number = (argument or "").partition(":")
    scheme = scheme.strip().lower()
    if scheme not in SCHEMES:
        raise TrainingError(f"MatFold has no scheme {scheme!r} here", f"schemes: {', '.join(SCHEMES)}")
    if colon and (not (number.isascii() and number.isdigit()) or int(number) == 1):
        raise TrainingError(f"{number!r} is not a valid number of folds", "2 or more, or 0 for one fold for each label")
    folds = int(number) if colon else FOLDS
    _matfold()

    def propose(matrix: Matrix, seed: int) -> Iterator[Proposal]:
        crystals = matrix.crystals
        known = np.zeros(0, dtype=np.intp) if crystals is None else np.flatnonzero(crystals.sizes)
        if crystals is None or not len(known):
            raise TrainingError(
                f"none of the {len(matrix.y):,} rows has a crystal structure, which MatFold needs",
                "import structures, or choose a split of compositions",
            )
        for place, tested in enumerate(run_matfold(crystals.take(known), scheme, folds, seed), start=1):
            test = np.isin(np.arange(len(matrix.y)), known[tested])
            label = f"fold {place}"
            yield Proposal(label, f"are in MatFold's {label} by {scheme}", test, crystals.sizes == 0, "a crystal")

    return Split(f"matfold:{scheme}:{folds}", propose, propose, needs_crystals=True)


def run_matfold(crystals: CrystalColumns, scheme: str, folds: int, seed: int) -> list[NDArray[np.intp]]:
    """Return the crystals that each of MatFold's folds tests.

    Args:
        crystals: n crystals, each with atoms.
        scheme: One of ``SCHEMES``.
        folds: Number of folds; 0 for one for each label.
        seed: MatFold's seed, which shuffles labels.

    Raises:
        TrainingError: There are fewer labels than folds.
        MissingExtraError: MatFold is not installed.
    """
    matfold = _matfold()
    import pandas as pd

    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - MatFold seeds the global generators
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            contextlib.redirect_stdout(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            names = [str(row) for row in range(len(crystals))]
            structures = {name: _structure(crystals, row) for row, name in enumerate(names)}
            table = pd.DataFrame({"name": names})
            tool = matfold.MatFold(table, structures, write_data_checksums=False, seed=seed)
            try:
                tool.create_nested_splits(scheme, n_inner_splits=1, n_outer_splits=folds, output_dir=folder)
            except ValueError as error:
                raise TrainingError(
                    f"MatFold refuses {folds} folds by {scheme}: {error}", "take fewer folds"
                ) from error
            paths = sorted(Path(folder).glob("*_outer.test.csv"), key=_fold_number)
            return [np.sort(pd.read_csv(path)["name"].to_numpy().astype(np.intp)) for path in paths]
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


def _matfold() -> Any:
    require_extra("matfold", "a split of MatFold")
    import MatFold

    return MatFold


def _structure(crystals: CrystalColumns, row: int) -> dict[str, object]:
    """Return a crystal as pymatgen writes it."""
    from pymatgen.core.structure import Structure

    crystal = crystals[row]
    species = [SYMBOLS[z - 1] for z in crystal.numbers.tolist()]
    document: dict[str, object] = Structure(crystal.lattice, species, crystal.positions).as_dict()
    return document


def _fold_number(path: Path) -> int:
    return int(path.name.split(".k")[-1].partition("_")[0])
