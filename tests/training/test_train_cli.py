"""`rtsep-train` as a person runs it: from songs to a model that the other programs take."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import rtsep
from rtsep.cli import monitor, separate, train, weights
from rtsep_bench.evaluation import sdr_db
from tests.training.songs import RATE, bursts, chords
from tests.training.test_spleeter_files import MUSDB

torch = pytest.importorskip("torch", reason="pip install 'rtsep[train]'")

SMALL = ("--frames", "64", "--bins", "128", "--batch", "2", "--learning-rate", "0.001")
QUICK = ("--frames", "64", "--bins", "64", "--batch", "1", "--steps", "2")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A folder for decoded songs that these tests share."""
    return "--cache", str(tmp_path_factory.mktemp("cache"))


def failure(capsys: pytest.CaptureFixture[str]) -> str:
    """The only error, which is the last line."""
    lines = capsys.readouterr().err.splitlines()
    assert sum("error:" in line for line in lines) == 1
    assert lines[-1].startswith("rtsep-train: error: ")
    return lines[-1]


@pytest.fixture(scope="module")
def learned(
    songs_folder: Path, tmp_path_factory: pytest.TempPathFactory, cache: tuple[str, str]
) -> Path:
    """A training of both stems: 40 steps of a few tenths of a second."""
    run = tmp_path_factory.mktemp("learned") / "run"
    options = ["-o", str(run), "--steps", "40", "--every", "40", *SMALL, *cache]
    assert train.main([str(songs_folder), *options]) == 0
    return run


