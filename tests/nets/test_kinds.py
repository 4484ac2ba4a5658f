"""The kinds of network: what they say of windows, nets and precisions, and that they are whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtsep.errors import UsageError
from rtsep.nets.kinds import KINDS, check_window, kind_of, nets_of
from rtsep.nets.precision import VARIABLE, find_precision
from rtsep.nets.registry import MODELS, UNPUBLISHED, find_model
from rtsep.nets.sliding import SlidingWindow
from rtsep_bench.made_up import made_up_stems

PLAYER = find_model("player-unet")


@pytest.mark.parametrize("name", UNPUBLISHED)
def test_every_kind_runs_on_its_own_window(name: str) -> None:
    """By the entries of kinds.py alone: shapes, a net, a state, its window; whole and sliding."""
    config = MODELS[name]
    kind = kind_of(config)
    check_window(config, kind.frames)
    nets = nets_of(config)
    assert tuple(stem for net in nets for stem in net) == config.net_stems
    arrays = next(iter(made_up_stems(config).values()))
    net = kind.net(config, arrays, "f32")
    axes = (len(config.net_stems),) if kind.together else ()
    shape = *axes, kind.frames, 2, config.bins
    masks, live_masks = np.full(shape, -7, np.float32), np.full(shape, -7, np.float32)
    random = np.random.default_rng(1)
    frames = np.abs(random.standard_normal((kind.frames, config.bins, 2), np.float32))
    kind.state(config, kind.frames, "f32").run(net, frames, masks)
    assert masks.min() >= 0 and masks.max() <= 1 and masks.std() > 0.01
    window = SlidingWindow(kind.frames, config.bins, 4, 180, 184)
    live = kind.live_state(config, window, "f32")
    assert live.run(net, frames, np.ones(kind.frames, np.float32), 0, live_masks) == 0
    np.testing.assert_array_equal(live_masks[..., 180:184, :, :], masks[..., 180:184, :, :])
    assert live.nbytes > 0 and live.phases >= 1


def test_a_whole_window_gathers_what_the_plan_says() -> None:
    """Gains, frames before the stream, the ring's end, and frames extrapolated behind the newest."""
    from rtsep.nets.whole_window import gather

    random = np.random.default_rng(2)
    ring = random.standard_normal((9, 3, 2)).astype(np.float32)
    gains = random.uniform(0.5, 2, 9).astype(np.float32)
    window = np.full((8, 3, 2), -7, np.float32)
    gather(ring, gains, -2, 3, 0, window)
    seen = ring[:3] * gains[:3, np.newaxis, np.newaxis]
    np.testing.assert_array_equal(window[:2], 0)
    np.testing.assert_array_equal(window[2:5], seen)
    # Half held, half mirrored; what lies before the stream is mirrored, too.
    np.testing.assert_allclose(window[5:], (seen[2] + seen[::-1]) / 2, rtol=1e-6)
    gather(ring, gains, 5, 0, 0, window)
    rows = np.arange(5, 13) % 9
    expected = ring[rows] * gains[rows, np.newaxis, np.newaxis]
    np.testing.assert_array_equal(window, expected)
    for shift, seen_bins, filled in ((1, slice(1, 3), slice(0, 2)), (-1, slice(0, 2), slice(1, 3))):
        gather(ring, gains, 5, 0, shift, window)
        np.testing.assert_array_equal(window[:, filled], expected[:, seen_bins])
        np.testing.assert_array_equal(np.delete(window, filled, axis=1), 0)


@pytest.mark.parametrize("frames", [64, 128, 192, 512])
def test_windows_that_the_nets_take(frames: int) -> None:
    check_window(PLAYER, frames)
    check_window(find_model("spleeter:2stems"), frames)


def test_windows_that_they_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="player-unet take windows of multiples of 64 frames, not"):
        check_window(PLAYER, 96)
    with pytest.raises(UsageError, match="has 1000 bins, its nets take multiples of 64"):
        check_window(replace(PLAYER, bins=1000), 64)
    only = replace(KINDS["player-unet"], only_frames=(192,))
    monkeypatch.setitem(KINDS, "player-unet", only)
    with pytest.raises(UsageError, match="windows of 192 frames, not of 64"):
        check_window(PLAYER, 64)


@pytest.mark.parametrize("paced", [True, False])
def test_nets_of_one_precision(paced: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    for asked in (None, "auto", "f32"):
        assert find_precision(asked, paced=paced, config=PLAYER).precision == "f32"
    with pytest.raises(
        UsageError, match="precision bf16: the nets of player-unet are computed in f32"
    ):
        find_precision("bf16", paced=paced, config=PLAYER)
    monkeypatch.setenv(VARIABLE, "weights16")
    with pytest.raises(UsageError, match="RTSEP_PRECISION weights16: the nets of player-unet"):
        find_precision(None, paced=paced, config=PLAYER)
