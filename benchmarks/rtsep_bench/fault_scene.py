"""What faults happen to: a server of its own, a player, listeners and `rtsep-monitor --system`."""

from __future__ import annotations

import os
import pty
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtsep.errors import RtsepError
from rtsep.weights.library import CACHE_VARIABLE
from rtsep_bench.endtoend_monitor import MonitorProcess
from rtsep_bench.endtoend_routes import EARS, SONG
from rtsep_bench.fault_graph import GraphEnds
from rtsep_bench.fault_machine import MemoryGroup
from rtsep_bench.fault_sound import (
    FILTERED_RMS,
    RATE,
    ClockedListener,
    Level,
    Listener,
    TonePlayer,
    is_filtered,
    longest_quiet_s,
)
from rtsep_bench.graph_probe import LISTENER, SENDER
from rtsep_bench.heard import GAIN_DB
from rtsep_bench.memory import held_by
from rtsep_bench.server_process import AudioServer, ServerError, wait_until
from rtsep_bench.servers import jack_server, pipewire_server, pulse_server

PULSE, PIPEWIRE, JACK = "pulse", "pipewire", "jack"
# A second sink, as of headphones that are plugged in.
PHONES = "phones"
# A sink whose clock is not the machine's.
CLOCKED = "clocked"
MODEL, STEMS = "spleeter:2stems", ("vocals", "accompaniment")
PLAN = "balanced"
RATES = (44_100, 48_000)
# Samples per cycle of a graph.
QUANTUM = 256
# Programs that are compiled the first time take as long.
START_S = 120.0
# The sound is back once it has been filtered for so long.
BACK_S = 0.5


@dataclass
class Scene:
    """One server and all around it, from `open_scene`.

    server, player, monitor: as they run now.  folder: for what they write.
    listeners: of the sinks that a person may listen to. On JACK, which has none, the player hears, too.
    words: further options of rtsep-monitor.  keys, terminal: the two ends of what it reads keys from.
    starts: how often it is to be started and ended where that is the fault.
    memory: the cgroup that rtsep-monitor runs in, where it has one of its own.
    moments: what was begun when, on the monotonic clock, so that silence can be placed.  told: what else
        a fault has to tell.
    """

    family: str
    server: AudioServer
    environ: dict[str, str]
    folder: Path
    words: Sequence[str]
    player: TonePlayer | GraphEnds
    listeners: Sequence[Listener | ClockedListener | GraphEnds]
    monitor: MonitorProcess
    keys: int
    terminal: int
    starts: int
    memory: MemoryGroup | None = None
    moments: list[tuple[float, str]] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)

    def note(self, what: str) -> None:
        """Note that something is begun now."""
        self.moments.append((time.monotonic(), what))

    def during(self, at_s: float) -> str:
        """What had been begun last at a time, and how long before; "" where nothing was noted."""
        for begun_s, what in reversed(self.moments):
            if begun_s <= at_s:
                return f"{what}: after {at_s - begun_s:.2f} s"
        return ""

    def server_load(self) -> dict[str, float]:
        """What the server's programs hold together: memory in MB, threads, open files."""
        held = [held_by(process.pid) for process in self.server.processes]
        return {name: sum(each[name] for each in held) for name in held[0]}

    def levels(self) -> list[Level]:
        """All that was heard, of any sink."""
        return [heard for listener in self.listeners for heard in list(listener.levels)]

    def wait_for_sound(self, timeout_s: float) -> float | None:
        """When what was filtered began, which has been heard for BACK_S now; None where it is not."""
        ends_s = time.monotonic() + timeout_s
        while time.monotonic() < ends_s:
            self.monitor.check()
            now_s = time.monotonic()
            newest = [heard for heard in self.levels() if heard.came_s > now_s - BACK_S]
            if newest and longest_quiet_s(newest, now_s - BACK_S, now_s, is_filtered) < BACK_S / 3:
                return now_s - BACK_S
            time.sleep(BACK_S / 10)
        return None

    def start_again(self) -> None:
        """Start rtsep-monitor anew, which has ended."""
        self.monitor = start_monitor(self.environ, self.folder, self.words, self.terminal)

    def signal(self, number: int, *, program: bool, server: bool) -> None:
        """Send a signal to all threads of the program, of the server, or of both."""
        if program:
            os.killpg(self.monitor.process.pid, number)
        if server:
            for process in self.server.processes:
                os.killpg(process.pid, number)

    def stop(self, seconds: float, *, program: bool = False, server: bool = False) -> None:
        """Let them stand still for so long."""
        self.signal(signal.SIGSTOP, program=program, server=server)
        try:
            time.sleep(seconds)
        finally:
            self.signal(signal.SIGCONT, program=program, server=server)

    def plug_in_phones(self, rate: int = RATES[0]) -> None:
        """Add the sink PHONES, as of a device that is plugged in."""
        # As the server's own ones: PulseAudio renders it 50 ms ahead, and PipeWire as it comes.
        even = ["norewinds=1"] if self.family == PULSE else []
        self.server.command(
            "pactl", "load-module", "module-null-sink", f"sink_name={PHONES}", f"rate={rate}",
            "channels=2", *even,
        )  # fmt: skip
        wait_until(lambda: self._lists(PHONES), f"the sink {PHONES}")

    def unplug_phones(self) -> None:
        """Take it away again; nothing where it is not there."""
        for line in self.server.command("pactl", "list", "short", "modules").splitlines():
            if f"sink_name={PHONES}" in line:
                self.server.command("pactl", "unload-module", line.split()[0])

    def default_to(self, sink: str) -> None:
        """Choose another output, as in the desktop's settings."""
        self.server.command("pactl", "set-default-sink", sink)

    def restart_server(self) -> None:
        """Start the server again, as it was, and wait until it answers."""
        self.server.restart()

        def answers() -> bool:
            try:
                return self.family == JACK or self._lists(EARS)
            except ServerError:
                return False

        wait_until(answers, "an answer of the server")
        if self.family != JACK:
            self.default_to(EARS)

    def _lists(self, sink: str) -> bool:
        return f"\t{sink}\t" in self.server.command("pactl", "list", "short", "sinks")


