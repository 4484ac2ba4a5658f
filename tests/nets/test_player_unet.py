"""The player's U-Net: equal to its twin in torch, and a function of nothing but its input."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from rtsep.nets.player_unet import PlayerUNet, PlayerUNetState
from rtsep.nets.player_unet_arrays import PlayerUNetStructure, player_unet_shapes
from rtsep.nets.registry import ModelConfig, find_model
from rtsep_bench.made_up import made_up_arrays

# As many levels as the model has, so that nothing is compiled twice.
SMALL = PlayerUNetStructure((16, 32, 16, 48, 16, 32), (16, 16, 16, 32, 16))
MODEL = find_model("player-unet")
CONFIG = replace(MODEL, structure=SMALL)


def image(frames: int, bins: int, seed: int = 3) -> np.ndarray:
    return np.abs(np.random.default_rng(seed).standard_normal((frames, bins, 2), np.float32))


def run(config: ModelConfig, net: PlayerUNet, magnitudes: np.ndarray) -> np.ndarray:
    frames, bins, _ = magnitudes.shape
    masks = np.full((frames, 2, bins), -7, np.float32)
    PlayerUNetState(config, frames, bins).run(net, magnitudes, masks)
    return masks


@pytest.mark.parametrize(
    ("config", "frames", "bins", "tolerance"),
    [
        (CONFIG, 64, 192, 2e-5),
        (CONFIG, 128, 64, 2e-5),
        (replace(CONFIG, encoder_activation="elu", output="softmax"), 64, 64, 1e-4),
        (MODEL, 192, 128, 1e-4),
        pytest.param(MODEL, 64, 1024, 2e-5, marks=pytest.mark.slow),
        pytest.param(MODEL, 192, 1024, 1e-4, marks=pytest.mark.slow),
    ],
)
def test_masks_are_those_of_the_twin(
    config: ModelConfig, frames: int, bins: int, tolerance: float
) -> None:
    torch = pytest.importorskip("torch", reason="pip install 'rtsep[train]'")
    from rtsep_bench.net_torch import torch_net

    arrays, magnitudes = made_up_arrays(4, config), image(frames, bins)
    expected = torch_net(config, arrays, torch.float64).masks(magnitudes)
    masks = run(config, PlayerUNet(config, arrays), magnitudes)
    np.testing.assert_allclose(masks, expected, rtol=0, atol=tolerance)
    assert expected.std() > 0.1


def test_states_at_work_at_once_do_not_meet() -> None:
    """Two nets on shared constants: equal to one after another, in states that were used before."""
    nets = [PlayerUNet(CONFIG, made_up_arrays(seed, CONFIG)) for seed in (1, 2)]
    jobs = [(nets[i % 2], image(64, 128, seed=i % 3)) for i in range(12)]
    alone = [run(CONFIG, net, magnitudes) for net, magnitudes in jobs]
    states = [PlayerUNetState(CONFIG, 64, 128) for _ in jobs]
    together = [np.zeros((64, 2, 128), np.float32) for _ in jobs]

    def work(index: int) -> None:
        net, magnitudes = jobs[index]
        # Other sound in between leaves nothing behind.
        states[index].run(net, 100 * magnitudes[::-1], together[index])
        states[index].run(net, magnitudes, together[index])

    with ThreadPoolExecutor(len(jobs)) as pool:
        list(pool.map(work, range(len(jobs))))
    np.testing.assert_array_equal(together, alone)
    assert not np.array_equal(alone[0], alone[1])


def test_a_nan_is_seen() -> None:
    magnitudes = image(64, 64)
    magnitudes[10, 10] = np.nan
    masks = run(CONFIG, PlayerUNet(CONFIG, made_up_arrays(0, CONFIG)), magnitudes)
    assert np.isnan(masks[10, :, 10]).all()


@pytest.mark.parametrize(("frames", "bins"), [(96, 64), (64, 0), (64, 100)])
def test_windows_off_the_grid_are_refused(frames: int, bins: int) -> None:
    with pytest.raises(ValueError, match="must be a positive multiple of 64: got "):
        PlayerUNetState(CONFIG, frames, bins)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"reduced": (16,)}, "one reduced width fewer"),
        ({"widths": (16, 20), "reduced": (16,)}, "multiples of 16.*got 20"),
        ({"inputs": 3}, "inputs must be even"),
        ({"outputs": 0}, "outputs must be positive"),
    ],
)
def test_structures_that_do_not_fit_together(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PlayerUNetStructure(**fields)


def test_the_shapes_follow_from_the_structure() -> None:
    shapes = player_unet_shapes(SMALL)
    assert shapes["conv2/kernel"] == (5, 5, 16, 32) and shapes["skip2/kernel"] == (1, 1, 32, 16)
    # From the lowest level without a skip, from the next one with it.
    assert shapes["up1/kernel"] == (5, 5, 16, 32) and shapes["up2/kernel"] == (5, 5, 32, 32)
    assert shapes["up6/kernel"] == (5, 5, 2, 32) and "up6/scale" not in shapes
