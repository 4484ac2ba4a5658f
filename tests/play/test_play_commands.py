"""rtsep-play under control: every command of the protocol reaches the song, and the state is JSON."""

import json

import pytest

from rtsep.cli.play_commands import PlayCommands
from rtsep.control.protocol import make_command
from rtsep.errors import UsageError
from tests.play.songs import STEMS, Deck, finished_song, noise

# Tempo and key.
pytestmark = pytest.mark.needs("rubberband")

ARGUMENTS = {
    "gain": {"stem": STEMS[0], "db": -6.0},
    "trim": {"stem": STEMS[0], "db": 2.0},
    "mute": {"stem": STEMS[1]},
    "solo": {"stem": STEMS[0], "on": True},
    "fade": {"stem": STEMS[0], "seconds": 2.0},
    "bypass": {"on": True},
    "play": {"on": False},
    "seek": {"position_s": 1.5},
    "skip": {"seconds": -0.5},
    "loop": {"start_s": 0.5, "end_s": 2.0},
    "tempo": {"percent": 80.0},
    "key": {"semitones": -2},
    "tuning": {"cents": 20.0},
    "count_in": {"beats": 4, "bpm": 90.0},
    "song": {"number": 1},
    "mark_loop": {},
    "unloop": {},
}


@pytest.fixture
def commands(tmp_path):
    song = finished_song(tmp_path, {stem: noise(4, seed) for seed, stem in enumerate(STEMS)})
    with Deck(tmp_path, song) as deck:
        yield PlayCommands(deck.session)


def perform(commands, *names):
    for name in names:
        commands.perform(make_command(name, **ARGUMENTS[name]))
    return json.loads(json.dumps(commands.state()))


def test_every_command_is_taken(commands):
    assert set(commands.commands) == set(ARGUMENTS)
    perform(commands, *ARGUMENTS)


def test_the_state_tells_what_was_done(commands):
    state = perform(
        commands, "gain", "trim", "mute", "fade", "bypass", "play", "seek", "loop", "key"
    )
    first, second = state["stems"]
    assert (first["gain_db"], first["fading_to"], second["muted"]) == (-4.0, 0.0, True)
    assert state["bypass"] is True
    transport = state["transport"]
    assert (transport["playing"], transport["loop_s"]) == (False, [0.5, 2.0])
    assert (transport["key_semitones"], transport["song_number"], transport["songs"]) == (-2, 1, 1)


def test_bypass_is_set_not_toggled(commands):
    assert perform(commands, "bypass", "bypass")["bypass"] is True


def test_what_is_impossible_is_refused_in_a_line(commands):
    with pytest.raises(UsageError, match="tempo"):
        commands.perform(make_command("tempo", percent=500.0))
    with pytest.raises(UsageError, match="nobody"):
        commands.perform(make_command("mute", stem="nobody"))
