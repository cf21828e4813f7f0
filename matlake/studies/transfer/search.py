"""The search for the best way to predict one target, on its validation rows; only what it chose is tested."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from matlake.encoders.layer_ref import LayerRef
from matlake.regress.regressors import MODELS
from matlake.studies.transfer.configurations import (
    ATTRIBUTES,
    BEYOND,
    FINE_TUNE,
    FIRST_LAYERS,
    FRACTIONS,
    FREEZING,
    MOD_FINE_TUNE,
    NETWORKS,
    ON_MANY_ROWS,
    PREDICTION,
    REGRESSORS,
    SC_BOTH,
    SC_DL_EF,
    SC_DL_PA,
    SC_ENSEMBLE,
    SC_ML_EF,
    SC_ML_PA,
    SCOUTS,
    SLOW,
    TL_CONCAT,
    TL_DL,
    TL_ENSEMBLE,
    TL_ML,
    Trial,
    is_transfer,
)
from matlake.studies.transfer.measurement import Measurement
from matlake.studies.transfer.runner import CURVE_SHARES, Desk
from matlake.studies.transfer.successive_halving import FINAL, SCREEN, SHORTLIST, SHORTLIST_OF_MANY
from matlake.studies.transfer.target_rows import TargetRows

LAYERS_KEPT: Final = 3
"""Layers, of all sources together, that all regressors are tried on; two where a target has many rows."""

LEADERS: Final = 2
"""Regressors of a configuration that are tried with other parameters than their default, each where it did best."""

FINALISTS: Final = 2
"""Trials of a configuration that are fitted to all rows; of a target with many rows one, but for ``TL+:Concat``."""

_SIDE_BY_SIDE: Final = 3
"""Sources whose best layers are put side by side."""


@dataclass(frozen=True)
class Plan:
    """What an evaluation tries.

    Attributes:
        configurations: Keys of ``CONFIGURATIONS``.
        sources: Encoders of compositions, each with its hidden layers in order.
        embedded: Layers of encoders of crystals, for ``TL+:Concat``.
        small: Targets with more rows get only what decides there: see ``ON_MANY_ROWS`` and ``FIRST_LAYERS``.
        folds: Of the cross-validation of what was chosen; 0 for none.
        curves: Whether to measure learning curves.
    """

    configurations: tuple[str, ...]
    sources: dict[str, tuple[str, ...]]
    embedded: tuple[str, ...]
    small: int
    folds: int
    curves: bool

    def configurations_for(self, rows: int) -> tuple[str, ...]:
        """Return the configurations that are run for a target of so many rows."""
        return tuple(name for name in self.configurations if rows <= self.small or name in ON_MANY_ROWS)

    def layers_for(self, rows: int) -> list[str]:
        """Return the layers that are screened for a target of so many rows."""
        most = None if rows <= self.small else FIRST_LAYERS
        return [layer for layers in self.sources.values() for layer in layers[:most]]


def search(desk: Desk, target: TargetRows, plan: Plan) -> None:
    """Measure all that a plan asks for one target; what the ledger has is not measured again.

    Nothing is chosen where the time ends before all is measured that the choice is made from.

    Args:
        desk: Where to measure.
        target: The rows.
        plan: What to try.
    """
    wanted = plan.configurations_for(len(target.y))
    layers = _screen(desk, target, plan) if plan.sources and any(map(is_transfer, wanted)) else []
    if layers is None:
        return
    shortlist = [
        Trial(configuration, features, model)
        for configuration, features, models in _candidates(wanted, layers, plan, len(target.y))
        for model in _able(models, target, plan)
    ]
    chosen = _finalists(desk, target, shortlist, plan)
    if chosen is None:
        return
    finalists = desk.validate(target, chosen, FINAL)
    finalists += desk.validate(target, _networks(wanted, layers), FINAL)
    winners = _best_of_each(finalists, lambda m: m.configuration)
    for name, members in (
        (SC_ENSEMBLE, [m for m in finalists if not is_transfer(m.configuration)]),
        (TL_ENSEMBLE, finalists),
    ):
        if name in wanted:
            desk.ensemble(target, name, members)
    for side in (False, True):
        best = next((m for m in winners if is_transfer(m.configuration) is side), None)
        if best is not None and plan.folds:
            desk.cross_validate(target, desk.trial(best), plan.folds)
        if best is not None and plan.curves:
            desk.learning_curve(target, desk.trial(best))


def expected_measurements(plan: Plan, rows: int) -> int:
    """Estimate how many measurements a target takes, for progress."""
    wanted = plan.configurations_for(rows)
    layers = plan.layers_for(rows)
    candidates = _candidates(wanted, layers, plan, rows)
    shortlisted = sum(len(models) for _, _, models in candidates)
    regressors = len({name for name, _, _ in candidates})
    networks = len(_networks(wanted, layers))
    chosen = 2 * (bool(plan.folds) + len(CURVE_SHARES) * plan.curves)
    return len(SCOUTS) * len(layers) + shortlisted + regressors * (2 * LEADERS + FINALISTS) + 2 * networks + chosen + 5


def _screen(desk: Desk, target: TargetRows, plan: Plan) -> list[str] | None:
    """Return the layers, best first, by the better of two quick regressors; None where the time ended before."""
    layers = plan.layers_for(len(target.y))
    trials = [Trial(TL_ML, (layer,), model) for layer in layers for model in SCOUTS]
    measured = desk.validate(target, trials, SCREEN)
    if len(measured) < len(trials):
        return None
    return [m.features[0] for m in _best_of_each(measured, lambda m: m.features)]


def _candidates(
    wanted: tuple[str, ...], layers: list[str], plan: Plan, rows: int
) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Return configurations of regressors with their features and regressors."""
    first: dict[str, str] = {}
    for layer in layers:
        first.setdefault(LayerRef.parse(layer).encoder, layer)
    best = layers[:1]
    several = list(first.values())[:_SIDE_BY_SIDE]
    outputs = [str(LayerRef(source, PREDICTION)) for source in plan.sources]
    together = [[ATTRIBUTES, *best], [ATTRIBUTES, FRACTIONS, *best]]
    together += [[ATTRIBUTES, *outputs], [ATTRIBUTES, FRACTIONS, *outputs]]
    if rows <= plan.small:
        together += [[ATTRIBUTES, *several], several]
    if plan.embedded:
        together += [list(plan.embedded), [ATTRIBUTES, *best, *plan.embedded]]
    found = [
        (SC_ML_EF, (FRACTIONS,), REGRESSORS),
        (SC_ML_PA, (ATTRIBUTES,), REGRESSORS),
        (SC_BOTH, (FRACTIONS, ATTRIBUTES), BEYOND),
        *((TL_ML, (layer,), REGRESSORS) for layer in layers[: LAYERS_KEPT if rows <= plan.small else 2]),
        *((TL_CONCAT, features, BEYOND) for features in dict.fromkeys(map(tuple, together)) if layers or plan.embedded),
    ]
    return [candidate for candidate in found if candidate[0] in wanted]


