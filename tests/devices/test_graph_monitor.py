"""`rtsep-monitor --backend jack` as a process of its own, on a real jackd and a real PipeWire."""

from __future__ import annotations

import os
import signal
import time

import pytest

from rtsep.live.plans.plan import PLANS
from rtsep_bench.server_process import wait_until, without_servers
from rtsep_bench.servers import RATE, jack_server, pipewire_server
from tests.devices.graph_programs import latencies, probing
from tests.live.monitor_process import monitor_process, run_monitor

pytestmark = pytest.mark.slow

BLOCK = 256
BACKEND = ("--backend", "jack")
# Masks of made-up weights: with all stems at full gain what comes out is what went in.
EVERYTHING = ("--latency", "low", "--stem", "vocals", "--stem", "accompaniment", "--no-auto-level")
# A cycle that a busy machine misses only adds to what is measured.
IMPULSES = 5


class Nowhere:
    """An environment in which no server is reached."""

    def __init__(self, folder):
        self.environ = {
            **without_servers(),
            "XDG_RUNTIME_DIR": str(folder),
            "PIPEWIRE_RUNTIME_DIR": str(folder),
        }


def _playing(server, monitor):
    """Wait until the program plays: it says so before, and connects its ports."""
    wait_until(lambda: "threads" in monitor.messages(), "the program", 60.0)
    time.sleep(1.0)


@pytest.mark.needs("jack")
def test_what_is_announced_told_and_heard_is_one_latency(made_up_weights, tmp_path):
    plan_samples = PLANS["low"].latency_samples
    with (
        jack_server(tmp_path, BLOCK) as server,
        monitor_process(server, tmp_path, *BACKEND, *EVERYTHING, "--all-stems") as monitor,
    ):
        _playing(server, monitor)
        inputs = "rtsep:in_1,rtsep:in_2"
        capture = latencies(server, "system:capture_1")
        playback = latencies(server, "system:playback_1")
        assert capture["playback"] - playback["playback"] == plan_samples
        assert playback["capture"] - capture["capture"] == plan_samples
        with probing(server, inputs, "rtsep:out_1") as delay:
            assert min(delay() for _ in range(IMPULSES)) == plan_samples
        assert monitor.interrupt() == 130
    latency_ms = monitor.stats()["latency_ms"]
    assert latency_ms["algorithm"] == pytest.approx(1000 * plan_samples / RATE)
    assert latency_ms["device_input"] == pytest.approx(1000 * capture["capture"] / RATE)
    assert latency_ms["device_output"] == pytest.approx(1000 * playback["playback"] / RATE)


@pytest.mark.needs("pipewire")
def test_pipewire_is_joined_at_its_own_rate(made_up_weights, tmp_path):
    ends = ("-i", "song:monitor", "-o", "stem:playback")
    with (
        pipewire_server(tmp_path, 48_000, BLOCK) as server,
        monitor_process(server, tmp_path, *BACKEND, *EVERYTHING, *ends) as monitor,
    ):
        _playing(server, monitor)
        with probing(server, "rtsep:in_1,rtsep:in_2", "stem:monitor_FL") as delay:
            heard_ms = min(delay() for _ in range(IMPULSES)) / 48
        assert monitor.interrupt() == 130
    # Played behind the source, which may be a cycle behind itself.
    told_ms = monitor.stats()["latency_ms"]
    assert heard_ms == pytest.approx(told_ms["total"] - told_ms["device_input"], abs=1.0)


@pytest.mark.unhurried
@pytest.mark.needs("jack")
def test_a_server_that_dies_ends_the_program_where_nobody_waits(made_up_weights, tmp_path):
    with (
        jack_server(tmp_path, BLOCK) as server,
        monitor_process(server, tmp_path, *BACKEND, "--reconnect", "0") as monitor,
    ):
        _playing(server, monitor)
        server.kill()
        assert monitor.process.wait(30) == 1
    assert "device has stopped" in monitor.messages().splitlines()[-1]
    assert "Traceback" not in monitor.messages()


@pytest.mark.unhurried
@pytest.mark.needs("pipewire")
def test_a_server_that_comes_back_is_played_on(made_up_weights, tmp_path):
    ends = ("-i", "song:monitor", "-o", "stem:playback")
    with (
        pipewire_server(tmp_path, 48_000, BLOCK) as server,
        monitor_process(server, tmp_path, *BACKEND, *ends) as monitor,
    ):
        _playing(server, monitor)
        server.kill()
        wait_until(lambda: "has gone" in monitor.messages(), "the loss to be noticed")
        server.restart()
        wait_until(lambda: "is back" in monitor.messages(), "the return")
        assert monitor.interrupt() == 130
    assert monitor.stats()["device_returns"] == 1


@pytest.mark.unhurried
@pytest.mark.needs("jack")
@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (("-i", "nowhere"), 2, "-i 'nowhere': no such port: choose from system:capture_1"),
        (("-o", "s"), 0, "system:playback_1"),
        (("--samplerate", "48000"), 2, "--samplerate means nothing to --backend jack"),
    ],
)
def test_options_of_the_graph(options, status, words, made_up_weights, tmp_path):
    with jack_server(tmp_path, BLOCK) as server:
        done = run_monitor(
            server, *BACKEND, *options, "--latency", "classic", "--duration", "0.2", "-q"
        )
    assert done.returncode == status, done.stderr
    if status:
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.unhurried
@pytest.mark.needs("jack")
def test_ports_are_listed(tmp_path):
    with jack_server(tmp_path, BLOCK) as server:
        done = run_monitor(server, *BACKEND, "-l")
    assert done.returncode == 0
    assert "input  (-i)  system:capture_1\n" in done.stdout
    assert "output (-o)  system:playback_2\n" in done.stdout


def test_without_a_server_there_is_one_line(made_up_weights, tmp_path):
    done = run_monitor(Nowhere(tmp_path), *BACKEND)
    assert done.returncode == 1
    assert "no JACK server answers" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.unhurried
@pytest.mark.parametrize(
    ("serve", "ends"),
    [
        pytest.param(jack_server, (), marks=pytest.mark.needs("jack"), id="jack"),
        pytest.param(
            lambda folder, block: pipewire_server(folder, 48_000, block),
            ("-i", "song:monitor", "-o", "stem:playback"),
            marks=pytest.mark.needs("pipewire"),
            id="pipewire",
        ),
    ],
)
def test_a_server_that_stands_still_for_long_is_played_on(made_up_weights, tmp_path, serve, ends):
    """For longer than its client waits for it to answer when it leaves."""
    with (
        serve(tmp_path, BLOCK) as server,
        monitor_process(server, tmp_path, *BACKEND, *ends) as monitor,
    ):
        _playing(server, monitor)
        for process in server.processes:
            os.killpg(process.pid, signal.SIGSTOP)
        wait_until(lambda: "has gone" in monitor.messages(), "the loss to be noticed")
        time.sleep(1.0)
        assert monitor.process.poll() is None
        for process in server.processes:
            os.killpg(process.pid, signal.SIGCONT)
        wait_until(lambda: "is back" in monitor.messages(), "the return")
        assert monitor.interrupt() == 130
    assert monitor.stats()["device_returns"] == 1
