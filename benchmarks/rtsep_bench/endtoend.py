"""`rtsep-bench endtoend`: from a sound that is played to the sound that is heard, server by server.

Each server is started privately and without hardware, and `rtsep-monitor` on it as a person would. The
latency heard is that of impulses: on PipeWire and JACK sent and heard inside the graph, to the sample;
on PulseAudio by listeners to the two sinks, whose scatter is stated.
"""

from __future__ import annotations

import argparse
import shlex
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtsep.errors import RtsepError, UsageError
from rtsep.live.plans.notation import read_plan
from rtsep.nets.registry import ModelConfig
from rtsep.weights.library import CACHE_VARIABLE, model_named
from rtsep_bench import child, choose_weights, options
from rtsep_bench.busy import busy_programs
from rtsep_bench.endtoend_monitor import RunSettings
from rtsep_bench.endtoend_routes import (
    DEFAULT_SERVERS,
    MOST_ADDED_MS,
    MOST_OFF_MS,
    ROUTES,
    Server,
    find_route,
    read_server,
)
from rtsep_bench.endtoend_run import MODULE
from rtsep_bench.machine import describe_machine
from rtsep_bench.plots import caption
from rtsep_bench.report import Report, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

DEFAULT_DURATION_S = 20.0
DEFAULT_PLAN = "low"
DEFAULT_ROUTE = "system"
MOST_SILENCE_MS, MOST_START_S = 200.0, 3.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this subcommand."""
    options.add_model(parser)
    options.add_weights(parser)
    parser.add_argument(
        "--servers", default=",".join(DEFAULT_SERVERS), metavar="SERVER,...",
        help="pipewire-RATE-QUANTUM, jack-RATE-PERIOD, pulseaudio (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--route", choices=list(ROUTES), default=DEFAULT_ROUTE,
        help="how rtsep-monitor takes part in them (default: %(default)s)",
    )  # fmt: skip
    options.add_plan(parser, DEFAULT_PLAN)
    parser.add_argument(
        "--duration", type=options.seconds, default=DEFAULT_DURATION_S, metavar="S",
        help="how long impulses are sent on each server (default: %(default)s)",
    )  # fmt: skip
    options.add_busy(parser)
    parser.add_argument(
        "--monitor-options", default="", metavar="WORDS",
        help="further options of rtsep-monitor, in one word: --monitor-options='--priority real-time'",
    )  # fmt: skip


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> Report:
    """Run the subcommand; `say` is told what is going on."""
    config = model_named(arguments.model)
    plan = read_plan(arguments.plan)
    servers = [read_server(name) for name in arguments.servers.split(",")]
    for server in servers:
        find_route(arguments.route, server)
    try:
        words = shlex.split(arguments.monitor_options)
    except ValueError as error:
        raise UsageError(f"--monitor-options {arguments.monitor_options!r}: {error}") from None
    kind = choose_weights.choose(config, arguments.weights, say)
    rows, failures = [], []
    with tempfile.TemporaryDirectory() as spare, busy_programs(arguments.busy):
        weights = choose_weights.prepare_folder(config, kind, Path(spare))
        for server in servers:
            say(f"{server.name}: {arguments.duration:g} s of impulses")
            settings = RunSettings(
                server.name, arguments.route, config.name, config.stems, arguments.plan, words,
                arguments.duration,
            )  # fmt: skip
            try:
                figures = _run(server, settings, weights)
            except RtsepError as error:
                failures.append(f"{server.name}: {error}")
                continue
            rows.append(_row(server, arguments.route, config, plan.latency_ms, figures))
    settings_told = {
        "model": config.name, "plan": plan.name, "route": arguments.route,
        "duration": arguments.duration, "busy": arguments.busy, "monitor_options": words,
    }  # fmt: skip
    return Report("endtoend", settings_told, rows, _notes(config, kind, rows), failures)


def tables(report: Report) -> list[Table]:
    """What was asked for beside what was measured; one row per server in each of two tables."""
    from rich.table import Table

    settings = report.settings
    way = f"plan {settings['plan']}, route {settings['route']}"
    latency = Table(title=f"impulse to impulse in ms, {way}; behind <=, what is asked for")
    for heading in ("server", "heard", "min", "max", "announced", "off by", "lost"):
        latency.add_column(heading, justify="left" if heading == "server" else "right")
    sound = Table(title=f"the sound meanwhile, {way}")
    for heading in (
        "server", "first sound s", "silence ms", "xruns",
        "stalls", "longest ms", "late masks",
    ):  # fmt: skip
        sound.add_column(heading, justify="left" if heading == "server" else "right")
    for row in report.rows:
        more = row.more
        heard, silence, stalls = more["heard_ms"], more["silence_ms"], more["stalls"]
        latency.add_row(
            row.case,
            f"{heard['median']:.1f} <= {more['most_ms']:.0f}",
            f"{heard['min']:.1f}", f"{heard['max']:.1f}",
            f"{more['latency_ms']['total']:.1f}",
            f"{more['off_by_ms']:+.1f} <= {more['most_off_ms']:.0f}",
            f"{more['impulses_lost']} of {more['impulses'] + more['impulses_lost']}",
        )  # fmt: skip
        sound.add_row(
            row.case,
            f"{more['first_filtered_s']:.1f} <= {MOST_START_S:g}",
            "-" if silence is None else f"{silence:.0f} <= {MOST_SILENCE_MS:g}",
            "+".join(str(count) for count in more["xruns_when"].values()),
            "-" if stalls is None else f"{stalls['count']} > {stalls['longer_than_ms']:.1f} ms",
            "-" if stalls is None else f"{stalls['longest_ms']:.1f}",
            f"{more['late_masks']} of {more['hops']}",
        )  # fmt: skip
    return [latency, sound]


def plot(report: Report, figure: Figure) -> None:
    """The latency heard, announced and asked for, per server."""
    axes = figure.subplots()
    for at, row in enumerate(report.rows):
        heard = row.more["heard_ms"]
        axes.plot([at, at], [heard["min"], heard["max"]], color="black", linewidth=1)
        axes.plot(at, heard["median"], "o", color="black")
        axes.plot(at, row.more["latency_ms"]["total"], "_", color="tab:blue", markersize=16)
        axes.plot(at, row.more["most_ms"], "v", color="tab:red")
    axes.set_xticks(range(len(report.rows)), [row.case for row in report.rows])
    axes.set_ylabel("ms: heard (black), announced (blue), asked for (red)")
    axes.set_yscale("log")
    axes.grid(axis="y", alpha=0.3)
    caption(report, figure, f"Impulse to impulse, plan {report.settings['plan']}")


def _run(server: Server, settings: RunSettings, weights: Path) -> dict[str, Any]:
    """Measure on a server of its own, in a process that reaches no other; raises RtsepError."""
    with tempfile.TemporaryDirectory() as logs, server.start(Path(logs)) as started:
        takes_over = find_route(settings.route, server).takes_over
        reached = started.players_environ if takes_over else started.environ
        environ = {**reached, CACHE_VARIABLE: str(weights)}
        figures: dict[str, Any] = child.ask(MODULE, asdict(settings), environ)
    return figures


def _row(
    server: Server, route: str, config: ModelConfig, plan_ms: float, figures: dict[str, Any]
) -> Row:
    heard_ms = figures["heard_ms"]["median"]
    return Row(
        route,
        server.name,
        len(config.stems),
        median_ms=heard_ms,
        more={
            **figures,
            "off_by_ms": heard_ms - figures["latency_ms"]["total"],
            "most_ms": plan_ms + MOST_ADDED_MS[server.family],
            "most_off_ms": MOST_OFF_MS[server.family],
        },
    )


def _notes(config: ModelConfig, kind: str, rows: list[Row]) -> list[str]:
    machine = describe_machine()
    notes = [
        choose_weights.describe(config, kind),
        f"{machine['cpu']}, {machine['usable_cores']} cores, kernels {machine['kernel_set']}; servers"
        " without hardware, of null sinks or with JACK's dummy driver.",
        "Heard: the median of all impulses, from the sink that is filtered to the one that is listened"
        " to. Announced: what the program states. First sound: from the command to the first filtered"
        " sound. Longest silence: of a stream that plays on while it is taken over.",
        "Xruns, a sum: before there was a second of filtered sound, later beside stalls, and all others."
        " Stalls: how often the machine itself stood still for long enough to cost a block, as programs"
        " tell that go before all others.",
    ]
    for row in rows:
        if row.more["monitor_ms"]:
            notes.append(
                f"{row.case}: {row.more['monitor_ms']:.1f} ms of it lie between the sink listened to"
                " and its monitor; a sound card has none of that."
            )
    for scatter_ms in [row.more["scatter_ms"] for row in rows if "scatter_ms" in row.more]:
        notes.append(
            f"PulseAudio: two listeners to one sink differ by {scatter_ms['median']:.1f} ms in the"
            f" median, {scatter_ms['max']:.1f} at most. They ask for short pieces, with which the"
            " server's own get shorter, too."
        )
    if any(row.more["stalls"] is None for row in rows):
        notes.append("Stalls are not known: no leave to go before other programs (nice -15).")
    probe_xruns = sum(row.more.get("probe_xruns", 0) for row in rows)
    if probe_xruns:
        notes.append(f"The measuring clients were told of {probe_xruns} xruns of the graph.")
    return notes