def _able(models: Iterable[str], target: TargetRows, plan: Plan) -> list[str]:
    """Return the regressors that are meant for so many rows; bagging, the slowest by far, only for few."""
    rows = len(target.pool)
    slow = SLOW if len(target.y) > plan.small else ()
    return [name for name in models if name not in slow and ((most := MODELS[name].max_rows) is None or rows <= most)]


def _finalists(desk: Desk, target: TargetRows, trials: list[Trial], plan: Plan) -> list[Trial] | None:
    """Return the best trials of each configuration, after trying other parameters of some; None without time."""
    rung = SHORTLIST if len(target.y) <= plan.small else SHORTLIST_OF_MANY
    measured = desk.validate(target, trials, rung)
    models = _best_of_each(measured, lambda m: (m.configuration, m.model))
    leaders = [
        desk.trial(m)
        for name in dict.fromkeys(m.configuration for m in models)
        for m in [m for m in models if m.configuration == name][:LEADERS]
    ]
    variants = [
        replace(leader, variant=variant)
        for leader in leaders
        for variant in range(1, len(MODELS[leader.model].grid(1)))
    ]
    measured += desk.validate(target, variants, rung)
    if len(measured) < len(trials) + len(variants):
        return None
    kept: dict[str, list[Trial]] = {}
    # Layers side by side differ in what they hold, not in the regressor: of one set the best is enough.
    for m in _best_of_each(
        measured, lambda m: (m.configuration, m.features, "" if m.configuration == TL_CONCAT else m.model)
    ):
        kept.setdefault(m.configuration, []).append(desk.trial(m))
    few = len(target.y) > plan.small
    return [trial for name, found in kept.items() for trial in found[: 1 if few and name != TL_CONCAT else FINALISTS]]


def _networks(wanted: tuple[str, ...], layers: list[str]) -> list[Trial]:
    """Return the trials of networks: on the best layer, and from the source that it is of."""
    features = {SC_DL_EF: FRACTIONS, SC_DL_PA: ATTRIBUTES, FINE_TUNE: FRACTIONS, MOD_FINE_TUNE: FRACTIONS}
    features[FREEZING] = FRACTIONS
    if layers:
        features[TL_DL] = layers[0]
    trials = []
    for configuration, model in NETWORKS.items():
        starts = configuration in (FINE_TUNE, MOD_FINE_TUNE, FREEZING)
        if configuration in wanted and configuration in features and (layers or not starts):
            name = f"{model}:{LayerRef.parse(layers[0]).encoder}" if starts else model
            trials.append(Trial(configuration, (features[configuration],), name))
    return trials


def _best_of_each(measured: list[Measurement], kind: Callable[[Measurement], Hashable]) -> list[Measurement]:
    """Return the measurement with the smallest error of each kind, best first; failed ones are left out."""
    best: dict[Hashable, Measurement] = {}
    for m in sorted((m for m in measured if m.mae is not None), key=lambda m: m.mae or 0.0):
        best.setdefault(kind(m), m)
    return list(best.values())
