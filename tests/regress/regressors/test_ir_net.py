from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from matlake.encoders.session import audit
from matlake.errors import HeadError, TrainingError
from matlake.regress.onnx.convert import check_parity, convert
from matlake.regress.regressors import MODELS, fit_model
from matlake.regress.regressors.ir_net import IR_NET_17_KIND, IR_NET_KIND, IrNet, ir_net_model, parse_widths, start_of

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from matlake.networks.training_loop import descend  # noqa: E402 - needs torch
from matlake.regress.regressors import ir_net_training  # noqa: E402
from matlake.regress.regressors.ir_net_torch import TorchNetwork, from_arrays  # noqa: E402
from matlake.regress.regressors.training_settings import TrainingSettings  # noqa: E402

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]

KINDS = (IR_NET_KIND, IR_NET_17_KIND)
SMALL = {"ir-net": (64, 32), "ir-net-17": (64, 64, 32, 32)}


def small(kind: IrNet, **settings: float) -> tuple[object, dict[str, object]]:
    model = ir_net_model(kind, SMALL[kind.name])
    return model, {**model.grid(128)[0], "epochs": 8, **settings}


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> IrNet:
    found = request.param
    assert isinstance(found, IrNet)
    return found


def test_an_ir_net_beats_the_mean_and_survives_the_conversion(kind: IrNet, vectors: Vectors) -> None:
    x, y = vectors
    model, parameters = small(kind, epochs=15, dropout=0.1)
    fitted = fit_model(model, parameters, x[:240], y[:240], seed=0)
    error = np.abs(fitted.predict(x[240:]) - y[240:]).mean()
    assert error < 0.85 * np.abs(y[:240].mean() - y[240:]).mean()
    content = convert(fitted, x.shape[1])
    assert check_parity(content, fitted, x) <= 1e-5
    audit(content, Path("head.onnx"), HeadError)
    operators = {node.op_type for node in onnx.load_model_from_string(content).graph.node}
    assert {"Gemm", "Relu", "Add"} <= operators
    assert ("LayerNormalization" in operators) == (kind is IR_NET_KIND)
    assert "BatchNormalization" not in operators


def test_one_seed_gives_one_head_and_leaves_the_random_numbers_of_others_alone(kind: IrNet, vectors: Vectors) -> None:
    x, y = vectors
    model, parameters = small(kind, epochs=3)
    before = torch.random.get_rng_state()
    first, again, other = (convert(fit_model(model, parameters, x, y, seed), x.shape[1]) for seed in (1, 1, 2))
    assert first == again != other
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_networks_have_the_widths_of_the_papers() -> None:
    for name, widths in (
        ("ir-net", [2048, 1024, 512]),
        ("ir-net-17", [*[1024] * 4, *[512] * 3, *[256] * 3, *[128] * 3, *[64] * 2, 32]),
    ):
        assert MODELS[name].grid(145)[0]["widths"] == widths
    deep = start_of(IR_NET_17_KIND, MODELS["ir-net-17"].grid(145)[0], 145, 0).arrays()
    assert len(deep.blocks) + 1 == 17
    changes = [block.dense[0].shape[0] != block.dense[0].shape[1] for block in deep.blocks]
    assert [block.shortcut is not None for block in deep.blocks] == changes
    wide = ir_net_model(IR_NET_KIND, (96, 48)).grid(145)[0]
    layered = start_of(IR_NET_KIND, wide, 145, 0).arrays()
    assert [block.dense[0].shape for block in layered.blocks] == [(145, 96), (96, 48)]
    assert all(block.shortcut is not None and block.norm is not None for block in layered.blocks)


def test_plain_arrays_predict_what_torch_does_and_go_back_to_it(kind: IrNet, vectors: Vectors) -> None:
    """Batch normalisation is folded, with statistics that are not those of the start."""
    x = torch.from_numpy(vectors[0])
    model, parameters = small(kind)
    network = start_of(kind, parameters, 128, 0)
    network.train()
    for _ in range(5):
        network(x)
    network.eval()
    arrays = network.arrays()
    with torch.no_grad():
        expected = network(x).numpy()
        assert arrays.predict(vectors[0]) == pytest.approx(expected, abs=1e-4)
        assert from_arrays(arrays, 0.5).eval()(x).numpy() == pytest.approx(expected, abs=1e-4)
    assert model.slow
    assert len(arrays.predict(vectors[0][:0])) == 0


@pytest.mark.parametrize("enough", [True, False])
def test_the_best_epoch_is_kept_where_enough_rows_choose_it(
    enough: bool, vectors: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ir_net_training, "CHOOSING_ROWS", 67 if enough else 68)
    x, y = (vectors[0] - vectors[0].mean(axis=0)) / (vectors[0].std(axis=0) + 1e-6), vectors[1] / vectors[1].std()
    _, parameters = small(IR_NET_KIND)
    settings = TrainingSettings(learning_rate=0.03, epochs=12, steps=500, patience=4)
    judge = (x[240:], y[240:])
    start = start_of(IR_NET_KIND, parameters, 128, 0)
    trained = ir_net_training.train_ir_net(start, (x[:240], y[:240]), judge, settings, seed=0)
    history = trained.best.history
    assert history is not None
    judged = [epoch.val_mae for epoch in history.epochs]
    assert history.best == int(np.argmin(judged)) + 1
    assert np.abs(trained.best.predict(judge[0]) - judge[1]).mean() == pytest.approx(min(judged), rel=1e-5)
    assert np.abs(trained.last.predict(judge[0]) - judge[1]).mean() == pytest.approx(judged[-1], rel=1e-5)
    assert (trained.kept is trained.best) == enough
    assert len(judged) == (min(12, history.best + settings.patience) if enough else 12)
    assert trained.last.history == replace(history, best=len(judged))
    assert history.weights is None


def test_a_small_network_is_trained_on_one_thread_and_so_the_same_on_every_machine(
    kind: IrNet, vectors: Vectors
) -> None:
    model, parameters = small(kind, epochs=3)
    before, heads = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            heads.append(convert(fit_model(model, parameters, *vectors, seed=0), 128))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert heads[0] == heads[1]


@pytest.mark.parametrize("rows", [2, 3, 33])
def test_constant_features_and_few_rows_give_numbers(kind: IrNet, vectors: Vectors, rows: int) -> None:
    x, y = vectors[0][:rows].copy(), vectors[1][:rows]
    x[:, :40] = 3.0
    model, parameters = small(kind, epochs=2)
    fitted = fit_model(model, parameters, x, y, seed=0)
    assert np.isfinite(fitted.predict(vectors[0])).all()
    content = convert(fitted, x.shape[1])
    assert check_parity(content, fitted, x) <= 1e-4


def test_a_step_with_a_gradient_that_is_no_number_is_left_out() -> None:
    network = start_of(IR_NET_KIND, {"widths": [4], "dropout": 0.0}, 3, 0)
    before = network.arrays()
    optimizer = torch.optim.Adam(network.parameters())
    lost = torch.full((5, 3), torch.nan)
    loss = torch.nn.functional.smooth_l1_loss(network(lost), torch.zeros(5))
    assert torch.isnan(descend(list(network.parameters()), loss, optimizer, 0.1))
    assert np.array_equal(network.arrays().output[0], before.output[0])
    assert isinstance(network, TorchNetwork)


def test_widths_are_read_or_refused() -> None:
    assert parse_widths("512-256-128") == (512, 256, 128)
    for text in ("", "512,256", "0", "512-", "-3", "9999999", "wide"):
        with pytest.raises(TrainingError, match="not valid widths"):
            parse_widths(text)
