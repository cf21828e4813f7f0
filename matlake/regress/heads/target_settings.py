"""What a training decides about one target: its scale, its bounds, and how much each row counts."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from matlake.errors import Hint, TrainingError
from matlake.metrics import measure
from matlake.regress.features.matrix import Matrix
from matlake.regress.features.row_counts import normalised
from matlake.regress.heads.request import AUTO_TRANSFORM, TrainRequest
from matlake.regress.heads.train_result import HeldOutRows
from matlake.regress.heads.transform_search import check_transform, choose_transform
from matlake.regress.heads.uncertain_labels import weights_of_uncertainty
from matlake.regress.regressors import Blocks
from matlake.regress.splits import HeldOut
from matlake.regress.targets.bounds import find_bounds
from matlake.regress.targets.expressions import Scale, Target
from matlake.regress.targets.kinds import Kind, check_classes
from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.targets.transform_choice import ScaleRecord, TransformChoice
from matlake.regress.targets.transforms import Transform


@dataclass(frozen=True)
class TargetSettings:
    """What is decided about a target before anything is fitted.

    Attributes:
        space: Its scale and its bounds.
        choice: The errors that decided the scale; None where the user did, or there was nothing to decide.
    """

    space: TargetSpace
    choice: TransformChoice | None

    def record(self, target: Target, test: HeldOutRows) -> ScaleRecord | None:
        """Return what the card says of the scale, with the errors on it; None where there is nothing to say."""
        transform = self.space.transform
        scale = target.scale if target.scale and target.scale.transform is transform else Scale.named(transform)
        if scale is None:
            return ScaleRecord(choice=self.choice) if self.choice else None
        has_values = (transform.allows(test.y) & transform.allows(test.predicted)).all()
        errors = measure(scale.of(test.y), scale.of(test.predicted)) if has_values else None
        return ScaleRecord(scale.value, errors, self.choice)


def settle_target(
    request: TrainRequest, target: Target, matrix: Matrix, held_out: HeldOut, blocks: Blocks
) -> TargetSettings:
    """Decide about a target.

    Raises:
        TrainingError: The labels break the bounds or have no value on the scale, or hold too few of a class.
    """
    labelled = matrix.labelled(held_out.train)
    if matrix.kind is Kind.YES_NO:
        return TargetSettings(_yes_no(request, target, labelled.y, held_out.description), None)
    bounds = find_bounds(target.name, labelled.y, request.minimum, request.maximum, is_column=target.is_column)
    transform, choice = Transform.NONE, None
    if target.scale is not None:
        transform = target.scale.transform
    elif request.transform != AUTO_TRANSFORM:
        transform = Transform(request.transform)
        check_transform(matrix.y, transform, target.name)
    elif matrix.y.min() > 0.0:
        choice = choose_transform(labelled, blocks, request.seed)
        transform = choice.chosen if choice else Transform.NONE
    return TargetSettings(TargetSpace(transform, bounds), choice)


def check_scale(request: TrainRequest, target: Target) -> None:
    """Raise TrainingError if a transform is asked of a target that has one already."""
    if target.scale is not None and request.transform not in (AUTO_TRANSFORM, target.scale.transform):
        raise TrainingError(
            f"the target {target.scale}({target.name}) has a scale already, and the transform {request.transform} is "
            "asked for",
            Hint(
                f"give the target {target.name} with transform={request.transform!r}",
                cli=f"give --target '{target.name}' --transform {request.transform}",
            ),
        )


def weighted(matrix: Matrix, held_out: HeldOut, space: TargetSpace, blocks: Blocks, seed: int) -> Matrix:
    """Return the rows with weights of mean 1 over the training rows, where weights or uncertainties are given.

    Raises:
        TrainingError: The weights of all training rows are zero.
    """
    weights = matrix.weights
    if matrix.uncertainty is not None:
        weights = weights_of_uncertainty(matrix.uncertainty, matrix, held_out, space, blocks, seed)
    if weights is None:
        return matrix
    if not weights[held_out.train].any():
        raise TrainingError("the weight is zero in all training rows", "give some of them a weight")
    return replace(matrix, weights=normalised(weights, held_out.train))


def _yes_no(request: TrainRequest, target: Target, labels: NDArray[np.float64], split: str) -> TargetSpace:
    if request.minimum is not None or request.maximum is not None:
        raise TrainingError(f"{target.name} is yes or no: it has no minimum and no maximum", "leave them out")
    if target.scale or request.transform not in (AUTO_TRANSFORM, Transform.NONE):
        raise TrainingError(
            f"{target.name} is yes or no: it has no {target.scale or request.transform}", "leave it out"
        )
    if request.uncertainty is not None:
        raise TrainingError(
            f"{target.name} is yes or no: it has no standard uncertainty",
            Hint("give weights", cli="give --weights"),
        )
    check_classes(labels, target.name, f"training rows (the split {split})")
    return TargetSpace(kind=Kind.YES_NO)
