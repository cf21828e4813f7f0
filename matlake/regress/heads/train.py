"""Training: read, split, choose, fit, measure beside the baselines, calibrate, save."""

import time
from collections.abc import Callable
from dataclasses import replace

from matlake.encoders.session import onnx_runtime
from matlake.errors import TrainingError
from matlake.extras import require_extra
from matlake.progress import SILENT, Progress
from matlake.regress.classification.calibration import calibrated_fit
from matlake.regress.features.feature import Feature, layers_of, resolve_features
from matlake.regress.features.matrix import Matrix, read_shared_rows, resolve_targets
from matlake.regress.heads.baselines import (
    ComparedHead,
    compare_with_baselines,
    compared_model,
    fractions_baseline,
    more_baselines,
)
from matlake.regress.heads.card import Evaluation, HeadCard, ModelRecord, TrainingRows
from matlake.regress.heads.encoder_predictions import any_takes_crystals
from matlake.regress.heads.feature_search import choose_features, with_features
from matlake.regress.heads.group import divide, save_group
from matlake.regress.heads.measure import evaluate, learning_curve, made_now, measure_fitted, measure_of
from matlake.regress.heads.model_search import search_model
from matlake.regress.heads.model_spec import FRACTIONS, crystal_network, resolve_model
from matlake.regress.heads.plots import draw_plots
from matlake.regress.heads.request import AUTO_TRANSFORM, RANDOM, TrainRequest
from matlake.regress.heads.storage import HeadFiles, check_new_name, find_encoders, save_head_files
from matlake.regress.heads.suggestions import what_to_try
from matlake.regress.heads.target_settings import check_scale, settle_target, weighted
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.heads.unsaved import UnsavedHead
from matlake.regress.regressors import AUTO, Fit, LabelledRows, Model, Parameters, check_suits, fit_of, settled
from matlake.regress.regressors.feature_rows import Features, take_rows
from matlake.regress.regressors.fitting import no_weights
from matlake.regress.splits import HeldOut, parse_split
from matlake.regress.splits.training_dates import describe_training_dates
from matlake.regress.targets.expressions import Target
from matlake.regress.targets.kinds import Kind
from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.targets.transforms import Transform
from matlake.regress.uncertainty.fit_reference import choose_reference
from matlake.regress.uncertainty.out_of_fold import OutOfFold, predict_out_of_fold
from matlake.store.folders import MEMBER
from matlake.store.lake import Lake


def train(lake: Lake, request: TrainRequest, progress: Progress = SILENT) -> TrainResult:
    """Train a head, measure it on held-out rows, calibrate its intervals, and save it.

    Args:
        lake: The lake, with the features embedded.
        request: What to train.
        progress: Receives what is being done, and the number of fits done in the search for model and parameters.

    Raises:
        MatlakeError: See ``train_unsaved`` and ``save_head``.
    """
    trained = train_unsaved(lake, request, progress)
    for one in trained:
        _check_encoders(lake, one.files.card)
    files = trained[0].files
    if len(trained) == 1:
        return trained[0].result(save_head_files(lake, files))
    cards = save_group(lake, files.card.name.partition(MEMBER)[0], [one.files for one in trained])
    first, *others = (one.result(card) for one, card in zip(trained, cards, strict=True))
    return replace(first, others=tuple(others))


def _check_encoders(lake: Lake, card: HeadCard) -> None:
    """Refuse a head of an encoder that was deleted or replaced while it was trained; those that it carries are new."""
    find_encoders(lake, replace(card, features=tuple(one for one in card.features if not one.carried_by)))


