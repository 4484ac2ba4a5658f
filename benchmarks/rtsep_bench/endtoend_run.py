"""One measurement of `rtsep-bench endtoend`, in a process that knows one sound server alone.

    python -m rtsep_bench.endtoend_run SETTINGS.json

First a steady tone plays, and `rtsep-monitor` is started: when is the tone heard filtered, and for how
long not at all meanwhile? Then impulses are sent one after the other, and what the program counts is
read from its --stats. Beside it runs a watchdog, which tells how often the machine stood still. Prints
the figures as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rtsep.errors import RtsepError
from rtsep_bench import child
from rtsep_bench.endtoend_monitor import RunSettings
from rtsep_bench.endtoend_routes import EARS, PULSEAUDIO, find_route, read_server
from rtsep_bench.endtoend_start import TICK_S, play_into, start_graph, start_pulse
from rtsep_bench.graph_probe import GraphProbe
from rtsep_bench.heard import Heard, delays_s
from rtsep_bench.watchdog import Watchdog, priority

MODULE = "rtsep_bench.endtoend_run"
# Until the tone's tail has gone through the longest chain.
QUIET_S = 3.0
# An impulse that was not heard by then is lost. The next one follows some time after it was.
MOST_DELAY_S = 8.0
PAUSE_S = 0.3
# Two listeners to the same instant, or two clocks of the machine's, may differ by this.
EARLY_S = 0.05
# Xruns are the start's until there was filtered sound for so long, and the machine's for so long after
# it stood still.
START_S, RECOVERED_S = 1.0, 0.1
# How long impulses are sent into the ears' sink itself.
MONITOR_S = 2.0


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


def run(settings: RunSettings, folder: Path) -> dict[str, Any]:
    """Measure; returns the figures by name. Raises RtsepError."""
    # Without leave to go before all other programs it would watch those, and not the machine.
    watchdog = Watchdog() if priority() else None
    with watchdog or nullcontext():
        figures, xruns_s, played_from_s = _measure(settings, folder)
    stall_s = read_server(settings.server).stall_s
    figures["stalls"] = None if watchdog is None else {
        "longer_than_ms": 1000 * stall_s,
        "count": len(watchdog.stalls(stall_s)),
        "longest_ms": 1000 * watchdog.longest_s,
    }  # fmt: skip
    stalls = [] if watchdog is None else watchdog.stalls(stall_s)
    figures["xruns_when"] = _xruns_when(xruns_s, stalls, played_from_s)
    return figures


def _xruns_when(
    times_s: Sequence[float], stalls_s: Sequence[float], played_from_s: float
) -> dict[str, int]:
    """How many of the newest xruns were when; all times in seconds on the monotonic clock.

    at_start: before there was a second of filtered sound. beside_stalls: later, as the machine stood
    still. else: all others.
    """
    later = [xrun_s for xrun_s in times_s if xrun_s > played_from_s + START_S]
    beside = [
        xrun_s
        for xrun_s in later
        if any(-EARLY_S < xrun_s - over_s < RECOVERED_S for over_s in stalls_s)
    ]
    return {
        "at_start": len(times_s) - len(later),
        "beside_stalls": len(beside),
        "else": len(later) - len(beside),
    }


def _measure(settings: RunSettings, folder: Path) -> tuple[dict[str, Any], list[float], float]:
    """Returns the figures, and when xruns and the first filtered sound were, on the monotonic clock."""
    server = read_server(settings.server)
    route = find_route(settings.route, server)
    with ExitStack() as measuring:
        start = start_pulse if server.family == PULSEAUDIO else start_graph
        started = start(measuring, settings, route, folder)
        monitor, probe = started.monitor, started.probe
        sent_s, heard_s = _impulses(probe, monitor.check, settings.duration_s)
        took_s, lost = delays_s(sent_s, heard_s)
        if not took_s:
            raise RtsepError(f"none of {lost} impulses was heard within {MOST_DELAY_S:g} s")
        monitor_s = 0.0
        if isinstance(probe, GraphProbe) and route.input_sink is not None:
            monitor_s = _monitor_s(probe, monitor.check)
        figures = {
            "first_filtered_s": started.played_from_s - monitor.started_s,
            "silence_ms": None if started.silence_s is None else 1000 * started.silence_s,
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
    to_monotonic_s = time.monotonic() - time.time()
    xruns_s = [unix_s + to_monotonic_s for unix_s in stats["xrun_times_s"]]
    told = ("latency_ms", "xruns", "late_masks", "hops")
    figures |= {name: stats[name] for name in told}
    return figures, xruns_s, started.played_from_s


def _spread_ms(times_s: Sequence[float] | NDArray[np.float64]) -> dict[str, float]:
    times_ms = 1000 * np.asarray(times_s)
    return {
        "median": float(np.median(times_ms)),
        "min": float(times_ms.min()),
        "max": float(times_ms.max()),
    }


def _monitor_s(probe: GraphProbe, check: Callable[[], None]) -> float:
    """Seconds from the ears' sink to its monitor: a cycle where it is a null sink that leads.

    Raises RtsepError.
    """
    play_into(probe, EARS)
    took_s, _ = delays_s(*_impulses(probe, check, MONITOR_S))
    if not took_s:
        raise RtsepError(f"what is played into {EARS!r} is not heard at its monitor")
    return float(np.median(took_s))


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
    child.answer(lambda folder: run(settings, folder))


if __name__ == "__main__":
    main()
