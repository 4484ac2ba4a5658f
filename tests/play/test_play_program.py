"""`rtsep-play` as a program: its errors, what it exports, and through a sound server."""

import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from rtsep.cli import play
from rtsep.cli.play_arguments import build_parser
from rtsep.cli.terminal.play_display import status_line
from rtsep.cli.terminal.play_keys import PLAY_KEYS, handle_play_key
from rtsep.constants import SAMPLE_RATE
from rtsep.play import librubberband
from rtsep_bench.server_process import wait_until
from rtsep_bench.servers import pulse_server
from tests.live.pulse_clients import listening, read_heard
from tests.play.songs import STEMS, STEP, Deck, finished_song, noise, tone

# Tempo and key.
pytestmark = pytest.mark.needs("rubberband")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("RTSEP_PLAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RTSEP_PLAY_SETTINGS", str(tmp_path / "settings"))
    return tmp_path


@pytest.fixture
def stems():
    return {stem: noise(3, seed) for seed, stem in enumerate(STEMS)}


def test_what_is_heard_is_exported(place, stems):
    song, target = finished_song(place, stems), place / "out.wav"
    arguments = [str(song), "--mute", "vocals", "--gain", "accompaniment=-6", "-q"]
    assert play.main([*arguments, "--loop", "1", "2", "--export", str(target)]) == 0
    heard, rate = soundfile.read(target, dtype="float32")
    wanted = 10 ** (-0.3) * stems["accompaniment"][SAMPLE_RATE : 2 * SAMPLE_RATE]
    assert rate == SAMPLE_RATE and heard.shape == wanted.shape
    assert np.abs(heard - wanted).max() < 2 * STEP
    assert play.main([*arguments, "--tempo", "80", "--forget", "--export", str(target)]) == 0
    assert soundfile.info(target).frames == round(len(stems["vocals"]) / 0.8)


@pytest.mark.parametrize(
    "arguments, status, said",
    [
        (["SONG", "--tempo", "40"], 2, "50 to 150 per cent: got 40"),
        (["SONG", "--key", "7"], 2, "-6 to 6: got 7"),
        (["SONG", "--tuning", "500"], 2, "-100 to 100 cents: got 500"),
        (["SONG", "--loop", "2", "1"], 2, "end after its beginning"),
        (["SONG", "--loop", "1", "99", "--export", "OUT"], 2, "within the song"),
        (["SONG", "--mute", "drums"], 2, "no stem 'drums'"),
        (["SONG", "--bpm", "90"], 2, "--count-in"),
        (["SONG", "SONG", "--export", "OUT"], 2, "one song"),
        (["SONG", "-m", "spleeter:9stems"], 2, "unknown model"),
        (["gone.mp3"], 1, "gone.mp3"),
        (["EMPTY"], 1, "names no song"),
        (["NOISE"], 1, "not.mp3"),
    ],
)
def test_bad_input_is_one_line(place, stems, capsys, arguments, status, said):
    song = finished_song(place, stems)
    (place / "empty.m3u").write_text("")
    (place / "not.mp3").write_bytes(b"this is no sound")
    names = {
        "SONG": str(song), "OUT": str(place / "out.wav"), "EMPTY": str(place / "empty.m3u"),
        "NOISE": str(place / "not.mp3"),
    }  # fmt: skip
    given = [names.get(argument, argument) for argument in arguments]
    if arguments == ["NOISE"]:
        given += ["--export", names["OUT"]]  # before any device is looked for
    assert play.main(given) == status
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and said in error


def test_a_missing_library_is_one_line(place, stems, capsys, monkeypatch):
    monkeypatch.setattr(librubberband.ctypes.util, "find_library", lambda name: "librtsep-none.so")
    librubberband.librubberband.cache_clear()
    song = finished_song(place, stems)
    try:
        assert play.main([str(song), "--tempo", "90", "--export", str(place / "o.wav"), "-q"]) == 1
        with Deck(place, song) as deck:
            assert "librubberband2" in str(handle_play_key("t", deck.session))
            assert deck.session.state()["tempo_percent"] == 100
    finally:
        librubberband.librubberband.cache_clear()
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "apt install librubberband2" in error


def test_keys_do_what_the_help_says(place, stems):
    song = finished_song(place, stems)
    with Deck(place, song) as deck:

        def press(keys):
            refused = [handle_play_key(key, deck.session) for key in keys]
            deck.settle()
            return [line for line in refused if line]

        assert press("2mTTKu") == []
        state = deck.session.state()
        assert state["stems"][1]["muted"] and not state["stems"][0]["muted"]
        assert (state["tempo_percent"], state["key_semitones"], state["tuning_cents"]) == (
            110,
            1,
            -5,
        )
        assert press("T" * 9)[0].startswith("the tempo must be")
        press("a")
        deck.session.deck.seek(2.0)
        deck.settle()
        press("a ")
        state = deck.session.state()
        assert state["loop_s"] == pytest.approx([0.0, 2.0], abs=0.1) and not state["playing"]
        assert "loop 0.0-2.0 s" in status_line(state) and "paused" in status_line(state)
        press("ac0\x07")
        assert deck.session.state()["loop_s"] is None
    text = build_parser().format_help()
    assert all(meaning in text for _, _, meaning in PLAY_KEYS)


@pytest.mark.unhurried
@pytest.mark.needs("pulse")
def test_it_plays_through_a_sound_server(place):
    sound = tone(500, 4)
    song = finished_song(place, dict(zip(STEMS, (sound, 0 * sound))))
    with pulse_server(place) as server, listening(server, "stem", place) as recording:
        environ = {**server.environ, **{k: v for k, v in os.environ.items() if "RTSEP" in k}}
        program = [sys.executable, "-m", "rtsep.cli.play", str(song), "--start", "1"]
        done = subprocess.run(program, env=environ, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        wait_until(lambda: read_heard(recording).any(), "the song")
        heard = read_heard(recording)[:, 0]
    # A busy machine may leave gaps; what is heard of the song is all of it.
    assert np.count_nonzero(np.abs(heard) > 1e-4) == pytest.approx(3 * SAMPLE_RATE, rel=0.01)
    assert np.abs(heard).max() == pytest.approx(0.3, abs=0.01)
    assert f"output  default, {SAMPLE_RATE} Hz" in done.stderr
