"""The programs between others: sound in through a pipe, sound out through another, nothing else."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from rtsep.cli.separate import main
from rtsep.files.raw_pcm import encode
from tests.files.sounds import music, read_file, write_file
from tests.signal_programs import END_S, REPOSITORY

RATE = 44_100
SOUND = music(4.0)
FFMPEG = "ffmpeg"
needs_ffmpeg = pytest.mark.needs("ffmpeg")
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals and files")

MONITOR = "import sys; from rtsep.cli.monitor import main; sys.exit(main())"
# In place of the nets: each stem is half of the sound. It prints as libraries do, which must not
# get among the sound.
SEPARATE = """
import os, sys
from rtsep.cli import separate
from tests.offline.gain_separator import GainSeparator
def load(arguments, stems):
    print("from Python")
    os.write(1, b"from a library\\n")
    return GainSeparator(dict.fromkeys(stems, 0.5))
separate._load_separator = load
sys.exit(separate.main())
"""


def start(code, *arguments, **options):
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        **{**streams, **options},
    )


def through(code, content, *arguments):
    """Exit status, stdout and stderr of a program that gets `content` on stdin."""
    with start(code, *arguments) as process:
        try:
            out, err = process.communicate(content, timeout=END_S)
        finally:
            process.kill()
    return process.returncode, out, err.decode()


def samples(content, channels=2):
    return np.frombuffer(content, "<f4").reshape(-1, channels)


def sound_of_wav(content, bits):
    """The bytes of sound of a WAV file of unknown length, whose header is checked."""
    riff, length, wave, _fmt, _, tag, channels, rate, _, _, bits_found, data, data_length = (
        struct.unpack("<4sI4s4sIHHIIHH4sI", content[:44])
    )
    assert (riff, wave, data) == (b"RIFF", b"WAVE", b"data")
    assert (length, data_length) == (0xFFFFFFFF, 0xFFFFFFFF)
    assert (channels, rate, bits_found, tag) == (2, RATE, bits, {16: 1, 32: 3}[bits])
    return content[44:]


# --- rtsep-separate -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["wav", "flac", "mka"])
def test_a_file_on_stdin_is_separated_to_stdout_and_nothing_else_gets_there(tmp_path, kind):
    path = write_file(tmp_path / f"song.{kind}", SOUND)
    status, out, err = through(
        SEPARATE, path.read_bytes(), "-", "--stdout", "vocals", "--bit-depth", "float"
    )
    assert status == 0
    np.testing.assert_array_equal(samples(sound_of_wav(out, 32)), 0.5 * read_file(path))
    assert "from Python" in err
    assert "from a library" in err
    assert "standard input: 0:04 of sound" in err


def test_raw_pcm_goes_in_and_out(tmp_path):
    raw = ("--pcm", "s16le", "--samplerate", "48000", "--channels", "1")
    content = encode(music(1.0, 48_000, 1), "s16le")
    status, out, err = through(SEPARATE, content, "-", *raw, "--stdout", "vocals", "--quiet")
    assert (status, "warning" in err) == (0, False)
    expected = np.frombuffer(content, "<i2") * 0.5
    np.testing.assert_allclose(np.frombuffer(out, "<i2"), expected, atol=0.51)


def test_raw_pcm_has_the_rate_and_channels_asked_for(tmp_path):
    path = write_file(tmp_path / "song.wav", music(1.0, 48_000, 1), 48_000)
    status, out, _ = through(SEPARATE, b"", path, "--stdout", "vocals", "--pcm", "f32le")
    assert status == 0
    result = samples(out)
    assert len(result) == pytest.approx(RATE, abs=2)
    np.testing.assert_array_equal(result[:, 0], result[:, 1])


def test_16_bits_are_the_default_and_clipping_is_told(tmp_path):
    status, out, err = through(
        SEPARATE, write_file(tmp_path / "loud.wav", 4.0 * np.sign(SOUND)).read_bytes(),
        "-", "--stdout", "vocals",
    )  # fmt: skip
    assert status == 0
    assert np.abs(np.frombuffer(sound_of_wav(out, 16), "<i2").astype(int)).max() == 32_768
    assert "peaks at +6.0 dBFS were clipped" in err


def test_stems_of_stdin_go_to_files_of_that_name(tmp_path):
    status, _, _ = through(
        SEPARATE, encode(SOUND, "f32le"), "-", "--pcm", "f32le", "-o", tmp_path, "--bit-depth", "float"
    )  # fmt: skip
    assert status == 0
    assert sorted(path.name for path in (tmp_path / "stdin").iterdir()) == [
        "accompaniment.wav", "vocals.wav",
    ]  # fmt: skip
    np.testing.assert_array_equal(read_file(tmp_path / "stdin" / "vocals.wav"), 0.5 * SOUND)


def test_options_for_the_part_and_the_damage_still_work():
    content = encode(SOUND, "f32le") + b"123"
    pcm = ("-", "--pcm", "f32le", "--stdout", "vocals")
    status, out, err = through(SEPARATE, content, *pcm, "--start", "1", "--duration", "0.5")
    assert (status, "warning" in err) == (0, False)
    np.testing.assert_array_equal(samples(out), 0.5 * SOUND[RATE : RATE + RATE // 2])
    status, out, err = through(SEPARATE, content, *pcm)
    assert status == 0
    assert "standard input ends in the middle of a sample: its last 3 of 8 bytes" in err
    status, _, err = through(SEPARATE, content, *pcm, "--strict")
    assert status == 1
    assert "do without `strict`" in err
    status, _, err = through(SEPARATE, content, *pcm, "--track", "2")
    assert status == 1
    assert "no audio track 2" in err


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path):
    path = write_file(tmp_path / "song.wav", music(20.0))
    with start(SEPARATE, path, "--stdout", "vocals", "--quiet") as process:
        assert process.stdout.read(44)[:4] == b"RIFF"
        process.stdout.close()
        process.stdin.close()
        err = process.stderr.read().decode()
    assert process.returncode == 0
    assert sorted(err.splitlines()) == ["from Python", "from a library"]


@posix
def test_a_full_disk_is_told(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    path = write_file(tmp_path / "song.wav", SOUND)
    with open("/dev/full", "wb") as full:
        process = start(SEPARATE, path, "--stdout", "vocals", stdout=full)
        _, err = process.communicate(timeout=END_S)
    assert process.returncode == 1
    assert b"error: cannot write to standard output: No space left on device" in err


@posix
@pytest.mark.parametrize("seconds", [1.0, 3.0], ids=["nothing comes", "nobody reads"])
def test_an_interrupt_ends_it_while_it_waits(seconds):
    """After one second it waits for more; the output of three is more than a pipe holds."""
    with start(SEPARATE, "-", "--pcm", "f32le", "--stdout", "vocals") as process:
        process.stdin.write(encode(music(seconds), "f32le"))
        process.stdin.flush()
        while process.stderr.readline() != b"from a library\n":
            pass
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.wait(END_S)
        assert process.returncode == 130


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("- -", "- is given twice"),
        ("a.wav --pcm f32le", "--pcm is about standard input and output"),
        ("- --samplerate 48000", "--samplerate and --channels describe raw PCM"),
        ("- --channels 1", "--samplerate and --channels describe raw PCM"),
        ("- --pcm f32le --channels 6", "audio must have 1 or 2 channels: got 6"),
        ("- --pcm f32le --samplerate 10", "must be from 1000 to"),
        ("- --pcm s24le", "--pcm: invalid choice: 's24le'"),
        ("- a.wav --stdout vocals", "--stdout takes one input, whose stem it writes: got 2"),
        ("a.wav --stdout drums", "spleeter:2stems has no stem 'drums'"),
        ("a.wav --stdout vocals --stems vocals", "not allowed with argument"),
        ("a.wav --stdout vocals --format flac", "are about files: leave them out with --stdout"),
        ("a.wav --stdout vocals -o x", "are about files: leave them out with --stdout"),
        ("a.wav --stdout vocals --bit-depth 24", "WAV in a pipe cannot hold bit depth 24"),
    ],
)
def test_impossible_arguments_are_told(tmp_path, monkeypatch, capsys, arguments, told):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.isatty", lambda descriptor: False)
    try:
        status = main(arguments.split())
    except SystemExit as end:
        status = end.code
    captured = capsys.readouterr()
    assert (status, captured.out, captured.err.count("\n")) == (2, "", 1)
    assert told in captured.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-"], "standard input is a terminal: send sound through a pipe"),
        (["a.wav", "--stdout", "vocals"], "standard output is a terminal"),
    ],
)
def test_a_terminal_is_no_place_for_sound(monkeypatch, capsys, arguments, told):
    monkeypatch.setattr("os.isatty", lambda descriptor: True)
    assert main(arguments) == 2
    assert told in capsys.readouterr().err


def test_a_file_called_minus_is_a_file(tmp_path):
    write_file(tmp_path / "song.wav", SOUND).rename(tmp_path / "-")
    with start(SEPARATE, "./-", "-o", "out", "--quiet", cwd=tmp_path) as process:
        _, err = process.communicate(timeout=END_S)
    assert (process.returncode, err) == (0, b"")
    assert (tmp_path / "out" / "-" / "vocals.wav").exists()


# --- rtsep-monitor ------------------------------------------------------------------------------

SHORT = music(1.5)
UNIT_GAINS = ("--latency", "balanced", "--stem", "vocals", "--stem", "accompaniment", "--quiet")
BETWEEN = ("--input-file", "-", "--output-file", "-")


def test_the_monitor_is_a_filter(made_up_weights):
    content = encode(SHORT, "f32le") + b"12345"
    status, out, err = through(MONITOR, content, *BETWEEN, "--pcm", "f32le", *UNIT_GAINS)
    assert status == 0
    np.testing.assert_allclose(samples(out), SHORT, atol=3e-6)
    assert err == (
        "rtsep-monitor: warning: standard input ends in the middle of a sample: its last 5 of 8 bytes"
        " are left out\n"
    )


def test_the_monitors_raw_pcm_leaves_as_it_came(made_up_weights):
    raw = ("--pcm", "s16le", "--samplerate", "48000", "--channels", "1")
    sound = music(1.0, 48_000, 1)
    status, out, _ = through(MONITOR, encode(sound, "s16le"), *BETWEEN, *raw, *UNIT_GAINS)
    assert status == 0
    result = np.frombuffer(out, "<i2") / 2.0**15
    assert abs(len(result) - len(sound)) <= 2
    # There and back through 44.1 kHz.
    np.testing.assert_allclose(result[: len(sound)], sound[: len(result), 0], atol=2e-3)


def test_the_monitor_gives_sound_out_while_it_comes_in(made_up_weights):
    with start(MONITOR, *BETWEEN, "--pcm", "f32le", *UNIT_GAINS) as process:
        writer = threading.Thread(target=process.stdin.write, args=(encode(SHORT, "f32le"),))
        writer.start()
        # The pipe is still open: what comes out now has not waited for its end.
        part = samples(process.stdout.read(8 * RATE))
        np.testing.assert_allclose(part, SHORT[:RATE], atol=3e-6)
        writer.join()
        process.stdin.close()
        out = process.stdout.read()
    assert len(part) + len(samples(out)) == len(SHORT)
    assert process.returncode == 0


def test_the_monitor_reads_and_writes_wav(made_up_weights, tmp_path):
    path = write_file(tmp_path / "song.wav", SHORT)
    status, out, _ = through(MONITOR, path.read_bytes(), *BETWEEN, *UNIT_GAINS)
    assert status == 0
    np.testing.assert_allclose(samples(sound_of_wav(out, 32)), SHORT, atol=3e-6)


def test_of_the_monitor_a_reader_may_go_away(made_up_weights, tmp_path):
    path = write_file(tmp_path / "song.wav", music(3.0))
    arguments = ("--input-file", path, "--output-file", "-", *UNIT_GAINS)
    with start(MONITOR, *arguments) as process:
        assert process.stdout.read(44)[:4] == b"RIFF"
        process.stdout.close()
        process.stdin.close()
        err = process.stderr.read()
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--pcm", "f32le"], "--pcm is about standard input and output"),
        (["--input-file", "a.wav", "--pcm", "f32le"], "--pcm is about standard input and output"),
        (["--output-file", "-"], "--output-file needs --input-file"),
        ([*BETWEEN, "--pcm", "f32le", "--channels", "3"], "audio must have 1 or 2 channels: got 3"),
    ],
)
def test_impossible_arguments_of_the_monitor_are_told(made_up_weights, arguments, told):
    status, out, err = through(MONITOR, b"", *arguments)
    assert (status, out) == (2, b"")
    assert told in err
    assert err.count("\n") == 1


# --- a real ffmpeg in front and behind ----------------------------------------------------------


def between_ffmpegs(path, target, encoding, code, *arguments):
    """FILE -> ffmpeg -> the program -> ffmpeg -> TARGET, as a shell's pipeline."""
    assert FFMPEG is not None
    quiet = [FFMPEG, "-v", "error"]
    front = subprocess.Popen(
        [*quiet, "-i", path, *encoding, "-"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    middle = start(code, *arguments, stdin=front.stdout)
    front.stdout.close()
    raw = encoding if "--pcm" in arguments else []
    behind = subprocess.Popen(
        [*quiet, *raw, "-i", "-", "-c:a", "pcm_f32le", target], stdin=middle.stdout
    )
    middle.stdout.close()
    _, err = middle.communicate(timeout=END_S)
    assert (front.wait(END_S), middle.returncode, behind.wait(END_S)) == (0, 0, 0), err
    return read_file(target)


RAW = ["-f", "f32le", "-ar", "44100", "-ac", "2"]


@needs_ffmpeg
def test_the_monitor_between_two_ffmpegs(made_up_weights, tmp_path):
    path = write_file(tmp_path / "song.mp3", SHORT)
    arguments = (*BETWEEN, "--pcm", "f32le", *UNIT_GAINS)
    result = between_ffmpegs(path, tmp_path / "out.wav", RAW, MONITOR, *arguments)
    expected = read_file(path)
    np.testing.assert_allclose(result[: len(expected)], expected[: len(result)], atol=3e-6)
    assert len(result) == pytest.approx(len(expected), abs=2304)


@needs_ffmpeg
@pytest.mark.parametrize("form", ["wav", "flac", "matroska", "mpegts", "adts", "ogg"])
def test_separate_between_two_ffmpegs(tmp_path, form):
    path = write_file(tmp_path / "song.wav", SOUND)
    arguments = ("-", "--stdout", "vocals", "--bit-depth", "float")
    result = between_ffmpegs(path, tmp_path / "out.wav", ["-f", form], SEPARATE, *arguments)
    assert len(result) == pytest.approx(len(SOUND), abs=4096)
    level = np.sqrt((result**2).mean() / (SOUND**2).mean())
    assert level == pytest.approx(0.5, rel=0.02)
