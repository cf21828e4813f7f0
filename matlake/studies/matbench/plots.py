"""The plot of an evaluation on a task: predictions of the public folds against true values."""

from collections.abc import Sequence

import numpy as np

from matlake.materials.units import quantity_of
from matlake.plots.parity import parity_plot as draw_parity
from matlake.studies.matbench.folds import PUBLIC
from matlake.studies.matbench.task_rows import TaskRows
from matlake.studies.measurement import Measurement


def parity_plot(rows: TaskRows, measurements: Sequence[Measurement]) -> dict[str, bytes]:
    """Draw the predictions of the public folds, or else of the first kind measured, against true values.

    Returns:
        ``matbench_parity``; nothing where nothing was measured, and of a class.
    """
    measured = [one for one in measurements if one.is_measured]
    kind = PUBLIC if any(one.split == PUBLIC for one in measured) else next((one.split for one in measured), PUBLIC)
    shown = [one for one in measured if one.split == kind]
    if not shown or rows.task.yes_no:
        return {}
    places = {name: place for place, name in enumerate(rows.material_id.tolist())}
    y = rows.y[[places[name] for one in shown for name in one.material_ids]]
    predicted = np.concatenate([np.array(one.predictions) for one in shown])
    return draw_parity("matbench_parity", y, predicted, quantity=quantity_of(rows.target), unit=rows.task.unit)
