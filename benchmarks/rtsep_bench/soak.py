"""`rtsep-bench soak`: a song through `rtsep-monitor` on a genuine server, checked hop by hop, for long.

What is heard is compared, as it plays, with what the same plan and precision make of the song from a
file. Every gap is told with its time and its cause.
"""

from __future__ import annotations

import argparse
import shlex
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtsep.cli.numbers import whole_from
from rtsep.cli.precision_argument import add_precision
from rtsep.errors import UsageError
from rtsep.live.plans.notation import read_plan
from rtsep.live.plans.plan import PLANS
from rtsep.weights.library import model_named
from rtsep_bench import choose_weights, options
from rtsep_bench.busy import busy_programs
from rtsep_bench.endtoend_routes import JACK, PIPEWIRE, PULSEAUDIO, Server, find_route, read_server
from rtsep_bench.machine import describe_machine
from rtsep_bench.plots import caption
from rtsep_bench.report import Report, Row, figures_table
from rtsep_bench.soak_run import SoakSettings, run, sustained
from rtsep_bench.soak_song import Wanted, make_references

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

SERVERS = {"pipewire": PIPEWIRE, "jack": JACK, "pulse": PULSEAUDIO}
DEFAULT_MINUTES = 30.0
DEFAULT_BLOCK, DEFAULT_RATE = 256, 44_100
DEFAULT_PLAN = "low"
# What PortAudio is asked to keep on PulseAudio where a block is named.
PULSE_LATENCY_S = 0.2
MOST_GROWTH_MB, MOST_P99_MS, MOST_CALLBACK_MS = 1.0, 1.0, 3.0
SHOWN_GAPS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this subcommand."""
    options.add_model(parser)
    options.add_weights(parser)
    parser.add_argument(
        "--server", choices=list(SERVERS), default="pipewire",
        help="which one is started for it, without hardware (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--minutes", type=_minutes, default=DEFAULT_MINUTES, metavar="N",
        help="how long, from the first sound that is as it must be (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--block", type=whole_from(16), metavar="N",
        help=f"samples per cycle of a graph (default: {DEFAULT_BLOCK}); on PulseAudio PortAudio's block,"
        " by default rtsep's own client",
    )  # fmt: skip
    parser.add_argument(
        "--rate", type=whole_from(8000), default=DEFAULT_RATE, metavar="HZ",
        help="of a graph (default: %(default)s, at which every sample can be compared)",
    )  # fmt: skip
    parser.add_argument(
        "--plan", "--latency", dest="plan", default=DEFAULT_PLAN,
        help="rtsep-monitor's --latency, a plan (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--stem", help="what is heard (default: the model's first)")
    parser.add_argument(
        "--song", type=Path, metavar="FILE", help="its beginning goes round (default: made up)"
    )
    parser.add_argument(
        "--busy", type=options.count, metavar="N", help="N programs beside it that never rest"
    )
    add_precision(parser, "auto")
    parser.add_argument(
        "--monitor-options", default="", metavar="WORDS",
        help="further options of rtsep-monitor, in one word: --monitor-options='--priority ordinary'",
    )  # fmt: skip


def _minutes(text: str) -> float:
    return options.seconds(str(60 * float(text))) / 60


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> Report:
    """Run the subcommand; `say` is told what is going on."""
    config = model_named(arguments.model)
    stem = arguments.stem or config.stems[0]
    if stem not in config.stems:
        raise UsageError(f"--stem {stem}: {config.name} has {', '.join(config.stems)}")
    try:
        further = shlex.split(arguments.monitor_options)
    except ValueError as error:
        raise UsageError(f"--monitor-options {arguments.monitor_options!r}: {error}") from None
    server, route_name, words = _server(arguments)
    wanted = Wanted(config.name, stem, read_plan(arguments.plan), arguments.precision or "auto")
    settings = SoakSettings(
        server, find_route(route_name, server), wanted, [*words, *further], 60 * arguments.minutes
    )
    kind = choose_weights.choose(config, arguments.weights, say)
    with tempfile.TemporaryDirectory() as spare:
        weights = choose_weights.prepare_folder(config, kind, Path(spare))
        if (
            len(wanted.plan.views) > 1 and arguments.plan in PLANS
        ):  # fewer, where the machine is slow
            say(f"{wanted.plan.name}: what of it this machine sustains")
            plan = sustained(settings, weights)
            wanted = replace(wanted, plan=plan)
            settings = replace(settings, wanted=wanted)
            say(f"{arguments.plan}: as {plan.name}")
        with choose_weights.weights_from(weights):
            block = None if server.family == PULSEAUDIO else server.quantum
            references = make_references(
                wanted, server.rate, block, arguments.song, say,
                follows_clocks=server.family == PULSEAUDIO and route_name == "system",
            )  # fmt: skip
        with busy_programs(arguments.busy) if arguments.busy else nullcontext():
            say(f"{server.name}: rtsep-monitor is started")
            figures = run(settings, references, weights, say)
    row = Row(route_name, server.name, len(config.stems), more=figures)
    told = {
        "model": config.name, "stem": stem, "plan": wanted.plan.name, "minutes": arguments.minutes,
        "server": server.name, "block": arguments.block, "route": route_name,
        "busy": arguments.busy or 0, "precision": figures["precision"], "monitor_options": further,
    }  # fmt: skip
    notes = [choose_weights.describe(config, kind), *_notes(figures)]
    missed = failures(figures)
    if figures["seconds"] < settings.seconds:
        missed.append(f"broken off after {figures['seconds']:.0f} of {settings.seconds:.0f} s")
    return Report("soak", told, [row], notes, missed)


def _server(arguments: argparse.Namespace) -> tuple[Server, str, list[str]]:
    """The server, the route through it, and what rtsep-monitor is told of blocks. Raises UsageError."""
    family = SERVERS[arguments.server]
    if family == PULSEAUDIO:
        if arguments.rate != DEFAULT_RATE:
            raise UsageError(f"--rate is not for PulseAudio, which runs at {DEFAULT_RATE} here")
        if arguments.block is None:
            return read_server(family), "system", []
        words = ["--blocksize", str(arguments.block), "--device-latency", str(PULSE_LATENCY_S)]
        return read_server(family), "portaudio", words
    block = arguments.block or DEFAULT_BLOCK
    server = read_server(f"{family}-{arguments.rate}-{block}")
    return server, "jack" if family == JACK else "system", []


def failures(figures: dict[str, Any]) -> list[str]:
    """What was not as promised, a line each."""
    missed = [
        f"{figures[name]} {what}"
        for name, what in (
            ("wrong_hops", "wrong hops"), ("xruns", "xruns"), ("late_masks", "late masks"),
        )
        if figures[name]
    ]  # fmt: skip
    growth_mb = figures["growth_mb"]
    if growth_mb is not None and growth_mb >= MOST_GROWTH_MB:
        missed.append(f"{growth_mb:.2f} MB more memory")
    return missed


def tables(report: Report) -> list[Table]:
    """What was counted, and every gap with its cause."""
    settings = report.settings
    (row,) = report.rows
    more = row.more
    table = figures_table(
        f"soak: {settings['server']}, {settings['plan']}, {settings['model']},"
        f" {settings['precision']}, {more['seconds']:.0f} s", ["what"], ["counted", "at most"],
    )  # fmt: skip
    own = more["callback_own_ms"]
    stalls, slow = more["stalls"], more["slow"]
    growth_mb = more["growth_mb"]
    for what, counted, most in (
        ("hops checked", f"{more['hops']}", ""),
        ("wrong hops", f"{more['wrong_hops']}", "0"),
        ("xruns, and before that", f"{more['xruns']}, {more['xruns_at_start']}", "0"),
        ("late masks, and before that", f"{more['late_masks']}, {more['late_masks_at_start']}", "0"),
        ("memory grew by, MB", "-" if growth_mb is None else f"{growth_mb:.2f}", f"{MOST_GROWTH_MB:g}"),
        ("callback p99, the thread's own ms", f"{own['p99']:.2f}", f"{MOST_P99_MS:g}"),
        ("callback worst, the thread's own ms", f"{own['max']:.2f}", f"{MOST_CALLBACK_MS:g}"),
        ("delay, ms", f"{more['delay_ms']:.2f}", ""),
        ("moved, samples: at the end, most", f"{more['moved_samples']:.1f}, "
         f"{more['most_moved_samples']:.1f}", ""),
        ("player, listener missed cycles", f"{more['player_missed']}, {more['listener_missed']}", ""),
        ("the machine stood still", "-" if stalls is None else f"{stalls['count']} > "
         f"{stalls['longer_than_ms']:.1f} ms; longest {stalls['longest_ms']:.1f}", ""),
    ):  # fmt: skip
        table.add_row(what, counted, most)
    for what, phases in (slow or {}).items():
        table.add_row(
            f"{what} was slow", f"{phases['count']} times, for {phases['longest_s']:.1f} s at most, "
            f"{phases['most_times']:.1f} times the time", "",
        )  # fmt: skip
    found = [table]
    if more["gaps"]:
        gaps = figures_table(
            "gaps", ["cause", "heard"], ["at", "lasts ms", "wrong hops", "silent", "moved"]
        )
        for gap in more["gaps"][:SHOWN_GAPS]:
            gaps.add_row(
                gap["cause"], gap["heard"], _clock(gap["at_s"]), f"{gap['lasts_ms']:.0f}",
                f"{gap['hops']}", f"{gap['silent_hops']}", f"{gap['moved_samples']:.0f}",
            )  # fmt: skip
        found.append(gaps)
    return found


def plot(report: Report, figure: Figure) -> None:
    """Memory over time, and where the gaps were."""
    more = report.rows[0].more
    axes = figure.subplots()
    axes.plot([at / 60 for at, _ in more["memory_mb"]], [mb for _, mb in more["memory_mb"]])
    for gap in more["gaps"]:
        axes.axvline(gap["at_s"] / 60, color="tab:red", linewidth=0.8)
    axes.set_xlabel("minutes; red: gaps")
    axes.set_ylabel("MB")
    caption(report, figure, f"Soak, {report.settings['server']}, {report.settings['plan']}")


def _notes(figures: dict[str, Any]) -> list[str]:
    machine = describe_machine()
    compared = (
        "Every sample is compared with the offline result, to 1e-5."
        if figures["exact"]
        else "The program follows clocks: place and speed are followed, and what is left of a hop must"
        f" be below what the references leave of one another, {figures['tolerance_db']:.0f} dB in the"
        " median."
    )
    notes = [
        f"{machine['cpu']}, {machine['usable_cores']} cores; priority {figures['priority']}. {compared}",
        "A gap lasts until what the nets have seen of it is forgotten: hops in it are wrong because"
        " their masks are others, even where all is heard.",
    ]
    if figures["more_gaps"] or len(figures["gaps"]) > SHOWN_GAPS:
        more = figures["more_gaps"] + max(0, len(figures["gaps"]) - SHOWN_GAPS)
        notes.append(f"{more} more gaps are not shown.")
    if figures["wrong_by_cause"]:
        counted = ", ".join(f"{hops} {cause}" for cause, hops in figures["wrong_by_cause"].items())
        notes.append(f"Wrong hops by cause: {counted}.")
    if figures["stalls"] and figures["stalls"]["held_up_by"]:
        counted = ", ".join(f"{name} {n}" for name, n in figures["stalls"]["held_up_by"].items())
        notes.append(f"What ran, or which cores stood still, each time: {counted}.")
    if figures["stalls"] is None:
        notes.append("Stalls are not known: no leave to go before other programs (nice -15).")
    return notes


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"
