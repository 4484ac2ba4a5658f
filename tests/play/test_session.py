"""What is heard, to the sample: loops, seeks, tempo, songs without a gap; and what is remembered."""

import json

import numpy as np
import pytest

from rtsep.constants import SAMPLE_RATE
from rtsep.errors import AudioFileError, UsageError
from rtsep.play.count_in import CountIn
from rtsep.play.player import LEAD_S
from rtsep.play.song_settings import StemSetting
from rtsep.play.speed import Speed
from rtsep.play.wishes import Wishes
from tests.play.songs import STEMS, STEP, Deck, finished_song, largest_step, noise, tone

# Tempo and key.
pytestmark = pytest.mark.needs("rubberband")

FADE = 512


@pytest.fixture
def stems():
    return {stem: noise(4, seed) for seed, stem in enumerate(STEMS)}


@pytest.fixture
def song(tmp_path, stems):
    return finished_song(tmp_path, stems)


def test_a_song_is_heard_as_it_is(tmp_path, song, stems):
    with Deck(tmp_path, song) as deck:
        heard = deck.hear(2 * SAMPLE_RATE)
    fade = round(0.006 * SAMPLE_RATE) + 1
    wanted = sum(stems.values())
    assert np.abs(heard - wanted[: len(heard)])[fade:].max() < 2 * STEP
    assert np.abs(heard[0]).max() < 0.01  # it fades in


def test_a_loop_is_exact_to_the_sample(tmp_path, song, stems):
    begin, end = 30_011, 61_234
    with Deck(tmp_path, song) as deck:
        deck.session.deck.set_loop(begin / SAMPLE_RATE, end / SAMPLE_RATE)
        deck.session.deck.seek(begin / SAMPLE_RATE)
        deck.settle()
        heard = deck.hear(4 * (end - begin))
    length = end - begin
    assert np.array_equal(heard[length : 2 * length], heard[2 * length : 3 * length])
    wanted = sum(stems.values())
    assert np.abs(heard[length : 2 * length - FADE] - wanted[begin : end - FADE]).max() < 2 * STEP
    assert heard[length] == pytest.approx(wanted[begin], abs=2 * STEP)


def test_a_loop_does_not_click(tmp_path):
    """From a sine's zero to its peak would be a step; no step is larger than the sine's own."""
    quiet = np.zeros_like(tone(100, 4))
    sound = tone(100, 4)
    path = finished_song(tmp_path, dict(zip(STEMS, (sound, quiet))))
    period = SAMPLE_RATE / 100
    with Deck(tmp_path, path) as deck:
        deck.session.deck.set_loop(1.0, (SAMPLE_RATE + 100.25 * period) / SAMPLE_RATE)
        deck.session.deck.seek(1.5)
        deck.settle()
        heard = deck.hear(4 * SAMPLE_RATE)
    assert largest_step(heard) < 1.5 * largest_step(sound)


def test_a_seek_is_the_next_thing_heard_and_does_not_click(tmp_path):
    quiet = np.zeros_like(tone(100, 4))
    sound = np.concatenate([tone(100, 2), tone(150, 2)])
    path = finished_song(tmp_path, dict(zip(STEMS, (sound, quiet))))
    with Deck(tmp_path, path) as deck:
        before = deck.hear(1000)
        deck.session.deck.seek(3.0)
        deck.settle()
        after = deck.hear(4000)
    at = 3 * SAMPLE_RATE
    fade = round(0.006 * SAMPLE_RATE) + 1
    assert np.abs(after[fade:] - sound[at + fade : at + len(after)]).max() < 2 * STEP
    assert largest_step(np.concatenate([before, after])) < 2 * largest_step(sound)


def test_a_pause_keeps_the_place(tmp_path, song, stems):
    wanted = sum(stems.values())
    with Deck(tmp_path, song) as deck:
        heard = deck.hear(2048)
        deck.session.deck.pause()
        silence = deck.hear(1024)
        position = round(deck.session.state()["position_s"] * SAMPLE_RATE)
        deck.session.deck.play()
        again = deck.hear(2048)
    assert not silence[FADE:].any()
    assert 2048 <= position <= 2048 + FADE
    assert np.abs(again[FADE:] - wanted[position + FADE : position + 2048]).max() < 2 * STEP
    assert heard.any()