def test_a_small_net_learns_and_every_program_runs_it(
    learned: Path, own_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert weights.main(["import", str(learned), "--name", "mine"]) == 0
    # A song that nobody has seen.
    true = {"bursts": bursts(6.0, 99), "chords": chords(6.0, 99)}
    mixture = sum(true.values())
    before = {stem: sdr_db(mixture, sound) for stem, sound in true.items()}
    stems = rtsep.separate(mixture, RATE, model="mine")
    after = {stem: sdr_db(stems[stem], sound) for stem, sound in true.items()}
    # Four times as many steps reach 10 dB.
    assert after["bursts"] > max(before["bursts"] + 4, 2.5)
    assert after["chords"] > max(before["chords"] + 2, 6)

    song = tmp_path / "song.wav"
    soundfile.write(song, mixture, RATE, subtype="FLOAT")
    assert separate.main([str(song), "-m", "mine", "-o", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out" / "song").iterdir()} == {
        "bursts.wav",
        "chords.wav",
    }
    heard = tmp_path / "heard.wav"
    live = ["-m", "mine", "--input-file", str(song), "--output-file", str(heard)]
    assert monitor.main([*live, "--latency", "low", "--stem", "bursts", "-q"]) == 0
    out, _ = soundfile.read(heard)
    assert sdr_db(out[: len(mixture)], true["bursts"][: len(out)]) > before["bursts"] + 3


def test_what_it_leaves(learned: Path) -> None:
    assert {path.name for path in learned.iterdir()} == {
        "checkpoint.pt", "curves.png", "log.csv", "model.safetensors",
        "model.safetensors.sha256", "recipe.json",
    }  # fmt: skip
    what = json.loads((learned / "recipe.json").read_text())
    assert len(what["songs"]) == 5 and len(what["held_out"]) == 1
    assert what["recipe"]["learning_rate"] == 0.001


def test_the_onnx_files_are_the_engines_nets(
    learned: Path, songs_folder: Path, cache: tuple[str, str]
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from rtsep.nets.unet import UNet, UNetState
    from rtsep.weights.own_models import RUN_FILE, config_of, read_own
    from rtsep_bench.sound import music_magnitudes

    # The training is done: it is only written once more.
    options = ["-o", str(learned), "--steps", "40", "--every", "40", *SMALL, *cache]
    assert train.main([str(songs_folder), *options, "--resume", "--onnx"]) == 0
    provenance, stems = read_own(learned)
    config = config_of("mine", provenance, learned / RUN_FILE)
    magnitudes = music_magnitudes(64, 128)
    for stem, arrays in stems.items():
        session = onnxruntime.InferenceSession(learned / f"{stem}.onnx")
        x = np.ascontiguousarray(magnitudes.transpose(2, 0, 1))[None]
        (found,) = session.run(None, {"magnitudes": x})
        wanted = np.zeros((64, 2, 128), np.float32)
        UNetState(64, 128).run(UNet(config, arrays), magnitudes, wanted)
        np.testing.assert_allclose(found[0].transpose(1, 0, 2), wanted, rtol=0, atol=2e-5)
        assert wanted.std() > 0.01
    for path in learned.glob("*.onnx"):
        path.unlink()


@pytest.mark.slow
def test_a_spleeter_configuration_runs(
    songs_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its lists and its mixtures, which are louder here than the sum of the stems."""
    rows = ["mix_path,bursts_path,chords_path,duration"]
    for song in sorted(songs_folder.iterdir()):
        parts = {stem: soundfile.read(song / f"{stem}.wav")[0] for stem in ("bursts", "chords")}
        (tmp_path / song.name).mkdir()
        soundfile.write(tmp_path / song.name / "mixture.wav", 1.5 * sum(parts.values()), RATE)
        for stem, sound in parts.items():
            soundfile.write(tmp_path / song.name / f"{stem}.wav", sound, RATE)
        names = ("mixture", "bursts", "chords")
        rows.append(",".join([*(f"{song.name}/{name}.wav" for name in names), "6.0"]))
    (tmp_path / "train.csv").write_text("\n".join(rows[:5]))
    (tmp_path / "valid.csv").write_text("\n".join([rows[0], *rows[5:]]))
    changes = {
        "train_csv": "train.csv",
        "validation_csv": "valid.csv",
        "instrument_list": ["bursts", "chords"],
        "T": 64,
        "F": 64,
        "batch_size": 1,
        "train_max_steps": 3,
    }
    (tmp_path / "config.json").write_text(json.dumps(MUSDB | changes))
    run = tmp_path / "run"
    options = ["-p", str(tmp_path / "config.json"), "-o", str(run), "--every", "3"]
    assert train.main([str(tmp_path), *options]) == 0
    out, err = capsys.readouterr()
    assert "4 songs" in out and "3 steps of 1 windows of 64 frames" in out
    assert "not used here: model_dir" in err
    what = json.loads((run / "recipe.json").read_text())
    assert what["recipe"]["encoder_activation"] == "elu" and what["recipe"]["seed"] == 3
    assert len(what["songs"]) == 4 and len(what["held_out"]) == 2


def test_a_single_song_is_said_to_leave_none(
    songs_folder: Path, tmp_path: Path, cache: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["-o", str(tmp_path / "run"), "--stems", "bursts", *QUICK, *cache]
    assert train.main([str(songs_folder / "song 0"), *options]) == 0
    out, err = capsys.readouterr()
    assert "note: a single song leaves none to judge by" in err
    assert "nets (unet): bursts; the rest has none" in out
    assert "rtsep-weights import" in out and "step 2 of 2: loss" in err


def test_a_training_that_is_there_is_not_begun_anew(
    learned: Path, songs_folder: Path, cache: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = (learned / "recipe.json").read_bytes()
    options = ["-o", str(learned), "--steps", "40", "--every", "40", *SMALL, *cache]
    assert train.main([str(songs_folder), *options]) == 2
    assert "holds a training already: add --resume" in failure(capsys)
    assert train.main([str(songs_folder), *options, "--resume", "--bins", "64"]) == 2
    assert "of another training: its bins 128, not 64" in failure(capsys)
    assert (learned / "recipe.json").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--stems", "piano"], "no song has a stem 'piano': there are bursts, chords"),
        (["--stems", "bursts,no_chords"], "bursts is in two stems"),
        (["--stems", "bursts", "--softmax"], "with a softmax the nets share everything"),
        (["--held-out", "nowhere"], "nowhere is not there"),
        (["--from", "nine"], "unknown model 'nine'"),
        (
            ["--from", "spleeter:2stems"],
            "has no net for 'bursts': name one as spleeter:2stems/STEM",
        ),
        (["--from", "x=spleeter:2stems/vocals"], "there is no stem 'x'"),
        (["--freeze", "conv7"], "there are no layers 'conv7'"),
        (["--dropout", "2"], "dropout must be at least 0 and at most 0.95: got 2"),
        (["--learning-rate", "0"], "learning_rate must be more than 0"),
        (["--activations", "tanh"], "encoder_activation must be one of"),
        (
            ["--from", "bursts=spleeter:4stems/drums", "--activations", "relu"],
            "the nets of spleeter:4stems have elu,elu",
        ),
        (["-p", "nowhere.json"], "cannot read nowhere.json"),
        (["--device", "cuda"], "torch finds no CUDA device here"),
    ],
)
def test_what_cannot_be_is_one_line(
    options: list[str],
    told: str,
    songs_folder: Path,
    tmp_path: Path,
    own_weights: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "cuda" in options and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    assert train.main([str(songs_folder), "-o", str(tmp_path / "run"), *options]) == 2
    assert told in failure(capsys)
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_written_is_one_line(
    songs_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").write_text("in the way")
    assert train.main([str(songs_folder), "-o", str(tmp_path / "run"), *QUICK]) == 1
    assert "cannot write" in failure(capsys)


def test_without_torch_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('No module named torch')")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    result = subprocess.run(
        [sys.executable, "-m", "rtsep.cli.train", str(tmp_path), "-o", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert result.returncode == 1
    assert result.stderr == (
        "rtsep-train: error: rtsep-train needs torch (No module named torch):"
        " pip install 'rtsep[train]'\n"
    )


@pytest.mark.parametrize("given", [None, "active"])
def test_torchs_threads_wait_asleep_unless_told_otherwise(
    given: str | None, tmp_path: Path
) -> None:
    """OpenMP reads the variable when torch is loaded, in a process of its own here."""
    (tmp_path / "torch.py").write_text(
        "import os; raise ImportError(os.environ['OMP_WAIT_POLICY'])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    if given is not None:
        environment["OMP_WAIT_POLICY"] = given
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    result = subprocess.run(
        [sys.executable, "-m", "rtsep.cli.train", str(tmp_path), "-o", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        env=environment | {"PYTHONPATH": path},
    )
    assert f"needs torch ({given or 'passive'})" in result.stderr


def test_help_is_documentation_and_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; from rtsep.cli.train import main; main(['--help'])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0 and result.stderr == ""
    for word in (
        "examples:",
        "MUSDB18",
        "--from",
        "--augment",
        "checkpoint.pt",
        "docs/training.md",
    ):
        assert word in result.stdout
    described = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    for option in set(re.findall(r"(?<!-)--[a-z][a-z-]*", described)):
        assert option in result.stdout + "--name --allow-unknown --latency --realtime", option


def test_the_library_does_without_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; import rtsep, rtsep.cli.separate, rtsep.cli.monitor,"
        " rtsep.cli.weights; rtsep.Separator, rtsep.LiveSeparator"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
