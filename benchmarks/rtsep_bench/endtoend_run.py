"""One measurement of `rtsep-bench endtoend`, in a process that knows one sound server alone.

    python -m rtsep_bench.endtoend_run SETTINGS.json

First a steady tone plays, and `rtsep-monitor` is started: when is the tone heard filtered, and for how
long not at all meanwhile? Then impulses are sent one after the other, and what the program counts is
read from its --stats. Beside it runs a watchdog, which tells how often the machine stood still. Prints
the figures as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rtsep.errors import RtsepError
from rtsep_bench import child
from rtsep_bench.endtoend_routes import EARS, PULSEAUDIO, Route, find_route, read_server
from rtsep_bench.graph_probe import GraphProbe
from rtsep_bench.heard import (
    GAIN_DB,
    TONE_LEVEL,
    TONE_RMS,
    Heard,
    Level,
    delays_s,
    first_filtered_s,
    longest_silence_s,
    tone,
)
from rtsep_bench.pulse_listener import Listener
from rtsep_bench.pulse_probe import PulseProbe
from rtsep_bench.watchdog import Watchdog, priority

MODULE = "rtsep_bench.endtoend_run"
MONITOR = "rtsep.cli.monitor"
TICK_S = 0.01
# The tone alone before the command, and after it was heard filtered.
BEFORE_S, AFTER_S = 1.0, 1.5
# Until the tone is heard without rtsep, on a busy machine.
MOST_BEFORE_S = 10.0
# Until the tone's tail has gone through the longest chain.
QUIET_S = 3.0
# Programs that are compiled the first time take as long.
MOST_START_S = 120.0
END_S = 30.0
# An impulse that was not heard by then is lost. The next one follows some time after it was.
MOST_DELAY_S = 8.0
PAUSE_S = 0.3
# Two listeners to the same instant may differ by this.
EARLY_S = 0.05
PLAYED_RATE = 44_100
# How long impulses are sent into the ears' sink itself.
MONITOR_S = 2.0


@dataclass(frozen=True)
class RunSettings:
    """What is measured.

    server, route: as spelt out.  plan: for --latency.  options: further ones of rtsep-monitor.
    stems: those of the model, all heard.  duration_s: of the impulses.
    """

    server: str
    route: str
    model: str
    stems: Sequence[str]
    plan: str
    options: Sequence[str]
    duration_s: float


class Probe(Protocol):
    """Sends impulses and hears them; see GraphProbe and PulseProbe."""

    @property
    def heard(self) -> Heard:
        """What came in; its impulses by its own clock."""
        ...

    @property
    def sent_s(self) -> Sequence[float]:
        """When impulses were sent."""
        ...

    def heard_s(self) -> Sequence[float]:
        """When impulses were heard, by the clock of `sent_s`."""
        ...

    def send(self) -> None:
        """Send an impulse."""
        ...

    def update(self) -> None:
        """Take over what was sent and heard since the last time."""
        ...


class Monitor:
    """`rtsep-monitor` as a person starts it."""

    def __init__(self, settings: RunSettings, route: Route, folder: Path):
        self._stats, self._messages = folder / "stats.json", folder / "messages"
        words = [
            "--quiet", "--model", settings.model, "--latency", settings.plan,
            "--stats", str(self._stats), *route.options(read_server(settings.server)),
            # Everything is heard, so that an impulse stays one.
            "--no-auto-level", "--mask-extension", "average",
        ]  # fmt: skip
        for stem in settings.stems:
            words += ["--stem", stem, "--gain", f"{stem}={GAIN_DB:g}"]
        with self._messages.open("wb") as messages:
            self.started_s = time.monotonic()
            self._process = subprocess.Popen(
                child.command(MONITOR, *words, *settings.options),
                stdin=subprocess.DEVNULL, stdout=messages, stderr=messages, start_new_session=True,
            )  # fmt: skip

    def check(self) -> None:
        """Raise RtsepError if it has ended."""
        if self._process.poll() is not None:
            said = child.last_line(self._messages.read_text(errors="replace"), "it said nothing")
            raise RtsepError(
                f"rtsep-monitor ended with exit status {self._process.returncode}: {said}"
            )

    def end(self) -> dict[str, Any]:
        """End it as a session manager does; returns its statistics. Raises RtsepError."""
        self.check()
        self._process.terminate()
        self._process.wait(END_S)
        if not self._stats.exists():
            self.check()
        stats: dict[str, Any] = json.loads(self._stats.read_text())
        return stats

    def kill(self) -> None:
        """End it at once if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(END_S)


