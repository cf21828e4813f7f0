import numpy as np
import pytest
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.regress.onnx.convert import check_parity, convert, run_graph
from matlake.regress.regressors import MODELS, fit_model
from matlake.regress.targets.bounds import Bounds
from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.targets.transforms import Transform

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]


@pytest.mark.parametrize("transform", Transform)
def test_the_inverse_gives_back_the_property(transform: Transform) -> None:
    values = np.array([1e-6, 0.5, 1.0, 300.0, 1e7])
    assert np.allclose(transform.inverse(transform.forward(values)), values, rtol=1e-12)


def test_no_fitted_value_is_beyond_the_range_of_a_transform() -> None:
    far = np.array([-1e6, 1e6])
    assert np.isfinite(Transform.LOG.inverse(far)).all()
    assert Transform.SQRT.inverse(far).tolist() == [0.0, 1e12]


@pytest.mark.parametrize("transform", Transform)
def test_a_head_computes_the_inverse_in_its_graph(transform: Transform, vectors: Vectors) -> None:
    x, y = vectors[0], vectors[1] + 0.1
    space = TargetSpace(transform, Bounds(0.2, 2.5, "given with the training"))
    fitted = fit_model(MODELS["ridge"], {"alpha": 1.0}, x[:200], y[:200], 0, space)
    content = convert(fitted, x.shape[1])
    assert check_parity(content, fitted, x) < 1e-9
    values = run_graph(content, x)
    assert (values.min(), values.max()) == (0.2, 2.5)
    assert np.allclose(values, fitted.predict(x), rtol=1e-9)


def test_a_model_that_takes_no_weights_refuses_them(vectors: Vectors) -> None:
    x, y = vectors
    with pytest.raises(TrainingError, match="knn takes no weights"):
        fit_model(MODELS["knn"], {"n_neighbors": 3}, x, y, 0, weights=np.ones(len(y)))
