"""`rtsep-bench control`: `rtsep-monitor --control` under many clients, and when a change is heard.

On JACK's dummy driver, in a process of its own that knows no other server. Beside it, for comparison,
the same with a single client that changes next to nothing.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from rtsep.live.plans.notation import read_plan
from rtsep.weights.library import CACHE_VARIABLE, model_named
from rtsep_bench import child, choose_weights, options
from rtsep_bench.busy import busy_programs
from rtsep_bench.control_run import ALONE_MOST_S, MODULE
from rtsep_bench.control_switches import WAYS, WEBSOCKET, free_port
from rtsep_bench.endtoend_monitor import RunSettings
from rtsep_bench.endtoend_routes import read_server
from rtsep_bench.plots import caption
from rtsep_bench.report import Report, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

SERVER, ROUTE = "jack-44100-256", "jack"
DEFAULT_DURATION_S, DEFAULT_PLAN = 20.0, "low"
DEFAULT_CLIENTS, DEFAULT_CHANGES_PER_S = 5, 200
# What a change may take beyond the plan.
MOST_ADDED_MS = 50.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this subcommand."""
    options.add_model(parser)
    options.add_weights(parser)
    options.add_plan(parser, DEFAULT_PLAN)
    parser.add_argument(
        "--clients", type=options.count, default=DEFAULT_CLIENTS, metavar="N",
        help="how many look on (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--changes", type=options.count, default=DEFAULT_CHANGES_PER_S, metavar="N",
        help="how many changes they make a second, all together (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--by", choices=WAYS, default=WEBSOCKET,
        help="how the bypass is switched, whose sound is timed (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--duration", type=options.seconds, default=DEFAULT_DURATION_S, metavar="S",
        help="how long they do so; before that, one client looks on for at most"
        f" {ALONE_MOST_S:g} s (default: %(default)s)",
    )  # fmt: skip
    options.add_busy(parser)


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> Report:
    """Run the subcommand; `say` is told what is going on."""
    config = model_named(arguments.model)
    plan = read_plan(arguments.plan)
    kind = choose_weights.choose(config, arguments.weights, say)
    settings = RunSettings(
        SERVER, ROUTE, config.name, config.stems, arguments.plan, [], arguments.duration
    )
    say(f"{arguments.duration:g} s with {arguments.clients} clients, after a part with one")
    with tempfile.TemporaryDirectory() as spare, busy_programs(arguments.busy):
        weights = choose_weights.prepare_folder(config, kind, Path(spare))
        parts = _run(settings, arguments, weights)
    most_ms = plan.latency_ms + MOST_ADDED_MS
    rows = [
        Row(
            "control",
            f"{part['clients']} clients, {part['changes_per_s']:g} changes a second",
            len(config.stems),
            min_ms=min(part["heard_ms"], default=None),
            median_ms=median(part["heard_ms"]) if part["heard_ms"] else None,
            more={**part, "most_ms": most_ms},
        )
        for part in parts
    ]
    told = {
        "model": config.name, "plan": plan.name, "duration": arguments.duration,
        "clients": arguments.clients, "changes": arguments.changes, "by": arguments.by,
        "busy": arguments.busy,
    }  # fmt: skip
    notes = [
        choose_weights.describe(config, kind),
        f"On {SERVER}, JACK's dummy driver. Heard: from the moment at which a change of the bypass is"
        f" sent by {arguments.by} until a block is heard at the other level, in the median and at most.",
        "Stall: the longest time for which the machine itself stood still, as programs tell that go"
        " before all others.",
    ]
    page_bytes = sum(len(f.read_bytes()) for f in (files("rtsep.control") / "page").iterdir())
    notes.append(f"The page for phones takes {page_bytes / 1000:.1f} kB, all files, uncompressed.")
    return Report("control", told, rows, notes, _failures(rows))


def _failures(rows: list[Row]) -> list[str]:
    """What no other program's load can excuse: changes that were lost."""
    return [
        f"{row.case}: {row.more[what]} {words}"
        for row in rows
        for what, words in (("unanswered", "changes were not answered"), ("unheard", "not heard"))
        if row.more[what]
    ]


def tables(report: Report) -> list[Table]:
    """One row for each part."""
    from rich.table import Table

    table = Table(
        title=f"the control under load, plan {report.settings['plan']}, by {report.settings['by']}"
    )
    for heading in (
        "clients",
        "changes/s",
        "states/s",
        "heard ms",
        "most",
        "late masks",
        "xruns",
        "stall ms",
    ):
        table.add_column(heading, justify="right")
    for row in report.rows:
        more = row.more
        stall_ms = more["longest_stall_ms"]
        table.add_row(
            str(more["clients"]), f"{more['changes'] / more['duration_s']:.0f}",
            f"{more['states_per_s']:.1f}",
            "-" if row.median_ms is None else f"{row.median_ms:.0f}",
            "-" if row.median_ms is None else f"{max(more['heard_ms']):.0f} <= {more['most_ms']:.0f}",
            f"{more['late_masks']} of {more['hops']}", str(more["xruns"]),
            "-" if stall_ms is None else f"{stall_ms:.1f}",
        )  # fmt: skip
    return [table]


def plot(report: Report, figure: Figure) -> None:
    """How long each change took to be heard."""
    axes = figure.subplots()
    for row in report.rows:
        axes.hist(row.more["heard_ms"], bins=20, alpha=0.5, label=row.case)
    axes.set_xlabel("ms from a change to its sound")
    axes.legend()
    caption(report, figure, f"Changes heard, plan {report.settings['plan']}")


def _run(
    settings: RunSettings, arguments: argparse.Namespace, weights: Path
) -> list[dict[str, Any]]:
    """Measure on a server of its own, in a process that reaches no other; raises RtsepError."""
    told = {
        "settings": asdict(settings), "port": free_port(), "way": arguments.by,
        "clients": arguments.clients, "changes_per_s": arguments.changes,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as logs, read_server(SERVER).start(Path(logs)) as started:
        environ = {**started.environ, CACHE_VARIABLE: str(weights)}
        parts: list[dict[str, Any]] = child.ask(MODULE, told, environ)
    return parts
