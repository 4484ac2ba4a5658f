"""`rtsep-bench faults`: what goes wrong around `rtsep-monitor`, made to, and how long there is no sound.

A steady tone plays through `rtsep-monitor --system` on a private server, or through its ports on JACK.
The longest time without any sound must be that of the fault itself and MOST_MORE_S, and in the end the
sound is filtered again.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtsep.errors import RtsepError, UsageError
from rtsep.nets.registry import find_model
from rtsep_bench import choose_weights, fault_machine, options
from rtsep_bench.fault_list import ALL, BOTH, FAULTS, Fault
from rtsep_bench.fault_machine import NotHere
from rtsep_bench.fault_scene import MODEL, PLAN, open_scene
from rtsep_bench.fault_sound import is_filtered, longest_quiet, longest_quiet_s
from rtsep_bench.machine import describe_machine
from rtsep_bench.plots import caption
from rtsep_bench.report import Report, Row, figures_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

MOST_MORE_S = 1.0
# What is heard before the fault, until the sound must be filtered again, and after that.
BEFORE_S, MOST_BACK_S, AFTER_S = 1.0, 30.0, 1.5
STARTS = 20
SURVIVED, FAILED, NOT_TRIED = "survived", "failed", "not tried"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this subcommand."""
    options.add_weights(parser)
    parser.add_argument(
        "--servers", default=",".join(BOTH), metavar="SERVER,...",
        help="on which of pulse, pipewire and jack (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--only", metavar="NAME,...", help="these faults alone; --list names them")
    parser.add_argument(
        "--starts", type=options.count, default=STARTS, metavar="N",
        help="how often starts-and-stops does it (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--list", action="store_true", help="name the faults and end")


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> Report:
    """Run the subcommand; `say` is told what is going on."""
    names = [fault.name for fault in FAULTS]
    wanted = names if arguments.only is None else options.choices("--only", arguments.only, names)
    servers = options.choices("--servers", arguments.servers, ALL)
    cases = [
        (fault, server)
        for fault in FAULTS
        if fault.name in wanted
        for server in servers
        if server in fault.servers
    ]
    if not cases:
        raise UsageError("--only: none of these faults happens on these servers")
    if arguments.list:
        rows = [Row(server, fault.name, 0, more={"done": fault.done}) for fault, server in cases]
        return Report("faults", {"list": True}, rows, [])
    config = find_model(MODEL)
    kind = choose_weights.choose(config, arguments.weights, say)
    rows, failures = [], []
    with tempfile.TemporaryDirectory() as spare:
        weights = choose_weights.prepare_folder(config, kind, Path(spare))
        for fault, server in cases:
            say(f"{server}: {fault.name}: {fault.done}")
            more = try_fault(fault, server, weights, arguments.starts)
            say(f"    {_verdict(more)}")
            rows.append(Row(server, fault.name, len(config.stems), more=more))
            if more["verdict"] == FAILED:
                failures.append(f"{fault.name} on {server}: {more['why']}")
    machine = describe_machine()
    notes = [
        choose_weights.describe(config, kind),
        f"{machine['cpu']}, {machine['usable_cores']} cores; rtsep-monitor --system, plan {PLAN};"
        " servers without hardware, of null sinks; on JACK between the ports of two programs.",
        "Silence: the longest time without any sound, from before the fault until the sound was"
        " filtered again. Unfiltered: the longest time without filtered sound.",
    ]
    return Report("faults", {"list": False, "plan": PLAN}, rows, notes, failures)


