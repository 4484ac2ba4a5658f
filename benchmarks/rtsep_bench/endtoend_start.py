"""The start of a measurement of `rtsep-bench endtoend`: a steady tone, and `rtsep-monitor` beside it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtsep.errors import RtsepError
from rtsep_bench.endtoend_monitor import Monitor, RunSettings
from rtsep_bench.endtoend_routes import EARS, Route
from rtsep_bench.graph_probe import GraphProbe
from rtsep_bench.heard import (
    TONE_LEVEL,
    TONE_RMS,
    Heard,
    Level,
    first_filtered_s,
    longest_silence_s,
    tone,
)
from rtsep_bench.pulse_listener import Listener
from rtsep_bench.pulse_probe import PulseProbe

TICK_S = 0.01
# The tone alone before the command, and after it was heard filtered.
BEFORE_S, AFTER_S = 1.0, 1.5
# Until the tone is heard without rtsep, on a busy machine.
MOST_BEFORE_S = 10.0
# Programs that are compiled the first time take as long.
MOST_START_S = 120.0
PLAYED_RATE = 44_100


@dataclass(frozen=True)
class Started:
    """What runs once the tone has been heard filtered.

    played_from_s: when it first was, on the monotonic clock. silence_s: for how long it was not heard
    at all meanwhile; None where nothing was taken over.
    """

    monitor: Monitor
    probe: GraphProbe | PulseProbe
    played_from_s: float
    silence_s: float | None


def start_graph(measuring: ExitStack, settings: RunSettings, route: Route, folder: Path) -> Started:
    """The tone in a graph, to its end. Raises RtsepError."""
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
        monitor, played_from_s, silence_s = _start(
            measuring, settings, route, folder, probe, connect
        )
        probe.play_tone(False)
    else:
        with _player(None if route.takes_over else route.input_sink, folder):
            monitor, played_from_s, silence_s = _start(
                measuring, settings, route, folder, probe, connect
            )
        play_into(probe, route.input_sink)
    return Started(monitor, probe, played_from_s, silence_s)


def start_pulse(measuring: ExitStack, settings: RunSettings, route: Route, folder: Path) -> Started:
    """The tone in PulseAudio, to its end. Raises RtsepError."""
    assert route.input_sink is not None
    ears = Listener(f"{EARS}.monitor")
    measuring.callback(ears.close)
    with _player(None if route.takes_over else route.input_sink, folder):
        monitor, played_from_s, silence_s = _start(
            measuring, settings, route, folder, _Ears(ears.heard), lambda: None
        )
    probe = measuring.enter_context(PulseProbe(route.input_sink, ears))
    return Started(monitor, probe, played_from_s, silence_s)


@dataclass
class _Ears:
    """A listener alone, which needs no update."""

    heard: Heard

    def update(self) -> None:
        """Nothing."""


def _start(
    measuring: ExitStack, settings: RunSettings, route: Route, folder: Path,
    ears: GraphProbe | _Ears, connect: Callable[[], None],
) -> tuple[Monitor, float, float | None]:  # fmt: skip
    """Start rtsep-monitor beside the tone, until that has been heard filtered for a while.

    connect: connects what there is by now to the ears, again and again. Returns the monitor, and
    `played_from_s` and `silence_s` of Started.
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
    return monitor, filtered_s, longest_silence_s(heard) if route.takes_over else None


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


def play_into(probe: GraphProbe, sink: str) -> None:
    """Send impulses into a sink of the graph's from now on. Raises RtsepError where it has none."""
    ports = probe.ports(sink, "playback")
    if not ports:
        raise RtsepError(f"the graph has no sink {sink!r} to play into")
    probe.send_to(ports)
