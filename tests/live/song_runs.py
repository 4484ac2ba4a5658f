"""A song through `rtsep-monitor` on a real server: what went in, came out and was counted."""

from __future__ import annotations

import contextlib
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtsep_bench.server_process import AudioServer, wait_until
from rtsep_bench.servers import RATE, jack_server, pipewire_jack, pipewire_server, pulse_server
from rtsep_bench.watchdog import priority
from tests.live import jack_player
from tests.live.jack_graph import START_S, connect, disconnect, new_ports, ports, sink_ports
from tests.live.monitor_process import Monitor, monitor_process
from tests.live.pulse_clients import listening, play, read_heard, wait_until_connected
from tests.live.song import PLAN

# What is heard is compared with an engine in float32.
OPTIONS = ("--stem", "vocals", "--no-auto-level", "--precision", "f32")
# What the devices buffer in the test on PulseAudio: many of its blocks, a little of a second.
PULSE_LATENCY_S = 0.2
# Heard after the song: all of it, and what devices and programs may be late by.
TAIL_S = PLAN.latency_ms / 1000 + 1.0
# Where the player hears what it plays, the ports' latencies contain the monitor's own. Devices there are
# none.
IN_A_CIRCLE = "algorithm"
# By how much the clock of a JACK server may fall behind, in which no sample is lost.
MOST_BEHIND_S = 60.0
MOST_STARTS = 3


@dataclass(frozen=True)
class SongRun:
    """What came of it.

    song, heard: what was played, and what came out at the other end, (samples, 2) float32.
    stats, recorded: of rtsep-monitor, as it wrote them.
    latency_ms: what it says that sound takes from one end to the other, if the first sample of `heard`
        came in while the first one of `song` went out; None if they share no clock.
    """

    song: np.ndarray
    heard: np.ndarray
    stats: dict
    recorded: dict[str, np.ndarray]
    latency_ms: float | None

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
        assert monitor.interrupt() == 130
    return SongRun(song, read_heard(stem), monitor.stats(), monitor.recorded(), None)


def through_jack(song, period, folder) -> SongRun:
    """Played and heard by one client of JACK, so that what comes out has one clock with what went in."""
    device = ("--hostapi", "JACK", "--blocksize", str(period))
    with (
        jack_server(folder, period, waiting=True) as server,
        _jack_player(server, song, folder) as player,
    ):
        before = ports(server)
        with monitor_process(server, folder, *device, *OPTIONS) as monitor:
            out, into = new_ports(server, before)
            connect(server, player.played, into)
            connect(server, out, player.heard)
            return _played(player, monitor, song, "total")


def through_graph(song, period, folder) -> SongRun:
    """As `through_jack`, with the monitor as a client of the graph, which connects what it is told."""
    with (
        jack_server(folder, period, waiting=True) as server,
        _jack_player(server, song, folder) as player,
    ):
        ends = ("-i", ",".join(player.played), "-o", ",".join(player.heard))
        with monitor_process(server, folder, "--backend", "jack", *ends, *OPTIONS) as monitor:
            _wait_until_it_plays(monitor)
            return _played(player, monitor, song, IN_A_CIRCLE)


def through_pipewire(song, quantum, folder) -> SongRun:
    """As `through_graph`, into PipeWire's sink `song` and out of its sink `stem`."""
    with (
        pipewire_server(folder, RATE, quantum) as server,
        _jack_player(pipewire_jack(server), song, folder) as player,
    ):
        # PortAudio plays and records where it likes.
        disconnect(server, [*player.played, *player.heard])
        connect(server, player.played, sink_ports("song")[1])
        connect(server, sink_ports("stem")[0], player.heard)
        ends = ("--blocksize", str(quantum), "-i", "song", "-o", "stem")
        with monitor_process(server, folder, "--backend", "jack", *ends, *OPTIONS) as monitor:
            _wait_until_it_plays(monitor)
            return _played(player, monitor, song, IN_A_CIRCLE)


def _wait_until_it_plays(monitor: Monitor) -> None:
    """Until rtsep-monitor has told which ports it has and connected them."""
    wait_until(lambda: "; ports of rtsep" in monitor.messages(), "rtsep-monitor to play", START_S)


def _played(player: _JackPlayer, monitor: Monitor, song, told: str) -> SongRun:
    """told: which of the latencies in --stats is the one from end to end."""
    player.play()
    assert monitor.interrupt() == 130
    stats = monitor.stats()
    return SongRun(song, player.recorded(), stats, monitor.recorded(), stats["latency_ms"][told])


class _JackPlayer:
    """A running jack_player.py. played, heard: the ports that it plays through, and hears."""

    def __init__(self, server: AudioServer, song, folder: Path):
        nothing = ports(server)
        self._duration_s = len(song) / RATE + TAIL_S
        self._heard = folder / "heard.raw"
        song.astype("<f4").tofile(folder / "song.raw")
        words = [str(folder / "song.raw"), str(self._heard), str(round(TAIL_S * RATE))]
        self.process = subprocess.Popen(
            [*priority(), sys.executable, jack_player.__file__, *words],
            env=server.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        self.is_ready = self.process.stdout.readline() == "ready\n"
        if self.is_ready:
            self.played, self.heard = new_ports(server, nothing)

    def play(self):
        """Play the song to its end. The ports stay."""
        time.sleep(0.5)
        self.process.stdin.write("play\n")
        self.process.stdin.flush()
        timeout_s = self._duration_s + MOST_BEHIND_S
        assert select.select([self.process.stdout], [], [], timeout_s)[0], "the song does not end"
        self.process.stdout.readline()

    def recorded(self):
        """What came in meanwhile, (samples, 2) float32."""
        return np.fromfile(self._heard, "<f4").reshape(-1, 2)


@contextlib.contextmanager
def _jack_player(server: AudioServer, song, folder: Path) -> Iterator[_JackPlayer]:
    # JACK turns a client away that comes while the machine stands still.
    for _ in range(MOST_STARTS):
        player = _JackPlayer(server, song, folder)
        if player.is_ready:
            break
        player.process.wait()
    try:
        assert player.is_ready
        yield player
    finally:
        player.process.kill()
        player.process.wait()