def open_scene(
    stack: ExitStack, family: str, weights: Path, folder: Path, words: Sequence[str],
    *, clocked: bool = False, starts: int = 1, memory: MemoryGroup | None = None,
) -> Scene:  # fmt: skip
    """Start all of it; it ends with `stack`. Raises RtsepError where no filtered sound is heard.

    clocked: the output is a sink of PulseAudio's with a clock of its own, see ClockedListener.
    """
    server = stack.enter_context(_started(family, folder))
    environ = {**server.players_environ, CACHE_VARIABLE: str(weights)}
    player, listeners, where = _surround(stack, family, server, environ, folder, clocked)
    words = [*words, *where]
    # Keys are pressed at a terminal.
    keys, terminal = pty.openpty()
    for end in (keys, terminal):
        stack.callback(os.close, end)
    scene = Scene(
        family, server, environ, folder, words, player, listeners,
        start_monitor(environ, folder, words, terminal, () if memory is None else memory.enter),
        keys, terminal, starts, memory,
    )  # fmt: skip
    stack.callback(lambda: scene.monitor.kill())
    if scene.wait_for_sound(START_S) is None:
        heard = scene.levels()
        loudest = max((level.rms for level in heard[-200:]), default=0.0)
        raise RtsepError(
            f"no filtered sound within {START_S:g} s: {loudest:.3f} in place of {FILTERED_RMS:.3f};"
            f" rtsep-monitor said: {scene.monitor.said().strip() or 'nothing'}"
        )
    return scene


def _started(family: str, folder: Path) -> AbstractContextManager[AudioServer]:
    if family == PULSE:
        return pulse_server(folder)
    if family == JACK:
        return jack_server(folder, QUANTUM, rate=RATES[0])
    return pipewire_server(folder, RATES[0], QUANTUM, default_sink=EARS, allowed_rates=RATES)


def _surround(
    stack: ExitStack, family: str, server: AudioServer, environ: Mapping[str, str], folder: Path,
    clocked: bool,
) -> tuple[TonePlayer | GraphEnds, list[Listener | ClockedListener | GraphEnds], list[str]]:  # fmt: skip
    """A player and listeners, started, and the options that put rtsep-monitor between them."""
    if family == JACK:
        ends = GraphEnds(environ)
        stack.enter_context(ends)
        wait_until(lambda: LISTENER in server.command("jack_lsp"), f"the client {LISTENER}")
        return ends, [ends], ["--backend", "jack", "-i", SENDER, "-o", LISTENER]
    server.command("pactl", "set-default-sink", EARS)
    player, where = TonePlayer(environ), ["--system"]
    listeners: list[Listener | ClockedListener | GraphEnds] = []
    if clocked:
        listeners.append(_plug_in_clocked(server, folder / CLOCKED))
        player = TonePlayer(environ, SONG)
        where = ["--backend", "pulse", "-i", f"{SONG}.monitor", "-o", CLOCKED]
    else:
        listeners += [Listener(environ, sink) for sink in (EARS, PHONES)]
    for program in (*listeners, player):
        stack.enter_context(program)
    return player, listeners, where


def _plug_in_clocked(server: AudioServer, pipe: Path) -> ClockedListener:
    server.command(
        "pactl", "load-module", "module-pipe-sink", f"sink_name={CLOCKED}", f"file={pipe}",
        f"rate={RATE}", "channels=2", "format=float32le",
    )  # fmt: skip
    return ClockedListener(pipe)


def start_monitor(
    environ: dict[str, str], folder: Path, words: Sequence[str], stdin: int,
    before: Sequence[str] = (),
) -> MonitorProcess:  # fmt: skip
    """`rtsep-monitor`, which lets everything through at GAIN_DB; words: where it is, and more."""
    gains = [word for stem in STEMS for word in ("--stem", stem, "--gain", f"{stem}={GAIN_DB:g}")]
    return MonitorProcess(
        [
            "--quiet", "--model", MODEL, "--latency", PLAN, "--no-auto-level",
            "--mask-extension", "average", *gains, *words,
        ],
        folder, environ, stdin, before,
    )  # fmt: skip
