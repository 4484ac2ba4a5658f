"""Each example, as a person starts it, with real pipes and sound servers and synthetic weights."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import rtsep
from rtsep_bench.servers import pulse_server
from tests.files.sounds import RATE, encode, music, write_file
from tests.live.pulse_clients import listening, play, read_heard
from tests.signal_programs import END_S

EXAMPLES = Path(__file__).parents[2] / "examples"
SONG = music(3.0)

pytestmark = pytest.mark.usefixtures("made_up_weights")
needs_pulse = pytest.mark.needs("pulse")


def run(name, *arguments, environ=None, timeout_s=END_S):
    """What the example prints on stdout; it must succeed and not complain."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", *map(str, arguments)],
        env=environ, capture_output=True, text=True, timeout=timeout_s,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def song(tmp_path):
    return write_file(tmp_path / "song.wav", SONG)


def official(stem, sound=SONG, rate=RATE):
    """What the stem must be."""
    return rtsep.separate(sound, rate)[stem]


def test_every_example_is_short_says_what_it_shows_and_is_run_here():
    tests = Path(__file__).read_text(encoding="utf-8")
    examples = sorted(EXAMPLES.glob("*.py"))
    assert len(examples) >= 8
    for path in examples:
        text = path.read_text(encoding="utf-8")
        first = text.splitlines()[0]
        assert first.startswith('"""') and len(first) > 30, path
        assert f"python examples/{path.name}" in text, path
        assert 15 <= sum(bool(line.strip()) for line in text.splitlines()) <= 40, path
        assert f'run("{path.stem}"' in tests or f"{path.stem}.py" in tests, path


def test_wav_stream(song, tmp_path):
    run("wav_stream", song, tmp_path / "vocals.wav")
    vocals, rate = soundfile.read(tmp_path / "vocals.wav", dtype="float32")
    assert rate == RATE
    # FFTW may plan otherwise in another process, which shows in the last bits.
    np.testing.assert_allclose(vocals, official("vocals"), atol=1e-6)


@pytest.mark.needs("ffmpeg")
def test_ffmpeg_pipe(tmp_path):
    source = encode(tmp_path / "film.mkv", SONG, "flac", with_video=True)
    run("ffmpeg_pipe", source, tmp_path / "karaoke.wav")
    karaoke, rate = soundfile.read(tmp_path / "karaoke.wav", dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(karaoke, official("accompaniment"), atol=2 / 2**15)


def test_meters(song):
    lines = run("meters", song).splitlines()
    assert len(lines) == 3
    for line in lines:
        assert re.fullmatch(r" +\d s  vocals [#-]{20}  accompaniment [#-]{20}", line)
    assert "#" in lines[1]


def test_batch_folder(tmp_path):
    songs = tmp_path / "songs"
    songs.mkdir()
    for name in ("one.wav", "two.mp3"):
        write_file(songs / name, SONG)
    run("batch_folder", songs, tmp_path / "stems")
    made = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("stems/*/*"))
    assert made == [f"stems/{n}/{s}.flac" for n in ("one", "two") for s in ("no_vocals", "vocals")]


def test_batch_folder_goes_on_behind_a_bad_file(tmp_path):
    songs = tmp_path / "songs"
    songs.mkdir()
    (songs / "bad.wav").write_bytes(b"")
    write_file(songs / "good.wav", SONG)
    done = subprocess.run(
        [sys.executable, EXAMPLES / "batch_folder.py", songs, tmp_path / "stems"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "bad.wav is empty" in done.stderr
    assert (tmp_path / "stems" / "good" / "vocals.flac").exists()


def test_in_asyncio():
    """Two clients at once, in blocks that do not fit samples."""
    server = subprocess.Popen(
        [sys.executable, EXAMPLES / "in_asyncio.py", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline().split()[-1])
        clients = [socket.create_connection(("127.0.0.1", port), END_S) for _ in range(2)]
        sounds = [SONG, SONG[::-1]]
        for client, sound in zip(clients, sounds):
            client.sendall(sound.astype("<f4").tobytes() + b"123")
            client.shutdown(socket.SHUT_WR)
        for client, sound in zip(clients, sounds):
            with client, client.makefile("rb") as answer:
                vocals = np.frombuffer(answer.read(), "<f4").reshape(-1, 2)
            np.testing.assert_allclose(vocals, official("vocals", sound), atol=1e-6)
    finally:
        server.terminate()
        server.wait(END_S)


def test_own_backend(tmp_path):
    """Two programs that copy files stand for those that record and play."""
    sound = music(1.0, 48_000)
    sound.astype("<f4").tofile(tmp_path / "heard.f32")
    copy = "import shutil, sys; shutil.copyfileobj({}, {})"
    file = "open(sys.argv[1], '{}')"
    recorder = copy.format(file.format("rb"), "sys.stdout.buffer"), tmp_path / "heard.f32"
    player = copy.format("sys.stdin.buffer", file.format("wb")), tmp_path / "out.f32"
    commands = [
        shlex.join([sys.executable, "-c", code, str(path)]) for code, path in (recorder, player)
    ]
    run("own_backend", *commands)
    played = np.fromfile(tmp_path / "out.f32", "<f4").reshape(-1, 2)
    assert played.shape == sound.shape
    assert np.isfinite(played).all()
    assert np.abs(played).max() > 0


@pytest.mark.unhurried
@needs_pulse
@pytest.mark.slow
def test_karaoke_on_a_sound_server(song, tmp_path):
    with pulse_server(tmp_path) as server, listening(server, "stem", tmp_path) as path:
        run("karaoke", song, environ={**server.environ, "RTSEP_WEIGHTS": weights()})
        heard = read_heard(path)
    # Some of both stems is in everything that the synthetic nets give; silence is not.
    assert np.abs(heard).max() > 0.01
    loud = np.flatnonzero(np.abs(heard).max(axis=1) > 1e-4)
    assert loud[-1] - loud[0] > 2.5 * RATE


@pytest.mark.unhurried
@needs_pulse
@pytest.mark.slow
def test_multichannel_on_a_sound_server(tmp_path):
    with pulse_server(tmp_path) as server, listening(server, "stem", tmp_path) as path:
        process = subprocess.Popen(
            [sys.executable, EXAMPLES / "multichannel.py", "6"],
            env={**server.environ, "RTSEP_WEIGHTS": weights()}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        said = process.stdout.readline()
        play(server, SONG)
        assert process.wait(END_S) == 0
        process.stdout.close()
        heard = read_heard(path)
    assert said == "stems on outputs 1 to 4: vocals, accompaniment\n"
    assert np.abs(heard).max() > 0.01


def weights():
    return os.environ["RTSEP_WEIGHTS"]
