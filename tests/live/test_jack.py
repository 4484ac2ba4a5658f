"""`rtsep-monitor` on a real JACK server with its dummy driver. Songs: test_song.py."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rtsep_bench.servers import JACK_PERIOD, RATE, jack_server
from tests.live import jack_probe
from tests.live.attempts import assert_no_dropouts, repeat_if_disturbed
from tests.live.jack_graph import new_ports, ports
from tests.live.monitor_process import monitor_process, run_monitor

pytestmark = [pytest.mark.needs("jack"), pytest.mark.slow]

JACK = ("--hostapi", "JACK", "--blocksize", str(JACK_PERIOD))


@pytest.fixture
def jack(made_up_weights, tmp_path):
    with jack_server(tmp_path) as server:
        yield server


class Probe:
    """A running jack_probe.py: `delay` is the time of an impulse out and back, in samples."""

    def __init__(self, process):
        self.process = process
        assert process.stdout.readline() == "ready\n"

    def delay(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@contextlib.contextmanager
def _probe(server):
    process = subprocess.Popen(
        [sys.executable, str(Path(jack_probe.__file__))],
        env=server.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield Probe(process)
    finally:
        process.terminate()
        process.communicate()


def _assert_impulse_arrives(jack, folder):
    nothing = ports(jack)
    with _probe(jack) as probe:
        (probe_out,), (probe_in,) = new_ports(jack, nothing)
        # The probe itself: with nothing in between, what comes back is one period late.
        jack.command("jack_connect", probe_out, probe_in)
        assert probe.delay() == JACK_PERIOD
        jack.command("jack_disconnect", probe_out, probe_in)

        before = ports(jack)
        everything = ("--stem", "vocals", "--stem", "accompaniment")
        with monitor_process(jack, folder, *JACK, *everything) as monitor:
            outputs, inputs = new_ports(jack, before)
            assert len(outputs) == len(inputs) == 2
            jack.command("jack_connect", probe_out, inputs[0])
            jack.command("jack_connect", outputs[0], probe_in)
            time.sleep(0.5)
            measured_samples = probe.delay()
            assert monitor.interrupt() == 130
    stats = monitor.stats()
    assert_no_dropouts(stats)
    total_samples = stats["latency_ms"]["total"] * RATE / 1000
    assert measured_samples == pytest.approx(total_samples, abs=JACK_PERIOD + 1)


def test_an_impulse_arrives_when_the_total_says(jack, tmp_path):
    repeat_if_disturbed(lambda: _assert_impulse_arrives(jack, tmp_path), JACK_PERIOD / RATE)


@pytest.mark.unhurried
def test_a_server_that_dies_ends_the_program_with_the_recordings_intact(jack, tmp_path):
    before = ports(jack)
    with monitor_process(jack, tmp_path, *JACK) as monitor:
        new_ports(jack, before)
        time.sleep(2.0)
        jack.kill()
        assert monitor.process.wait(30) == 1
    assert "device" in monitor.messages().splitlines()[-1]
    assert "Traceback" not in monitor.messages()
    assert monitor.stats()["hops"] > 10
    recorded = monitor.recorded()
    assert set(recorded) == {"vocals", "accompaniment"}
    assert all(len(stem) >= RATE for stem in recorded.values())


def test_the_benchmark_measures_on_devices(jack, tmp_path):
    figures = tmp_path / "latency.json"
    words = ["latency", "--backend", "device", *JACK, "--plans", "low", "--seconds", "3"]
    done = subprocess.run(
        [sys.executable, "-m", "rtsep.cli.bench", *words, "--display", "--json", str(figures)],
        env=jack.environ, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(figures.read_text())["rows"]
    # Two periods, one of them because the server does not wait for its clients.
    assert row["latency_ms"]["device_output"] == pytest.approx(2000 * JACK_PERIOD / RATE)
    assert row["hops"] == pytest.approx(3 * RATE / 1024, rel=0.2)
    assert row["block_ms"] == pytest.approx(1000 * JACK_PERIOD / RATE, rel=0.05)


@pytest.mark.unhurried
def test_the_devices_are_listed(jack):
    done = run_monitor(jack, "-l")
    assert done.returncode == 0
    assert "system, JACK Audio Connection Kit" in done.stdout


@pytest.mark.unhurried
def test_an_ambiguous_device_is_refused_with_the_candidates(jack):
    done = run_monitor(jack, "-i", "e")
    assert done.returncode == 2
    assert "'e' is ambiguous" in done.stderr
    assert "0 default" in done.stderr
    assert "1 system" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.unhurried
def test_an_unknown_hostapi_is_refused_with_the_candidates(jack):
    done = run_monitor(jack, "--hostapi", "Core Audio")
    assert done.returncode == 2
    assert "'Core Audio'" in done.stderr
    assert "JACK Audio Connection Kit" in done.stderr
    assert len(done.stderr.splitlines()) == 1
