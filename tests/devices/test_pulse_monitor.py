"""`rtsep-monitor --backend pulse` as a program, on a real PulseAudio server."""

from __future__ import annotations

import time

import numpy as np
import pytest

from rtsep_bench.server_process import wait_until
from rtsep_bench.servers import RATE, pulse_server
from tests.live.monitor_process import monitor_process, run_monitor
from tests.live.pulse_clients import play

pytestmark = [pytest.mark.needs("pulse"), pytest.mark.slow]

BACKEND = ("--backend", "pulse")
ENDS = (*BACKEND, "-i", "song", "-o", "stem", "--stem", "vocals", "--stem", "accompaniment")
# For a busy machine.
LATE = ("--priority", "real-time", "--device-latency", "0.1")


@pytest.fixture
def pulse(made_up_weights, tmp_path):
    with pulse_server(tmp_path) as server:
        yield server


def _clicks(height):
    """Several, as a busy machine may lose one; of a millisecond, as the resampler spreads less."""
    sound = np.zeros((3 * RATE, 2), np.float32)
    for begin in range(RATE // 4, len(sound), RATE // 4):
        sound[begin : begin + RATE // 1000] = height
    return sound


def _wait_until_connected(server):
    wait_until(
        lambda: 'application.name = "rtsep"' in server.command("pactl", "list", "sink-inputs"),
        "rtsep-monitor to open the sink",
    )
    time.sleep(2.0)  # until the bridge plays


def test_a_server_that_comes_back_is_played_on(pulse, tmp_path):
    with monitor_process(pulse, tmp_path, *ENDS, *LATE, "--latency", "low") as monitor:
        _wait_until_connected(pulse)
        play(pulse, _clicks(0.7))
        time.sleep(0.5)
        pulse.kill()
        wait_until(lambda: "the audio device has gone" in monitor.messages(), "word of it")
        pulse.restart()
        wait_until(lambda: "the audio device is back" in monitor.messages(), "word of it")
        _wait_until_connected(pulse)
        play(pulse, _clicks(0.25))
        time.sleep(1.0)
        assert monitor.interrupt() == 130
    assert "Traceback" not in monitor.messages()
    stats = monitor.stats()
    assert stats["device_returns"] == 1
    assert stats["latency_ms"]["device_measured"] > 0
    # One recording, with what came in before and after.
    heard = np.abs(sum(monitor.recorded().values())[:, 0])
    before, after = (np.flatnonzero(heard > height / 2) for height in (0.7, 0.25))
    assert heard[before].max() == pytest.approx(0.7, rel=0.3)
    assert heard[after[after > before[-1] + RATE // 2]].max() == pytest.approx(0.25, rel=0.3)


@pytest.mark.unhurried
def test_sources_and_sinks_are_listed(pulse):
    done = run_monitor(pulse, *BACKEND, "--list-devices")
    assert done.returncode == 0
    assert "in   song.monitor  (" in done.stdout
    assert "out  stem  (" in done.stdout


@pytest.mark.unhurried
@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (("-i", "song", "-o", "nowhere"), 2, "no output device 'nowhere': choose from song; stem"),
        (("-i", "stem", "-o", "stem"), 2, "would hear itself"),
        (("--hostapi", "ALSA"), 2, "--hostapi means nothing to --backend pulse"),
        (("--blocksize", "64"), 2, "--blocksize is not for PulseAudio"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(pulse, options, status, says):
    done = run_monitor(pulse, *BACKEND, *options)
    assert done.returncode == status
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.unhurried
def test_no_server_is_said_in_one_line(pulse):
    pulse.kill()
    done = run_monitor(pulse, *BACKEND)
    assert done.returncode == 1
    assert "no PulseAudio server" in done.stderr
    assert len(done.stderr.splitlines()) == 1
