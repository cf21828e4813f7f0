"""The datasets, heads and encoders of a lake, listed and asked for by name as ``matlake datasets …`` does."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import pyarrow as pa

from matlake.api.head import Head
from matlake.api.training_encoders import Encoders as TrainingEncoders
from matlake.reports import TableReport
