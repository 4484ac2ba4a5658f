"""`rtsep-monitor` on a real PulseAudio server: impulses, trouble, refusals. Songs: test_song.py."""

from __future__ import annotations

import math
import os
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from rtsep.live.plans.plan import PLANS
from rtsep.live.priority import AUDIO, SESSION, WORKER
from rtsep_bench.server_process import wait_until
from rtsep_bench.servers import RATE, REALTIME, pulse_server
from tests.live.attempts import assert_no_dropouts, repeat_if_disturbed
from tests.live.monitor_process import monitor_process, run_monitor
from tests.live.pulse_clients import RAW, play, wait_until_connected

pytestmark = [pytest.mark.needs("pulse"), pytest.mark.slow]

LATENCY_S = PLANS["classic"].latency_ms / 1000
UNIT_GAINS = ("--stem", "vocals", "--stem", "accompaniment")


@pytest.fixture
def pulse(made_up_weights, tmp_path):
    with pulse_server(tmp_path) as server:
        yield server


# Sound is noted fragment by fragment, and the two sinks hand theirs over independently.
CLOCK_ERROR_MS = 10
# What PortAudio buffers of them where it is not asked for more.
BLOCK = 1024
BUFFER_S = 2 * BLOCK / RATE
TOLERANCE_MS = 1000 * BLOCK / RATE + CLOCK_ERROR_MS


