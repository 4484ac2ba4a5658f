"""rtsep-monitor on files, and what it refuses. Devices: tests/realtime/test_pulse.py, test_jack.py."""

import json

import numpy as np
import pytest
import soundfile

from rtsep.cli.monitor import main

pytestmark = pytest.mark.usefixtures("made_up_weights")
RATE = 44_100


@pytest.fixture
def song(tmp_path):
    rng = np.random.default_rng(0)
    audio = (0.1 * rng.standard_normal((3 * RATE, 2))).astype(np.float32)
    soundfile.write(tmp_path / "song.wav", audio, RATE, subtype="FLOAT")
    return tmp_path / "song.wav", audio


def _run(*words):
    return main([str(word) for word in words])


def test_a_file_comes_out_as_long_with_its_latency_taken_out(song, tmp_path, capsys):
    path, audio = song
    out, stats = tmp_path / "out.wav", tmp_path / "stats.json"
    status = _run(
        "--input-file", path, "--output-file", out, "--stats", stats, "--latency", "balanced",
        "--stem", "vocals", "--stem", "accompaniment", "--record", tmp_path / "rec",
    )  # fmt: skip
    assert status == 0
    heard, rate = soundfile.read(out, dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(heard, audio, atol=3e-6)
    stems = [soundfile.read(tmp_path / "rec" / f"{s}.wav")[0] for s in ("vocals", "accompaniment")]
    np.testing.assert_allclose(sum(stems), audio, atol=3e-6)
    written = json.loads(stats.read_text())
    assert written["late_masks"] == 0
    assert written["plan"]["name"] == "balanced"
    assert written["latency_ms"]["total"] == pytest.approx(1000 * 11 * 1024 / RATE)
    assert written["latency_samples"] == 11 * 1024
    assert set(written["xruns"].values()) == {0}
    assert "late masks 0" in capsys.readouterr().err


def test_gains_are_heard(song, tmp_path):
    path, audio = song
    out = tmp_path / "out.wav"
    words = ("--input-file", path, "--output-file", out, "--latency", "balanced", "-q")
    assert _run(*words, "--gain", "vocals=-20", "--gain", "accompaniment=-20") == 0
    np.testing.assert_allclose(soundfile.read(out)[0], 0.1 * audio, atol=3e-6)
    assert _run(*words, "--mute", "vocals", "--mute", "accompaniment") == 0
    assert np.abs(soundfile.read(out)[0]).max() == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--stem voice", "no model has the stems voice"),
        ("--stem piano --stem accompaniment", "accompaniment, piano together"),
        ("-m spleeter:2stems --mute drums", "unknown stem 'drums'"),
        ("--gain vocals", "--gain must look like vocals=-6: got 'vocals'"),
        ("--latency fast", "unknown latency 'fast'"),
        ("--on-late wait", "invalid choice"),
        ("--duration -1", "--duration: invalid number of seconds value: '-1'"),
        ("--output-file out.wav", "--output-file needs --input-file"),
        ("--model spleeter:9stems", "unknown model 'spleeter:9stems'"),
    ],
)
def test_impossible_options_are_told_in_one_line(words, told, capsys):
    try:
        status = _run(*words.split())
    except SystemExit as end:
        status = end.code
    err = capsys.readouterr().err
    assert status == 2
    assert told in err
    assert err.count("\n") == 1


def test_a_missing_file_is_told_and_nothing_is_left(tmp_path, capsys):
    out = tmp_path / "out.wav"
    assert _run("--input-file", tmp_path / "no.wav", "--output-file", out, "-q") == 1
    assert "no.wav" in capsys.readouterr().err
    assert not list(tmp_path.glob("out*"))


def test_missing_portaudio_names_the_package_of_each_system(monkeypatch, capsys):
    import builtins

    real = builtins.__import__

    def without(name, *arguments, **options):
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert _run("-l") == 1
    err = capsys.readouterr().err
    for name in ("libportaudio2", "dnf install portaudio", "brew install portaudio", "Windows"):
        assert name in err
    assert err.count("\n") == 1
