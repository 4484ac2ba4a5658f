"""The layers of the benchmark are those of the net, and its operation counts those of the kernels."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep.nets.registry import find_model
from rtsep.nets.unet import LAYERS, UNet, UNetState
from rtsep_bench import fma_peak
from rtsep_bench.exact import reference_masks
from rtsep_bench.fast_layers import executed_flop, layer_input, layer_output, only
from rtsep_bench.layers import GeneralLayer, unet_layers
from tests.golden.generate_unet import GOLDEN, SEEDS
from tests.weights.made_up_weights import made_up_arrays

MODEL = "spleeter:4stems"
CONFIG = find_model(MODEL)
FRAMES, BINS = 64, 128


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return made_up_arrays(SEEDS[MODEL])


@pytest.fixture
def ran(arrays):
    """A net that has run: net, state, masks."""
    net, state = UNet(CONFIG, arrays), UNetState(FRAMES, BINS)
    masks = np.zeros((FRAMES, 2, BINS), np.float32)
    with np.load(GOLDEN) as golden:
        state.run(net, golden["magnitudes"], masks)
    return net, state, masks


@pytest.mark.parametrize("model", SEEDS)
def test_the_reference_net_is_that_of_pytorch(model: str) -> None:
    with np.load(GOLDEN) as golden:
        magnitudes, expected = golden["magnitudes"], golden[model]
    masks = reference_masks(find_model(model), made_up_arrays(SEEDS[model]), magnitudes)
    np.testing.assert_allclose(masks, expected, rtol=0, atol=1e-6)


def test_the_general_way_gives_what_the_fast_one_gave(arrays, ran) -> None:
    _, state, masks = ran
    layers = unet_layers(CONFIG, arrays, FRAMES, BINS)
    assert tuple(layer.name for layer in layers) == LAYERS
    for layer in layers:
        general = GeneralLayer(layer, layer_input(state, layer.name).copy()).run()
        fast = layer_output(state, masks, layer.name)
        np.testing.assert_allclose(general, fast, rtol=0, atol=1e-5 * np.abs(fast).max())
        assert np.abs(fast).max() > 0.1


@pytest.mark.parametrize("name", LAYERS)
def test_only_one_layer_is_computed(name: str, ran) -> None:
    net, state, masks = ran
    outputs = {layer: layer_output(state, masks, layer) for layer in LAYERS}
    before = {layer: output.copy() for layer, output in outputs.items()}
    for output in outputs.values():
        output[:] = -7
    # Its input (with the skip connection that stands beside an upconvolution's) has to be there.
    at = LAYERS.index(name)
    for layer in LAYERS[:at]:
        outputs[layer][:] = before[layer]
    if name.startswith("up"):
        state.run(net, layer_input(state, "conv1").copy(), masks)
        for layer in LAYERS[at:]:
            outputs[layer][:] = -7
    only(state, net, masks, name)()
    np.testing.assert_array_equal(outputs[name], before[name])
    for layer in LAYERS[at + 1 :]:
        assert (outputs[layer] == -7).all(), layer


def test_computing_nothing_computes_nothing(ran) -> None:
    net, state, masks = ran
    masks[:] = -7
    only(state, net, masks, None)()
    assert (masks == -7).all()


def test_operations_add_up_to_the_known_figures() -> None:
    """T = 128, F = 1024: 3.05 GFLOP with every tap, 2.75 without those above and below."""
    layers = unet_layers(CONFIG, made_up_arrays(0), 128, 1024)
    dense = {layer.name: layer.dense_flop / 1e6 for layer in layers}
    assert dense["conv1"] == pytest.approx(52, abs=0.5)
    assert dense["conv4"] == dense["up1"] == pytest.approx(210, abs=0.5)
    assert dense["up3"] == pytest.approx(419, abs=0.5)
    assert sum(dense.values()) == pytest.approx(3049, abs=1)
    executed = {name: executed_flop(name, 128, 1024) / 1e6 for name in LAYERS}
    assert all(executed[name] <= dense[name] for name in LAYERS)
    assert sum(executed.values()) == pytest.approx(2746, abs=1)
    # The deepest convolution sees 4 rows and gives 2: of their 5 kernel rows 3 and 4 fall inside.
    assert executed["conv6"] == pytest.approx(dense["conv6"] * 7 / 10)
    for name, all_rows in zip(LAYERS, UNetState(128, 1024).all_rows):
        rows = range(*all_rows, 2)
        in_pairs = sum(executed_flop(name, 128, 1024, row, row + 2) for row in rows)
        if len(rows) * 2 == all_rows[1]:
            assert in_pairs == pytest.approx(1e6 * executed[name])


def test_the_peak_loop_does_the_operations_it_is_credited_with() -> None:
    """Every chain goes UNROLL steps per turn, each lane for itself."""
    values = fma_peak.chain_values()
    factor, addend = 0.75, 0.125
    values[: fma_peak.WIDTH] = factor
    values[fma_peak.WIDTH : 2 * fma_peak.WIDTH] = addend
    expected = values[2 * fma_peak.WIDTH :].astype(np.float64)
    fma_peak.fma_chains(values, 3)
    for _ in range(3 * fma_peak.UNROLL):
        expected = expected * factor + addend
    np.testing.assert_allclose(values[2 * fma_peak.WIDTH :], expected, rtol=1e-5)
    lanes = fma_peak.WIDTH * fma_peak.CHAINS
    assert len(expected) == lanes
    assert 2 * lanes * fma_peak.UNROLL == fma_peak.FLOP_PER_TURN
