"""The search for the best method for one target, on its validation rows; only what it chose is tested."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from matlake.encoders.card import PREDICTION
from matlake.encoders.layer_ref import LayerRef
from matlake.regress.regressors import MODELS
from matlake.studies.measurement import Measurement
from matlake.studies.transfer.configurations import (
    ATTRIBUTES,
    BEYOND,
    ELEMNET,
    FIRST_LAYERS,
    FRACTIONS,
    NETWORKS,
    ON_MANY_ROWS,
    REGRESSORS,
    SC_BOTH,
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
    TransferRequest,
    Trial,
    is_transfer,
)
from matlake.studies.transfer.stages import FINAL, SCREEN, SHORTLIST, SHORTLIST_OF_MANY
from matlake.studies.transfer.target_rows import TargetRows
from matlake.studies.transfer.trials import CURVE_SHARES, TrialRunner, trial_of

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
        request: What is asked for. Its features are for ``TL+:Concat``; targets with more rows than ``small`` get only
            what decides there: see ``ON_MANY_ROWS`` and ``FIRST_LAYERS``.
        configurations: Keys of ``CONFIGURATIONS``.
        sources: Encoders of compositions, each with its hidden layers in order.
    """

    request: TransferRequest
    configurations: tuple[str, ...]
    sources: dict[str, tuple[str, ...]]

    def configurations_for(self, rows: int) -> tuple[str, ...]:
        """Return the configurations that are run for a target of so many rows."""
        return tuple(name for name in self.configurations if rows <= self.request.small or name in ON_MANY_ROWS)

    def layers_for(self, rows: int) -> list[str]:
        """Return the layers that are screened for a target of so many rows."""
        most = None if rows <= self.request.small else FIRST_LAYERS
        return [layer for layers in self.sources.values() for layer in layers[:most]]


def search(trials: TrialRunner, plan: Plan) -> None:
    """Measure all that a plan asks for one target; what the table of results has is not measured again.

    Nothing is chosen where time is up before all is measured that the choice is made from.

    Args:
        trials: Measures trials of the target.
        plan: What to try.
    """
    target = trials.target
    wanted = plan.configurations_for(len(target.y))
    layers = _screen(trials, plan) if plan.sources and any(map(is_transfer, wanted)) else []
    if layers is None:
        return
    shortlist = [
        Trial(configuration, features, model)
        for configuration, features, models in _candidates(wanted, layers, plan, len(target.y))
        for model in _able(models, target, plan)
    ]
    chosen = _finalists(trials, shortlist, plan)
    if chosen is None:
        return
    networks = _networks(wanted, layers)
    finalists = trials.validate(chosen, FINAL) + trials.validate(networks, FINAL)
    if len(finalists) < len(chosen) + len(networks):
        return
    winners = _best_of_each(finalists, lambda m: m.method)
    for name, members in (
        (SC_ENSEMBLE, [m for m in finalists if not is_transfer(m.method)]),
        (TL_ENSEMBLE, finalists),
    ):
        if name in wanted:
            trials.ensemble(name, members)
    for side in (False, True):
        best = next((m for m in winners if is_transfer(m.method) is side), None)
        if best is not None and plan.request.folds:
            trials.cross_validate(trial_of(best), plan.request.folds)
        if best is not None and plan.request.curves:
            trials.learning_curve(trial_of(best))


def expected_measurements(plan: Plan, rows: int) -> int:
    """Estimate how many measurements a target takes, for progress."""
    wanted = plan.configurations_for(rows)
    layers = plan.layers_for(rows)
    candidates = _candidates(wanted, layers, plan, rows)
    shortlisted = sum(len(models) for _, _, models in candidates)
    regressors = len({name for name, _, _ in candidates})
    networks = len(_networks(wanted, layers))
    chosen = 2 * (bool(plan.request.folds) + len(CURVE_SHARES) * plan.request.curves)
    return len(SCOUTS) * len(layers) + shortlisted + regressors * (2 * LEADERS + FINALISTS) + 2 * networks + chosen + 5


def _screen(trials: TrialRunner, plan: Plan) -> list[str] | None:
    """Return the layers, best first, by the better of two quick regressors; None where time was up before."""
    layers = plan.layers_for(len(trials.target.y))
    wanted = [Trial(TL_ML, (layer,), model) for layer in layers for model in SCOUTS]
    measured = trials.validate(wanted, SCREEN)
    if len(measured) < len(wanted):
        return None
    return [m.features[0] for m in _best_of_each(measured, lambda m: m.features)]


