"""MIDI on a real JACK server: what a device's controls do, learning, and a device that goes away."""

from __future__ import annotations

import contextlib
import os
import random
import sys
import time

import pytest

from rtsep.control.midi import process, system_midi
from rtsep.control.midi.inputs import Device
from rtsep.control.midi.midi_map import (
    FADER,
    PRESS,
    SWITCH,
    MidiControl,
    add_to_map,
    check_does,
    read_map,
)
from rtsep.control.midi.pickup import Pickup, Scale
from rtsep.control.ways import midi_way
from rtsep.errors import UsageError
from rtsep_bench.server_process import wait_until
from rtsep_bench.servers import jack_server
from tests.control.desk import PlayingDesk, serving
from tests.control.midi_device import device

needs_jack = pytest.mark.needs("jack")


@pytest.fixture(scope="module")
def jack(tmp_path_factory):
    """A server that this process and its children know alone."""
    with (
        jack_server(tmp_path_factory.mktemp("jack")) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in server.environ.items():
            patch.setenv(name, value)
        for name in os.environ.keys() - server.environ.keys():
            patch.delenv(name)
        yield server


class Served:
    def __init__(self, desk, said, lines):
        self.desk, self.said, self.lines = desk, said, lines

    def stem(self, name):
        return self.desk.mixer.strips[name]


@contextlib.contextmanager
def served(path, learn=(), port="pedal"):
    """Serve until the end of the block."""
    desk = PlayingDesk()
    way = midi_way(port, str(path), [control.to_table() for control in read_map(path)], learn)
    with serving(way, desk) as (_, lines, said):
        yield Served(desk, said, lines)


MAP = """
[[control]]
control-change = 7
channel = 1
does = "vocals/gain"

[[control]]
note = 36
does = "vocals/mute"

[[control]]
control-change = 64
does = "drums/mute"
mode = "momentary"

[[control]]
program-change = 2
does = "skip -5"

[[control]]
control-change = 20
does = "tempo"
pickup = false
from = 50
to = 100

[[control]]
note = 37
does = "piano/solo"
"""


@needs_jack
def test_controls_do_what_the_map_says(jack, tmp_path):
    path = tmp_path / "midi.toml"
    path.write_text(MAP)
    with device() as pedal, served(path) as one:
        assert one.lines == ["midi jack Pedal 3:out"]
        vocals, drums = one.stem("vocals"), one.stem("drums")
        # A toggle at each press; a note's end, and one that was hit without force, are none.
        pedal.send("902440", "802440")
        wait_until(lambda: vocals.muted, "the mute")
        pedal.send("95247f", "952400")
        wait_until(lambda: not vocals.muted, "no mute")
        # Momentary: while it is held.
        pedal.send("b0407f")
        wait_until(lambda: drums.muted, "the mute that is held")
        pedal.send("b04000")
        wait_until(lambda: not drums.muted, "the end of it")
        pedal.send("c002", "c002")
        wait_until(lambda: one.desk.song["position_s"] == 21, "two skips")
        pedal.send("b01400")
        wait_until(lambda: one.desk.song["tempo_percent"] == 50, "the tempo")
        # A fader that stands elsewhere takes over as it crosses the value, on its own channel alone.
        pedal.send("b00710")
        wait_until(lambda: len(one.said) == 1, "a word of it")
        assert one.said[0].startswith("midi: vocals/gain stands at 0: the control takes over")
        assert vocals.trim_db == 0
        pedal.send("b10760", "b00732", "b00764")
        wait_until(lambda: vocals.trim_db == pytest.approx(6.14), "the fader's value")
        # Somebody else moves it: again it waits.
        one.desk.mixer.set_trim("vocals", -20)
        time.sleep(2 * process.STATE_LASTS_S)
        pedal.send("b00763", "902540", "902500")
        wait_until(lambda: len(one.said) == 2, "a word of the stem")
        assert one.said[1] == "midi: there is no stem 'piano': choose from vocals, drums"
        assert vocals.trim_db == -20


@needs_jack
def test_controls_are_learned_and_kept(jack, tmp_path):
    path = tmp_path / "rtsep" / "midi.toml"
    with device() as pedal, served(path, ["vocals/gain", "drums/mute momentary", "play"]) as one:
        assert one.lines[1] == "midi: touch the fader or knob for vocals/gain"
        # A button is no fader; a fader goes on moving while the next command's turn has come.
        pedal.send("903040", "b21510", "b21511", "b21512", "903040", "903000", "b0407f")
        wait_until(lambda: one.desk.song["playing"] is False and len(one.said) >= 5, "all that")
        assert one.said[0] == f"midi: control change 21, channel 3 is vocals/gain, kept in {path}"
        assert one.said[1] == "midi: touch the button or pedal for drums/mute"
        pedal.send("903040")
        wait_until(lambda: one.stem("drums").muted, "what was learned")
        pedal.send("903000", "b04000", "b0407f")
        wait_until(lambda: one.desk.song["playing"], "the pedal")
    path.write_text(path.read_text() + "# mine\n")
    add_to_map(path, MidiControl("note", 48, None, "play"))
    assert "# mine\n" in path.read_text()
    assert read_map(path) == [
        MidiControl("control-change", 21, 3, "vocals/gain"),
        MidiControl("note", 48, 1, "drums/mute", "momentary"),
        MidiControl("control-change", 64, 1, "play"),
        MidiControl("note", 48, None, "play"),
    ]


@needs_jack
def test_a_device_that_goes_is_taken_again(jack, tmp_path):
    path = tmp_path / "midi.toml"
    path.write_text(MAP)
    with served(path, port="Pedal") as one:
        assert one.lines == ["midi waits for 'Pedal': there is no such device yet (there: none)"]
        for _ in range(2):
            with device() as pedal:
                wait_until(lambda: one.said[-1:] == ["midi: jack Pedal 3:out is there"], "it")
                pedal.send("b0407f")
                wait_until(lambda: one.stem("drums").muted, "the pedal")
                pedal.send("b04000")
                wait_until(lambda: not one.stem("drums").muted, "the pedal's end")
            wait_until(lambda: "has gone" in one.said[-1], "its end")
    assert len(one.said) == 4


@needs_jack
def test_a_device_of_the_system_is_heard_and_taken_again(jack, monkeypatch):
    """By RtMidi, with JACK in the place of ALSA, which has no sequencer where tests are run."""
    pytest.importorskip("rtmidi")
    monkeypatch.setitem(system_midi._APIS, sys.platform, "API_UNIX_JACK")
    heard, said = [], []
    one = Device("pedal", heard.append, said.append, [system_midi.SystemMidi()])
    assert one.begin().startswith("midi waits for 'pedal'")
    for count in (1, 2):
        with device() as pedal:
            wait_until(lambda: one.look() or said[-1:] == ["midi: alsa Pedal 3:out is there"], "it")
            pedal.send("b0407f")
            wait_until(lambda: heard == [b"\xb0\x40\x7f"] * count, "the message")  # noqa: B023
        wait_until(lambda: one.look() or "has gone" in said[-1], "its end")
    one.close()


@needs_jack
def test_what_makes_no_sense_does_nothing(jack, tmp_path):
    """Seeded messages of any length and content, then one that is in order."""
    path = tmp_path / "midi.toml"
    path.write_text('[[control]]\nnote = 1\nchannel = 16\ndoes = "bypass"\n')
    chance = random.Random(5)
    with device() as pedal, served(path) as one:
        for _ in range(20):
            pedal.send(*(chance.randbytes(chance.randint(1, 9)).hex() for _ in range(50)))
        pedal.send("9f0101")
        wait_until(lambda: one.desk.mixer.bypassed, "the one in order")
    assert one.said == []


def test_a_fader_takes_over_where_the_value_stands():
    pickup = Pickup()

    def moves(position, stands, is_new=True):
        return pickup.moves(position, stands, 2.0, is_new)

    assert [moves(position, 64) for position in (10, 30, 80, 20)] == [False, False, True, True]
    # What it set itself is no news; what another has set is.
    assert moves(25, 20) and moves(30, 64, is_new=False)
    assert not moves(35, 64)
    assert not moves(31.9, None) and moves(31.9, 30)


@pytest.mark.parametrize("first, last", [(-60.0, 24.0), (50.0, 150.0), (-100, 100), (6, -6)])
def test_a_scale_goes_from_end_to_end_and_finds_the_neutral(first, last):
    neutral = 100.0 if first == 50 else 0.0
    scale = Scale(first, last, isinstance(first, int), neutral)
    values = [scale.value(position) for position in range(128)]
    assert (values[0], values[-1]) == (first, last)
    assert values == sorted(values, reverse=last < first) and neutral in values
    for value in values:
        # Within its reach a fader that has set a value holds it.
        near = [position for position in range(128) if values[position] == value]
        assert all(abs(scale.position(value) - position) <= scale.near for position in near)


@pytest.mark.parametrize(
    ("does", "form"),
    [
        ("vocals/gain", FADER), ("tempo", FADER), ("vocals/gain -6", PRESS), ("vocals/solo", SWITCH),
        ("vocals/solo on", PRESS), ("vocals/fade 2", PRESS), ("loop 1 2.5", PRESS), ("seek", FADER),
        ("mark_loop", PRESS), ("play", SWITCH), ("skip -5", PRESS),
        ("plan low", PRESS),
    ],
)  # fmt: skip
def test_a_command_says_what_its_control_is(does, form):
    assert check_does(does) == form


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("note = 1", "must have nothing but tables [[control]]"),
        ("control = 1", "must have nothing but"),
        ("[[control]", "is no TOML"),
        ('[[control]]\ndoes = "play"', "[[control]] 1: give one of control-change, note"),
        ("[[control]]\nnote = 1", "say what it does"),
        ('[[control]]\nnote = 128\ndoes = "play"', "note must be 0 to 127: got 128"),
        ('[[control]]\nnote = 1\nchannel = 0\ndoes = "play"', "channel must be 1 to 16: got 0"),
        ('[[control]]\nnote = 1\ndoes = "tempo"', "tempo needs a fader or a knob"),
        ('[[control]]\nnote = 1\ndoes = "skip"', "skip needs seconds"),
        ('[[control]]\nnote = 1\ndoes = "plan"', "plan needs name"),
        ('[[control]]\nnote = 1\ndoes = "jump"', 'unknown command "jump": choose from STEM/gain'),
        ('[[control]]\nnote = 1\ndoes = "play"\nmode = "hold"', "mode must be toggle or momentary"),
        ('[[control]]\nnote = 1\ndoes = "play"\nfrom = 1', "from is for a fader: play is none"),
        (
            '[[control]]\ncontrol-change = 1\ndoes = "tempo"\nfrom = 0\nto = 99',
            "from must lie within",
        ),
        ('[[control]]\nnote = 1\nsound = 2\ndoes = "play"', 'unknown "sound": choose from'),
    ],
)
def test_what_is_wrong_in_a_map_is_said_in_one_line(tmp_path, text, says):
    path = tmp_path / "midi.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        read_map(path)
    assert str(error.value).startswith(str(path)) and says in str(error.value)
    assert "\n" not in str(error.value)
