"""`rtsep-monitor --midi --osc` on a real JACK server: a pedal acts, and subscribers are told."""

from __future__ import annotations

import re

import pytest

from rtsep.errors import UsageError
from rtsep_bench.server_process import wait_until
from rtsep_bench.servers import jack_server
from tests.control.midi_device import device
from tests.control.osc_client import Client
from tests.live.monitor_process import monitor_process, run_monitor

# What the program takes to start on an overloaded machine.
START_S = 100.0

pytestmark = [pytest.mark.needs("jack"), pytest.mark.slow]


@pytest.fixture
def jack(made_up_weights, tmp_path):
    with jack_server(tmp_path) as server:
        yield server


def test_a_pedal_acts_and_subscribers_are_told(jack, tmp_path):
    settings = tmp_path / "config.toml"
    settings.write_text(
        f'[preset.stage]\nosc = "0"\nmidi = "Pedal"\nmidi-map = "{tmp_path / "midi.toml"}"\n'
    )
    jack.environ["RTSEP_CONFIG"] = str(settings)
    (tmp_path / "midi.toml").write_text('[[control]]\nnote = 36\ndoes = "vocals/mute"\n')
    options = ("--backend", "jack", "--karaoke", "--preset", "stage")
    with (
        device(environ=jack.environ) as pedal,
        monitor_process(jack, tmp_path, *options) as monitor,
    ):
        wait_until(lambda: "midi jack Pedal 3:out\n" in monitor.messages(), "the pedal", START_S)
        client = Client(int(re.search(r"osc udp 127\.0\.0\.1:(\d+)\n", monitor.messages())[1]))
        client.send("subscribe")
        client.until("vocals/mute", 1)
        client.until("stream/plan", "classic")
        pedal.send("902440", "802400")
        client.until("vocals/mute", 0)
        client.send("vocals/gain", -6.5)
        client.until("vocals/gain", -6.5)
    assert "Traceback" not in monitor.messages()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--midi-learn", "vocals/gain"), "--midi-learn needs a device: give --midi, too"),
        (("--midi", "--midi-learn", "vocals/jump"), 'unknown command "vocals/jump"'),
        (
            ("--midi", "--midi-map", "nowhere.toml"),
            "nowhere.toml: there is no such map of MIDI controls",
        ),
        (("--osc", "song.mp3"), "OSC's address must be an IP address"),
        (("--osc", "--input-file", "song.mp3"), "leave out --input-file"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(jack, words, says):
    done = run_monitor(jack, "--backend", "jack", *words)
    assert done.returncode == UsageError.exit_status
    assert says in done.stderr and len(done.stderr.splitlines()) == 1
