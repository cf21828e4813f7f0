"""Training: read, split, choose, fit, measure beside the baselines, save."""

import importlib.metadata
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np

from matlake.encoders.session import onnx_runtime
from matlake.errors import TrainingError
from matlake.materials.units import unit_of
from matlake.regress.features import resolve_features
from matlake.regress.head import HeadCard, check_name, save_head
from matlake.regress.matrix import Matrix, read_matrix
from matlake.regress.metrics import Metrics, mean_baseline, measure
from matlake.regress.models import MODELS, fit_model
from matlake.regress.onnx_head import check_parity, convert, run_graph
from matlake.regress.result import HeldRows, TrainResult
from matlake.regress.selection import choose, silent
from matlake.regress.splits import Rows, split_rows
from matlake.store.lake import Lake

_PARITY_ROWS: Final = 500
_TOOLS: Final = ("matlake", "scikit-learn", "skl2onnx", "onnx", "numpy")


@dataclass(frozen=True)
class TrainRequest:
    """What to train.

    Attributes:
        target: Numeric property column.
        features: ``NAME`` or ``NAME@LAYER``, each embedded in the lake.
        model: A model of ``models.MODELS`` or ``auto``.
        dataset: Only this dataset.
        where: Only rows of ``materials`` that this SQL predicate selects.
        split: A method of ``splits.SPLITS``.
        name: Name of the head; by default the target and the model.
        seed: Decides split, folds and what models draw.
    """

    target: str
    features: list[str]
    model: str = "auto"
    dataset: str | None = None
    where: str | None = None
    split: str = "random"
    name: str | None = None
    seed: int = 0


def train(lake: Lake, request: TrainRequest, note: Callable[[str], None] = silent) -> TrainResult:
    """Train a head, measure it on rows it has not seen, and save it.

    The head is fitted to the training rows only, so that its metrics are those of the very file that is saved.

    Args:
        lake: The lake, with the features embedded.
        request: What to train.
        note: Told what is being done.

    Raises:
        TrainingError: The data do not allow it; see ``read_matrix``, ``split_rows`` and ``find_model``.
        EncoderError: No such encoder or layer.
        QueryError: ``where`` is no predicate over ``materials``.
        HeadError: The name is not one, or the model does not survive the conversion to ONNX.
        MissingExtraError: ONNX Runtime is not installed.
    """
    name = request.name or f"{request.target}-{request.model}"
    check_name(name)
    onnx_runtime()
    features = resolve_features(lake, request.features)
    note("reading features and target")
    matrix = read_matrix(lake, request.target, features, dataset=request.dataset, where=request.where)
    train_rows, test_rows = split_rows(request.split, matrix.groups, matrix.y, request.seed)
    y_train = matrix.y[train_rows]
    if y_train.min() == y_train.max():
        raise TrainingError(
            f"{request.target} is {y_train[0]:g} in all {len(y_train):,} training rows",
            "select more rows, or try another --seed",
        )
    choice = choose(request.model, matrix.x[train_rows], y_train, matrix.groups[train_rows], request.seed, note)
    best = choice.best
    note(f"fitting {best.model} to {len(train_rows):,} rows")
    fitted = fit_model(MODELS[best.model], best.parameters, matrix.x[train_rows], y_train, request.seed)
    content = convert(fitted, matrix.x.shape[1])
    checked = np.concatenate([test_rows[:_PARITY_ROWS], train_rows[:_PARITY_ROWS]])
    parity = check_parity(content, fitted, matrix.x[checked])
    predicted = run_graph(content, matrix.x[test_rows])
    y_test = matrix.y[test_rows]
    metrics, baseline = measure(y_test, predicted), mean_baseline(y_train, y_test)
    note(f"fitting {best.model} to element fractions for comparison")
    fractions_baseline = _fractions_baseline(best.model, matrix, train_rows, test_rows, request.seed)
    card = save_head(
        lake.path,
        HeadCard(
            name=name,
            target=request.target,
            unit=unit_of(request.target),
            features=features,
            training_sql=matrix.sql,
            split=request.split,
            model=best.model,
            parameters=best.parameters,
            seed=request.seed,
            n_train=len(train_rows),
            n_test=len(test_rows),
            metrics=asdict(metrics),
            baseline=asdict(baseline),
            fractions_baseline=asdict(fractions_baseline),
            cross_validation=choice.document(),
            parity=parity,
            tool_versions={tool: importlib.metadata.version(tool) for tool in _TOOLS},
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        ),
        content,
    )
    held = HeldRows(matrix.material_id[test_rows], matrix.formula[test_rows], y_test, predicted)
    return TrainResult(card, metrics, baseline, fractions_baseline, matrix.missing, held)


def _fractions_baseline(model: str, matrix: Matrix, train_rows: Rows, test_rows: Rows, seed: int) -> Metrics:
    """Choose parameters for, fit and measure the same kind of model on element fractions."""
    x, y = matrix.fractions[train_rows], matrix.y[train_rows]
    best = choose(model, x, y, matrix.groups[train_rows], seed).best
    fitted = fit_model(MODELS[best.model], best.parameters, x, y, seed)
    return measure(matrix.y[test_rows], fitted.predict(matrix.fractions[test_rows]))
