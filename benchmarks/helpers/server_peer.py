"""What one would write instead of ``matlake serve``: FastAPI, pymatgen, PyTorch eager, a pickled scikit-learn model.

    python -m benchmarks.helpers.server_peer FOLDER KIND PORT

The network runs for each request when it comes, in FastAPI's threads. ``FOLDER`` holds what ``server.py`` prepared.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import joblib
import numpy as np
import onnx
import torch
import uvicorn
from fastapi import FastAPI
from onnx import numpy_helper
from pydantic import BaseModel
from pymatgen.core.composition import Composition
from pymatgen.core.structure import Structure

from benchmarks.helpers.common import ROOT
from matlake.encoders.card import MODEL_FILE
from matlake.encoders.encoder import open_crystal_encoder
from matlake.encoders.registry import find_encoder
from matlake.materials.periodic_table import ELEMNET_ELEMENTS
from matlake.networks.elemnet import ElemNet

WEIGHTS: Final = ROOT / "runs" / "cgcnn-mp" / "best.pt"


class Request(BaseModel):
    """What is asked."""

    formulas: list[str] = []
    structures: list[str] = []


def elemnet_features(encoder: str, layers: int) -> Callable[[Request], Any]:
    """Return what turns formulas into the activations of a layer of ElemNet."""
    network = ElemNet()
    model = onnx.load(find_encoder(encoder).folder / MODEL_FILE)
    weights = {i.name.removesuffix(".float16"): numpy_helper.to_array(i) for i in model.graph.initializer}
    state = {name: torch.from_numpy(weights[name].astype(np.float32)) for name in network.state_dict()}
    network.load_state_dict(state)
    network.eval()
    places = {symbol: place for place, symbol in enumerate(ELEMNET_ELEMENTS)}

    @torch.no_grad()
    def features(request: Request) -> Any:
        fractions = np.zeros((len(request.formulas), len(ELEMNET_ELEMENTS)), dtype=np.float32)
        for row, formula in enumerate(request.formulas):
            for element, fraction in Composition(formula).fractional_composition.items():
                fractions[row, places[element.symbol]] = fraction
        x = torch.from_numpy(fractions)
        for layer in network.hidden[:layers]:
            x = torch.relu(layer(x))
        return x.numpy()

    return features


def cgcnn_features(encoder: str) -> Callable[[Request], Any]:
    """Return what turns structures into CGCNN's pooled atoms, with the original's network."""
    from benchmarks.helpers.peers import load_peer, pymatgen_neighbours

    recipe = open_crystal_encoder(find_encoder(encoder).folder).recipe
    peer = load_peer("cgcnn", WEIGHTS, recipe)
    network: Any = peer.network

    @torch.no_grad()
    def features(request: Request) -> Any:
        structures = [Structure.from_str(text, fmt="poscar") for text in request.structures]
        data = [peer.data(pymatgen_neighbours(structure, recipe)) for structure in structures]
        (arguments,) = peer.batches(data, len(data))
        atoms, bonds, table, members = arguments
        x = network.embedding(atoms)
        for convolution in network.convs:
            x = convolution(x, bonds, table)
        return network.pooling(x, members).numpy()

    return features


def main(folder: Path, kind: str, port: int) -> None:
    """Serve."""
    options: dict[str, Any] = joblib.load(folder / f"{kind}.joblib")
    if options["input"] == "formulas":
        features = elemnet_features(options["encoder"], options["layers"])
    else:
        features = cgcnn_features(options["encoder"])
    regressor = options["regressor"]
    app = FastAPI()

    @app.post("/v1/predict")
    def predict(request: Request) -> dict[str, Any]:
        values = regressor.predict(features(request))
        names = request.formulas or request.structures
        return {"predictions": [{"input": n, "value": v} for n, v in zip(names, values.tolist(), strict=True)]}

    uvicorn.run(app, port=port, log_level="warning")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
