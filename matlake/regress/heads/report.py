"""All that is known of a head, in sections: what ``heads report`` writes as one page."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from matlake.encoders.card import EncoderCard
from matlake.errors import MatlakeError
from matlake.metrics import Intervals, Metrics
from matlake.regress.features.carried import encoder_of
from matlake.regress.features.feature import Feature, layers_of
from matlake.regress.heads.calibration_text import calibration_lines
from matlake.regress.heads.card import HeadCard, parameter_text
from matlake.regress.heads.class_report import title_of
from matlake.regress.heads.verdict import (
    comparisons_of,
    error_name,
    error_of,
    overall,
    ranking_text,
    recalibration_lines,
    verdict_text,
)
from matlake.regress.regressors import AUTO
from matlake.regress.targets.kinds import Kind
from matlake.regress.targets.transforms import Transform
from matlake.store.lake import Lake
from matlake.text_tables import Column, TextTable

_CAPTIONS = {
    "parity": "Predicted against true values of the test rows.",
    "reliability": "Predicted probabilities against observed frequencies in the test rows.",
    "error_by_distance": "Absolute errors of the test rows against their distance to the training rows.",
    "coverage": "Share of true values in their interval against the level that the intervals state.",
    "learning_curve": "Mean absolute error on the test rows against the number of training rows.",
}


@dataclass(frozen=True)
class Code:
    """Text to copy: a query, or a command."""

    text: str


@dataclass(frozen=True)
class Plot:
    """A plot of the head.

    Attributes:
        name: Of its files, without their endings.
        caption: What it shows.
    """

    name: str
    caption: str


Part = str | TextTable | Code | Plot


@dataclass(frozen=True)
class Section:
    """A heading and what is below it."""

    heading: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Report:
    """A page.

    Attributes:
        title: Its title.
        sections: In order.
    """

    title: str
    sections: tuple[Section, ...]


def head_report(lake: Lake, card: HeadCard, plots: Sequence[str]) -> Report:
    """Lay out all that is known of a head.

    Args:
        lake: Whose registry knows licences and citations of encoders.
        card: Of the head.
        plots: Names of the head's plots, without their endings.
    """
    encoders = {one.encoder: _encoder_card(lake, one) for one in layers_of(card.features)}
    found = {
        "Result": (*_result(card), *_plots(plots)),
        "Baselines": _baselines(card),
        "Data": _data(card),
        "Features": _features(card, encoders),
        "Model": _model(card),
        "Intervals and expected errors": _intervals(card),
        "Applicability domain": _domain(card),
        "Learning curve": (_curve(card),) if card.learning_curve else (),
        "To repeat": (Code(repeat_call(card) if card.model.estimator else repeat_command(card)), *_versions(card)),
        "To cite": _citations(encoders),
    }
    title = f"{card.quantity}: head {card.name}"
    return Report(title, tuple(Section(heading, tuple(parts)) for heading, parts in found.items() if parts))


def _encoder_card(lake: Lake, feature: Feature) -> EncoderCard | None:
    try:
        return encoder_of(lake, feature).card
    except MatlakeError:
        return None


def _result(card: HeadCard) -> Iterator[Part]:
    rows = card.evaluation
    yield f"{title_of(card)}. Trained on {rows.n_train:,} rows, tested on {rows.n_test:,} others."
    yield metrics_table(card, [("test rows", rows.metrics, rows.intervals), *_random(card)])
    yield f"Verdict: {overall(card)}. In detail: {verdict_text(card)}."
    for suggestion in card.suggestions:
        yield f"To try: {suggestion}."


def _random(card: HeadCard) -> list[tuple[str, Metrics, Intervals]]:
    found = card.random_evaluation
    return [] if found is None else [("test rows of a random split", found.metrics, found.intervals)]


def metrics_table(card: HeadCard, rows: Sequence[tuple[str, Metrics, Intervals]]) -> TextTable:
    """Return all metrics of some rows, with their 95 % bootstrap intervals over compositions."""
    yes_no = card.kind is Kind.YES_NO
    names = {
        **({"brier": "Brier score", "log_loss": "log loss", "roc_auc": "ROC-AUC"} if yes_no else {}),
        **({"balanced_accuracy": "balanced accuracy"} if yes_no else {"mae": "MAE", "rmse": "RMSE", "q95": "Q95"}),
        **({} if yes_no else {"r2": "R²", "spearman": "Spearman"}),
    }
    with_unit = {"mae", "rmse", "q95"}
    columns = [Column("measured on")]
    columns += [Column(name, unit=card.unit if key in with_unit else "") for key, name in names.items()]
    return TextTable(
        columns, [(label, *(_with_ends(metrics, ends, key) for key in names)) for label, metrics, ends in rows]
    )


def _with_ends(metrics: Metrics, ends: Intervals, key: str) -> str | None:
    value = getattr(metrics, key)
    if value is None:
        return None
    return f"{value:.4g}" + (" [{:.4g}, {:.4g}]".format(*ends[key]) if key in ends else "")


def _plots(names: Sequence[str]) -> list[Part]:
    known = [name for name in _CAPTIONS if name in names]
    others = [name for name in names if name not in _CAPTIONS]
    return [Plot(name, _CAPTIONS.get(name, f"{name.replace('_', ' ').capitalize()}.")) for name in known + others]


def _baselines(card: HeadCard) -> Iterator[Part]:
    columns = (
        Column("baseline"),
        Column("rows", "right", ","),
        Column(error_name(card.kind), "right", ".4g", card.unit),
        Column("head", "right", ".4g", card.unit),
        Column("difference [95 %]"),
        Column("the head is"),
        Column("remark"),
    )
    rows = [
        (
            one.baseline,
            one.rows or card.evaluation.n_test,
            one.error,
            one.head_error,
            f"{one.difference:.4g}" + (" [{:.4g}, {:.4g}]".format(*one.interval) if one.interval else ""),
            str(one.outcome),
            one.remark,
        )
        for one in comparisons_of(card)
    ]
    yield TextTable(columns, rows)
    yield (
        "A head is better or worse if the 95 % bootstrap interval of the difference, over whole compositions, excludes "
        "zero."
    )


def _data(card: HeadCard) -> Iterator[Part]:
    training = card.training
    yield f"Split {training.split}, seed {training.seed}: {training.split_description}."
    yield "Rows of the lake that were selected:"
    yield Code(training.sql)
    if card.weighting:
        yield _sentence(card.weighting)
    if card.fine_tuning is not None:
        before = error_of(card.fine_tuning.before, card.kind)
        yield (
            f"Fine-tuned: {error_name(card.kind)} {before:.4g} {card.unit}".rstrip() + " before on the same test rows."
        )


def _features(card: HeadCard, encoders: dict[str, EncoderCard | None]) -> Iterator[Part]:
    columns = (Column("feature"), Column("numbers", "right", ","), Column("sha256 of the encoder"), Column("licence"),
               Column("trained on"))  # fmt: skip
    yield TextTable(columns, [_feature_row(one, card, encoders) for one in card.features])
    if card.model.features is not None:
        yield from card.model.features.lines(card.unit)


def _feature_row(feature: Feature, card: HeadCard, encoders: Mapping[str, EncoderCard | None]) -> tuple[object, ...]:
    if feature.column:
        values = card.domain.range_of(feature.column) if card.domain else None
        return feature.feature, feature.dim, None, None, f"a column: {values} in the training rows"
    encoder = encoders[feature.encoder]
    if encoder is None or encoder.sha256 != feature.sha256:
        licence, trained = "not in this lake", None
    else:
        trained = ", ".join(filter(None, (encoder.training.database, *encoder.trained_on))) or "nothing"
        licence = encoder.licence
    return feature.feature, feature.dim, feature.sha256, licence, trained


def _model(card: HeadCard) -> Iterator[Part]:
    parameters = parameter_text(card.model.parameters)
    called = f"{card.model.kind}{f' ({parameters})' if parameters else ''}"
    yield f"{card.model.text if card.model.estimator else called}, fitted to the training rows only."
    scale = "as it is" if card.transform is Transform.NONE else f"as its {card.transform}"
    yield f"The property is learned {scale}. Bounds: {card.bounds.text(card.unit)}."
    search = card.model.search
    if search is not None:
        shown = search.candidates[:5]
        yield (
            f"Chosen by cross-validation from {len(search.candidates):,} candidates on {search.rows:,} training rows; "
            f"the best {len(shown)}:"
        )
        columns = (Column("model"), Column("error", "right", ".4g"), Column("± over folds", "right", ".2g"),
                   Column("folds", "right"), Column("parameters"))  # fmt: skip
        yield TextTable(
            columns, [(one.model, one.mae, one.mae_std, one.folds, parameter_text(one.parameters)) for one in shown]
        )
        if search.cut_short:
            yield search.cut_short
    if card.model.parity is not None:
        yield f"The ONNX file differs from what was fitted by {card.model.parity:.1g} standard deviations at most."


def _intervals(card: HeadCard) -> Iterator[Part]:
    if card.classes is not None:
        yield from card.classes.lines()
    found = card.calibration
    if found is None:
        return
    interval = card.recalibration.former_interval if card.recalibration else found.interval
    held = " that were held out of the network's training" if card.carries_network else ""
    yield (
        f"{interval.level:.0%} intervals, calibrated on {interval.calibration_rows:,} training rows{held}, hold "
        f"{found.coverage:.1%} of the test rows; mean width {found.mean_width:.3g} {card.unit}".rstrip()
        + "."
    )
    for line in calibration_lines(found, card.unit):
        yield _sentence(line)
    for line in recalibration_lines(card):
        yield f"Recalibrated: {line}."


def _sentence(line: str) -> str:
    return f"{line[0].upper()}{line[1:]}."


def _domain(card: HeadCard) -> Iterator[Part]:
    domain = card.domain
    if domain is None:
        return
    yield _sentence(ranking_text(card))
    yield "Training rows with each element: " + ", ".join(
        f"{symbol} {count:,}"
        for symbol, count in sorted(domain.element_rows.items(), key=lambda one: (-one[1], one[0]))
    )


def _curve(card: HeadCard) -> TextTable:
    columns = (Column("training rows", "right", ","), Column("MAE on the test rows", "right", ".4g", card.unit))
    return TextTable(columns, [(point.rows, point.mae) for point in card.full_curve])


def repeat_command(card: HeadCard) -> str:
    """Return the command that trains such a head again, on the same rows."""
    search, chosen = card.model.search, card.model.features
    names = chosen.everything.features if chosen else tuple(feature.feature for feature in card.features)
    features = {} if card.carries_network else {"--features": ",".join(names)}
    several = search is not None and len({candidate.model for candidate in search.candidates}) > 1
    options = {
        "--target": card.target,
        **features,
        "--where": _same_rows(card),
        "--model": AUTO if several or chosen else card.model.kind,
        "--split": card.training.split,
        "--seed": str(card.training.seed),
        "--name": card.name,
    }
    if card.kind is Kind.NUMBER:
        options["--transform"] = str(card.transform)
    options |= {f"--{name}": f"{bound:g}" for name, bound in _bounds(card) if bound is not None}
    if several and search is not None and search.budget is not None:
        options["--max-fits"] = str(search.budget.fits)
    return "matlake train " + " ".join(f"{name} {shlex.quote(value)}" for name, value in options.items())


def repeat_call(card: HeadCard) -> str:
    """Return the call that trains such a head again with an estimator, on the same rows."""
    request: dict[str, object] = {
        "target": card.target,
        "features": [feature.feature for feature in card.features],
        "where": _same_rows(card),
        "split": card.training.split,
        "seed": card.training.seed,
        "name": card.name,
        **({"transform": str(card.transform)} if card.kind is Kind.NUMBER else {}),
        **{name: bound for name, bound in _bounds(card) if bound is not None},
    }
    written = ", ".join(f"{name}={value!r}" for name, value in request.items())
    return f"matlake.train(lake, matlake.TrainRequest(model=estimator, {written}))  # estimator: {card.model.text}"


def _bounds(card: HeadCard) -> tuple[tuple[str, float | None], ...]:
    return ("minimum", card.bounds.minimum), ("maximum", card.bounds.maximum)


def _same_rows(card: HeadCard) -> str:
    return f"(dataset, material_id) IN (SELECT (s.dataset, s.material_id) FROM ({card.training.sql}) AS s)"


def _versions(card: HeadCard) -> Iterator[Part]:
    tools = ", ".join(f"{tool} {version}" for tool, version in card.provenance.tool_versions.items())
    yield f"Made on {card.provenance.created} with {tools}."
    yield f"sha256 of head.onnx: {card.sha256}; card format {card.format_version}."


def _citations(encoders: dict[str, EncoderCard | None]) -> list[Part]:
    return [f"{name}: {citation}" for name, card in encoders.items() if card is not None for citation in card.citation]