def run(settings: RunSettings, folder: Path) -> dict[str, Any]:
    """Measure; returns the figures by name. Raises RtsepError."""
    # Without leave to go before all other programs it would watch those, and not the machine.
    watchdog = Watchdog() if priority() else None
    with watchdog or nullcontext():
        figures = _measure(settings, folder)
    cycle_s = read_server(settings.server).cycle_s
    figures["stalls"] = None if watchdog is None else {
        "longer_than_ms": 1000 * cycle_s,
        "count": len(watchdog.stalls(cycle_s)),
        "longest_ms": 1000 * watchdog.longest_s,
    }  # fmt: skip
    return figures


def _measure(settings: RunSettings, folder: Path) -> dict[str, Any]:
    server = read_server(settings.server)
    route = find_route(settings.route, server)
    with ExitStack() as measuring:
        start = _start_pulse if server.family == PULSEAUDIO else _start_graph
        monitor, probe, begun = start(measuring, settings, route, folder)
        sent_s, heard_s = _impulses(probe, monitor.check, settings.duration_s)
        took_s, lost = delays_s(sent_s, heard_s)
        if not took_s:
            raise RtsepError(f"none of {lost} impulses was heard within {MOST_DELAY_S:g} s")
        monitor_s = 0.0
        if isinstance(probe, GraphProbe) and route.input_sink is not None:
            monitor_s = _monitor_s(probe, monitor.check)
        figures = {
            **begun,
            "heard_ms": _spread_ms(took_s),
            "monitor_ms": 1000 * monitor_s,
            "impulses": len(took_s),
            "impulses_lost": lost,
        }
        if isinstance(probe, GraphProbe):
            figures["probe_xruns"] = probe.xruns
        else:
            apart_s, _ = delays_s(heard_s, probe.heard_again_s(), EARLY_S)
            figures["scatter_ms"] = _spread_ms(np.abs(apart_s))
        stats = monitor.end()
    told = ("latency_ms", "xruns", "late_masks", "hops")
    return {**figures, **{name: stats[name] for name in told}}


def _spread_ms(times_s: Sequence[float] | NDArray[np.float64]) -> dict[str, float]:
    times_ms = 1000 * np.asarray(times_s)
    return {
        "median": float(np.median(times_ms)),
        "min": float(times_ms.min()),
        "max": float(times_ms.max()),
    }


def _start_graph(
    measuring: ExitStack, settings: RunSettings, route: Route, folder: Path
) -> tuple[Monitor, GraphProbe | PulseProbe, dict[str, Any]]:
    """The tone in a graph, to its end; returns what runs from then on, and what was found."""
    probe = measuring.enter_context(GraphProbe())
    probe.calibrate()

    def connect() -> None:
        if route.client:
            # Ports cannot be connected before their client is active: the next time, then.
            with suppress(RtsepError):
                probe.connect(probe.ports(route.client, "in"), sending=True)
                probe.connect(probe.ports(route.client, "out"), sending=False)
        elif route.input_sink is not None:
            probe.connect(probe.ports(EARS, "monitor"), sending=False)

    if route.input_sink is None:
        probe.play_tone(True)
        monitor, begun = _start(measuring, settings, route, folder, probe, connect)
        probe.play_tone(False)
    else:
        with _player(None if route.takes_over else route.input_sink, folder):
            monitor, begun = _start(measuring, settings, route, folder, probe, connect)
        _play_into(probe, route.input_sink)
    return monitor, probe, begun


def _play_into(probe: GraphProbe, sink: str) -> None:
    ports = probe.ports(sink, "playback")
    if not ports:
        raise RtsepError(f"the graph has no sink {sink!r} to play into")
    probe.send_to(ports)


def _monitor_s(probe: GraphProbe, check: Callable[[], None]) -> float:
    """Seconds from the ears' sink to its monitor: a cycle where it is a null sink that leads.

    Raises RtsepError.
    """
    _play_into(probe, EARS)
    took_s, _ = delays_s(*_impulses(probe, check, MONITOR_S))
    if not took_s:
        raise RtsepError(f"what is played into {EARS!r} is not heard at its monitor")
    return float(np.median(took_s))


def _start_pulse(
    measuring: ExitStack, settings: RunSettings, route: Route, folder: Path
) -> tuple[Monitor, GraphProbe | PulseProbe, dict[str, Any]]:
    """The tone in PulseAudio, to its end; as `_start_graph`."""
    assert route.input_sink is not None
    ears = Listener(f"{EARS}.monitor")
    measuring.callback(ears.close)
    with _player(None if route.takes_over else route.input_sink, folder):
        monitor, begun = _start(measuring, settings, route, folder, _Ears(ears.heard), lambda: None)
    return monitor, measuring.enter_context(PulseProbe(route.input_sink, ears)), begun


