"""What public functions return fits a screen, at a prompt and in a notebook."""

import ast
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pyarrow as pa
import pytest
from sample_crystals import rock_salt
from samples import ENCODER

import matlake
from matlake.encoders.encoder import open_encoder
from matlake.regress.heads.train_result import TrainResult
from matlake.reports import Report, TableReport
from matlake.text_tables import Column, Line, TextTable

FEATURE = f"{ENCODER}@13"
LINES, WIDTH = 24, 120
