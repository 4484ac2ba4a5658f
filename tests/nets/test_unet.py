"""The U-Net: equal to PyTorch's (golden data), and a function of nothing but its input."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from rtsep.nets.registry import find_model
from rtsep.nets.unet import LAYERS, LEVELS, UNet, UNetState
from tests.golden.generate_unet import GOLDEN, SEEDS, weights_sha256
from tests.weights.made_up_weights import made_up_arrays

TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def nets() -> dict[str, UNet]:
    return {model: UNet(find_model(model), made_up_arrays(seed)) for model, seed in SEEDS.items()}


@pytest.fixture(scope="module")
def magnitudes() -> np.ndarray:
    with np.load(GOLDEN) as golden:
        return golden["magnitudes"]


def run(state: UNetState, net: UNet, magnitudes: np.ndarray) -> np.ndarray:
    masks = np.full((state.frames, 2, state.bins), -7, np.float32)
    state.run(net, magnitudes, masks)
    return masks


@pytest.mark.parametrize("model", SEEDS)
def test_masks_are_those_of_pytorch(model: str, nets, magnitudes) -> None:
    with np.load(GOLDEN) as golden:
        expected, sha256 = golden[model], str(golden[f"weights_sha256/{model}"])
    assert weights_sha256(made_up_arrays(SEEDS[model])) == sha256, (
        "NumPy draws other random numbers than it did: run python -m tests.golden.generate_unet"
    )
    masks = run(UNetState(*magnitudes.shape[:2]), nets[model], magnitudes)
    np.testing.assert_allclose(masks, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("model", SEEDS)
def test_a_used_state_gives_the_same(model: str, nets, magnitudes) -> None:
    state = UNetState(*magnitudes.shape[:2])
    before = run(state, nets[model], magnitudes)
    # Another net and other sound in between leave nothing behind.
    run(state, nets["spleeter:4stems"], 100 * magnitudes[::-1])
    np.testing.assert_array_equal(run(state, nets[model], magnitudes), before)


def test_states_at_work_at_once_do_not_meet(nets, magnitudes) -> None:
    """Two nets and one net twice, all on shared constants: equal to one after another."""
    jobs = [
        ("spleeter:2stems", magnitudes),
        ("spleeter:2stems", magnitudes[::-1]),
        ("spleeter:4stems", magnitudes),
    ] * 4
    alone = [run(UNetState(64, 128), nets[model], image) for model, image in jobs]
    states = [UNetState(64, 128) for _ in jobs]
    with ThreadPoolExecutor(len(jobs)) as pool:
        together = list(pool.map(lambda i: run(states[i], nets[jobs[i][0]], jobs[i][1]), range(12)))
    np.testing.assert_array_equal(together, alone)


def rows_for(state: UNetState, first: int, stop: int) -> np.ndarray:
    """The rows of every layer that the masks of frames first..stop-1 need, worked out backwards.

    Encoder layers stay whole: the deepest ones see every frame of a window this short anyway.
    """
    rows = state.all_rows.copy()
    rows[LAYERS.index("mask")] = first, stop
    # The mask's four taps lie 3 and 1 rows before and 1 and 3 behind.
    first, stop = max(first - 3, 0), min(stop + 3, state.frames)
    for step in range(LEVELS, 0, -1):
        rows[LAYERS.index(f"up{step}")] = first, stop
        # Output row r of an upconvolution reads the rows around r / 2.
        rows_in = state.frames >> (LEVELS + 1 - step)
        first, stop = max((first >> 1) - 1, 0), min(((stop - 1) >> 1) + 2, rows_in)
    return rows


@pytest.mark.parametrize("model", SEEDS)
@pytest.mark.parametrize(("first", "stop"), [(0, 1), (5, 8), (30, 47), (120, 128), (127, 128)])
def test_a_few_rows_are_those_of_the_whole_run(model: str, first: int, stop: int, nets) -> None:
    random = np.random.default_rng(first)
    image = np.abs(random.standard_normal((128, 64, 2), np.float32))
    whole = run(UNetState(128, 64), nets[model], image)
    state = UNetState(128, 64)
    rows = rows_for(state, first, stop)
    assert (np.diff(rows[-3:], axis=1) < np.diff(state.all_rows[-3:], axis=1)).all()
    state.take_in(image)
    part = np.full_like(whole, -7)
    state.forward(nets[model], part, rows)
    np.testing.assert_array_equal(part[first:stop], whole[first:stop])
    # The other masks are not touched: the rows really were left out.
    assert (part[:first] == -7).all() and (part[stop:] == -7).all()


@pytest.mark.parametrize("model", SEEDS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_not_hidden(model: str, value: float, nets, magnitudes) -> None:
    """One bad bin is in sight of the whole image, and turns all of it into NaN."""
    spoilt = magnitudes.copy()
    spoilt[30, 60, 1] = value
    state = UNetState(64, 128)
    assert np.isnan(run(state, nets[model], spoilt)).all()
    # And the next window is clean again.
    assert np.isfinite(run(state, nets[model], magnitudes)).all()


@pytest.mark.parametrize(
    ("frames", "bins"), [(100, 128), (0, 128), (-64, 128), (64, 1000), (64, 0)]
)
def test_images_off_the_grid_are_refused(frames: int, bins: int) -> None:
    wrong, value = ("frames", frames) if frames != 64 else ("bins", bins)
    expected = f"^{wrong} must be a positive multiple of 64: got {wrong}={value}$"
    with pytest.raises(ValueError, match=expected):
        UNetState(frames, bins)
