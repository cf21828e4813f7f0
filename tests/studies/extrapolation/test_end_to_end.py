"""Networks trained end to end: where they begin, that they can be stopped, and what they are refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from samples import CRYSTAL_ENCODER, ELASTIC

from matlake.encoders.encoder import open_crystal_encoder, open_encoder
from matlake.encoders.registry import RegisteredEncoder, find_encoder
from matlake.errors import EncoderError, TrainingError
from matlake.materials.crystal import CrystalColumns
from matlake.materials.structure_files.sniff import parse_structure

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
from matlake.networks.end_to_end import short_config  # noqa: E402 - after the skip
from matlake.studies.extrapolation.end_to_end import EndToEnd, Shared, end_to_end_networks  # noqa: E402
from matlake.studies.extrapolation.methods import FINE_TUNE, SCRATCH  # noqa: E402

ENERGY = "formation_energy_eV_per_atom"
FIT, STOP, TEST = np.arange(40), np.arange(40, 50), np.arange(50, 64)


@pytest.fixture(scope="module")
def crystals() -> CrystalColumns:
    return CrystalColumns.of([parse_structure(text) for text in pq.read_table(ELASTIC)["poscar"].to_pylist()[:64]])


@pytest.fixture(scope="module")
def y(crystals: CrystalColumns) -> np.ndarray:
    return pq.read_table(ELASTIC)["bulk_modulus_VRH_GPa"].to_numpy()[: len(crystals)]


def _tiny(way: EndToEnd) -> EndToEnd:
    """Return a way with a network of eight numbers an atom."""
    sizes = {**way.card.training.sizes, "atom_width": 8, "convolutions": 2, "hidden_width": 8}
    graph = replace(way.recipe, blocks=2)
    card = replace(
        way.card,
        training=replace(way.card.training, sizes=sizes),
        input_parameters=replace(way.card.input_parameters, graph=graph),
    )
    return replace(way, card=card)


def _scratch(epochs: int = 4) -> EndToEnd:
    (way,) = end_to_end_networks([find_encoder(CRYSTAL_ENCODER)], ENERGY, starts=(SCRATCH,), epochs=epochs)
    return _tiny(way)


@pytest.fixture
def run(crystals: CrystalColumns, y: np.ndarray, tmp_path: Path) -> Callable[..., Any]:
    def fit(way: EndToEnd, folder: str = "run", seed: int = 0, values: Any = None, **more: Any) -> Any:
        about = {"seed": seed, "folder": tmp_path / folder} | more
        both = np.concatenate([STOP, TEST])
        found = way.fit_predict(crystals, y if values is None else values, FIT, STOP, both, **about)
        stopped, predicted = np.split(found.predicted, [len(STOP)])
        return SimpleNamespace(stopped=stopped, predicted=predicted, settings=found.settings)

    return fit


def test_a_training_from_scratch_learns(run: Callable[..., Any], y: np.ndarray) -> None:
    found = run(_scratch(epochs=30))
    assert found.predicted.shape == (14,)
    fitted = np.abs(y[STOP] - y[FIT].mean()).mean()
    assert np.abs(found.stopped - y[STOP]).mean() < 0.95 * fitted
    assert found.settings["epochs_run"] <= 30
    assert found.settings["batch_size"] == 32


def test_seeds_decide_and_equal_seeds_repeat(run: Callable[..., Any]) -> None:
    first, again, other = (run(_scratch(), str(number), seed) for number, seed in enumerate((0, 0, 1)))
    np.testing.assert_array_equal(first.predicted, again.predicted)
    assert np.abs(first.predicted - other.predicted).max() > 1e-3


def test_a_training_that_was_stopped_ends_as_one_that_was_not(run: Callable[..., Any]) -> None:
    whole = run(_scratch(), "whole")
    epochs: list[int] = []

    def stop() -> None:
        epochs.append(len(epochs))
        if len(epochs) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run(_scratch(), "stopped", check=stop)
    resumed = run(_scratch(), "stopped", check=lambda: epochs.append(len(epochs)))
    assert len(epochs) == 4
    np.testing.assert_array_equal(resumed.predicted, whole.predicted)
    np.testing.assert_array_equal(resumed.stopped, whole.stopped)


@pytest.mark.parametrize("architecture", ["cgcnn", "schnet", "dimenet++"])
def test_fine_tuning_on_the_encoders_own_property_begins_where_the_encoder_is(
    architecture: str, crystals: CrystalColumns, run: Callable[..., Any], small_schnet: RegisteredEncoder
) -> None:
    registered = small_schnet if architecture == "schnet" else find_encoder(f"{architecture}-mp-formation-energy")
    encoder = open_encoder(registered.folder)
    energies = encoder.encode(crystals, "prediction")[:, 0].astype(np.float64)
    (way,) = end_to_end_networks([registered], ENERGY, starts=(FINE_TUNE,), epochs=1)
    assert way.keep_output
    still = replace(way, config=replace(way.config, learning_rate=1e-9))
    found = run(still, architecture, values=energies)
    assert np.abs(found.stopped - energies[STOP]).mean() < 0.02 * energies.std()
    assert np.abs(found.predicted - energies[TEST]).mean() < 0.02 * energies.std()


def test_fine_tuning_on_another_property_draws_the_output_anew(run: Callable[..., Any], y: np.ndarray) -> None:
    (way,) = end_to_end_networks([find_encoder(CRYSTAL_ENCODER)], "bulk_modulus_VRH_GPa", starts=(FINE_TUNE,), epochs=1)
    assert not way.keep_output
    assert way.name == f"fine-tune:{CRYSTAL_ENCODER}"
    found = run(way)
    assert np.abs(found.predicted - y[TEST]).mean() < 3 * y.std()


def test_ways_that_differ_have_identities_that_do(crystals: CrystalColumns, small_schnet: RegisteredEncoder) -> None:
    registered = [find_encoder(CRYSTAL_ENCODER), small_schnet]
    ways = end_to_end_networks(registered, ENERGY) + end_to_end_networks(registered[:1], ENERGY, epochs=5)
    assert [way.name for way in ways[:2]] == ["scratch:cgcnn", f"fine-tune:{CRYSTAL_ENCODER}"]
    assert [way.encoder for way in ways[:2]] == [None, CRYSTAL_ENCODER]
    assert len({repr(way.identity()) for way in ways}) == len(ways)
    shared = Shared()
    recipe = open_crystal_encoder(registered[0].folder).recipe
    assert shared.graphs(recipe, crystals) is shared.graphs(recipe, crystals)


def test_no_batch_holds_a_single_crystal() -> None:
    way = _scratch()
    for rows in range(2, 200):
        assert rows % short_config(way.config, rows, 0).batch_size != 1
    assert short_config(way.config, 100_000, 0).epochs == 4
    assert short_config(replace(way.config, epochs=60), 100_000, 0).epochs == 10


def test_what_cannot_be_trained_is_refused(crystals: CrystalColumns, y: np.ndarray) -> None:
    with pytest.raises(EncoderError, match="it takes compositions"):
        end_to_end_networks([find_encoder("magpie")], ENERGY)
    heavy = replace(crystals, numbers=np.where(crystals.numbers == crystals.numbers[0], 96, crystals.numbers))
    with pytest.raises(TrainingError, match="beyond Z = 94: 96"):
        _scratch().fit_predict(heavy, y, FIT, STOP, TEST, seed=0, folder=Path("nowhere"))
