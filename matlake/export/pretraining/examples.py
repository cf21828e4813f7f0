"""Rows of training data in the form that the training loop takes."""

from matlake.errors import TrainingError
from matlake.export.pretraining.training_data import Rows
from matlake.materials.crystal import CrystalColumns
from matlake.materials.graph_recipe import GraphRecipe
from matlake.networks.architectures import Architecture
from matlake.networks.examples import TRAINING_RESOLUTION_A, Examples, FractionExamples, GraphExamples


def make_examples(rows: Rows, architecture: Architecture, recipe: GraphRecipe | None) -> Examples:
    """Return rows as examples of a network.

    Args:
        rows: Compositions or crystals with targets.
        architecture: What the network is.
        recipe: How crystals become graphs; None for compositions.

    Raises:
        TrainingError: The rows are not what the network takes.
    """
    if isinstance(rows.materials, CrystalColumns) != (recipe is not None):
        raise TrainingError(f"{architecture.name} takes {architecture.input} input", "name another architecture")
    if recipe is None:
        return FractionExamples(rows.materials, rows.targets)  # type: ignore[arg-type]
    graphs = recipe.build(rows.materials, resolution=TRAINING_RESOLUTION_A)  # type: ignore[arg-type]
    return GraphExamples(graphs, rows.targets, architecture.batch)