def train_unsaved(lake: Lake, request: TrainRequest, progress: Progress = SILENT) -> list[UnsavedHead]:
    """Train and measure what ``train`` saves: one head for each target.

    The head is fitted to the training rows only, so that its metrics are those of the very file that is saved.

    Args:
        lake: The lake, with the features embedded.
        request: What to train.
        progress: Receives what is being done, and the number of fits done in the search for model and parameters.

    Raises:
        TrainingError: The data do not allow it; see ``read_matrix``, ``parse_split``, ``Split.hold_out`` and
            ``resolve_model``.
        EncoderError: No such encoder or layer, or its weights cannot be trained on.
        QueryError: ``where`` is not a valid predicate over ``materials``.
        HeadError: The name is not valid, or the model does not survive the conversion to ONNX.
        MissingExtraError: ONNX Runtime or scikit-learn is not installed, or torch, which deep networks need.
    """
    source = crystal_network(lake, request.model)
    if source is not None:
        from matlake.regress.finetuning.graph_head import train_graph_head  # it needs much that other heads do not

        return [train_graph_head(lake, request, source, progress)]
    onnx_runtime()
    seed, split = request.seed, parse_split(request.split)
    features = resolve_features(lake, request.features or [FRACTIONS])
    wanted: str | Model = AUTO
    if not isinstance(request.model, str) or request.model != AUTO or request.adversarial:
        wanted = resolve_model(lake, request.model, features, request.adversarial)
    if isinstance(wanted, Model) and not wanted.weighted and request.counts.names:
        raise no_weights(wanted)
    require_extra("heads", "training a head")
    progress.note("reading features and target")
    scaled = request.transform != Transform.NONE
    targets = resolve_targets(lake, request.targets, request.dataset, scaled=scaled)
    for target in targets:
        check_scale(request, target)
    if len(targets) > 1 and request.uncertainty is not None:
        raise TrainingError("one uncertainty is given for several targets", "train one head a target")
    name = request.head_name(targets)
    check_new_name(lake, name)
    by_crystals = any(target.is_column and any_takes_crystals(lake, target.name) for target in targets)
    shared = read_shared_rows(
        lake,
        targets,
        features,
        dataset=request.dataset,
        where=request.where,
        columns=split.columns,
        crystals=split.needs_crystals or by_crystals,
        counts=request.counts,
    )
    if len(targets) > 1:
        return [
            train_rows(
                lake,
                replace(request, name=f"{name}{MEMBER}{member}"),
                target,
                matrix,
                held_out,
                features,
                wanted,
                progress,
            )
            for member, target, matrix, held_out in divide(shared, split, seed)
        ]
    matrix, _ = shared.of(0)
    held_out = split.hold_out(matrix, seed)
    return [train_rows(lake, replace(request, name=name), targets[0], matrix, held_out, features, wanted, progress)]