@dataclass
class _Ears:
    """A listener alone, which needs no update."""

    heard: Heard

    def update(self) -> None:
        """Nothing."""


def _start(
    measuring: ExitStack, settings: RunSettings, route: Route, folder: Path,
    ears: GraphProbe | _Ears, connect: Callable[[], None],
) -> tuple[Monitor, dict[str, Any]]:  # fmt: skip
    """Start rtsep-monitor beside the tone, until that has been heard filtered for a while.

    connect: connects what there is by now to the ears, again and again.
    """
    connect()
    if route.takes_over:
        _wait_for_tone(ears, connect)
    time.sleep(BEFORE_S)
    monitor = Monitor(settings, route, folder)
    measuring.callback(monitor.kill)
    filtered_s = None
    while filtered_s is None:
        time.sleep(TICK_S)
        monitor.check()
        connect()
        ears.update()
        filtered_s = first_filtered_s(_since(monitor.started_s, ears.heard))
        if time.monotonic() > monitor.started_s + MOST_START_S:
            raise RtsepError(f"no filtered sound within {MOST_START_S:g} s of the command")
    time.sleep(AFTER_S)
    ears.update()
    # The tone is heard when the command is given: what was silent before is none of its doing.
    heard = _since(monitor.started_s, ears.heard)
    return monitor, {
        "first_filtered_s": filtered_s - monitor.started_s,
        "silence_ms": 1000 * longest_silence_s(heard) if route.takes_over else None,
    }


def _wait_for_tone(ears: GraphProbe | _Ears, connect: Callable[[], None]) -> None:
    """Until the tone is heard as it is played. Raises RtsepError."""
    begun_s = time.monotonic()
    while not any(level.rms > 0.75 * TONE_RMS for level in _since(begun_s, ears.heard)):
        if time.monotonic() > begun_s + MOST_BEFORE_S:
            raise RtsepError(f"the tone is not heard at {EARS!r} before rtsep-monitor is started")
        time.sleep(TICK_S)
        connect()
        ears.update()


def _since(begun_s: float, heard: Heard) -> list[Level]:
    return [level for level in list(heard.levels) if level.came_s >= begun_s]


@contextmanager
def _player(sink: str | None, folder: Path) -> Iterator[None]:
    """Play the tone into a sink, or the default one, with a program that people use."""
    import soundfile

    file = folder / "tone.wav"
    sound = tone(PLAYED_RATE, 0, round(PLAYED_RATE * (MOST_START_S + BEFORE_S + AFTER_S)))
    assert np.abs(sound).max() <= TONE_LEVEL
    soundfile.write(file, np.repeat(sound[:, np.newaxis], 2, axis=1), PLAYED_RATE, "FLOAT")
    program = subprocess.Popen(
        ["paplay", *([] if sink is None else [f"--device={sink}"]), str(file)],
        start_new_session=True,
    )
    try:
        yield
    finally:
        program.kill()
        program.wait()
        file.unlink()


def _impulses(
    probe: Probe, check: Callable[[], None], duration_s: float
) -> tuple[list[float], list[float]]:
    """Send impulses one after the other; returns when they were sent, and when impulses were heard.

    check: called again and again, raises what ends the measurement.
    """
    time.sleep(QUIET_S)
    probe.update()
    sent, heard = len(probe.sent_s), len(probe.heard.impulses_s)
    ends_s = time.monotonic() + duration_s
    while time.monotonic() < ends_s:
        heard_before = len(probe.heard.impulses_s)
        probe.send()
        gives_up_s = time.monotonic() + MOST_DELAY_S
        while len(probe.heard.impulses_s) == heard_before and time.monotonic() < gives_up_s:
            time.sleep(TICK_S)
            check()
            probe.update()
        time.sleep(PAUSE_S)
        probe.update()
    return list(probe.sent_s)[sent:], list(probe.heard_s())[heard:]


def main() -> None:
    """Run in the child process."""
    settings = RunSettings(**json.loads(sys.argv[1]))
    # The probes' callbacks are not to wait for the thread that looks on.
    sys.setswitchinterval(0.0005)
    with tempfile.TemporaryDirectory() as folder:
        try:
            print(json.dumps(run(settings, Path(folder))))
        except RtsepError as error:
            print(error, file=sys.stderr)
            sys.exit(error.exit_status)
        except KeyboardInterrupt:
            sys.exit(130)


if __name__ == "__main__":
    main()
