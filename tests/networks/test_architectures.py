"""The catalogue of architectures: complete, and light."""

import subprocess
import sys

import pytest

from matlake.networks.architectures import ARCHITECTURES, COMPOSITION_NETWORKS, EXPORTABLE, GRAPH_NETWORKS, TRAINABLE

ALL_INPUTS = {"numbers", "lengths", "length_index", "pool"}


def test_it_lists_networks_without_importing_torch() -> None:
    code = "import sys, matlake.networks.architectures; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert (*COMPOSITION_NETWORKS, *GRAPH_NETWORKS) == TRAINABLE
    assert set(TRAINABLE) <= set(ARCHITECTURES)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_code_of_each_architecture_is_found(name: str) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    architecture = ARCHITECTURES[name]
    network = architecture.network(**architecture.sizes)
    if architecture.kind:
        assert set(architecture.inputs) >= ALL_INPUTS
        assert callable(architecture.batch)
    if architecture.published_as:
        assert architecture.published_as in EXPORTABLE
        assert name not in TRAINABLE
        return
    assert callable(network.predict)
    if name in GRAPH_NETWORKS:
        assert callable(architecture.unfold)
        recipe = architecture.recipe(network, architecture.sizes["cutoff"], architecture.max_neighbours)
        assert (recipe.kind, recipe.blocks > 0) == (architecture.kind, True)
