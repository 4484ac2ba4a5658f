"""The transformer's twin in torch: what of it learns from what, and what training begins with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtsep.errors import UsageError
from rtsep.nets.kinds import kind_of
from rtsep.nets.player_transformer_arrays import STEMS
from rtsep.nets.registry import find_model
from rtsep.training.recipe import Recipe
from rtsep_bench.made_up import made_up_arrays
from tests.nets.test_player_transformer import CONFIG, SMALL, image, run

torch = pytest.importorskip("torch", reason="pip install 'rtsep[train]'")

from rtsep.training.torch_nets import Nets  # noqa: E402
from rtsep.training.warm_start import layers_of  # noqa: E402


def gradients(nets: Nets, stem: str) -> set[str]:
    """The parts of the net that a loss of one stem's masks moves, by the stem that they are for."""
    nets.zero_grad()
    masks = nets(torch.rand((1, 2, 32, 64), generator=torch.Generator().manual_seed(1)))
    masks[:, STEMS.index(stem)].square().mean().backward()
    net = nets[0]
    moved = set()
    for name, layer in net.layers.items():
        if layer.weight.grad is not None and layer.weight.grad.any():
            moved.add(name.partition("/")[0])
    for name, unet in net.unets.items():
        if any(weight.grad is not None and weight.grad.any() for weight in unet.parameters()):
            moved.add(f"{name}/unet")
    return moved


def test_a_stem_learns_from_its_own_masks() -> None:
    """Vocals and drums from one another's, too, since they attend to one another."""
    nets = Nets(CONFIG, 0.0, seed=1)
    assert gradients(nets, "vocals") == {"vocals", "drums", "vocals/unet"}
    assert gradients(nets, "drums") == {"vocals", "drums", "drums/unet"}
    assert gradients(nets, "bass") == {"bass"}
    assert gradients(nets, "other") == {"other/unet"}


def test_training_begins_near_a_half_and_drops_only_while_it_trains() -> None:
    nets = Nets(CONFIG, 0.5, seed=1).eval()
    x = torch.from_numpy(image(32, 64)).permute(2, 0, 1)[None]
    masks = nets(x)
    assert masks.shape == (1, 4, 2, 32, 64)
    assert abs(masks[:, :2].mean().item() - 0.5) < 0.1
    assert torch.equal(nets(x), masks)
    # Batch norm aside, only dropping differs.
    for net in nets[0].unets.values():
        net.eval()
    nets[0].training = True
    assert not torch.equal(nets(x), nets(x))


def test_an_untrained_nets_masks_are_the_engines() -> None:
    nets = Nets(CONFIG, 0.5, seed=3).eval()
    magnitudes = image(48, 64)
    with torch.inference_mode():
        wanted = nets(torch.from_numpy(magnitudes).permute(2, 0, 1)[None])[0].numpy()
    found = run(CONFIG, kind_of(CONFIG).net(CONFIG, nets[0].arrays(), "f32"), magnitudes)
    np.testing.assert_allclose(found, wanted.transpose(0, 2, 1, 3), rtol=0, atol=2e-5)


def test_frozen_layers_stay() -> None:
    nets = Nets(CONFIG, 0.2, seed=2)
    frozen = ("vocals/layer1/attend/qkv", "drums/start", "vocals/unet/conv1")
    for name in frozen:
        nets[0].freeze(name)
    before = nets[0].arrays()
    optimiser = torch.optim.SGD([w for w in nets.parameters() if w.requires_grad], 0.1)
    nets.train()
    nets[0].set_step(3)
    (nets(torch.rand(2, 2, 32, 64)) - 0.3).square().mean().backward()
    optimiser.step()
    after = nets[0].arrays()
    for name in layers_of(CONFIG):
        changed = [(before[n] != after[n]).any() for n in before if n.rpartition("/")[0] == name]
        assert any(changed) == (name not in frozen), name


def test_taking_some_layers_leaves_the_others() -> None:
    nets, arrays = Nets(CONFIG, 0.0, seed=4), made_up_arrays(4, CONFIG)
    before = nets[0].arrays()
    taken = ("drums/cross/feed/down", "other/unet/up1", "bass/unembed")
    nets[0].take(arrays, taken)
    for name, array in nets[0].arrays().items():
        source = arrays if name.rpartition("/")[0] in taken else before
        np.testing.assert_allclose(array, source[name], rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"stems": (("vocals", ("vocals",)), ("drums", ("drums",)))},
            "computes vocals, drums, bass",
        ),
        ({"output": "softmax"}, "each with a sigmoid"),
        ({"frames": 208}, "multiples of 16 up to 192 frames, not of 208"),
    ],
)
def test_trainings_that_it_cannot_have_are_refused(fields: dict[str, object], message: str) -> None:
    stems = tuple((stem, (stem,)) for stem in STEMS)
    recipe = Recipe(stems=stems, frames=192, network="player-transformer", structure=SMALL)
    assert Recipe.from_json(recipe.as_json()) == recipe
    with pytest.raises(UsageError, match=message):
        replace(recipe, **fields)


@pytest.mark.parametrize("cross_after", [0, 1, 3])
def test_its_onnx_graph_is_the_net(cross_after: int) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'rtsep[bench]'")
    from rtsep.training.onnx_files import onnx_writer

    config = replace(CONFIG, structure=replace(SMALL, cross_after=cross_after))
    arrays, magnitudes = made_up_arrays(6, config), image(48, 64)
    content = onnx_writer(config.kind)(config, arrays, 48, 64)
    session = onnxruntime.InferenceSession(content)
    x = np.ascontiguousarray(magnitudes.transpose(2, 0, 1))[np.newaxis]
    (found,) = session.run(None, {"magnitudes": x})
    wanted = run(config, kind_of(config).net(config, arrays, "f32"), magnitudes)
    np.testing.assert_allclose(found[0].swapaxes(1, 2), wanted, rtol=0, atol=2e-5)
    assert find_model("player-transformer").stems == STEMS
