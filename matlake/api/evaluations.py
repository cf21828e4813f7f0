"""The comparisons of a lake, as ``matlake evaluate …`` makes them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from matlake.extras import require_extra
from matlake.progress import Progress, watched
from matlake.store.lake import Lake

if TYPE_CHECKING:
    from matlake.studies.extrapolation.evaluate import ExtrapolationResult
    from matlake.studies.matbench.evaluate import MatbenchResult
    from matlake.studies.report import StudyResult
    from matlake.studies.transfer.evaluate import TransferResult

Result = TypeVar("Result", bound="StudyResult")


class Evaluations:
    """Methods of predicting properties, compared with statistics; the same name resumes one that was interrupted.

    Args:
        lake: The lake, which keeps the measurements.
    """

    def __init__(self, lake: Lake) -> None:
        """Keep the lake."""
        self.lake = lake

    def extrapolation(
        self, *, output: str | Path | None = None, progress: bool | Progress = True, **request: Any
    ) -> "ExtrapolationResult":
        """Compare heads on frozen embeddings with networks trained end to end, outside their training set.

        Args:
            output: Write tables and plots to this folder.
            progress: Whether a terminal or a notebook shows the progress; or what to report to.
            request: Fields of ``ExtrapolationRequest``: ``target``, ``splits``, ``features``, ….
        """
        from matlake.studies.extrapolation.evaluate import evaluate_extrapolation
        from matlake.studies.extrapolation.methods import ExtrapolationRequest

        _check_plots(output)
        with watched(progress, "evaluating", "measurements") as reporter:
            found = evaluate_extrapolation(self.lake, ExtrapolationRequest(**request), progress=reporter)
        return _written(found, output)

    def transfer(
        self, *, output: str | Path | None = None, progress: bool | Progress = True, **request: Any
    ) -> "TransferResult":
        """Compare learning from scratch with transfer from pretrained encoders, property by property.

        Args:
            output: Write tables and plots to this folder.
            progress: Whether a terminal or a notebook shows the progress; or what to report to.
            request: Fields of ``TransferRequest``: ``targets``, ``sources``, ….
        """
        from matlake.studies.transfer.configurations import TransferRequest
        from matlake.studies.transfer.evaluate import evaluate_transfer

        _check_plots(output)
        with watched(progress, "evaluating", "measurements") as reporter:
            found = evaluate_transfer(self.lake, TransferRequest(**request), reporter)
        return _written(found, output)

    def matbench(
        self,
        task: str,
        *,
        data: str | Path,
        output: str | Path | None = None,
        progress: bool | Progress = True,
        **request: Any,
    ) -> "MatbenchResult":
        """Train and test heads on the folds of a public benchmark, beside the published results.

        Args:
            task: One of Matbench, such as ``matbench_phonons``, or a set of the Materials Project.
            data: The file with the task's rows, in its order.
            output: Write tables and plots to this folder.
            progress: Whether a terminal or a notebook shows the progress; or what to report to.
            request: More fields of ``MatbenchRequest``: ``features``, ``model``, ``splits``, ….
        """
        from matlake.studies.matbench.evaluate import evaluate_matbench
        from matlake.studies.matbench.request import MatbenchRequest

        _check_plots(output)
        with watched(progress, "evaluating", "folds") as reporter:
            found = evaluate_matbench(self.lake, MatbenchRequest(task, Path(data), **request), reporter)
        return _written(found, output)


def _check_plots(output: str | Path | None) -> None:
    if output is not None:
        require_extra("plots", "the report of a comparison")


def _written(found: Result, output: str | Path | None) -> Result:
    from matlake.studies.report import write_report

    if output is not None:
        write_report(found, Path(output))
    return found
