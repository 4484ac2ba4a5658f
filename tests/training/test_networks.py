"""Trainings of networks of other kinds: their twins, and what comes of them in every program."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import rtsep
from rtsep.cli import monitor, train, weights
from rtsep.nets.kinds import kind_of, nets_of
from rtsep.nets.player_unet_arrays import PlayerUNetStructure
from rtsep.nets.registry import MODELS, UNPUBLISHED, find_model
from rtsep.training.recipe import Recipe
from rtsep.weights.own_models import RUN_FILE, config_of, read_own
from rtsep_bench.made_up import made_up_stems
from rtsep_bench.sound import music_magnitudes
from tests.training.songs import RATE, bursts, chords
from tests.training.test_train_cli import QUICK, cache, failure  # noqa: F401 - a fixture

torch = pytest.importorskip("torch", reason="pip install 'rtsep[train]'")

from rtsep.training.torch_nets import TWINS, Nets  # noqa: E402
from rtsep.training.warm_start import layers_of  # noqa: E402

SMALL = replace(
    find_model("player-unet"),
    structure=PlayerUNetStructure((16, 32, 16, 48, 16, 32), (16, 16, 16, 32, 16)),
)


@pytest.mark.parametrize("name", UNPUBLISHED)
def test_a_twin_gives_back_the_arrays_that_it_took(name: str) -> None:
    config = MODELS[name]
    for arrays in made_up_stems(config).values():
        twin = TWINS[config.kind](config, 0.0, torch.Generator().manual_seed(1))
        twin.take(arrays, layers_of(config))
        found = twin.arrays()
        assert {n: a.shape for n, a in found.items()} == kind_of(config).shapes(config)
        for array_name, array in arrays.items():
            np.testing.assert_allclose(found[array_name], array, rtol=1e-5, atol=1e-6)
        break


def test_what_is_frozen_stays_and_all_else_learns() -> None:
    nets = Nets(SMALL, 0.2, seed=2)
    assert len(nets) == len(nets_of(SMALL)) == 4
    for name in ("conv1", "skip2"):
        nets[0].freeze(name)
    before = nets[0].arrays()
    trained = [weight for weight in nets.parameters() if weight.requires_grad]
    optimiser = torch.optim.SGD(trained, 0.1)
    nets.train()
    nets[0].set_step(3)
    x = torch.rand((2, 2, 64, 64), generator=torch.Generator().manual_seed(3))
    masks = nets(x)
    assert masks.shape == (2, 4, 2, 64, 64) and masks.min() >= 0 and masks.max() <= 1
    (masks - 0.3).square().mean().backward()
    optimiser.step()
    after = nets[0].arrays()
    changed = {name.partition("/")[0] for name in before if (before[name] != after[name]).any()}
    frozen_kernels = {n for n in before if n.startswith(("conv1/", "skip2/"))}
    assert changed >= {"conv2", "conv6", "skip1", "up1", "up6"}
    assert not any((before[n] != after[n]).any() for n in frozen_kernels)


def test_a_recipe_comes_back_from_json() -> None:
    recipe = Recipe(
        stems=(("drums", ("drums",)),),
        rest=("bass",),
        frames=192,
        network="player-unet",
        structure=PlayerUNetStructure(),
    )
    assert Recipe.from_json(recipe.as_json()) == recipe
    assert recipe.config("mine").structure == PlayerUNetStructure()
    # Of a checkpoint of before there were kinds.
    old = replace(recipe, network="unet", structure=None, frames=64)
    values = {n: v for n, v in old.as_json().items() if n not in ("network", "structure")}
    assert Recipe.from_json(values) == old


def test_a_training_of_another_network_goes_everywhere(
    songs_folder: Path,
    tmp_path: Path,
    own_weights: Path,
    cache: tuple[str, str],  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From songs to files, ONNX, a live plan, and the beginning of another training."""
    run = tmp_path / "run"
    network = ["--network", "player-unet", *QUICK, *cache]
    options = ["-o", str(run), *network, "--onnx"]
    assert train.main([str(songs_folder), *options]) == 0
    assert weights.main(["import", str(run), "--name", "mine"]) == 0
    provenance, stems = read_own(run)
    config = config_of("mine", provenance, run / RUN_FILE)
    assert config.kind == "player-unet" and config.bins == 64 and tuple(stems) == config.stems

    onnxruntime = pytest.importorskip("onnxruntime")
    magnitudes = music_magnitudes(64, 64)
    wanted = np.zeros((64, 2, 64), np.float32)
    for stem, arrays in stems.items():
        session = onnxruntime.InferenceSession(run / f"{stem}.onnx")
        x = np.ascontiguousarray(magnitudes.transpose(2, 0, 1))[None]
        (found,) = session.run(None, {"magnitudes": x})
        kind = kind_of(config)
        net = kind.net(config, arrays, "f32")
        kind.state(config, 64, "f32").run(net, magnitudes, wanted)
        np.testing.assert_allclose(found[0].transpose(1, 0, 2), wanted, rtol=0, atol=2e-5)
        assert wanted.std() > 0.01

    mixture = bursts(1.0, 98) + chords(1.0, 98)
    separated = rtsep.separate(mixture, RATE, model="mine", mask_extension="top")
    np.testing.assert_allclose(sum(separated.values()), mixture, atol=1e-5)
    live = ["-m", "mine", "--input-file", str(tmp_path / "in.wav")]
    live += ["--output-file", str(tmp_path / "out.wav"), "--stem", "bursts", "-q"]
    import soundfile

    soundfile.write(tmp_path / "in.wav", mixture, RATE)
    assert monitor.main([*live, "--latency", "192/32/8/32/hann"]) == 0
    assert soundfile.info(tmp_path / "out.wav").frames > 0

    capsys.readouterr()
    begin = [str(songs_folder), "-o", str(tmp_path / "next"), *QUICK, *cache]
    assert train.main([*begin, "--from", "mine", "--freeze", "skip1", "--network", "unet"]) == 2
    assert "--network unet: the nets of mine are of kind player-unet" in failure(capsys)
    assert train.main([*begin, "--from", "mine", "--freeze", "mask"]) == 2
    assert "there are no layers 'mask'" in failure(capsys)
    assert train.main([*begin, "--from", "mine", "--freeze", "skip1,encoder"]) == 0
    _, begun = read_own(tmp_path / "next")
    for stem, arrays in begun.items():
        np.testing.assert_allclose(arrays["skip1/kernel"], stems[stem]["skip1/kernel"])


def test_windows_that_the_network_does_not_take(
    songs_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    from rtsep.nets.kinds import KINDS

    only = replace(KINDS["player-unet"], only_frames=(192,))
    monkeypatch.setitem(KINDS, "player-unet", only)
    options = ["-o", str(tmp_path / "run"), "--network", "player-unet", "--frames", "64"]
    assert train.main([str(songs_folder), *options]) == 2
    assert "take windows of 192 frames, not of 64" in failure(capsys)
