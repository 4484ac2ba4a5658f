"""D3Net: equal to its twin in torch, and a function of nothing but its input."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsep.errors import UsageError
from rtsep.nets.d3net import D3Net, D3NetState
from rtsep.nets.d3net_layout import lay_out
from rtsep.nets.d3net_steps import (
    KINDS,
    PUBLISHED,
    WIDTH_MIN,
    D3NetStructure,
    d3net_shapes,
    steps_of,
)
from rtsep.nets.kinds import check_window
from rtsep.weights.network import Network
from tests.nets.d3net_models import (
    SMALL,
    SMALL_BINS,
    config_of,
    random_arrays,
    random_magnitudes,
)

torch = pytest.importorskip("torch")

TOLERANCE, TOLERANCE_LONG = 2e-5, 1e-4


def masks_of(net: D3Net, state: D3NetState, magnitudes: np.ndarray) -> np.ndarray:
    masks = np.full((state.frames, 2, state.bins), -7, np.float32)
    state.run(net, magnitudes, masks)
    return masks


def compare(structure: D3NetStructure, frames: int, bins: int, seed: int, tolerance: float) -> None:
    from rtsep.training.torch_d3net import TorchD3Net

    config, arrays = config_of(structure, bins), random_arrays(structure, seed)
    magnitudes = random_magnitudes(frames, bins, seed)
    masks = masks_of(D3Net(config, arrays), D3NetState(config, frames, bins), magnitudes)
    twin = TorchD3Net(config, 0.5, torch.Generator())
    twin.take(arrays, list(twin.layers))
    with torch.inference_mode():
        x = torch.from_numpy(magnitudes.transpose(2, 0, 1)[None].copy())
        logits = twin.eval().double()(x.double())[0].numpy()
    expected = 1 / (1 + np.exp(-logits.transpose(1, 0, 2)))
    assert expected.std() > 0.01
    np.testing.assert_allclose(masks, expected, rtol=0, atol=tolerance)


def branch(prefix: str, downs: int) -> st.SearchStrategy[dict]:
    blocks = 2 * downs + 1
    return st.fixed_dictionaries(
        {
            f"{prefix}_features": st.integers(1, 33),
            f"{prefix}_growth": st.tuples(*[st.integers(1, 18)] * blocks),
            f"{prefix}_layers": st.tuples(*[st.integers(1, 4)] * blocks),
            f"{prefix}_blocks": st.integers(1, 3),
        }
    )


@settings(max_examples=6, deadline=None)
@given(
    low=branch("low", 1),
    high=branch("high", 0),
    full=branch("full", 2),
    final=st.tuples(st.integers(1, 16), st.integers(1, 3)),
    low_bins=st.sampled_from([32, 40, 72]),
    frames=st.sampled_from([4, 8, 16]),
    seed=st.integers(0, 999),
)
def test_nets_of_any_width_are_their_twins(low, high, full, final, low_bins, frames, seed) -> None:
    growth, layers = final
    structure = D3NetStructure(
        low_bins=low_bins, **low, **high, **full, final_growth=growth, final_layers=layers
    )
    compare(structure, frames, 104, seed, TOLERANCE)


@pytest.mark.parametrize("stem", ["vocals", "drums", "bass"])
def test_the_published_nets_are_their_twins(stem: str) -> None:
    compare(PUBLISHED[stem], 16, 512, 0, TOLERANCE)


def test_a_window_of_128_frames_and_a_longer_one() -> None:
    compare(SMALL, 128, SMALL_BINS, 1, TOLERANCE)
    compare(SMALL, 192, SMALL_BINS, 2, TOLERANCE_LONG)


def test_a_used_state_gives_the_same() -> None:
    config, magnitudes = config_of(), random_magnitudes(8, SMALL_BINS)
    net, other = (D3Net(config, random_arrays(SMALL, seed)) for seed in (0, 1))
    state = D3NetState(config, 8, SMALL_BINS)
    before = masks_of(net, state, magnitudes)
    masks_of(other, state, 100 * magnitudes[::-1])
    np.testing.assert_array_equal(masks_of(net, state, magnitudes), before)


def test_states_at_work_at_once_do_not_meet() -> None:
    config = config_of()
    net = D3Net(config, random_arrays(SMALL, 0))
    sounds = [random_magnitudes(32, SMALL_BINS, seed) for seed in range(4)]
    states = [D3NetState(config, 32, SMALL_BINS) for _ in sounds]
    alone = [masks_of(net, states[0], sound) for sound in sounds]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            together = list(pool.map(masks_of, [net] * 4, states, sounds))
            np.testing.assert_array_equal(together, alone)


def test_nan_stays_visible_and_leaves_nothing_behind() -> None:
    config, magnitudes = config_of(), random_magnitudes(8, SMALL_BINS)
    net, state = D3Net(config, random_arrays(SMALL, 0)), D3NetState(config, 8, SMALL_BINS)
    before = masks_of(net, state, magnitudes)
    broken = magnitudes.copy()
    broken[3, 5, 1] = np.nan
    assert np.isnan(masks_of(net, state, broken)[3, :, 5]).all()
    np.testing.assert_array_equal(masks_of(net, state, magnitudes), before)


def test_zeros_around_images_stay_zeros() -> None:
    """Each row of every image has zeros before and behind it, where taps reach, whatever has run."""
    config = config_of()
    state = D3NetState(config, 8, SMALL_BINS)
    values = state.buffers.values
    values[:] = 0
    net = D3Net(config, random_arrays(SMALL, 0))
    inside = np.zeros(values.size, bool)
    for row in state.buffers.operations:
        channels, origin, frame_stride, channel_stride, rows, width = row[6:12]
        at = origin + np.arange(rows)[:, None, None] * frame_stride
        at = at + np.arange(channels)[:, None] * channel_stride + np.arange(width)
        inside[at] = True
    masks_of(net, state, random_magnitudes(8, SMALL_BINS))
    assert not values[~inside].any()
    assert values[inside].any()


def test_a_step_never_overwrites_what_it_reads() -> None:
    """Nor what a later step reads: from its writing on, an image stands until it is last read."""
    for structure, bins in ((SMALL, SMALL_BINS), (PUBLISHED["bass"], 1024)):
        layout, steps = lay_out(structure, 16, bins), steps_of(structure)
        holds: dict[int, str] = {}
        for step, row in zip(steps, layout.operations):
            assert KINDS[row[0]] == step.kind
            read = set()
            for (tensor, _), source in zip(step.sources, layout.sources[row[1] : row[2]]):
                places = {
                    int(source[0] + channel * source[2]) for channel in range(tensor.channels)
                }
                assert {holds[place] for place in places} == {tensor.name}
                read |= places
            # The bands join in one image: where the high one's rows go is in the low one's.
            first = row[7] - (row[12] if step.name == "high-out" else 0)
            written = {int(first + channel * row[9]) for channel in range(step.target.channels)}
            assert not read & written
            holds |= dict.fromkeys(written, step.target.name)


def test_size_of_the_published_nets() -> None:
    count = {
        stem: sum(int(np.prod(shape)) for shape in d3net_shapes(structure).values())
        for stem, structure in PUBLISHED.items()
    }
    assert all(1.7e6 < parameters < 2.3e6 for parameters in count.values())


def test_windows_that_the_net_does_not_take() -> None:
    config = config_of()
    for frames, bins, message in (
        (7, SMALL_BINS, "frames must be a positive multiple of 2: got frames=7"),
        (8, 129, "bins must be a positive multiple of 2: got bins=129"),
        (8, 64 + WIDTH_MIN, "bins must be at least 96: got bins=80"),
    ):
        with pytest.raises(ValueError, match=message):
            D3NetState(config, frames, bins)


def test_models_with_too_few_bins() -> None:
    with pytest.raises(UsageError, match="small has 80 bins, its nets take 96 at least"):
        check_window(config_of(SMALL, 80), 8)
    header = Network.of(config_of()).as_text()
    assert Network.from_text(header).structure == SMALL
    with pytest.raises(ValueError, match="80 bins are fewer than 96"):
        Network.from_text(header.replace(f'"bins": {SMALL_BINS}', '"bins": 80'))


def test_nets_that_do_not_fit() -> None:
    arrays = random_arrays(SMALL, 0)
    with pytest.raises(ValueError, match="f32 only: got bf16"):
        D3Net(config_of(), arrays, "bf16")
    other = config_of(replace(SMALL, low_bins=32))
    net, state = D3Net(config_of(), arrays), D3NetState(other, 8, SMALL_BINS)
    with pytest.raises(ValueError, match="another structure"):
        masks_of(net, state, random_magnitudes(8, SMALL_BINS))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"low_growth": (3, 4)}, "odd number of D3 blocks"),
        ({"low_layers": (3,)}, "as many numbers of layers: got 3 and 1"),
        ({"full_features": 0}, "channels must be 1 to 256: got 0"),
        ({"final_layers": 99}, "layers and blocks must be 1 to 10: got 99"),
        ({"low_bins": 63}, "low_bins must be a multiple of 2: got 63"),
        ({"low_bins": 16}, "low_bins must be at least 32: got 16"),
    ],
)
def test_numbers_that_make_no_structure(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **change)
