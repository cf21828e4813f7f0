"""The flat layout of a head's card: that of files of formats 1 and 2, and of ``heads show --json``."""

from dataclasses import asdict
from typing import Any, Final

from matlake.documents import from_document
from matlake.metrics import CLASS_METRICS
from matlake.regress.features.feature import Feature
from matlake.regress.heads.card import HeadCard
from matlake.regress.heads.verdict import comparisons_of, verdict_document
from matlake.regress.targets.kinds import Kind

_CHECKED: Final = ("coverage", "mean_width", "below", "above", "error_correlation", "warned", "far_coverage")


def flat_document(card: HeadCard) -> dict[str, Any]:
    """Return everything that a card says, on one level; metrics appear under ``evaluation``, too."""
    evaluation, calibration, domain = asdict(card.evaluation), card.calibration, card.domain
    document = {
        "name": card.name,
        "target": card.target,
        "unit": card.unit,
        "features": [_feature_document(feature) for feature in card.features],
        "training_sql": card.training.sql,
        "training_tables": [asdict(one) for one in card.training.tables],
        "split": card.training.split,
        "split_description": card.training.split_description,
        "seed": card.training.seed,
        "n_train": card.evaluation.n_train,
        "n_test": card.evaluation.n_test,
        "n_dropped": card.training.n_dropped,
        "model": card.model.kind,
        **({"estimator": card.model.estimator} if card.model.estimator else {}),
        "parameters": card.model.parameters,
        "feature_choice": asdict(card.model.features) if card.model.features else None,
        "cross_validation": card.model.search.document() if card.model.search else {},
        "parity": card.model.parity,
        "metrics": evaluation["metrics"],
        "baseline": evaluation["baseline"],
        "fractions_baseline": asdict(card.fractions_baseline),
        "baselines": [found.document() for found in comparisons_of(card)],
        "verdict": verdict_document(card),
        "recalibration": asdict(card.recalibration) if card.recalibration else None,
        "bounds": asdict(card.bounds) if card.bounds else None,
        "transform": card.transform,
        "kind": card.kind,
        "classes": asdict(card.classes) if card.classes else None,
        "scale": asdict(card.scale) if card.scale else None,
        "weighting": card.weighting,
        "evaluation": evaluation | (asdict(card.fine_tuning) if card.fine_tuning else {}),
        "random_evaluation": asdict(card.random_evaluation) if card.random_evaluation else None,
        "learning_curve": [asdict(point) for point in card.full_curve],
        "interval": asdict(calibration.interval) if calibration else None,
        "interval_check": _named(calibration, *_CHECKED),
        "expected_error": asdict(calibration.errors) if calibration and calibration.errors else None,
        "coverage_by_group": [asdict(group) for group in calibration.worst_groups] if calibration else [],
        "ood_check": _named(domain, "rank_correlation", "beyond", "width_correlation"),
        "element_rows": domain.element_rows if domain else {},
        "block_rows": domain.block_rows if domain else {},
        "column_ranges": domain.column_ranges if domain else {},
        "reference_sha256": domain.reference_sha256 if domain else "",
        "reference_rows": domain.reference_rows if domain else 0,
        "tool_versions": card.provenance.tool_versions,
        "created": card.provenance.created,
        "sha256": card.sha256,
        "format_version": card.format_version,
    }
    return document if card.kind is Kind.YES_NO else _without_class_metrics(document)


def _feature_document(feature: Feature) -> dict[str, Any]:
    document = asdict(feature)
    later = ("column", "carried_by")
    return {key: value for key, value in document.items() if value or key not in later}


def _without_class_metrics(value: Any) -> Any:
    """Return a document on numbers without what only probabilities have."""
    if isinstance(value, dict):
        return {key: _without_class_metrics(each) for key, each in value.items() if key not in CLASS_METRICS}
    return [_without_class_metrics(each) for each in value] if isinstance(value, list) else value


def _named(part: object, *names: str) -> dict[str, Any]:
    return {name: getattr(part, name) for name in names} if part else {}


def read_flat(fields: dict[str, Any]) -> HeadCard:
    """Return the card of a file of format 1 or 2.

    Raises:
        KeyError: A field is missing.
        TypeError: A field has the wrong type.
    """
    search, evaluation = fields["cross_validation"], fields.get("evaluation", {})
    interval = fields.get("interval")
    nested = {key: fields[key] for key in ("name", "target", "unit", "features", "sha256", "format_version")} | {
        "training": {
            "sql": fields["training_sql"],
            "split": fields["split"],
            "split_description": fields.get("split_description", ""),
            "n_dropped": fields.get("n_dropped", 0),
            "seed": fields["seed"],
        },
        "model": {
            "kind": fields["model"],
            "parameters": fields["parameters"],
            "search": _search(search) if search else None,
            "parity": fields.get("parity"),
        },
        "evaluation": {
            "n_train": fields["n_train"],
            "n_test": fields["n_test"],
            "metrics": _metrics(fields["metrics"]),
            "intervals": evaluation.get("intervals", {}),
            "baseline": _metrics(fields["baseline"]),
            "nearest_baseline": evaluation.get("nearest_baseline"),
        },
        "fractions_baseline": _metrics(fields["fractions_baseline"]),
        "random_evaluation": fields.get("random_evaluation"),
        "learning_curve": fields.get("learning_curve", [])[:-1],  # the last point is the head itself
        "fine_tuning": {key: evaluation[key] for key in ("before", "forgetting")} if "before" in evaluation else None,
        "calibration": {"interval": interval, **fields["interval_check"]} if interval else None,
        "domain": {
            **fields["ood_check"],
            **{key: fields[key] for key in ("element_rows", "reference_sha256", "reference_rows")},
            "block_rows": fields.get("block_rows", {}),
        }
        if interval
        else None,
        "provenance": {"created": fields["created"], "tool_versions": fields["tool_versions"]},
    }
    return from_document(HeadCard, nested)


def _metrics(found: dict[str, Any]) -> dict[str, Any]:
    return {"q95": None, "spearman": None} | found  # format 1 lacks the two


def _search(found: dict[str, Any]) -> dict[str, Any]:
    """Leave out the errors that the best candidate holds; in format 1 all candidates completed all folds."""
    candidates = [{"folds": found["folds"]} | candidate for candidate in found["candidates"]]
    return {key: value for key, value in found.items() if key not in ("mae", "mae_std", "cut_short")} | {
        "candidates": candidates
    }