def _candidates(
    wanted: tuple[str, ...], layers: list[str], plan: Plan, rows: int
) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Return configurations of regressors with their features and regressors."""
    first: dict[str, str] = {}
    for layer in layers:
        first.setdefault(LayerRef.parse(layer).encoder, layer)
    best, crystals = layers[:1], list(plan.request.features)
    several = list(first.values())[:_SIDE_BY_SIDE]
    outputs = [str(LayerRef(source, PREDICTION)) for source in plan.sources]
    together = [[ATTRIBUTES, *best], [ATTRIBUTES, FRACTIONS, *best]]
    together += [[ATTRIBUTES, *outputs], [ATTRIBUTES, FRACTIONS, *outputs]]
    if rows <= plan.request.small:
        together += [[ATTRIBUTES, *several], several]
    if crystals:
        together += [crystals, [ATTRIBUTES, *best, *crystals]]
    found = [
        (SC_ML_EF, (FRACTIONS,), REGRESSORS),
        (SC_ML_PA, (ATTRIBUTES,), REGRESSORS),
        (SC_BOTH, (FRACTIONS, ATTRIBUTES), BEYOND),
        *((TL_ML, (layer,), REGRESSORS) for layer in layers[: LAYERS_KEPT if rows <= plan.request.small else 2]),
        *((TL_CONCAT, features, BEYOND) for features in dict.fromkeys(map(tuple, together)) if layers or crystals),
    ]
    return [candidate for candidate in found if candidate[0] in wanted]


def _able(models: Iterable[str], target: TargetRows, plan: Plan) -> list[str]:
    """Return the regressors that are meant for so many rows; bagging, the slowest by far, only for few."""
    rows = len(target.pool)
    slow = SLOW if len(target.y) > plan.request.small else ()
    return [name for name in models if name not in slow and ((most := MODELS[name].max_rows) is None or rows <= most)]


def _finalists(trials: TrialRunner, shortlist: list[Trial], plan: Plan) -> list[Trial] | None:
    """Return the best trials of each configuration, after trying other parameters of some; None without time."""
    few = len(trials.target.y) > plan.request.small
    halving = SHORTLIST_OF_MANY if few else SHORTLIST
    measured = trials.validate(shortlist, halving)
    models = _best_of_each(measured, lambda m: (m.method, m.model))
    leaders = [
        trial_of(m)
        for name in dict.fromkeys(m.method for m in models)
        for m in [m for m in models if m.method == name][:LEADERS]
    ]
    variants = [
        replace(leader, variant=variant)
        for leader in leaders
        for variant in range(1, len(MODELS[leader.model].grid(1)))
    ]
    measured += trials.validate(variants, halving)
    if len(measured) < len(shortlist) + len(variants):
        return None
    kept: dict[str, list[Trial]] = {}
    # Layers side by side differ in what they hold, not in the regressor: of one set the best is enough.
    for m in _best_of_each(measured, lambda m: (m.method, m.features, "" if m.method == TL_CONCAT else m.model)):
        kept.setdefault(m.method, []).append(trial_of(m))
    return [trial for name, found in kept.items() for trial in found[: 1 if few and name != TL_CONCAT else FINALISTS]]


def _networks(wanted: tuple[str, ...], layers: list[str]) -> list[Trial]:
    """Return the trials of networks: on the best layer, and from the source that it is of."""
    features = {SC_DL_PA: ATTRIBUTES} | ({TL_DL: layers[0]} if layers else {})
    source = f":{LayerRef.parse(layers[0]).encoder}" if layers else ""
    return [
        Trial(name, (features.get(name, FRACTIONS),), model if model == ELEMNET else model + source)
        for name, model in NETWORKS.items()
        if name in wanted and (layers or not is_transfer(name))
    ]


def _best_of_each(measured: list[Measurement], kind: Callable[[Measurement], Hashable]) -> list[Measurement]:
    """Return the measurement with the smallest error of each kind, best first; failed ones are left out."""
    best: dict[Hashable, Measurement] = {}
    for m in sorted((m for m in measured if m.mae is not None), key=lambda m: m.mae or 0.0):
        best.setdefault(kind(m), m)
    return list(best.values())
