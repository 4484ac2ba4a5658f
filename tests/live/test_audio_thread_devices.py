"""The rule of the audio thread where real sound systems call it; all its paths: test_audio_thread.py."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from rtsep_bench.server_process import AudioServer, wait_until
from rtsep_bench.servers import (
    ALSA_PULSE_ENDS,
    RATE,
    jack_server,
    pipewire_server,
    pulse_server,
)
from tests.live.monitor_process import END_S
from tests.live.watch import system_calls
from tests.live.watch.engine_paths import KERNEL, PYTHON
from tests.live.watch.watched_monitor import REPORT, TRACE

# Part of the blocks that may have page faults: a new thread's first calls touch its stack and Python's
# state of it, and between two clocks malloc grows its heap at times.
MOST_FAULTY = 0.1
PLAYED_S = 3
# The ends of PulseAudio, and of PipeWire, and those that PortAudio finds of PulseAudio, one by one.
ENDS, ALSA_ENDS = ("-i", "song", "-o", "stem"), ("-i", "song_in", "-o", "stem_out")


def _play(server: AudioServer, program: subprocess.Popen[str]) -> int:
    """Until the program ends by itself."""
    return program.wait(END_S)


def _play_beyond_an_outage(server: AudioServer, program: subprocess.Popen[str]) -> int:
    """The server goes, and comes back, and with it the devices."""
    assert program.stderr is not None
    wait_until(lambda: bool(server.command("pactl", "list", "short", "sink-inputs")), "the sound")
    time.sleep(1.0)
    server.kill()
    _read_until("the audio device has gone", program)
    server.restart()
    _read_until("the audio device is back", program)
    time.sleep(PLAYED_S)
    program.send_signal(signal.SIGINT)
    return program.wait(END_S)


def _read_until(words: str, program: subprocess.Popen[str]) -> None:
    assert program.stderr is not None
    for line in program.stderr:
        if words in line:
            return
    pytest.fail(f"it has not said: {words}")


Play = Callable[[AudioServer, "subprocess.Popen[str]"], int]


def _watched_monitor(serve, backend: Sequence[str], play: Play, how: str, folder: Path) -> dict:
    """What watched_monitor.py reports, and its statistics."""
    folder.mkdir()
    arguments = [
        "--backend", *backend, "--latency", "classic", "--quiet",
        "--record", str(folder / "takes"), "--stats", str(folder / "stats.json"),
    ]  # fmt: skip
    if play is _play:
        arguments += ["--duration", str(PLAYED_S)]
    with serve(folder) as server:
        program = subprocess.Popen(
            [sys.executable, "-m", "tests.live.watch.watched_monitor", how, str(folder), *arguments],
            env=server.environ, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        try:
            status = play(server, program)
        finally:
            program.kill()
            _, said = program.communicate()
    assert status == (0 if play is _play else 130), said
    stats = json.loads((folder / "stats.json").read_text())
    assert stats["hops"] > 20
    return {**json.loads((folder / REPORT).read_text()), "stats": stats}


pulse, pipewire = pytest.mark.needs("pulse"), pytest.mark.needs("pipewire")


@pytest.mark.slow
@pytest.mark.needs("strace")
@pytest.mark.parametrize(
    ("serve", "backend", "clocks", "play"),
    [
        pytest.param(pulse_server, ["portaudio"], 1, _play, marks=pulse, id="portaudio"),
        pytest.param(
            partial(pulse_server, alsa=ALSA_PULSE_ENDS), ["portaudio", *ALSA_ENDS], 2, _play,
            marks=pulse, id="two-devices",
        ),
        pytest.param(pulse_server, ["pulse", *ENDS], 2, _play, marks=pulse, id="pulse"),
        pytest.param(
            pulse_server, ["pulse", *ENDS], 2, _play_beyond_an_outage, marks=pulse, id="outage"
        ),
        pytest.param(
            jack_server, ["jack"], 1, _play, marks=pytest.mark.needs("jack"), id="jack"
        ),
        pytest.param(
            partial(pipewire_server, rate=RATE, quantum=1024), ["jack", *ENDS], 1, _play,
            marks=pipewire, id="pipewire",
        ),
    ],
)  # fmt: skip
def test_a_sound_systems_thread_keeps_the_rule(
    made_up_weights, tmp_path, serve, backend, clocks, play
):
    python = _watched_monitor(serve, backend, play, PYTHON, tmp_path / PYTHON)
    assert python["found"] == {}
    assert python["stats"]["memory_kept"] in ("all", "buffers", "nothing")
    kernel = _watched_monitor(serve, backend, play, KERNEL, tmp_path / KERNEL)
    threads = [
        calls
        for trace in (tmp_path / KERNEL).glob(f"{TRACE}.*")
        for calls in system_calls.read_trace(
            trace, kernel["python_memory"], two_clocks=clocks == 2
        ).values()
    ]
    blocks = sum(calls.blocks for calls in threads)
    assert blocks > 20
    assert [line for calls in threads for line in calls.found] == []
    assert sum(calls.faulty_blocks for calls in threads) <= MOST_FAULTY * blocks
    if play is _play_beyond_an_outage:
        assert {python["stats"]["device_returns"], kernel["stats"]["device_returns"]} == {1}
