"""What each configuration comes to on one target: its winner by validation, with that one's errors on the test rows."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matlake.regress.regressors import Parameters
from matlake.studies.measurement import Measurement, State
from matlake.studies.transfer.configurations import BASE, CONFIGURATIONS
from matlake.studies.transfer.stages import FINAL, FOLDS, TEST, VALIDATION


@dataclass(frozen=True)
class Cell:
    """What one configuration comes to on one target.

    Attributes:
        configuration: Its name.
        state: See ``State``.
        features: ``NAME@LAYER`` of each feature of the winner; empty where there is none, as are all of the following.
        model: Kind of regressor, or how an encoder's weights are used.
        parameters: Its parameters.
        validation_mae: In the last round, in the target's unit.
        test_mae: On the test rows.
        q95: 95th percentile of the absolute errors on the test rows.
        outside_mae: On those test rows whose composition is outside the training set.
        fold_mae: Mean over the folds of a cross-validation.
        fold_mae_std: Standard deviation over the folds.
        seconds: What all measurements of the configuration took, whichever won.
        error: Why it failed.
    """

    configuration: str
    state: State = State.NOT_RUN
    features: tuple[str, ...] = ()
    model: str = ""
    parameters: Parameters | None = None
    validation_mae: float | None = None
    test_mae: float | None = None
    q95: float | None = None
    outside_mae: float | None = None
    fold_mae: float | None = None
    fold_mae_std: float | None = None
    seconds: float = 0.0
    error: str = ""


def cells_of(measurements: Sequence[Measurement]) -> tuple[Cell, ...]:
    """Say what each configuration comes to on one target.

    The winner of a configuration has its smallest validation error in the last round: earlier rounds fit to fewer rows,
    so their errors are not comparable. What the test rows say of it has no part in the choice. Of measurements in
    stages ``TEST`` and ``FOLDS`` those with the winner's features, model and parameters are its own.

    Args:
        measurements: All of one target.

    Returns:
        A cell for each of ``CONFIGURATIONS``, and for others that were measured.
    """
    of_configuration: dict[str, list[Measurement]] = {name: [] for name in CONFIGURATIONS}
    for measurement in measurements:
        of_configuration.setdefault(measurement.method, []).append(measurement)
    return tuple(_cell(name, measured) for name, measured in of_configuration.items())


def best_cell(cells: Iterable[Cell], *prefixes: str) -> Cell | None:
    """Return the cell with the smallest validation error among configurations whose names begin so.

    Of equal ones the first; None where none has a validation error.
    """
    known = [cell for cell in cells if cell.configuration.startswith(prefixes) and cell.validation_mae is not None]
    return min(known, key=lambda cell: cell.validation_mae or 0.0, default=None)


def identity(found: Measurement | Cell) -> tuple[tuple[str, ...], str, str]:
    """Return what distinguishes one trial from another within a configuration."""
    return found.features, found.model, json.dumps(found.parameters or {}, sort_keys=True)


def _cell(configuration: str, measurements: list[Measurement]) -> Cell:
    seconds = sum(m.seconds for m in measurements)
    validated = [m for m in measurements if m.stage == VALIDATION]
    # the mean has nothing to be chosen by: any round will do, or none
    final = validated or measurements if configuration == BASE else [m for m in validated if m.round == FINAL.number]
    alive = [m for m in final if m.is_measured]
    if not alive:
        error = next((m.error for m in [*final, *validated] if m.error), "")
        early = not final and any(m.is_measured for m in validated)
        state = State.EARLY if early else State.FAILED if validated else State.NOT_RUN
        return Cell(configuration, state, seconds=seconds, error=error if state == State.FAILED else "")
    winner = min(alive, key=lambda m: (m.mae, len(m.features), identity(m)))
    test, folds = (_of_winner(measurements, stage, winner) for stage in (TEST, FOLDS))
    tested = test if test is not None and test.is_measured else None
    return Cell(
        configuration,
        State.MEASURED if tested else State.UNTESTED if test is None else State.FAILED,
        features=winner.features,
        model=winner.model,
        parameters=winner.parameters,
        validation_mae=winner.mae if winner.stage == VALIDATION else None,
        test_mae=tested.mae if tested else None,
        q95=tested.q95 if tested else None,
        outside_mae=tested.outside_mae if tested else None,
        fold_mae=folds.mae if folds else None,
        fold_mae_std=folds.mae_std if folds else None,
        seconds=seconds,
        error=test.error if test and not tested else "",
    )


def _of_winner(measurements: list[Measurement], stage: str, winner: Measurement) -> Measurement | None:
    """Return the winner's measurement of a stage, the last one listed where it was repeated."""
    own = [m for m in measurements if m.stage == stage and identity(m) == identity(winner)]
    return own[-1] if own else None
