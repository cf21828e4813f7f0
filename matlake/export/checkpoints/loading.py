"""From a checkpoint or a run to a trained network, whatever the format."""

from pathlib import Path
from typing import Any, Final

from matlake.encoders.card import Target
from matlake.encoders.training_record import TrainingRecord
from matlake.errors import EncoderError, TrainingError
from matlake.export.checkpoints import cdvae, cgcnn, chgnet, matgl, open_catalyst, pyg
from matlake.export.checkpoints.loaded import Stated, Trained, known_elements
from matlake.export.checkpoints.matgl_folder import is_matgl_folder
from matlake.export.checkpoints.reading import read_checkpoint
from matlake.export.pretraining.run import graph_recipe, load_trained
from matlake.export.pretraining.run_record import RUN_FILE, RunRecord, read_run
from matlake.export.teacher.record import PREFIX
from matlake.materials.periodic_table import ELEMNET_ELEMENTS
from matlake.materials.units import unit_of
from matlake.networks.architectures import COMPOSITION_NETWORKS, EXPORTABLE, find_architecture
from matlake.networks.checkpoints import BEST_FILE

_FORMATS: Final = (
    (cdvae.recognise, cdvae.load),
    (cgcnn.recognise, cgcnn.load),
    (chgnet.recognise, chgnet.load),
    (open_catalyst.recognise, open_catalyst.load),
    (pyg.recognise, pyg.load),
)

_READABLE: Final = tuple(name for name in EXPORTABLE if name not in (*COMPOSITION_NETWORKS, matgl.MATGL))

_LISTED: Final = 8


def load_any(path: Path, architecture: str, stated: Stated) -> Trained:
    """Load the folder of a run, its ``best.pt``, or a published checkpoint.

    Raises:
        EncoderError: A published checkpoint cannot be read, or its graphs are not known.
        TrainingError: The run cannot be read, or is of another architecture.
    """
    if architecture == matgl.MATGL:
        return matgl.load(path, stated)
    if is_matgl_folder(path):
        raise EncoderError(f"{path} is in matgl's format, not a {architecture}", f"export it as {matgl.MATGL}")
    weights = path / BEST_FILE if path.is_dir() else path
    if weights.name == BEST_FILE or (weights.parent / RUN_FILE).exists() or architecture == "elemnet":
        return _of_run(weights, architecture)
    return load_published(weights, architecture, stated)


def _of_run(weights: Path, architecture: str) -> Trained:
    network, identity = load_trained(weights)
    made = find_architecture(identity["architecture"])
    if made.name != architecture:
        raise TrainingError(f"{weights} holds a network of architecture {made.name}, not {architecture}", "name that")
    record = read_run(weights.parent)
    recipe = graph_recipe(made, network, identity["graph"])
    units = [unit_of(name) for name in identity["targets"]]
    training = TrainingRecord(sizes=identity["sizes"])
    elements: tuple[str, ...] = ELEMNET_ELEMENTS if recipe is None else known_elements(network)
    if record is not None:
        elements = elements if recipe is None else record.elements
        units = [record.unit]
        training = TrainingRecord(
            table=record.account,
            columns=record.recipe,
            sizes=record.sizes,
            settings=record.settings,
            results=record.results,
            teachers=record.teachers,
            notes=_unnamed_teacher(record),
        )
    target = Target(", ".join(identity["targets"]), ", ".join(filter(None, units)))
    return Trained(made, network, recipe, elements, target, training, record=record)


def _unnamed_teacher(record: RunRecord) -> tuple[str, ...]:
    """Return a remark on labels that a teacher computed, if the table does not say which."""
    known = {name for teacher in record.teachers for name in teacher.columns}
    computed = [name for name in record.recipe.target_columns if name.startswith(PREFIX) and name not in known]
    if not computed:
        return ()
    return (f"a teacher that the table does not name computed the labels {', '.join(computed)}",)


def load_published(path: Path, architecture: str, stated: Stated | None = None) -> Trained:
    """Load trained weights; the format is known from the names in the file.

    Graph parameters belong to the network and are never guessed: what the file says counts, what it does not say must
    be stated, and a contradiction is an error.

    Raises:
        EncoderError: The file cannot be read, holds another network, lacks something that is not stated, or
            contradicts what is.
    """
    if architecture not in _READABLE:
        raise EncoderError(f"no published format holds a {architecture}", f"one of {', '.join(_READABLE)}")
    stated = stated or Stated()
    stated.check(architecture)
    content = read_checkpoint(path)
    for recognise, load in _FORMATS:
        found = recognise(content)
        if found == architecture:
            return load(content, path, stated)
        if found is not None:
            hint = f"export it as {found}" if found in _READABLE else f"one of {', '.join(_READABLE)}"
            raise EncoderError(f"{path} holds a {found}, not a {architecture}", hint)
    raise EncoderError(
        f"{path} is of no known format: it holds {_summary(content)}",
        "known are the .pth.tar of CGCNN and CHGNet, CDVAE's property networks, SchNet and DimeNet++ of PyTorch"
        " Geometric and Open Catalyst; of a pretraining run name the folder",
    )


def _summary(content: Any) -> str:
    if not isinstance(content, dict):
        return f"a {type(content).__name__}"
    names = [str(name) for name in content]
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more keys" if more > 0 else "") if names else "no keys"
