"""--screen-reader: changes in lines, and how things stand on a key."""

from types import SimpleNamespace

import numpy as np
import pytest

from rtsep.cli.terminal.display import make_display
from rtsep.cli.terminal.keys import handle_key
from rtsep.cli.terminal.play_display import make_play_display
from rtsep.cli.terminal.spoken import SETTLED_S
from rtsep.cli.terminal.stream_status import RECENT_S
from rtsep.control.mixing import MixCommands
from rtsep.live.mixer import MixControls
from rtsep.live.plans.plan import PLANS
from rtsep.live.stats import Counters
from rtsep.play.song_mixer import SongMixer

STEMS = ("vocals", "accompaniment")


class Desk:
    """The mix of two stems, its spoken display, and a clock."""

    def __init__(self, capsys):
        self._capsys, self.now_s = capsys, 0.0
        self.engine = SimpleNamespace(
            stems=STEMS, gains=np.zeros(2, np.float32), bypass=False, counters=Counters(),
            plan=PLANS["low"], played_s=75.0,
        )  # fmt: skip
        self.controls = MixControls(self.engine, dict.fromkeys(STEMS, 1.0))
        self.commands = MixCommands(self.controls, dict)
        self.display = make_display(self.engine, self.controls, [], quiet=False, spoken=True)
        self.display.refresh(0.0)

    def press(self, keys):
        """The lines that are spoken after these keys, looked at 20 times a second."""
        for key in keys:
            handle_key(key, self.commands, self.display)
            self.wait(0.1)
        self.wait(SETTLED_S + 0.1)
        return self.spoken()

    def wait(self, seconds):
        for _ in range(round(seconds / 0.05)):
            self.now_s += 0.05
            self.controls.tick(self.now_s)
            self.display.refresh(self.now_s)

    def spoken(self):
        return self._capsys.readouterr().err.splitlines()


@pytest.fixture
def desk(capsys):
    return Desk(capsys)


def test_each_change_is_a_line_and_nothing_else_is(desk):
    assert desk.spoken() == []
    assert desk.press("m") == ["vocals muted"]
    assert desk.press("m2s") == ["vocals not muted", "accompaniment selected", "accompaniment solo"]
    assert desk.press("b") == ["bypass, the input is heard"]
    desk.wait(60)
    assert desk.spoken() == []


def test_a_key_held_down_and_a_fade_are_spoken_once(desk):
    assert desk.press("-----") == ["vocals -5.0 dB"]
    assert desk.press("f") == ["vocals faded out"]
    desk.wait(3)
    assert desk.spoken() == []
    # There and back is no change.
    assert desk.press("mm") == []


def test_space_says_how_things_stand(desk):
    desk.press("1m")
    assert desk.press(" ") == [
        "1:15; vocals muted; accompaniment +0.0 dB; vocals selected; plan low; late masks 0; xruns 0"
    ]


def test_warnings_come_at_once_but_not_all_the_time(desk):
    desk.engine.counters.late_masks = 1
    desk.wait(0.05)
    assert desk.spoken() == ["warning: late masks 1"]
    for _ in range(20):
        desk.engine.counters.late_masks += 1
        desk.wait(0.1)
    assert desk.spoken() == []
    desk.wait(RECENT_S)
    assert desk.spoken() == ["warning: late masks 21"]


def test_rtsep_play_speaks_as_well(capsys):
    mixer = SongMixer(STEMS)
    state = {
        "song": "one", "position_s": 0.0, "duration_s": 200.0, "playing": True, "loop_s": None,
        "loop_mark_s": None, "tempo_percent": 100.0, "key_semitones": 0, "tuning_cents": 0.0,
        "count_in_beats": 0, "stems": mixer.state(), "selected": "vocals", "bypass": False,
        "underruns": 0, "xruns": 0,
    }  # fmt: skip
    display = make_play_display([], quiet=False, spoken=True)
    display.refresh(state, 0.0)
    mixer.mute("vocals", True)
    state |= {"stems": mixer.state(), "playing": False, "position_s": 75.0, "key_semitones": -2}
    for now_s in (1.0, 1.1, 1.4, 1.5):
        display.refresh(state, now_s)
    state |= {"position_s": 90.0, "loop_s": [60.0, 75.5]}
    for now_s in (2.0, 3.0):
        display.refresh(state, now_s)
    assert capsys.readouterr().err.splitlines() == [
        "paused at 1:15", "key -2", "vocals muted", "loop from 60.0 to 75.5 seconds",
    ]  # fmt: skip
