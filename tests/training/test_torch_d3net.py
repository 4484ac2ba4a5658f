"""D3Net in torch: what it learns reaches the kernels, and ONNX files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rtsep.nets.d3net import D3Net, D3NetState
from rtsep.nets.d3net_steps import PUBLISHED, D3NetStructure
from rtsep.nets.kinds import KINDS
from rtsep.nets.registry import D3NET
from tests.nets.d3net_models import (
    SMALL,
    SMALL_BINS,
    config_of,
    random_arrays,
    random_magnitudes,
)

torch = pytest.importorskip("torch")

FRAMES = 8


def masks_of(arrays) -> np.ndarray:
    masks = np.zeros((FRAMES, 2, SMALL_BINS), np.float32)
    config = config_of()
    state = D3NetState(config, FRAMES, SMALL_BINS)
    state.run(D3Net(config, arrays), random_magnitudes(FRAMES, SMALL_BINS), masks)
    return masks


def test_what_was_trained_is_computed_by_the_kernels() -> None:
    """Batch norm has statistics of its own here, which are folded."""
    from rtsep.training.torch_d3net import TorchD3Net

    twin = TorchD3Net(config_of(), 0.5, torch.Generator().manual_seed(0))
    x = torch.from_numpy(random_magnitudes(FRAMES, SMALL_BINS).transpose(2, 0, 1)[None].copy())
    optimiser = torch.optim.Adam(twin.parameters(), 0.01)
    losses = []
    for step in range(8):
        twin.train().set_step(step)
        loss = ((twin(x).sigmoid() * x - 0.3 * x) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    with torch.inference_mode():
        expected = twin.eval()(x).sigmoid()[0].numpy().transpose(1, 0, 2)
    np.testing.assert_allclose(masks_of(twin.arrays()), expected, rtol=0, atol=2e-5)


def test_arrays_come_back_as_they_were_taken_over() -> None:
    from rtsep.training.torch_d3net import TorchD3Net

    arrays = random_arrays(SMALL, 3)
    twin = TorchD3Net(config_of(), 0.5, torch.Generator())
    twin.take(arrays, list(twin.layers))
    back = twin.arrays()
    assert list(back) == list(arrays)
    for name, values in arrays.items():
        np.testing.assert_allclose(back[name], values, rtol=1e-6)


def test_the_onnx_file_is_the_net() -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from rtsep.training.d3net_onnx import d3net_onnx

    arrays = random_arrays(SMALL, 4)
    model = d3net_onnx(config_of(), arrays, FRAMES, SMALL_BINS)
    session = runtime.InferenceSession(model, providers=["CPUExecutionProvider"])
    x = random_magnitudes(FRAMES, SMALL_BINS).transpose(2, 0, 1)[None].copy()
    masks = session.run(None, {session.get_inputs()[0].name: x})[0][0].transpose(1, 0, 2)
    np.testing.assert_allclose(masks_of(arrays), masks, rtol=0, atol=2e-5)


def test_a_training_of_one_stem_takes_the_structure_published_for_it() -> None:
    kind = KINDS[D3NET]
    assert kind.structure_for(["bass"]) == PUBLISHED["bass"] != D3NetStructure()
    assert kind.structure_for(["bass", "drums"]) == kind.structure_for(["piano"])
    for structure in PUBLISHED.values():
        assert D3NetStructure.from_json(json.loads(json.dumps(structure.as_json()))) == structure
