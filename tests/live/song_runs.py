"""A song through `rtsep-monitor` on a real server: what went in, came out and was counted."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np

from rtsep_bench.servers import RATE, jack_server, pulse_server
from rtsep_bench.watchdog import priority
from tests.live import jack_player
from tests.live.jack_graph import connect, new_ports, ports
from tests.live.monitor_process import Monitor, monitor_process
from tests.live.pulse_clients import listening, play, read_heard, wait_until_connected
from tests.live.song import PLAN

OPTIONS = ("--stem", "vocals", "--no-auto-level")
# What the devices buffer in the test on PulseAudio: many of its blocks, a little of a second.
PULSE_LATENCY_S = 0.2
# Heard after the song: all of it, and what devices and programs may be late by.
TAIL_S = PLAN.latency_ms / 1000 + 1.0
# By how much the clock of a JACK server may fall behind, in which no sample is lost.
MOST_BEHIND_S = 60.0


@dataclass(frozen=True)
class SongRun:
    """What came of it.

    song, heard: what was played, and what came out at the other end, (samples, 2) float32.
    stats, recorded: of rtsep-monitor, as it wrote them.
    starts_with_song: the first sample of `heard` came in while the first one of `song` went out.
    """

    song: np.ndarray
    heard: np.ndarray
    stats: dict
    recorded: dict[str, np.ndarray]
    starts_with_song: bool

    @property
    def xruns(self) -> int:
        """How often sound was lost, whichever way."""
        return max(self.stats["xruns"].values())


def through_pulse(song, block, folder) -> SongRun:
    """Played into PulseAudio's sink `song`, heard from its sink `stem`."""
    device = ("--blocksize", str(block), "--device-latency", str(PULSE_LATENCY_S))
    with (
        pulse_server(folder) as server,
        listening(server, "stem", folder) as stem,
        monitor_process(server, folder, *device, *OPTIONS) as monitor,
    ):
        wait_until_connected(server)
        play(server, song)
        time.sleep(TAIL_S)
        _end(monitor)
    return SongRun(song, read_heard(stem), monitor.stats(), monitor.recorded(), False)


def through_jack(song, period, folder) -> SongRun:
    """Played and heard by one client of JACK, so that what comes out has one clock with what went in."""
    source, target = folder / "song.raw", folder / "heard.raw"
    song.astype("<f4").tofile(source)
    device = ("--hostapi", "JACK", "--blocksize", str(period))
    with jack_server(folder, period, waiting=True) as server:
        nothing = ports(server)
        player = subprocess.Popen(
            [*priority(), sys.executable, jack_player.__file__, str(source), str(target),
             str(round(TAIL_S * RATE))],
            env=server.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        try:
            assert player.stdout.readline() == "ready\n"
            played, heard = new_ports(server, nothing)
            before = ports(server)
            with monitor_process(server, folder, *device, *OPTIONS) as monitor:
                out, into = new_ports(server, before)
                connect(server, played, into)
                connect(server, out, heard)
                time.sleep(0.5)
                player.communicate("play\n", timeout=len(song) / RATE + TAIL_S + MOST_BEHIND_S)
                _end(monitor)
        finally:
            player.kill()
            player.wait()
    heard = np.fromfile(target, "<f4").reshape(-1, 2)
    return SongRun(song, heard, monitor.stats(), monitor.recorded(), True)


def _end(monitor: Monitor) -> None:
    assert monitor.interrupt() == 130
