"""`rtsep-monitor` with its audio threads watched, from a sound system's call into Python on.

    python -m tests.live.watch.watched_monitor HOW FOLDER ARGUMENT ...

HOW: python or kernel, as for engine_paths.py. FOLDER: for the traces, one for each thread, and for
REPORT. The other arguments are rtsep-monitor's.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.live.watch import system_calls
from tests.live.watch.python_watch import PythonWatch

REPORT, TRACE = "report.json", "trace"


def main(how: str, folder: Path, arguments: list[str]) -> int:
    """Run the program; its exit status."""
    python = PythonWatch()
    if how == "python":
        python.install()
    from rtsep.cli import monitor, monitor_devices
    from rtsep.live.process_settings import live_process

    watched = python.watched if how == "python" else system_calls.watched
    _watch_entrances(watched)

    @contextlib.contextmanager
    def watched_process() -> Any:
        """From before the devices are opened until they are closed."""
        with live_process(), contextlib.ExitStack() as stack:
            if how == "python":
                python.begin("device")
            else:
                stack.enter_context(system_calls.traced(folder / TRACE))
            yield

    monitor_devices.live_process = watched_process
    status = monitor.main(arguments)
    report = {"found": python.found, "python_memory": system_calls.python_memory()}
    (folder / REPORT).write_text(json.dumps(report))
    return status


def _watch_entrances(watched: Callable[..., None]) -> None:
    """Watch what sound systems call, or what their own loop in Python calls with sound."""
    from rtsep.devices.device_stream import DuplexStream
    from rtsep.devices.graph.graph_stream import GraphStream
    from rtsep.devices.pulse.stream import PulseStream
    from rtsep.devices.two_clock_stream import TwoClockStream

    for kind, names in (
        (DuplexStream, ("_callback",)),
        (TwoClockStream, ("_on_input", "_on_output")),
        (GraphStream, ("_cycle",)),
        (PulseStream, ("_take", "_give", "_give_stems")),
    ):
        for name in names:
            _watch_method(kind, name, watched)


def _watch_method(kind: type, name: str, watched: Callable[..., None]) -> None:
    method = getattr(kind, name)

    def call(*arguments: Any) -> None:
        watched(method, *arguments)

    setattr(kind, name, call)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
