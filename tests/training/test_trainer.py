"""The training: it goes on bit for bit where it stopped, and ends well whatever happens."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtsep.errors import TrainingError, UsageError
from rtsep.nets.unet import LAYERS
from rtsep.training.layouts import find_songs
from rtsep.training.recipe import Augmentation, Recipe
from rtsep.training.song_cache import Song, decode_songs
from rtsep.weights.own_models import RUN_FILE, read_own
from tests.weights.made_up_weights import made_up_arrays

torch = pytest.importorskip("torch", reason="pip install 'rtsep[train]'")

from rtsep.training import trainer as training  # noqa: E402
from rtsep.training.checkpoint import checkpoint_path, read_checkpoint  # noqa: E402
from rtsep.training.trainer import Trainer, find_device  # noqa: E402

CPU = torch.device("cpu")
SMALL = Recipe(
    stems=(("bursts", ("bursts",)), ("chords", ("chords",))),
    frames=64,
    bins=64,
    batch=1,
    steps=4,
    every=2,
    average=0.9,
    seed=3,
    augmentation=Augmentation(gain_db=3, swap=True, remix=0.5),
)
ONE = replace(SMALL, stems=(("bursts", ("bursts",)),), rest=("chords",), average=0.0)


@pytest.fixture(scope="module")
def songs(songs_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Song]:
    cache = tmp_path_factory.mktemp("cache")
    found = find_songs(songs_folder).training
    return decode_songs(found, cache, lambda line: None, lambda done, all_: None)


class Recorder:
    """A watcher. at_step: is called after each step with its number."""

    def __init__(self, at_step=lambda step: None):
        self.losses, self.figures, self.best, self._at_step = [], [], [], at_step
        self.told_s: list[float] = []

    def foretold(self, step_s, evaluation_s, left_s) -> None:
        self.told_s.append(left_s)

    def stepped(self, step, loss) -> None:
        self.losses.append(loss)
        self._at_step(step)

    def evaluated(self, step, loss, sdr_db, best, left_s) -> None:
        self.figures.append(sdr_db)
        self.best.append(best)


def made(recipe: Recipe, run: Path, songs: list[Song], held_out: int = 1) -> Trainer:
    run.mkdir(exist_ok=True)
    return Trainer(recipe, run, songs[held_out:], songs[:held_out], CPU)


def test_a_resumed_training_is_the_same_bit_for_bit(songs: list[Song], tmp_path: Path) -> None:
    whole = made(SMALL, tmp_path / "whole", songs)
    watcher = Recorder()
    whole.train(watcher)
    first = made(replace(SMALL, steps=2), tmp_path / "parts", songs)
    first.train(Recorder())
    second = made(SMALL, tmp_path / "parts", songs)
    second.resume()
    assert second.step == 2
    later = Recorder()
    second.train(later)
    assert later.losses == watcher.losses[2:] and later.figures == watcher.figures[1:]
    for nets, others in ((whole.nets, second.nets), (whole.kept_nets, second.kept_nets)):
        for (name, tensor), other in zip(nets.state_dict().items(), others.state_dict().values()):
            assert torch.equal(tensor, other), name
    # Neither is the moving average what it averages.
    weights = [next(nets.parameters()) for nets in (whole.nets, whole.kept_nets)]
    assert not torch.equal(*weights)
    files = [(tmp_path / run / "model.safetensors").read_bytes() for run in ("whole", "parts")]
    assert files[0][-1000:] == files[1][-1000:]
    logs = [(tmp_path / run / "log.csv").read_text().splitlines() for run in ("whole", "parts")]
    assert [line.split(",")[2:] for line in logs[0]] == [line.split(",")[2:] for line in logs[1]]
    assert len(logs[0]) == 3 and logs[0][0].startswith("step,seconds,loss,sdr_db bursts")
    assert (tmp_path / "whole" / "curves.png").read_bytes()[1:4] == b"PNG"


def test_an_interrupted_training_is_kept(songs: list[Song], tmp_path: Path) -> None:
    def interrupt(step: int) -> None:
        if step == 3:
            raise KeyboardInterrupt

    recipe = replace(ONE, steps=10, every=100)
    stopped = made(recipe, tmp_path / "run", songs)
    with pytest.raises(KeyboardInterrupt):
        stopped.train(Recorder(interrupt))
    again = made(recipe, tmp_path / "run", songs)
    again.resume()
    assert again.step == 3
    for tensor, other in zip(stopped.nets.parameters(), again.nets.parameters()):
        assert torch.equal(tensor, other)


def test_no_signal_comes_between_the_halves_of_a_step(
    songs: list[Song], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtsep.system.signals import catching

    stopped = made(replace(ONE, steps=10, every=100), tmp_path / "run", songs)
    step = stopped._optimiser.step

    def step_and_signal() -> None:
        signal.raise_signal(signal.SIGINT)
        step()

    monkeypatch.setattr(stopped._optimiser, "step", step_and_signal)
    with pytest.raises(KeyboardInterrupt), catching():
        stopped.train(Recorder())
    assert stopped.step == 1
    assert read_checkpoint(tmp_path / "run", replace(ONE, steps=10)).step == 1


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(
    songs: list[Song], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = made(replace(ONE, steps=9), tmp_path / "run", songs)
    loss = broken._loss
    monkeypatch.setattr(
        broken, "_loss", lambda *args: loss(*args) * (np.nan if broken.step >= 3 else 1)
    )
    with pytest.raises(
        TrainingError, match="loss of step 4 is nan: lower the learning rate; the checkpoint"
    ):
        broken.train(Recorder())
    kept = read_checkpoint(tmp_path / "run", ONE)
    assert kept.step == 2
    assert all(tensor.isfinite().all() for tensor in kept.nets.values())


def test_weights_that_are_no_numbers_are_never_kept(songs: list[Song], tmp_path: Path) -> None:
    broken = made(ONE, tmp_path / "run", songs)

    def spoil(step: int) -> None:
        if step == 4:
            with torch.no_grad():
                next(broken.nets.parameters())[0, 0, 0, 0] = np.inf

    with pytest.raises(TrainingError, match="after step 4 .* is no number"):
        broken.train(Recorder(spoil))
    assert read_checkpoint(tmp_path / "run", ONE).step == 2


def test_an_interrupt_keeps_no_weights_that_are_no_numbers(
    songs: list[Song], tmp_path: Path
) -> None:
    broken = made(ONE, tmp_path / "run", songs)

    def spoil_and_interrupt(step: int) -> None:
        if step == 3:
            with torch.no_grad():
                next(broken.nets.parameters())[0, 0, 0, 0] = np.nan
            raise KeyboardInterrupt

    with pytest.raises(TrainingError, match="after step 3 .* is no number"):
        broken.train(Recorder(spoil_and_interrupt))
    assert read_checkpoint(tmp_path / "run", ONE).step == 2


def test_it_ends_where_nothing_gets_better(
    songs: list[Song], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = iter([1.0, 3.0, 2.0, 2.5, 2.9, 4.0])
    monkeypatch.setattr(training, "evaluate", lambda *args: {"bursts": next(figures)})
    ending = made(replace(ONE, steps=6, every=1, patience=3), tmp_path / "run", songs)
    watcher = Recorder()
    ending.train(watcher)
    assert watcher.best == [True, True, False, False, False]
    assert "2 steps" in read_own(tmp_path / "run")[0].source
    assert read_checkpoint(tmp_path / "run", ONE).step == 5


def test_without_songs_held_out_the_latest_model_is_kept(songs: list[Song], tmp_path: Path) -> None:
    alone = made(replace(ONE, steps=3), tmp_path / "run", songs, held_out=0)
    watcher = Recorder()
    alone.train(watcher)
    assert watcher.figures == [{}, {}] and watcher.best == [True, True]
    assert "3 steps on 6 songs" in read_own(tmp_path / "run")[0].source


def test_frozen_layers_stay(songs: list[Song], tmp_path: Path) -> None:
    frozen = tuple(name for name in LAYERS if name != "mask")
    recipe = replace(ONE, frozen=frozen, steps=2)
    trainer = made(recipe, tmp_path / "run", songs)
    before = trainer.nets[0].arrays()
    trainer.train(Recorder())
    after = trainer.nets[0].arrays()
    changed = {name for name, array in before.items() if not np.array_equal(array, after[name])}
    assert changed == {"mask/kernel", "mask/bias"}
    with pytest.raises(UsageError, match="all layers are frozen"):
        made(replace(recipe, frozen=LAYERS), tmp_path / "run", songs)


def test_bfloat16_trains_too(songs: list[Song], tmp_path: Path) -> None:
    watcher = Recorder()
    made(replace(ONE, mixed_precision=True, steps=2), tmp_path / "run", songs).train(watcher)
    exact = Recorder()
    made(replace(ONE, steps=2), tmp_path / "exact", songs).train(exact)
    assert watcher.losses != exact.losses
    np.testing.assert_allclose(watcher.losses, exact.losses, rtol=0.1)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"learning_rate": 1e-3}, "learning_rate 0.0001, not 0.001"),
        ({"bins": 128}, "bins 64, not 128"),
        ({"rest": ("x",)}, "rest"),
    ],
)
def test_a_checkpoint_of_another_recipe_is_refused(
    changes: dict, told: str, songs: list[Song], tmp_path: Path
) -> None:
    trainer = made(ONE, tmp_path, songs)
    trainer.save()
    with pytest.raises(UsageError, match=f"of another training: its {told}"):
        read_checkpoint(tmp_path, replace(ONE, **changes))
    # How long it takes, and how often one looks, may change.
    assert read_checkpoint(tmp_path, replace(ONE, steps=99, every=7, patience=2)).step == 0


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04 cut"])
def test_a_damaged_checkpoint_is_one_line(content: bytes, tmp_path: Path) -> None:
    checkpoint_path(tmp_path).write_bytes(content)
    with pytest.raises(TrainingError, match="no checkpoint"):
        read_checkpoint(tmp_path, ONE)


def test_a_checkpoint_of_something_else_is_one_line(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(3)}, checkpoint_path(tmp_path))
    with pytest.raises(TrainingError, match="no checkpoint of rtsep-train"):
        read_checkpoint(tmp_path, ONE)
    with pytest.raises(TrainingError, match="holds no checkpoint"):
        read_checkpoint(tmp_path / "nowhere", ONE)


def test_a_full_disk_keeps_the_checkpoint_before(
    songs: list[Song], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtsep.training import disk

    trainer = made(ONE, tmp_path, songs)
    trainer.save()
    before = checkpoint_path(tmp_path).read_bytes()

    def full(path: Path, write: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "write_whole", full)
    with pytest.raises(TrainingError, match="No space left on device: make room; the checkpoint"):
        trainer.save()
    assert checkpoint_path(tmp_path).read_bytes() == before


def test_a_warm_start_is_the_net_it_began_with(
    songs: list[Song], tmp_path: Path, made_up_weights: Path
) -> None:
    sources = (("bursts", "spleeter:2stems/accompaniment"),)
    recipe = replace(ONE, sources=sources, taken=LAYERS, learning_rate=1e-9, steps=1)
    trainer = made(recipe, tmp_path, songs)
    found, wanted = trainer.nets[0].arrays(), made_up_arrays(1)
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-6, err_msg=name)
    trainer.train(Recorder())
    assert read_own(tmp_path)[0].copyright == "nobody"
    encoder = tuple(name for name in LAYERS if name.startswith("conv"))
    partly = made(replace(recipe, taken=encoder), tmp_path, songs).nets[0].arrays()
    assert np.array_equal(partly["conv3/kernel"], wanted["conv3/kernel"])
    assert not np.array_equal(partly["up3/kernel"], wanted["up3/kernel"])


def test_a_device_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto") == find_device("cpu") == CPU
    with pytest.raises(UsageError, match="finds no CUDA device here: train on the cpu"):
        find_device("cuda")


@pytest.mark.parametrize("rest", [(), ("others",)], ids=["ratio", "rest"])
def test_the_figures_are_those_of_the_engine(
    rest: tuple[str, ...], songs: list[Song], tmp_path: Path
) -> None:
    """The SDR that is told is what rtsep's own separation has, on the samples that were judged."""
    from rtsep.nets.unet import UNet
    from rtsep.offline.segments import SegmentSeparator
    from rtsep.training.evaluation import EDGE, separate
    from rtsep.training.song_cache import read

    recipe = replace(SMALL, average=0.0, rest=rest)
    trainer = made(recipe, tmp_path, songs)
    nets = trainer.nets.eval()
    config = recipe.config("mine")
    engines = [UNet(config, nets[index].arrays()) for index in range(2)]
    outputs = {stem: (stem,) for stem in recipe.names}
    segments = SegmentSeparator(config, engines, outputs, 0, 64, 1, False)
    song = songs[0]
    start = 4096
    mixture = read(song.stems["bursts"], start, recipe.window_samples)
    with torch.inference_mode():
        found = separate(nets, recipe, torch.from_numpy(mixture)).numpy()
    # Frame n of the engine covers the samples from (n - 4) hops on: its second segment, frames 64 to
    # 127, is the window.
    before = 60 * 1024
    whole = np.concatenate(
        [np.zeros((before, 2), np.float32), mixture, np.zeros((8192, 2), np.float32)]
    )
    engine = segments.push(np.concatenate([whole, np.zeros((64 * 1024, 2), np.float32)]))
    segments.close()
    inside = slice(EDGE, recipe.window_samples - EDGE)
    for index, stem in enumerate(recipe.names):
        wanted = engine[stem][before:][: recipe.window_samples]
        np.testing.assert_allclose(found[index][inside], wanted[inside], atol=1e-4)


def test_the_model_is_the_kept_nets(songs: list[Song], tmp_path: Path) -> None:
    trainer = made(replace(SMALL, steps=2), tmp_path, songs)
    trainer.train(Recorder())
    _, stems = read_own(tmp_path)
    assert list(stems) == ["bursts", "chords"]
    for index, arrays in enumerate(stems.values()):
        for name, array in trainer.kept_nets[index].arrays().items():
            np.testing.assert_array_equal(arrays[name], array, err_msg=name)
    assert (tmp_path / RUN_FILE).exists()