@pytest.mark.parametrize("tempo, key, cents", [(70, 0, 0), (130, 0, 0), (100, 3, 0), (80, -6, 35)])
def test_tempo_leaves_the_pitch_and_key_the_tempo(tmp_path, tempo, key, cents):
    sound = tone(441, 6)
    path = finished_song(tmp_path, dict(zip(STEMS, (sound, np.zeros_like(sound)))))
    wishes = Wishes(speed=Speed(tempo, key, cents))
    with Deck(tmp_path, path, wishes=wishes) as deck:
        heard = deck.hear(2 * SAMPLE_RATE)
        position_s = deck.session.state()["position_s"]
    assert position_s == pytest.approx(2 * tempo / 100, abs=0.06)
    wanted = 441 * 2 ** ((key + cents / 100) / 12)
    assert 1200 * np.log2(_frequency(heard[SAMPLE_RATE // 2 :, 0]) / wanted) == pytest.approx(
        0, abs=2
    )


def test_a_change_of_tempo_goes_on_at_the_same_place(tmp_path):
    """Clicks every half second: those after the change come when they should, none is lost."""
    sound = np.zeros((8 * SAMPLE_RATE, 2), np.float32)
    sound[:: SAMPLE_RATE // 2] = 0.9
    path = finished_song(tmp_path, dict(zip(STEMS, (sound, np.zeros_like(sound)))))
    with Deck(tmp_path, path) as deck:
        before = deck.hear(round(1.2 * SAMPLE_RATE))
        deck.fill()
        deck.session.deck.set_tempo(80)
        deck.settle()
        after = deck.hear(2 * SAMPLE_RATE)
        deck.fill()
        deck.session.deck.set_tempo(100)
        deck.settle()
        last = deck.hear(2 * SAMPLE_RATE)
    heard = np.abs(np.concatenate([before, after, last])[:, 0])
    clicks = [0.5, 1.0]
    at = 1.2 + LEAD_S  # what had been rendered by then
    clicks += [at + (song_s - at) / 0.8 for song_s in (1.5, 2.0, 2.5)]
    slow_s = len(after) / SAMPLE_RATE
    then = at + 0.8 * slow_s
    clicks += [3.2 + LEAD_S + song_s - then for song_s in (3.0, 3.5, 4.0)]
    for click_s in clicks:
        near = slice(*(round((click_s + d) * SAMPLE_RATE) for d in (-0.02, 0.02)))
        assert heard[near].max() > 0.2, click_s


def test_songs_follow_without_a_gap(tmp_path):
    sounds = [noise(1, seed) for seed in range(2)]
    quiet = np.zeros_like(sounds[0])
    paths = [
        finished_song(tmp_path, dict(zip(STEMS, (sound, quiet))), f"song{number}")
        for number, sound in enumerate(sounds)
    ]
    with Deck(tmp_path, *paths) as deck:
        deck.session.tick(0.0)
        heard = deck.hear(2 * SAMPLE_RATE - 2000)
        deck.session.tick(0.1)
        assert deck.session.state()["song"] == "song1.wav"
        deck.hear(4000)
        deck.session.tick(0.2)
        assert deck.session.finished
    wanted = np.concatenate(sounds)[: len(heard)]
    assert np.abs(heard - wanted)[FADE:].max() < 2 * STEP


def test_the_count_in_comes_first(tmp_path, song, stems):
    wishes = Wishes(count_in=CountIn(3, 240))
    with Deck(tmp_path, song, wishes=wishes) as deck:
        beat = SAMPLE_RATE // 4
        clicks = deck.hear(3 * beat)
        heard = deck.hear(SAMPLE_RATE)
    loud = [np.abs(clicks[n * beat : (n + 1) * beat]).max() for n in range(3)]
    assert min(loud) > 0.2 and not clicks[beat // 2 : beat].any()
    assert np.abs(heard - sum(stems.values())[: len(heard)]).max() < 2 * STEP


def test_gains_mutes_and_solos_are_heard(tmp_path, song, stems):
    vocals, rest = (stems[stem] for stem in STEMS)
    with Deck(tmp_path, song) as deck:
        deck.session.mixer.mute("vocals")
        deck.session.mixer.set_gain_db("accompaniment", -6.0)
        deck.hear(4096)
        heard, at = deck.hear(2048), 4096
        assert np.abs(heard - 10 ** (-0.3) * rest[at : at + 2048]).max() < 2 * STEP
        deck.session.command("solo", stem="vocals", soloed=True)
        deck.hear(4096)
        heard, at = deck.hear(2048), 4096 + 2048 + 4096
        assert np.abs(heard - vocals[at : at + 2048]).max() < 2 * STEP


def test_what_is_set_is_found_again(tmp_path, song):
    remember = {"settings_folder": tmp_path / "settings"}
    with Deck(tmp_path, song, **remember) as deck:
        deck.session.mixer.mute("vocals")
        deck.session.mixer.trim("accompaniment", -3)
        deck.session.deck.set_loop(1.0, 2.0)
        deck.session.deck.set_tuning(-12.0)
        deck.session.deck.set_count_in(2, 90)
        left = deck.session.state()
    moved = song.rename(tmp_path / "moved.wav")
    with Deck(tmp_path, moved, **remember) as deck:
        found = deck.session.state()
        assert found["position_s"] == pytest.approx(1.0)
    for key in ("loop_s", "tuning_cents", "count_in_beats", "count_in_bpm"):
        assert found[key] == left[key]
    for before, after in zip(left["stems"], found["stems"]):
        assert {**before, "level_dbfs": 0} == {**after, "level_dbfs": 0}
    wishes = Wishes(stems={"vocals": StemSetting()}, speed=Speed(90))
    with Deck(tmp_path, moved, wishes=wishes, **remember) as deck:
        assert deck.session.state()["tuning_cents"] == 0
        assert not deck.session.state()["stems"][0]["muted"]


def test_a_remote_control_reads_the_state_and_sends_commands(tmp_path, song):
    with Deck(tmp_path, song) as deck:
        for name, arguments in [
            ("pause", {}), ("seek", {"position_s": 2.5}), ("set_tempo", {"percent": 75}),
            ("set_key", {"semitones": -2}), ("fade", {"stem": "vocals", "seconds": 0.5}),
        ]:  # fmt: skip
            deck.session.command(name, **arguments)
        deck.settle()
        deck.session.tick(0.0)
        state = json.loads(json.dumps(deck.session.state()))
    assert (state["playing"], state["tempo_percent"], state["key_semitones"]) == (False, 75, -2)
    assert state["position_s"] == pytest.approx(2.5)
    assert state["done_s"] == [[0.0, 4.0]]


@pytest.mark.parametrize(
    "name, arguments, said",
    [
        ("set_tempo", {"percent": 49}, "50 to 150 per cent: got 49"),
        ("set_key", {"semitones": 7}, "-6 to 6: got 7"),
        ("set_tuning", {"cents": float("nan")}, "cents must be a finite number"),
        ("set_loop", {"begin_s": 2, "end_s": 1}, "got 2.00 to 1.00 s"),
        ("set_loop", {"begin_s": 1, "end_s": 9}, "within the song"),
        ("set_gain_db", {"stem": "drums", "gain_db": 0}, "no stem 'drums'"),
        ("set_gain_db", {"stem": "vocals", "gain_db": 99}, "-60 to 24 dB"),
        ("go_to_song", {"index": 1}, "songs 0 to 0"),
        ("close", {}, "no command 'close'"),
        ("seek", {"to": 1}, "seek does not take"),
    ],
)
def test_impossible_commands_are_refused(tmp_path, song, name, arguments, said):
    with Deck(tmp_path, song) as deck:
        before = deck.session.state()
        with pytest.raises(UsageError, match=said) as refused:
            deck.session.command(name, **arguments)
        assert "\n" not in str(refused.value)
        assert deck.session.state()["loop_s"] == before["loop_s"]


def test_a_song_that_cannot_be_read_is_left_out(tmp_path, song):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no sound")
    said = []
    with Deck(tmp_path, broken, song, say=said.append) as deck:
        assert deck.session.state()["song"] == "song.wav"
    assert len(said) == 1 and "broken.wav" in said[0]
    with pytest.raises(AudioFileError):
        Deck(tmp_path, broken)


def _frequency(sound):
    """Of a sine, by the phase of its spectrum's peak from one half to the next."""
    half = len(sound) // 2
    window = np.hanning(half)
    spectra = [np.fft.rfft(window * part) for part in (sound[:half], sound[half : 2 * half])]
    peak = int(np.argmax(np.abs(spectra[0])))
    turns = np.angle(spectra[1][peak] / spectra[0][peak]) / (2 * np.pi)
    return (peak + (turns - peak * half / half + 0.5) % 1 - 0.5) * SAMPLE_RATE / half


def test_a_mute_is_heard_as_soon_when_stretched(tmp_path):
    """Not behind what the stretcher holds: what had been rendered is heard, and then silence."""
    sound = tone(300, 6)
    path = finished_song(tmp_path, dict(zip(STEMS, (sound, 0 * sound))))
    with Deck(tmp_path, path, wishes=Wishes(speed=Speed(60))) as deck:
        deck.hear(SAMPLE_RATE)
        deck.fill()
        old, read = deck.player.feed, deck.player.feed.ring.read
        deck.session.command("mute", stem="vocals", muted=True)
        deck.settle()
        new = deck.player.feed
        heard = deck.hear(SAMPLE_RATE // 2)
    assert new.follows is old
    fade = round(0.006 * SAMPLE_RATE) + 1
    assert np.flatnonzero(np.abs(heard[:, 0]) > 0.01)[-1] <= new.at - read + fade
