"""Stems made piece by piece, in the order in which they are wanted, and kept."""

import time

import numpy as np
import pytest

from rtsep.constants import SAMPLE_RATE
from rtsep.errors import RtsepError
from rtsep.play.piece_process import PieceProcess
from rtsep.play.separation_ahead import SeparationAhead
from rtsep.play.song import Song
from tests.files.sounds import music, write_file
from tests.play.songs import MODEL, SETTINGS, STEMS, STEP, Deck, cache_in


@pytest.fixture
def ahead(made_up_weights):
    ahead = SeparationAhead(MODEL, PieceProcess(SETTINGS, 1))
    yield ahead
    ahead.close()


def wait_for(until, *parts):
    ends_s = time.monotonic() + 60
    while not until():
        assert time.monotonic() < ends_s
        for part in parts:
            part.check()
        time.sleep(0.01)


def test_pieces_add_up_to_the_recording(tmp_path, ahead):
    """Also where they meet, in whatever order they were made; and they are no silence."""
    path = tmp_path / "song.wav"
    sound = music(14.0, 48_000)
    write_file(path, sound, 48_000)
    cache = cache_in(tmp_path)
    song = Song(path, cache, SETTINGS, STEMS)
    song.head = 9 * SAMPLE_RATE
    ahead.set_songs([song])
    ahead.start()
    wait_for(lambda: song.store.done.ranges, ahead, song)
    assert song.store.done.ranges[0][0] == song.head
    song.head = 4 * SAMPLE_RATE
    wait_for(lambda: song.store.is_complete, ahead, song)
    assert abs(song.length - 14 * SAMPLE_RATE) <= 1
    stems = song.store.read(0, song.length)
    recording = song.recording(0, song.length)
    assert np.abs(stems.sum(axis=1) - recording).max() < 3 * STEP
    assert (np.abs(stems).max(axis=(0, 2)) > 0.05).all()
    ahead.set_songs([])
    song.close()
    again = Song(path, cache, SETTINGS, STEMS)
    assert again.decoded is None and again.store.is_complete
    assert np.array_equal(again.store.read(1000, 50), stems[1000:1050])
    again.close()


def test_stems_are_those_of_rtsep_separate(tmp_path, ahead):
    from rtsep.offline.separator import Separator

    path = tmp_path / "song.wav"
    sound = music(8.0)
    write_file(path, sound, SAMPLE_RATE)
    song = Song(path, cache_in(tmp_path), SETTINGS, STEMS)
    ahead.set_songs([song])
    ahead.start()
    wait_for(lambda: song.store.is_complete, ahead, song)
    wanted = Separator(MODEL.name, mask_extension="top").separate(sound, SAMPLE_RATE)
    for number, stem in enumerate(STEMS):
        ours = song.store.read(0, song.length)[:, number]
        error = ours - wanted[stem]
        # Other windows give other masks, but the same stem.
        assert np.sqrt(np.mean(error**2)) < 0.5 * np.sqrt(np.mean(wanted[stem] ** 2)), stem
    song.close()


def test_a_stem_that_is_not_done_is_waited_for(tmp_path, ahead):
    """With every stem as it is the recording is heard at once; with one muted nothing is, at first."""
    path = tmp_path / "song.wav"
    sound = music(6.0)
    write_file(path, sound, SAMPLE_RATE)
    with Deck(tmp_path, path, ahead=ahead) as deck:
        heard = deck.hear(4096)
        assert np.abs(heard - sound[:4096])[512:].max() < 2 * STEP
        deck.session.mixer.mute("vocals")
        deck.session.deck.seek(2.0)
        deck.settle()
        assert deck.session.state()["waiting"]
        assert deck.session.state()["done_s"] == []
        ahead.start()
        wait_for(lambda: deck.session.state()["done_s"], ahead)
        heard = deck.hear(4096)
        assert heard.any() and deck.session.state()["position_s"] > 2.0
        ahead.set_songs([])


def test_damage_is_told(tmp_path):
    path = tmp_path / "song.flac"
    write_file(path, music(6.0), SAMPLE_RATE)
    path.write_bytes(path.read_bytes()[:-200_000])
    said = []
    with Deck(tmp_path, path, say=said.append) as deck:
        song = deck.session.deck.song
        wait_for(lambda: song.decoded.length is not None, song)
        deck.session.tick(0.0)
        deck.session.tick(0.1)
    assert said and all("song.flac is" in line and "\n" not in line for line in said)
    assert len(said) == len(set(said))  # each once


def test_a_process_that_is_killed_is_told(tmp_path, ahead):
    path = tmp_path / "song.wav"
    write_file(path, music(30.0), SAMPLE_RATE)
    song = Song(path, cache_in(tmp_path), SETTINGS, STEMS)
    ahead.set_songs([song])
    ahead.start()
    wait_for(lambda: song.store.done.ranges, ahead)
    ahead._maker._process.kill()
    with pytest.raises(RtsepError, match="has ended with status -9"):
        wait_for(lambda: False, ahead)
    ahead.set_songs([])
    song.close()
