"""The player's transformer: equal to its twin in torch, and a function of nothing but its input."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtsep.errors import UsageError
from rtsep.nets.kinds import check_window
from rtsep.nets.player_transformer import PlayerTransformer, PlayerTransformerState
from rtsep.nets.player_transformer_arrays import (
    BASS,
    STEMS,
    PlayerTransformerStructure,
    bins_below,
)
from rtsep.nets.player_transformer_packing import positions
from rtsep.nets.registry import ModelConfig, find_model
from rtsep_bench.made_up import made_up_arrays

# U-Nets of as many levels as the model has, so that nothing is compiled twice.
SMALL = PlayerTransformerStructure(
    channels=32,
    heads=2,
    layers=3,
    cross_after=1,
    bass_channels=12,
    bass_heads=2,
    bass_layers=1,
    bass_bins=5,
    widening=2,
    unet_widths=(16, 16, 32, 16),
    unet_reduced=(16, 16, 16),
    other_widths=(16, 32, 16, 16),
    other_reduced=(16, 16, 16),
)
MODEL = find_model("player-transformer")
CONFIG = replace(MODEL, structure=SMALL, bins=64)


def image(frames: int, bins: int, seed: int = 3) -> np.ndarray:
    return np.abs(np.random.default_rng(seed).standard_normal((frames, bins, 2), np.float32))


def run(config: ModelConfig, net: PlayerTransformer, magnitudes: np.ndarray) -> np.ndarray:
    frames, bins, _ = magnitudes.shape
    masks = np.full((len(STEMS), frames, 2, bins), -7, np.float32)
    PlayerTransformerState(config, frames, bins).run(net, magnitudes, masks)
    return masks


def check_against_twin(config: ModelConfig, frames: int, seed: int) -> None:
    import torch

    from rtsep_bench.net_torch import torch_net

    arrays, magnitudes = made_up_arrays(seed, config), image(frames, config.bins, seed)
    expected = torch_net(config, arrays, torch.float64).masks(magnitudes)
    masks = run(config, PlayerTransformer(config, arrays), magnitudes)
    tolerance = 2e-5 if frames <= 128 else 1e-4
    np.testing.assert_allclose(masks, expected, rtol=0, atol=tolerance)
    assert (expected.std((1, 2, 3)) > 0.02).all()


@pytest.mark.parametrize(
    ("config", "frames"),
    [
        (CONFIG, 64),
        (CONFIG, 192),
        (replace(MODEL, bins=128), 128),
        pytest.param(MODEL, 128, marks=pytest.mark.slow),
        pytest.param(MODEL, 192, marks=pytest.mark.slow),
    ],
)
def test_masks_are_those_of_the_twin(config: ModelConfig, frames: int) -> None:
    pytest.importorskip("torch", reason="pip install 'rtsep[train]'")
    check_against_twin(config, frames, 4)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    head=st.integers(1, 12),
    heads=st.integers(1, 3),
    bass_head=st.integers(1, 9),
    bass_heads=st.integers(1, 3),
    layers=st.integers(1, 3),
    widening=st.integers(1, 4),
    bass_bins=st.integers(1, 40),
    tiles=st.tuples(st.integers(1, 12), st.integers(3, 6)),
    data=st.data(),
)
def test_structures_of_any_size(
    head: int,
    heads: int,
    bass_head: int,
    bass_heads: int,
    layers: int,
    widening: int,
    bass_bins: int,
    tiles: tuple[int, int],
    data: st.DataObject,
) -> None:
    pytest.importorskip("torch", reason="pip install 'rtsep[train]'")
    structure = replace(
        SMALL,
        channels=2 * head * heads,
        heads=heads,
        layers=layers,
        cross_after=data.draw(st.integers(0, layers)),
        bass_channels=2 * bass_head * bass_heads,
        bass_heads=bass_heads,
        bass_layers=data.draw(st.integers(1, 2)),
        bass_bins=bass_bins,
        widening=widening,
    )
    frames, bins = 16 * tiles[0], 16 * tiles[1]
    check_against_twin(replace(CONFIG, structure=structure, bins=bins), frames, head)


def test_states_at_work_at_once_do_not_meet() -> None:
    """Two nets on shared constants: equal to one after another, in states that were used before."""
    nets = [PlayerTransformer(CONFIG, made_up_arrays(seed, CONFIG)) for seed in (1, 2)]
    jobs = [(nets[i % 2], image(64, 64, seed=i % 3)) for i in range(12)]
    alone = [run(CONFIG, net, magnitudes) for net, magnitudes in jobs]
    states = [PlayerTransformerState(CONFIG, 64, 64) for _ in jobs]
    together = [np.zeros((4, 64, 2, 64), np.float32) for _ in jobs]

    def work(index: int) -> None:
        net, magnitudes = jobs[index]
        # Other sound in between leaves nothing behind.
        states[index].run(net, 100 * magnitudes[::-1], together[index])
        states[index].run(net, magnitudes, together[index])

    with ThreadPoolExecutor(len(jobs)) as pool:
        list(pool.map(work, range(len(jobs))))
    np.testing.assert_array_equal(together, alone)
    assert not np.array_equal(alone[0], alone[1])


def test_drums_change_vocals_and_all_change_other() -> None:
    """The cross-attention looks both ways; bass looks at nobody."""
    arrays, magnitudes = made_up_arrays(5, CONFIG), image(32, 64)
    before = run(CONFIG, PlayerTransformer(CONFIG, arrays), magnitudes)

    def changed(name: str) -> list[bool]:
        moved = arrays | {name: arrays[name] + np.float32(0.3)}
        masks = run(CONFIG, PlayerTransformer(CONFIG, moved), magnitudes)
        return [not np.array_equal(one, other) for one, other in zip(masks, before)]

    assert changed("drums/layer1/attend/out/bias") == [True, True, False, True]
    assert changed("vocals/layer1/attend/out/bias") == [True, True, False, True]
    # Behind the cross-attention nothing comes over any more.
    assert changed("drums/layer3/attend/out/bias") == [False, True, False, True]
    assert changed("bass/layer1/attend/out/bias") == [False, False, True, True]
    assert changed("other/unet/up4/bias") == [False, False, False, True]


def test_bass_is_silent_above_its_bins() -> None:
    masks = run(CONFIG, PlayerTransformer(CONFIG, made_up_arrays(6, CONFIG)), image(32, 64))
    bass = masks[STEMS.index(BASS)]
    assert (bass[:, :, 5:] == 0.0).all() and (bass[:, :, :5] > 0.0).all()
    assert bins_below(500) == MODEL.structure.bass_bins == 47
    # A bin that stands at the frequency itself is not below it.
    assert bins_below(441) == 41 and bins_below(44_100 / 4096) == 1


def test_a_nan_is_seen() -> None:
    magnitudes = image(32, 64)
    magnitudes[10, 3] = np.nan
    masks = run(CONFIG, PlayerTransformer(CONFIG, made_up_arrays(0, CONFIG)), magnitudes)
    # Every frame looked at this one, and at every bin of it.
    assert np.isnan(masks[:3, :, :, :5]).all() and np.isnan(masks[3]).any()


def test_positions_tell_all_frames_apart() -> None:
    found = positions(96)
    apart = np.linalg.norm(found[:, np.newaxis] - found[np.newaxis], axis=2)
    assert (apart[~np.eye(len(found), dtype=bool)] > 1.0).all()


@pytest.mark.parametrize(("frames", "bins"), [(208, 64), (24, 64), (64, 48), (0, 64)])
def test_windows_that_it_cannot_take_are_refused(frames: int, bins: int) -> None:
    with pytest.raises(ValueError, match="^(frames|bins) must be"):
        PlayerTransformerState(CONFIG, frames, bins)


@pytest.mark.parametrize(
    ("config", "frames", "message"),
    [
        (CONFIG, 208, "take windows of multiples of 16 up to 192 frames, not of 208"),
        (CONFIG, 24, "take windows of multiples of 16 up to 192 frames, not of 24"),
        (replace(CONFIG, bins=72), 64, "has 72 bins, its nets take multiples of 16"),
        (replace(CONFIG, stems=("vocals", "drums")), 64, "computes vocals, drums, bass, other"),
        (replace(CONFIG, output="softmax"), 64, "each with a sigmoid: player-transformer has"),
    ],
)
def test_models_that_it_cannot_be_are_refused_in_words(
    config: ModelConfig, frames: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check_window(config, frames)


def test_more_bins_of_bass_than_there_are_are_refused() -> None:
    config = replace(CONFIG, structure=replace(SMALL, bass_bins=65))
    with pytest.raises(ValueError, match="bass_bins must be at most bins, 64: got 65"):
        PlayerTransformerState(config, 64, 64)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"heads": 3}, "even number for each of the heads.*got 32 and 3"),
        ({"heads": 0}, "got 32 and 0"),
        ({"bass_channels": 14}, "each of the bass_heads.*got 14 and 2"),
        ({"layers": 0}, "layers must be at least 1: got 0"),
        ({"cross_after": 4}, "cross_after must be 0 to layers, 3: got 4"),
        ({"bass_bins": 0}, "bass_bins must be at least 1"),
        ({"unet_widths": (16, 20)}, "one reduced width fewer"),
    ],
)
def test_structures_that_are_none_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **fields)
