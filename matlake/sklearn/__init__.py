"""Estimators and splits for scikit-learn: ``Embedder``, ``HeadRegressor``, ``Split``.

``import matlake`` makes the name known and imports nothing; scikit-learn is imported when it is first used.
"""

from matlake.extras import require_extra

require_extra("heads", "matlake.sklearn", "sklearn")

from matlake.sklearn.embedder import Embedder  # noqa: E402 - what it needs is there from here on
from matlake.sklearn.head_regressor import HeadRegressor  # noqa: E402
from matlake.sklearn.split import Split  # noqa: E402

__all__ = ["Embedder", "HeadRegressor", "Split"]
