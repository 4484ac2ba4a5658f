"""`rtsep-monitor` between two devices: two streams of PortAudio. Drift: audio/test_clock_bridge.py."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from rtsep_bench.server_process import wait_until
from rtsep_bench.servers import ALSA_PULSE_ENDS, RATE, jack_server, pulse_server
from tests.live.attempts import repeat_if_disturbed
from tests.live.monitor_process import PROMPT, PROMPT_LATENCY_S, monitor_process
from tests.live.pulse_clients import listening, play, read_heard, wait_until_connected
from tests.live.test_pulse import BUFFER_S, UNIT_GAINS, assert_arrives, time_impulse

pytestmark = [pytest.mark.needs("pulse"), pytest.mark.slow]

TWO_DEVICES = ("-i", "song_in", "-o", "stem_out", *PROMPT, *UNIT_GAINS)
# Until the bridge plays and its loop has calmed down.
SETTLED_S = 4.0
TONE_HZ, TONE_S = 440, 4.0
PIECE = RATE // 4


@pytest.fixture
def pulse(made_up_weights, tmp_path):
    with pulse_server(tmp_path, ALSA_PULSE_ENDS) as server:
        yield server


def _noise_db(piece):
    """What is not the tone, whose pitch moves a little with the clocks, against it."""
    power = np.abs(np.fft.rfft(piece[:, 0] * np.kaiser(len(piece), 18))) ** 2
    peak, near = int(np.argmax(power)), 12
    tone = power[peak - near : peak + near + 1].sum()
    return 10 * np.log10((power.sum() - tone) / tone)


def _tone():
    angles = 2 * np.pi * TONE_HZ * np.arange(round(TONE_S * RATE)) / RATE
    return np.repeat(0.3 * np.sin(angles)[:, np.newaxis], 2, axis=1).astype(np.float32)


def _assert_tone(heard, tone):
    """It is there, as long as it was, and clean but for a piece here and there.

    Where a busy machine stalls, the server fills in samples: that spoils the pieces it falls into.
    """
    loud = np.flatnonzero(np.abs(heard[:, 0]) > 0.2)
    heard = heard[loud[0] + PIECE : loud[-1] - PIECE]
    assert len(heard) == pytest.approx(len(tone) - 2 * PIECE, rel=0.1)
    noise = [_noise_db(heard[at : at + PIECE]) for at in range(0, len(heard) - PIECE, PIECE)]
    assert np.median(noise) < -60, noise
    assert np.mean(np.array(noise) > -50) < 0.25, noise


@pytest.mark.parametrize("options", [(), ("--samplerate", "48000")], ids=["44100", "48000"])
def test_a_tone_goes_from_one_device_to_the_other(pulse, tmp_path, options):
    tone = _tone()
    with (
        listening(pulse, "stem", tmp_path) as stem,
        monitor_process(pulse, tmp_path, *TWO_DEVICES, *options) as monitor,
    ):
        wait_until_connected(pulse)
        time.sleep(SETTLED_S)
        play(pulse, tone)
        time.sleep(PROMPT_LATENCY_S + 1.0)
        assert monitor.interrupt() == 130
    assert "input and output have clocks of their own" in monitor.messages()
    stats = monitor.stats()
    assert stats["late_masks"] == 0
    assert abs(stats["clock_drift_ppm"]) < 3000  # the null sinks of a busy server run unevenly
    _assert_tone(read_heard(stem), tone)


@pytest.mark.needs("jack")
def test_a_tone_goes_from_one_host_api_to_another(pulse, tmp_path):
    """In by ALSA from PulseAudio, out by JACK; heard in the recording, which the engine makes."""
    with jack_server(tmp_path) as jack:
        environ = {**jack.environ, **pulse.environ}
        for name in ("JACK_DEFAULT_SERVER", "JACK_NO_AUDIO_RESERVATION"):
            environ[name] = jack.environ[name]
        both = replace(pulse, environ=environ)
        with monitor_process(
            both, tmp_path, "-i", "song_in", "-o", "system", *PROMPT, *UNIT_GAINS
        ) as monitor:
            wait_until(lambda: ":out_" in jack.command("jack_lsp"), "JACK ports of rtsep-monitor")
            time.sleep(SETTLED_S)
            play(pulse, _tone())
            time.sleep(PROMPT_LATENCY_S + 1.0)
            assert monitor.interrupt() == 130
    assert "output  system" in monitor.messages()
    assert "clock_drift_ppm" in monitor.stats()
    _assert_tone(sum(monitor.recorded().values()), _tone())


def test_an_impulse_arrives_when_the_total_says(pulse, tmp_path):
    def attempt():
        took_ms, monitor = time_impulse(pulse, tmp_path, *TWO_DEVICES, settled_s=SETTLED_S)
        assert_arrives(took_ms, monitor.stats()["latency_ms"]["total"])

    repeat_if_disturbed(attempt, BUFFER_S)


@pytest.mark.unhurried
def test_a_server_that_dies_ends_the_program_with_the_recordings_intact(pulse, tmp_path):
    with monitor_process(pulse, tmp_path, *TWO_DEVICES, "--reconnect", "0") as monitor:
        wait_until_connected(pulse)
        time.sleep(SETTLED_S)
        pulse.kill()
        assert monitor.process.wait(30) == 1
    assert "device" in monitor.messages().splitlines()[-1]
    assert "Traceback" not in monitor.messages()
    assert "clock_drift_ppm" in monitor.stats()
    recorded = monitor.recorded()
    assert set(recorded) == {"vocals", "accompaniment"}
    assert all(len(stem) >= RATE for stem in recorded.values())
