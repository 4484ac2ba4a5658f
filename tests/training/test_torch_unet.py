"""The torch net is the engine's, in both directions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtsep.nets.arrays import check_stem, stem_shapes
from rtsep.nets.registry import find_model
from rtsep.nets.unet import LAYERS, UNet, UNetState
from tests.weights.made_up_weights import made_up_arrays

torch = pytest.importorskip("torch", reason="pip install 'rtsep[train]'")

from rtsep.training.torch_nets import Nets  # noqa: E402
from rtsep.training.torch_unet import TorchUNet  # noqa: E402

MODELS = ("spleeter:2stems", "spleeter:4stems")


def net_of(arrays: dict[str, np.ndarray], model: str = MODELS[0]) -> TorchUNet:
    net = TorchUNet(find_model(model), 0.5, torch.Generator().manual_seed(1))
    net.take(arrays, LAYERS)
    return net.eval()


def torch_masks(net: TorchUNet, magnitudes: np.ndarray) -> np.ndarray:
    """(frames, bins, 2) to (frames, 2, bins)."""
    x = torch.from_numpy(np.ascontiguousarray(magnitudes.transpose(2, 0, 1)))[None]
    x = x.to(net.layers["mask"].weight.dtype)
    with torch.inference_mode():
        return net(x).sigmoid()[0].numpy().transpose(1, 0, 2)


def engine_masks(
    arrays: dict[str, np.ndarray], magnitudes: np.ndarray, model: str = MODELS[0]
) -> np.ndarray:
    frames, bins, _ = magnitudes.shape
    masks = np.zeros((frames, 2, bins), np.float32)
    UNetState(frames, bins).run(UNet(find_model(model), arrays), magnitudes, masks)
    return masks


def image(frames: int, bins: int, seed: int = 3) -> np.ndarray:
    return np.abs(np.random.default_rng(seed).standard_normal((frames, bins, 2), np.float32))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("frames", "bins", "tolerance"),
    [
        (64, 128, 2e-5),
        pytest.param(64, 1024, 2e-5, marks=pytest.mark.slow),
        pytest.param(128, 1024, 2e-5, marks=pytest.mark.slow),
        pytest.param(512, 1024, 1e-4, marks=pytest.mark.slow),
    ],
)
def test_masks_are_the_engines(model: str, frames: int, bins: int, tolerance: float) -> None:
    arrays, magnitudes = made_up_arrays(4), image(frames, bins)
    found = torch_masks(net_of(arrays, model), magnitudes)
    wanted = engine_masks(arrays, magnitudes, model)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)
    assert wanted.std() > 0.1


def test_arrays_that_were_taken_come_back() -> None:
    arrays = made_up_arrays(5)
    found = net_of(arrays).arrays()
    check_stem(found, "the net")
    assert list(found) == list(stem_shapes())
    for name, array in arrays.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("model", MODELS)
def test_batch_norm_is_folded_as_it_stands_after_training(model: str) -> None:
    net = TorchUNet(find_model(model), 0.5, torch.Generator().manual_seed(2))
    random = torch.Generator().manual_seed(3)
    for norm in net.norms.values():
        norm.running_mean.copy_(torch.randn(norm.num_features, generator=random) * 0.2)
        norm.running_var.copy_(torch.rand(norm.num_features, generator=random) + 0.5)
    magnitudes = image(64, 128)
    found = torch_masks(net.eval(), magnitudes)
    np.testing.assert_allclose(
        found, engine_masks(net.arrays(), magnitudes, model), rtol=0, atol=2e-5
    )


def test_the_first_weights_are_those_of_spleeters_training() -> None:
    """He's uniform distribution; transposed kernels count their outputs, as Keras does."""
    net = TorchUNet(find_model(MODELS[0]), 0.5, torch.Generator().manual_seed(4))
    for name, inputs in (("conv1", 2), ("conv4", 64), ("up1", 256), ("up5", 16)):
        limit = (6 / (25 * inputs)) ** 0.5
        weight = net.layers[name].weight
        assert weight.abs().max() <= limit and weight.abs().max() > 0.95 * limit
        assert abs(weight.mean().item()) < 0.05 * limit
        assert not net.layers[name].bias.any()
    assert all(norm.eps == 1e-3 for norm in net.norms.values())


def test_only_training_drops() -> None:
    net = net_of(made_up_arrays(6))
    x = torch.from_numpy(image(64, 64)).permute(2, 0, 1)[None]
    assert torch.equal(net(x), net(x))
    net.train()
    assert not torch.equal(net(x), net(x))
    # The batch norm of what was taken over stays: without dropout nothing is left that differs.
    net._dropout = 0.0
    assert torch.allclose(net(x), net.eval()(x), atol=1e-5)


def test_layers_that_were_not_taken_are_normalised_by_their_batch() -> None:
    net = TorchUNet(find_model(MODELS[0]), 0.0, torch.Generator().manual_seed(7))
    net.take(made_up_arrays(7), ("conv1", "conv2"))
    net.train()
    assert not net.norms["conv1"].training and net.norms["conv3"].training
    net(torch.from_numpy(image(64, 64)).permute(2, 0, 1)[None])
    assert net.norms["conv3"].running_mean.any() and not net.norms["conv2"].running_mean.any()


def test_a_softmax_shares_every_bin() -> None:
    config = replace(find_model("spleeter:5stems"), stems=("a", "b"))
    masks = Nets(config, 0.0, 1)(torch.rand(1, 2, 64, 64))
    assert masks.shape == (1, 2, 2, 64, 64)
    assert torch.allclose(masks.sum(1), torch.ones(1, 2, 64, 64), atol=1e-6)


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize(("frames", "tolerance"), [(64, 2e-5), (128, 2e-5), (512, 1e-4)])
def test_with_trained_weights_too(frames: int, tolerance: float) -> None:
    """Spleeter's own, on synthetic music; and how near the engine is to the net in float64."""
    from rtsep.weights import library as weights
    from rtsep_bench.sound import music_magnitudes

    config = find_model("spleeter:2stems")
    magnitudes = music_magnitudes(frames, 1024)
    for arrays in weights.load(config).values():
        exact = torch_masks(net_of(arrays).double(), magnitudes)
        found, wanted = torch_masks(net_of(arrays), magnitudes), engine_masks(arrays, magnitudes)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)
        np.testing.assert_allclose(wanted, exact, rtol=0, atol=4e-5)