class ImpulseClock:
    """Notes when an impulse comes by in a sink, within CLOCK_ERROR_MS."""

    CHUNK = 64

    def __init__(self, server, sink):
        self.arrived_s = math.nan
        self._recorder = subprocess.Popen(
            ["parec", f"--device={sink}.monitor", "--latency-msec=4", *RAW],
            env=server.environ, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._recorder.stdout is not None
        self._sound = self._recorder.stdout
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        while chunk := self._sound.read(8 * self.CHUNK):
            if math.isnan(self.arrived_s) and np.abs(np.frombuffer(chunk, "<f4")).max() > 0.25:
                self.arrived_s = time.monotonic()

    def close(self):
        self._recorder.terminate()
        self._recorder.wait()
        self._thread.join()
        self._sound.close()


def time_impulse(server, folder, *options, settled_s=0.0):
    """How long one takes from the sink `song` to the sink `stem`, in ms, and the ended Monitor."""
    clocks = [ImpulseClock(server, sink) for sink in ("song", "stem")]
    try:
        block = ("--blocksize", str(BLOCK))
        with monitor_process(server, folder, *block, *options) as monitor:
            wait_until_connected(server)
            time.sleep(settled_s)
            impulse = np.zeros((RATE, 2), np.float32)
            impulse[RATE // 2] = 0.5
            play(server, impulse)
            time.sleep(LATENCY_S + 1.0)
            assert monitor.interrupt() == 130
    finally:
        for clock in clocks:
            clock.close()
    took_ms = 1000 * (clocks[1].arrived_s - clocks[0].arrived_s)
    return took_ms, monitor


def test_an_impulse_arrives_when_the_total_says(pulse, tmp_path):
    def attempt():
        took_ms, monitor = time_impulse(pulse, tmp_path, *UNIT_GAINS)
        stats = monitor.stats()
        assert took_ms == pytest.approx(stats["latency_ms"]["total"], abs=TOLERANCE_MS)
        assert_no_dropouts(stats)

    repeat_if_disturbed(attempt, BUFFER_S)


def test_an_impulse_arrives_when_the_devices_clocks_say(pulse, tmp_path):
    """With long buffers, for which PortAudio states far more than what they delay by."""

    def attempt():
        took_ms, monitor = time_impulse(pulse, tmp_path, *UNIT_GAINS, "--device-latency", "0.2")
        latency_ms = monitor.stats()["latency_ms"]
        measured_ms = latency_ms["algorithm"] + latency_ms["device_measured"]
        assert took_ms == pytest.approx(measured_ms, abs=TOLERANCE_MS)
        assert latency_ms["total"] > measured_ms + TOLERANCE_MS
        assert f"delayed by {measured_ms:.1f} ms" in monitor.messages()

    repeat_if_disturbed(attempt, BUFFER_S)


def test_there_are_no_dropouts_at_the_start(pulse, tmp_path):
    """With blocks of PortAudio's choice it first asks for what fills the output's buffers."""

    def attempt():
        with monitor_process(pulse, tmp_path, "--duration", "2") as monitor:
            assert monitor.process.wait(60) == 0
        assert_no_dropouts(monitor.stats())

    repeat_if_disturbed(attempt, BUFFER_S)


def _priorities(monitor):
    """Those of its threads, real-time ones only; it runs under `env`, which it replaces."""
    threads = Path(f"/proc/{monitor.process.pid}/task").iterdir()
    found = [os.sched_getparam(int(thread.name)).sched_priority for thread in threads]
    return [priority for priority in found if priority]


@pytest.mark.skipif(not REALTIME, reason="no leave to go before other programs")
def test_the_servers_callback_goes_before_the_workers(pulse, tmp_path):
    with monitor_process(pulse, tmp_path) as monitor:
        wait_until_connected(pulse)
        wait_until(lambda: AUDIO in _priorities(monitor), "a thread that goes first")
        # The main thread and the recorder's; the workers of both stems.
        assert _priorities(monitor).count(SESSION) >= 2
        assert _priorities(monitor).count(WORKER) == 2
        assert monitor.interrupt() == 130
    assert monitor.stats()["priority"] == "real-time"
    assert "threads run before other programs" in monitor.messages()


def test_ordinary_priority_where_it_is_asked_for(pulse, tmp_path):
    with monitor_process(pulse, tmp_path, "--priority", "ordinary") as monitor:
        wait_until_connected(pulse)
        assert _priorities(monitor) == []
        assert monitor.interrupt() == 130
    assert monitor.stats()["priority"] == "ordinary"
    assert "threads of ordinary priority (as asked for)" in monitor.messages()


def test_a_server_that_dies_for_good_ends_the_program_with_the_recordings_intact(pulse, tmp_path):
    with monitor_process(pulse, tmp_path, "--reconnect", "2") as monitor:
        wait_until_connected(pulse)
        time.sleep(1.5)
        pulse.kill()
        assert monitor.process.wait(30) == 1
    assert "has not come back within 2 s" in monitor.messages().splitlines()[-1]
    assert "Traceback" not in monitor.messages()
    assert monitor.stats()["hops"] > 10
    recorded = monitor.recorded()
    assert set(recorded) == {"vocals", "accompaniment"}
    assert all(len(stem) >= RATE for stem in recorded.values())


def test_a_server_that_comes_back_is_played_on(pulse, tmp_path):
    def impulse(height):
        sound = np.zeros((RATE, 2), np.float32)
        sound[RATE // 2] = height
        return sound

    with monitor_process(pulse, tmp_path, "--latency", "low", *UNIT_GAINS) as monitor:
        wait_until_connected(pulse)
        play(pulse, impulse(0.6))
        time.sleep(0.5)
        pulse.kill()
        wait_until(lambda: "the audio device has gone" in monitor.messages(), "word of it")
        pulse.restart()
        wait_until(lambda: "the audio device is back" in monitor.messages(), "word of it")
        time.sleep(0.5)
        play(pulse, impulse(0.3))
        time.sleep(1.0)
        assert monitor.interrupt() == 130
    assert monitor.stats()["device_returns"] == 1
    # One recording, with what came in before and after.
    heard = np.abs(sum(monitor.recorded().values())[:, 0])
    before, after = (np.flatnonzero(heard > height / 2) for height in (0.6, 0.3))
    assert heard[before].max() == pytest.approx(0.6, rel=0.2)
    assert heard[after[after > before[-1] + RATE // 2]].max() == pytest.approx(0.3, rel=0.2)


def test_the_devices_are_listed(pulse):
    done = run_monitor(pulse, "-l")
    assert done.returncode == 0
    assert "default, ALSA" in done.stdout


def test_an_unknown_device_is_refused_with_the_candidates(pulse):
    done = run_monitor(pulse, "-o", "nowhere")
    assert done.returncode == 2
    assert "'nowhere'" in done.stderr
    assert "0 default" in done.stderr
    assert len(done.stderr.splitlines()) == 1
