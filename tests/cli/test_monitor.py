"""rtsep-monitor on files, and what it refuses. Devices: tests/live/test_pulse.py, test_jack.py."""

import json
import os

import numpy as np
import pytest
import soundfile

from rtsep.cli.monitor import main
from rtsep_kernels.jit import VECTOR
from rtsep_kernels.precision import choose_precision

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


def test_bad_samples_of_a_file_are_told_and_counted(song, tmp_path, capsys):
    path, audio = song
    bad = audio.copy()
    bad[RATE, 0] = bad[2 * RATE, 1] = np.nan
    soundfile.write(path, bad, RATE, subtype="FLOAT")
    out, stats = tmp_path / "out.wav", tmp_path / "stats.json"
    words = ("--input-file", path, "--output-file", out, "--stats", stats, "--latency", "balanced")
    assert _run(*words, "--stem", "vocals", "--stem", "accompaniment", "-q") == 0
    assert "has 2 samples that are no sound, the first at 1.000 s (nan)" in capsys.readouterr().err
    assert json.loads(stats.read_text())["bad_samples"] == 2
    heard = soundfile.read(out, dtype="float32")[0]
    far = np.abs(np.arange(len(audio)) % RATE) > 2  # from the bad ones
    np.testing.assert_allclose(heard[far], audio[far], atol=3e-6)
    assert _run(*words, "--strict", "-q") == 1


def test_gains_are_heard(song, tmp_path):
    path, audio = song
    out = tmp_path / "out.wav"
    words = ("--input-file", path, "--output-file", out, "--latency", "balanced", "-q")
    assert _run(*words, "--gain", "vocals=-20", "--gain", "accompaniment=-20") == 0
    np.testing.assert_allclose(soundfile.read(out)[0], 0.1 * audio, atol=3e-6)
    assert _run(*words, "--mute", "vocals", "--mute", "accompaniment") == 0
    assert np.abs(soundfile.read(out)[0]).max() == 0


@pytest.mark.parametrize(
    ("words", "variable", "precision", "why"),
    [
        ("", "", "f32", "exact, as nothing is paced"),
        ("--precision weights16", "", "weights16", "as asked for"),
        ("", "weights16", "weights16", "as asked for"),
        ("--precision f32 --realtime", "weights16", "f32", "as asked for"),
        ("--realtime", "", None, "auto: "),
    ],
)
def test_the_precision_is_chosen_and_told(
    song, tmp_path, monkeypatch, capsys, words, variable, precision, why
):
    if precision == "weights16" and not VECTOR:
        pytest.skip("the plain kernels know float32 only")
    monkeypatch.setenv("RTSEP_PRECISION", variable)
    stats = tmp_path / "stats.json"
    words = ("--duration", 0.1, "--latency", "low", "--no-ratio", "--stats", stats, *words.split())
    assert _run("--input-file", song[0], *words) == 0
    precision = precision or choose_precision("auto").precision
    assert json.loads(stats.read_text())["precision"] == precision
    err = capsys.readouterr().err
    assert f"\nnets    {precision}: {why}" in err
    assert f" ms, in {precision}\n" in err


def test_a_precision_that_is_not_to_be_had_is_told_in_one_line(song, monkeypatch, capsys):
    monkeypatch.setattr("rtsep_kernels.jit.VECTOR", False)
    assert _run("--input-file", song[0], "--precision", "bf16") == 2
    err = capsys.readouterr().err
    assert "rtsep-monitor: error: precision bf16: it needs vector kernels: choose f32" in err
    monkeypatch.setenv("RTSEP_PRECISION", "f16")
    assert _run("--input-file", song[0]) == 2
    assert "RTSEP_PRECISION must be one of auto, f32" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--stem voice", "no model has the stems voice"),
        ("--stem piano --stem accompaniment", "accompaniment, piano together"),
        ("-m spleeter:2stems --mute drums", "unknown stem 'drums'"),
        ("--gain vocals", "--gain must look like vocals=-6: got 'vocals'"),
        ("--latency fast", "unknown latency 'fast'"),
        ("--on-late wait", "invalid choice"),
        ("--precision f16", "--precision: invalid choice: 'f16'"),
        ("--duration -1", "--duration: must be a number of seconds, 0 or more: got '-1'"),
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