def train_rows(
    lake: Lake,
    request: TrainRequest,
    target: Target,
    matrix: Matrix,
    held_out: HeldOut,
    features: tuple[Feature, ...],
    wanted: str | Model,
    progress: Progress,
) -> UnsavedHead:
    """Train a head of one target on rows that have been read, and measure it.

    Args:
        lake: The lake.
        request: What to train, with the name of the head.
        target: The target.
        matrix: The rows that have it.
        held_out: Which of them are trained on, and which are tested.
        features: Those of the rows, in order.
        wanted: The model, or ``auto``.
        progress: Receives what is being done.
    """
    seed, split, name = request.seed, parse_split(request.split), request.name or ""
    budget, chosen = request.budget, None
    blocks = tuple(feature.dim for feature in features)
    if isinstance(wanted, Model):
        check_suits(wanted, matrix.kind, target.name)
        if wanted.in_unit and request.transform == AUTO_TRANSFORM:
            request = replace(request, transform=Transform.NONE)
    settings = settle_target(request, target, matrix, held_out, blocks)
    space = settings.space
    matrix = weighted(matrix, held_out, space, blocks, seed)
    if wanted == AUTO and len(features) > 1:
        progress.note("choosing features")
        started = time.monotonic()
        chosen = choose_features(matrix, held_out, features, seed, budget.seconds, space)
        budget = budget.after(started)
    if chosen is not None:
        matrix, features = with_features(matrix, features, chosen.chosen.features)
    cards = [lake.find_encoder(name).card for name in dict.fromkeys(one.encoder for one in layers_of(features))]
    held_out = describe_training_dates(held_out, split, matrix, cards)
    rows = held_out.train
    labelled = matrix.labelled(rows)
    if isinstance(wanted, Model):
        wanted = settled(wanted, labelled, seed, space)
    choice = search_model(
        wanted,
        labelled,
        seed,
        progress,
        budget=budget,
        space=space,
        blocks=tuple(feature.dim for feature in features),
        learns_blocks=chosen is not None and chosen.learns_blocks,
    )
    best, model = choice.best, choice.model
    progress.note(f"fitting {best.model} to {len(rows):,} rows")
    fit, out_of_fold = _fit_and_out_of_fold(
        model, best.parameters, labelled, take_rows(matrix.fractions, rows), seed, space
    )
    fitted = fit(labelled)
    progress.note("calibrating on held-out folds of the training rows")
    measured = measure_fitted(matrix, held_out, fitted, features, out_of_fold, seed)
    progress.note("comparing with fewer rows, with baselines and with a random split")
    on_fractions = fractions_baseline(model, matrix, held_out, seed, space)
    card = HeadCard(
        name=name,
        target=target.name,
        unit=target.unit,
        features=features,
        training=TrainingRows(matrix.sql, split.text, held_out.description, len(held_out.dropped), seed, matrix.tables),
        model=ModelRecord(
            best.model,
            best.parameters,
            choice.search,
            measured.parity,
            chosen,
            model.estimator,
            model.chosen_by,
        ),
        evaluation=measured.evaluation,
        fractions_baseline=measure_of(space.kind)(measured.test.y, on_fractions),
        random_evaluation=None if split.text == RANDOM else _random_evaluation(fit, matrix, seed),
        learning_curve=learning_curve(fit, matrix, held_out, seed),
        fine_tuning=None,
        calibration=measured.calibration,
        domain=measured.domain,
        provenance=made_now(),
        difference_intervals=compare_with_baselines(
            measured.test, on_fractions, float(labelled.y.mean()), seed, space.kind
        ),
        bounds=space.bounds,
        transform=space.transform,
        scale=settings.record(target, measured.test),
        is_expression=not target.is_column,
        weighting=request.counts.text,
        classes=measured.classes and replace(measured.classes, numeric=not matrix.boolean),
    )
    compared = ComparedHead(target.name if target.is_column else "", features, best.model, measured.test)
    card = replace(card, more_baselines=more_baselines(lake, compared, matrix, held_out, space, seed))
    card = replace(card, suggestions=what_to_try(lake, card))
    plots = draw_plots(card, measured.test, fitted.regressor, progress)
    files = HeadFiles(card, measured.content, measured.reference, plots)
    return UnsavedHead(files, matrix.missing, measured.test, compared_model(model).name)


def _fit_and_out_of_fold(
    model: Model,
    parameters: Parameters,
    labelled: LabelledRows,
    fractions: Features,
    seed: int,
    space: TargetSpace,
) -> tuple[Fit, Callable[[], OutOfFold]]:
    """Return a fit, and what gives predictions for the training rows by fits without them."""
    if space.kind is Kind.YES_NO:
        fit, out_of_fold = calibrated_fit(model, parameters, labelled, seed, space)
        return fit, lambda: out_of_fold
    fit = fit_of(model, parameters, seed, space)
    return fit, lambda: predict_out_of_fold(fit, labelled, fractions, seed, slow=model.slow)


def _random_evaluation(fit: Fit, matrix: Matrix, seed: int) -> Evaluation:
    """Fit and measure the same model with the same parameters on a random split."""
    held_out = parse_split(RANDOM).hold_out(matrix, seed)
    rows = held_out.train
    predicted = fit(matrix.labelled(rows)).predict(matrix.features_of(held_out.test))
    nearest = choose_reference(matrix, rows, seed).nearest_values(matrix, held_out.test)
    return evaluate(matrix, held_out, predicted, nearest, seed)