def try_fault(fault: Fault, server: str, weights: Path, starts: int = STARTS) -> dict[str, Any]:
    """Make the fault in a session of its own; returns what came of it."""
    figures: dict[str, Any] = {
        "done": fault.done, "lasts_s": None, "silence_s": None, "unfiltered_s": None, "xruns": None,
        "late_masks": None,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        try:
            if fault.name == "disk-full":
                stack.enter_context(fault_machine.small_disk(folder / "disk"))
            elif fault.name == "disk-slow":
                stack.enter_context(fault_machine.own_disk(folder / "disk"))
            memory = None
            if fault.enclosed:
                memory = fault_machine.MemoryGroup()
                stack.callback(memory.close)
            scene = open_scene(
                stack, server, weights, folder, fault.words(folder),
                clocked=fault.clocked, starts=starts, memory=memory,
            )  # fmt: skip
            time.sleep(BEFORE_S)
            begins_s = time.monotonic() - BEFORE_S / 2
            lasts_s = fault.act(scene)
            back_s = scene.wait_for_sound(MOST_BACK_S)
            time.sleep(AFTER_S)
            scene.monitor.check()
        except NotHere as error:
            return {**figures, "verdict": NOT_TRIED, "why": str(error)}
        except (RtsepError, OSError) as error:
            return {**figures, "verdict": FAILED, "why": str(error)}
        ends_s = time.monotonic()
        levels = scene.levels()
        stats = scene.monitor.end()
        said = scene.monitor.said()
    silent_s, silence_s = longest_quiet(levels, begins_s, ends_s)
    figures |= {
        **scene.told,
        "lasts_s": lasts_s,
        "silence_s": silence_s,
        "silent_during": scene.during(silent_s),
        "unfiltered_s": longest_quiet_s(levels, begins_s, ends_s, is_filtered),
        "xruns": max(stats["xruns"].values()),
        "late_masks": stats["late_masks"],
        "said": said.splitlines(),
    }
    why = fault.wrong(stats)
    if back_s is None:
        why = f"no filtered sound within {MOST_BACK_S:g} s"
    elif silence_s > lasts_s + MOST_MORE_S:
        why = f"{silence_s:.2f} s of silence, {scene.during(silent_s)}".rstrip(", ")
    elif "Traceback" in said:
        why = "a traceback"
    return {**figures, "verdict": FAILED if why else SURVIVED, "why": why}


def tables(report: Report) -> list[Table]:
    """One line per fault and server."""
    if report.settings["list"]:
        table = figures_table("faults", ["name", "server", "what is done"], [])
        for row in report.rows:
            table.add_row(row.case, row.contender, row.more["done"])
        return [table]
    table = figures_table(
        f"faults: seconds without sound, plan {report.settings['plan']}",
        ["fault", "server"], ["silence", "at most", "unfiltered", "xruns", "late masks", "verdict"],
    )  # fmt: skip
    for row in report.rows:
        more = row.more
        if more["lasts_s"] is None:
            table.add_row(row.case, row.contender, "-", "-", "-", "-", "-", _verdict(more))
            continue
        table.add_row(
            row.case, row.contender, f"{more['silence_s']:.2f}",
            f"{more['lasts_s']:.1f} + {MOST_MORE_S:g}", f"{more['unfiltered_s']:.2f}",
            f"{more['xruns']}", f"{more['late_masks']}", _verdict(more),
        )  # fmt: skip
    tried = [row for row in report.rows if row.more["verdict"] != NOT_TRIED]
    survived = sum(row.more["verdict"] == SURVIVED for row in tried)
    table.caption = f"{survived} of {len(tried)} survived"
    return [table]


def plot(report: Report, figure: Figure) -> None:
    """Silence beside what is allowed."""
    axes = figure.subplots()
    rows = [row for row in report.rows if row.more.get("lasts_s") is not None]
    places = range(len(rows))
    axes.barh(places, [row.more["silence_s"] for row in rows])
    axes.plot([row.more["lasts_s"] + MOST_MORE_S for row in rows], places, "|", color="tab:red")
    axes.set_yticks(places, [f"{row.case}, {row.contender}" for row in rows])
    axes.set_xlabel("seconds without sound (red: at most)")
    caption(report, figure, "Faults")


def _verdict(more: dict[str, Any]) -> str:
    return more["verdict"] + (f": {more['why']}" if more["why"] else "")