COLLIDING = {
    "--output-file song.wav": "--output-file would replace the input song.wav",
    "--stats song.wav": "--stats would replace the input song.wav",
    "--output-file hard.wav": "--output-file would replace the input song.wav",
    "--record .": "vocals of --record would replace the input song.wav",
    "--record r --output-file r/vocals.wav": "vocals of --record and --output-file would both be",
    "--record r --stats r/vocals.wav": "vocals of --record and --stats would both be written to",
    "--record r --stats r": "--stats and the folder of vocals of --record would both be r",
    "--output-file x.wav --stats x.wav": "--output-file and --stats would both be written to x.wav",
    "--record earlier": "earlier/accompaniment.wav is there already: record to another",
    "--output-file x.xyz": "x.xyz has the extension of no known format: use one of .wav, .flac",
    "--output-file x": "x has the extension of no known format",
}


@pytest.mark.parametrize("words", COLLIDING)
def test_what_would_destroy_a_file_is_refused_before_anything_is_touched(
    song, tmp_path, monkeypatch, capsys, words
):
    monkeypatch.chdir(tmp_path)
    os.link("song.wav", "hard.wav")
    if words == "--record .":
        os.link("song.wav", "vocals.wav")
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier" / "accompaniment.wav").write_bytes(b"earlier")
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    assert _run("--input-file", "song.wav", *words.split(), "-q") == 2
    err = capsys.readouterr().err
    assert COLLIDING[words] in err
    assert err.count("\n") == 1
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("words", ["--record file/r", "--output-file file/x.wav", "--stats /dev"])
def test_places_that_cannot_be_written_are_told_before_anything_is_loaded(
    song, tmp_path, monkeypatch, capsys, words
):
    from rtsep.live.engine_maker import EngineMaker

    monkeypatch.setattr(EngineMaker, "__call__", lambda make: pytest.fail("nets were loaded"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    assert _run("--input-file", "song.wav", *words.split(), "-q") == 1
    assert "cannot write" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "song.wav"]


@pytest.mark.parametrize(
    ("name", "form", "subtype"),
    [
        ("x.flac", "FLAC", "PCM_24"),
        ("x.mp3", "MP3", "MPEG_LAYER_III"),
        ("x.OPUS", "OGG", "OPUS"),
        ("x.aif", "AIFF", "FLOAT"),
        ("x.wav", "WAV", "FLOAT"),
    ],
)
def test_the_output_file_has_the_format_of_its_extension(song, tmp_path, name, form, subtype):
    path, audio = song
    words = ("--input-file", path, "--output-file", tmp_path / name, "--latency", "balanced", "-q")
    assert _run(*words) == 0
    info = soundfile.info(tmp_path / name)
    assert (info.format.removesuffix("EX"), info.subtype) == (form, subtype)
    assert info.frames * RATE == pytest.approx(len(audio) * info.samplerate, abs=RATE)


@pytest.mark.parametrize("with_output", [False, True])
def test_a_recording_that_fails_is_told_and_counted(
    song, tmp_path, monkeypatch, capsys, with_output
):
    from rtsep.files.recording_file import RecordingFile

    append = RecordingFile.append

    def full(recording, block):
        if recording.samples + len(block) > RATE:
            raise OSError(28, "No space left on device")
        append(recording, block)

    monkeypatch.setattr(RecordingFile, "append", full)
    path, audio = song
    stats, folder = tmp_path / "stats.json", tmp_path / "r"
    words = ["--input-file", path, "--record", folder, "--stats", stats, "--latency", "balanced"]
    assert _run(*words, *(["--output-file", tmp_path / "x.wav"] if with_output else [])) == 1
    err = capsys.readouterr().err
    assert f"error: cannot record to {folder}: no space left on device" in err
    assert "are not in the recording" in err
    lengths = {soundfile.info(path).frames for path in folder.iterdir()}
    assert len(lengths) == 1
    (length,) = lengths
    assert RATE - 2048 <= length <= RATE
    lost_samples = json.loads(stats.read_text())["lost_samples"]
    if with_output:  # the rest of the sound is played, and the person told at once
        assert f"recording ended: cannot record to {folder}" in err
        assert soundfile.info(tmp_path / "x.wav").frames == len(audio)
        assert lost_samples == len(audio) - length
    else:
        assert lost_samples > 0


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
