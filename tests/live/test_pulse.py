"""`rtsep-monitor` on a real PulseAudio server: impulses, trouble, refusals. Songs: test_song.py."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from rtsep.devices.pulse.buffers import PulseBuffers
from rtsep.live.priority import AUDIO, SESSION, WORKER
from rtsep_bench.server_process import wait_until
from rtsep_bench.servers import RATE, REALTIME, pulse_server
from tests.live.attempts import DropOut, assert_no_dropouts, repeat_if_disturbed
from tests.live.monitor_process import PROMPT, PROMPT_LATENCY_S, monitor_process, run_monitor
from tests.live.pulse_clients import RAW, play, wait_until_connected

pytestmark = [pytest.mark.needs("pulse"), pytest.mark.slow]

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
        with monitor_process(server, folder, *PROMPT, *block, *options) as monitor:
            wait_until_connected(server)
            time.sleep(settled_s)
            impulse = np.zeros((RATE, 2), np.float32)
            impulse[RATE // 2] = 0.5
            play(server, impulse)
            time.sleep(PROMPT_LATENCY_S + 1.0)
            assert monitor.interrupt() == 130
    finally:
        for clock in clocks:
            clock.close()
    took_ms = 1000 * (clocks[1].arrived_s - clocks[0].arrived_s)
    return took_ms, monitor


def assert_arrives(took_ms, told_ms):
    """An impulse takes as long as was told. Raises DropOut where it comes later.

    So it does behind sound that a server or a bridge has held back after a drop-out that it does not
    report.
    """
    if took_ms > told_ms + TOLERANCE_MS:
        raise DropOut(f"an impulse took {took_ms:.0f} ms, told were {told_ms:.0f}")
    assert took_ms == pytest.approx(told_ms, abs=TOLERANCE_MS)


def test_an_impulse_arrives_when_the_total_says(pulse, tmp_path):
    def attempt():
        took_ms, monitor = time_impulse(pulse, tmp_path, *UNIT_GAINS)
        stats = monitor.stats()
        assert_arrives(took_ms, stats["latency_ms"]["total"])
        assert_no_dropouts(stats)

    repeat_if_disturbed(attempt, BUFFER_S)


def test_that_more_sound_is_kept_is_told(pulse, tmp_path):
    options = ("--backend", "pulse", "-i", "song", "-o", "stem")
    with monitor_process(pulse, tmp_path, *options) as monitor:
        wait_until(
            lambda: "ms more are kept" in _stopped_for_a_moment(monitor), "word of it", poll_s=1.1
        )
        assert monitor.interrupt() == 130
    stats = monitor.stats()
    said = monitor.messages()
    (between_ms,) = re.findall(r"([\d.]+) ms between the two clocks", said)
    more_ms = re.findall(r"(\d+) ms more are kept", said)[-1]
    at_first_ms = 1000 * PulseBuffers().buffer_s + float(between_ms)
    kept_ms = stats["output_buffer_ms"] + stats["between_clocks_ms"]
    assert kept_ms == pytest.approx(at_first_ms + float(more_ms), abs=0.2)


def _stopped_for_a_moment(monitor):
    """What the program has said by now; then it is stopped for longer than its buffers last."""
    said = monitor.messages()
    for signal_number, then_s in ((signal.SIGSTOP, 0.15), (signal.SIGCONT, 0.0)):
        monitor.process.send_signal(signal_number)
        time.sleep(then_s)
    return said


def test_an_impulse_arrives_when_the_devices_clocks_say(pulse, tmp_path):
    """With long buffers, for which PortAudio states far more than what they delay by."""

    def attempt():
        took_ms, monitor = time_impulse(pulse, tmp_path, *UNIT_GAINS, "--device-latency", "0.2")
        latency_ms = monitor.stats()["latency_ms"]
        measured_ms = latency_ms["algorithm"] + latency_ms["device_measured"]
        assert_arrives(took_ms, measured_ms)
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


def test_long_buffers_do_not_make_masks_late(pulse, tmp_path):
    """They are asked for four hops at a time, for which half of the masks cannot be there yet."""
    options = ("--latency", "64/1/1/1/asymmetric/4", "--device-latency", "0.2", "--duration", "3")
    with monitor_process(pulse, tmp_path, *options) as monitor:
        assert monitor.process.wait(60) == 0
    stats = monitor.stats()
    # Those that a busy machine makes late are no matter here.
    assert stats["late_masks"] < 0.1 * stats["hops"]
    assert stats["waited_s"] > 0


def _priorities(monitor):
    """Those of its threads, real-time ones only; it runs under `env`, which it replaces."""
    threads = Path(f"/proc/{monitor.process.pid}/task").iterdir()
    found = [os.sched_getparam(int(thread.name)).sched_priority for thread in threads]
    return [priority for priority in found if priority]


@pytest.mark.unhurried
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


@pytest.mark.unhurried
def test_ordinary_priority_where_it_is_asked_for(pulse, tmp_path):
    with monitor_process(pulse, tmp_path, "--priority", "ordinary") as monitor:
        wait_until_connected(pulse)
        assert _priorities(monitor) == []
        assert monitor.interrupt() == 130
    assert monitor.stats()["priority"] == "ordinary"
    assert "threads of ordinary priority (as asked for)" in monitor.messages()


@pytest.mark.unhurried
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
    before, after = 0.6, 0.3

    def impulse(height):
        sound = np.zeros((RATE, 2), np.float32)
        sound[RATE // 2] = height
        play(pulse, sound)
        time.sleep(1.5)

    def attempt():
        with monitor_process(pulse, tmp_path, "--latency", "low", *UNIT_GAINS) as monitor:
            wait_until_connected(pulse)
            impulse(before)
            pulse.kill()
            wait_until(lambda: "the audio device has gone" in monitor.messages(), "word of it")
            pulse.restart()
            wait_until(lambda: "the audio device is back" in monitor.messages(), "word of it")
            wait_until_connected(pulse)
            impulse(after)
            assert monitor.interrupt() == 130
        assert monitor.stats()["device_returns"] == 1
        # One recording, with what came in before and after.
        heard = np.abs(sum(monitor.recorded().values())[:, 0])
        first = np.flatnonzero(heard > 0.7 * before)
        second = heard[first[0] + RATE // 2 :] if len(first) else heard
        if not len(first) or second.max() < after / 2:
            raise DropOut("an impulse has not come through")
        assert heard[: first[0] + RATE // 2].max() == pytest.approx(before, rel=0.2)
        assert second.max() == pytest.approx(after, rel=0.2)

    repeat_if_disturbed(attempt, BUFFER_S)


@pytest.mark.unhurried
def test_the_devices_are_listed(pulse):
    done = run_monitor(pulse, "-l")
    assert done.returncode == 0
    assert "default, ALSA" in done.stdout


@pytest.mark.unhurried
def test_an_unknown_device_is_refused_with_the_candidates(pulse):
    done = run_monitor(pulse, "-o", "nowhere")
    assert done.returncode == 2
    assert "'nowhere'" in done.stderr
    assert "0 default" in done.stderr
    assert len(done.stderr.splitlines()) == 1
