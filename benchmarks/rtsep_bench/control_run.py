"""One measurement of `rtsep-bench control`, in a process that knows one sound server alone.

    python -m rtsep_bench.control_run SETTINGS.json

`rtsep-monitor --control` filters a steady tone. First one client looks on, then all of them, who change
things, too. A client switches the bypass again and again: when is the tone heard at the other level?
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rtsep.errors import RtsepError
from rtsep_bench import child
from rtsep_bench.control_clients import LAST_S
from rtsep_bench.control_clients import MODULE as CLIENTS
from rtsep_bench.control_switches import monitor_options
from rtsep_bench.endtoend_monitor import RunSettings
from rtsep_bench.endtoend_routes import find_route, read_server
from rtsep_bench.endtoend_start import start_graph
from rtsep_bench.graph_probe import GraphProbe
from rtsep_bench.heard import GAIN_DB, TONE_RMS, Level
from rtsep_bench.watchdog import Watchdog, priority

MODULE = "rtsep_bench.control_run"
# Between the levels of the tone filtered and passed by.
MIDDLE_RMS = TONE_RMS * 10 ** (GAIN_DB / 40)
# A switch that was not heard by then is lost.
MOST_S = 0.39


# One client, to compare with.
ALONE_MOST_S = 20.0


def run(
    settings: RunSettings, port: int, way: str, clients: int, changes_per_s: float, folder: Path
) -> list[dict[str, Any]]:
    """Measure twice, without and with the many; returns figures by name. Raises RtsepError.

    way: by which the bypass is switched.
    """
    server = read_server(settings.server)
    options = [*settings.options, "--control", str(port), *monitor_options(way, port, folder)]
    settings = replace(settings, options=options)
    figures = []
    with ExitStack() as measuring:
        started = start_graph(measuring, settings, find_route(settings.route, server), folder)
        probe = started.probe
        assert isinstance(probe, GraphProbe)
        probe.play_tone(True)
        time.sleep(1.0)
        alone_s = min(ALONE_MOST_S, settings.duration_s)
        parts = ((1, 0.0, alone_s), (clients, changes_per_s, settings.duration_s))
        for count, rate, duration_s in parts:
            watchdog = Watchdog() if priority() else None
            with watchdog or nullcontext():
                probe.update()
                probe.heard.levels.clear()
                seen = _be_clients(
                    f"http://127.0.0.1:{port}/v1", way, count, rate, duration_s,
                    settings.stems,
                )  # fmt: skip
                probe.update()
            heard_ms, lost = heard_after_ms(seen["switched"], probe.heard.levels)
            figures.append(
                {
                    "clients": count,
                    "changes_per_s": rate,
                    "duration_s": duration_s,
                    "heard_ms": heard_ms,
                    "unheard": lost,
                    **_told(seen, duration_s),
                    "longest_stall_ms": None if watchdog is None else 1000 * watchdog.longest_s,
                }
            )
            started.monitor.check()
        started.monitor.end()
    return figures


def heard_after_ms(
    switched: Sequence[tuple[float, bool]], levels: Sequence[Level]
) -> tuple[list[float], int]:
    """How long after each switch of the bypass the tone is at its other level, and how many were lost.

    switched: when, on the monotonic clock, and to what. A block counts by when it came in.
    """
    took_ms, lost = [], 0
    came_s = np.array([level.came_s for level in levels])
    for at_s, on in switched:
        first, last = np.searchsorted(came_s, (at_s, at_s + MOST_S)).tolist()
        within = levels[first:last]
        heard = next((level for level in within if (level.rms > MIDDLE_RMS) is on), None)
        if heard is None:
            lost += 1
        else:
            took_ms.append(1000 * (heard.came_s - at_s))
    return took_ms, lost


def _be_clients(
    url: str, way: str, clients: int, changes_per_s: float, duration_s: float, stems: Sequence[str]
) -> dict[str, Any]:
    words = [url, way, str(clients), str(changes_per_s), str(duration_s), *stems]
    done = subprocess.run(child.command(CLIENTS, *words), capture_output=True, text=True)
    if done.returncode:
        raise RtsepError(f"the clients ended early: {child.last_line(done.stderr, 'no word')}")
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def _told(seen: dict[str, Any], duration_s: float) -> dict[str, Any]:
    first, last = seen["first"], seen["last"]
    return {
        "states_per_s": min(seen["states"]) / (duration_s + LAST_S),
        "changes": seen["sent"],
        "unanswered": seen["sent"] - seen["answered"],
        **{name: last[name] - first[name] for name in ("late_masks", "xruns", "hops")},
    }


def main() -> None:
    """Run in the child process."""
    told = json.loads(sys.argv[1])
    settings = RunSettings(**told.pop("settings"))
    child.answer(lambda folder: run(settings, folder=folder, **told))


if __name__ == "__main__":
    main()
