"""`rtsep-play` on PulseAudio and JACK without PortAudio, and where the output goes away."""

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest

from rtsep.cli import play
from rtsep.constants import SAMPLE_RATE
from rtsep_bench.server_process import wait_until
from rtsep_bench.servers import jack_server, pulse_server
from tests.live.pulse_clients import listening, read_heard
from tests.play.songs import STEMS, finished_song

SECONDS = 90


@pytest.fixture
def song(tmp_path, monkeypatch):
    """One whose level says where it is: from 0.1 to 0.4 within SECONDS; its other stem is silence."""
    monkeypatch.setenv("RTSEP_PLAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RTSEP_PLAY_SETTINGS", str(tmp_path / "settings"))
    line = np.linspace(0.1, 0.4, SECONDS * SAMPLE_RATE, dtype=np.float32)
    sound = np.repeat(line[:, np.newaxis], 2, axis=1)
    return finished_song(tmp_path, dict(zip(STEMS, (sound, 0 * sound))))


@contextlib.contextmanager
def playing(server, folder, *words):
    """The program, and a function that gives what it has said so far."""
    said = folder / "said.txt"
    environ = {**server.environ, **{k: v for k, v in os.environ.items() if "RTSEP" in k}}
    with said.open("w") as stderr:
        program = subprocess.Popen(
            [sys.executable, "-m", "rtsep.cli.play", "--forget", *words],
            env=environ, stderr=stderr, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        yield program, said.read_text
    finally:
        program.kill()
        program.wait()


def place_s(recording):
    """Where in the song the recording begins and ends, in seconds, within 0.1 s."""
    heard = read_heard(recording)[:, 0]
    places = (heard[heard > 0.1] - 0.1) / 0.3 * SECONDS
    # Resamplers ring where the sound begins and ends.
    return np.median(places[: SAMPLE_RATE // 10]), np.median(places[-SAMPLE_RATE // 10 :])


@pytest.mark.needs("pulse")
def test_a_sink_that_comes_back_is_played_on_from_where_the_song_was(song, tmp_path):
    sink = ("module-null-sink", "sink_name=phones", "rate=48000", "format=float32le", "norewinds=1")

    def heard_for(seconds, recording):
        wait_until(lambda: (read_heard(recording) > 0.1).sum() > 2 * seconds * SAMPLE_RATE, "it")

    with pulse_server(tmp_path) as server:
        module = server.command("pactl", "load-module", *sink).strip()
        words = (str(song), "--start", "20", "--backend", "pulse", "-o", "phones")
        with playing(server, tmp_path, *words) as (program, said):
            with listening(server, "phones", tmp_path) as recording:
                heard_for(1, recording)
                server.command("pactl", "unload-module", module)
                wait_until(lambda: "has gone: waiting up to 60 s" in said(), "the loss")
            begun_s, lost_s = place_s(recording)
            server.command("pactl", "load-module", *sink)
            recording.unlink()
            with listening(server, "phones", tmp_path) as recording:
                heard_for(0.5, recording)
            again_s, _ = place_s(recording)
            wait_until(
                lambda: "the audio device is back: Null Output, 48000 Hz" in said(), "the news"
            )
            assert program.poll() is None
    assert begun_s == pytest.approx(20, abs=0.3)
    # On the sink that the server put in its place nothing is heard for long, see STRAYS_S.
    assert -0.1 <= again_s - lost_s < 4


@pytest.mark.needs("pulse")
def test_nothing_is_waited_for_where_nobody_wants_it(song, tmp_path):
    with pulse_server(tmp_path) as server:
        words = (str(song), "--backend", "pulse", "-o", "stem", "--reconnect", "0")
        with playing(server, tmp_path, *words) as (program, said):
            wait_until(lambda: "output" in said(), "the header")
            server.kill()
            assert program.wait(30) == 1
            assert "error: the audio device has stopped: reconnect it" in said()


@pytest.mark.needs("jack")
def test_it_is_a_client_of_jack(song, tmp_path):
    with jack_server(tmp_path) as server:

        def is_connected():
            lines = server.command("jack_lsp", "-c", "rtsep:out_2").split()
            return lines == ["rtsep:out_2", "system:playback_2"]

        with playing(server, tmp_path, str(song), "--backend", "jack") as (program, said):
            wait_until(is_connected, "the ports")
            header = "output  system:playback_1, system:playback_2, 44100 Hz"
            wait_until(lambda: header in said(), "the header")
            assert "rtsep:in_1" not in server.command("jack_lsp")
            program.terminate()
            assert program.wait(30) == 143
            assert "Traceback" not in said()


@pytest.mark.parametrize(
    "words, said",
    [
        (["--backend", "jack", "--samplerate", "48000"], "--samplerate means nothing to"),
        (["--backend", "pulse", "--hostapi", "ALSA"], "--hostapi means nothing to"),
        (["--backend", "pulse", "--blocksize", "256"], "--blocksize is not for PulseAudio"),
        (["--backend", "pulse", "--device-latency", "x"], "low, high or seconds: got 'x'"),
    ],
)
def test_options_that_a_backend_does_not_know(song, capsys, words, said):
    assert play.main([str(song), *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and said in error


def test_without_a_song_there_is_one_line(capsys):
    assert play.main([]) == 2
    assert capsys.readouterr().err.endswith("nothing to play: name files, folders or playlists\n")
