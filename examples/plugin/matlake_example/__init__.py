"""Plug-ins of matlake, one of each kind. What entry points name is light to import: nothing is read or computed."""

from pathlib import Path
from typing import Final

MEAN_MASS: Final = Path(__file__).with_name("mean_mass")
"""Folder of an encoder: ``card.json`` and ``encoder.onnx``, which ``make_encoder.py`` writes."""
