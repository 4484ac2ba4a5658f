"""`rtsep-bench latency`: the plans, paced like a device, for a given time.

A seeded sound runs through the live engine in blocks, each at the time a device would ask for it. What
is measured is what `rtsep-monitor --stats` reports: late masks, the callback's and the workers' times
beside their deadlines.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtsep.benchmarks import choose_weights, options
from rtsep.benchmarks.plots import caption
from rtsep.benchmarks.report import Report, Row
from rtsep.benchmarks.sound import music
from rtsep.models.registry import MODELS, SAMPLE_RATE, find_model
from rtsep.models.unet import UNet
from rtsep.plan import PLANS, find_plan
from rtsep.realtime.engine import Engine
from rtsep.realtime.file_session import run_paced

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

DEFAULT_SECONDS = 20.0
SOUND_S = 20.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this subcommand."""
    options.add_model(parser, MODELS)
    options.add_weights(parser)
    parser.add_argument("--plans", default=",".join(PLANS), metavar="PLAN,...")
    parser.add_argument("--seconds", type=float, default=DEFAULT_SECONDS, metavar="S")
    parser.add_argument(
        "--blocksize", type=options.count, default=1024, metavar="N", help="default: %(default)s"
    )


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> Report:
    """Run the subcommand; `say` is told what is going on."""
    config = find_model(arguments.model)
    plans = [find_plan(name) for name in arguments.plans.split(",")]
    kind = choose_weights.choose(config, arguments.weights, say)
    arrays = choose_weights.load(config, kind)
    nets = [UNet(config, arrays.pop(stem)) for stem in config.stems]
    rows = []
    # Made beforehand: the clock runs once the first block is asked for.
    sound = music(SOUND_S)
    for plan in plans:
        say(f"{plan.name}: {arguments.seconds:g} s")
        engine = Engine(config, nets, plan, dict.fromkeys(config.stems, 1.0))
        engine.start()
        try:
            for _ in run_paced(engine, _blocks(sound, arguments.blocksize, arguments.seconds)):
                pass
        finally:
            engine.stop()
        rows.append(_row(engine, config.name, len(nets)))
    settings = {
        "model": config.name, "seconds": arguments.seconds, "blocksize": arguments.blocksize
    }  # fmt: skip
    notes = [
        choose_weights.describe(config, kind),
        "Workers: the slowest stem. Load: its median run over the deadline.",
    ]
    return Report("latency", settings, rows, notes)


def tables(report: Report) -> list[Table]:
    """One row per plan."""
    from rich.table import Table

    table = Table(title=f"plans, {report.settings['model']}")
    for heading in (
        "plan", "latency ms", "deadline ms", "worker p50", "p99", "max", "load",
        "callback p50", "p99", "max", "hops", "late masks",
    ):  # fmt: skip
        table.add_column(heading, justify="left" if heading == "plan" else "right")
    for row in report.rows:
        more, worker, callback = row.more, row.more["worker_ms"], row.more["callback_ms"]
        table.add_row(
            row.contender, f"{more['latency_ms']:.0f}", f"{more['deadline_ms']:.1f}",
            *(f"{worker[name]:.2f}" for name in ("p50", "p99", "max")), f"{more['load']:.0%}",
            *(f"{callback[name]:.2f}" for name in ("p50", "p99", "max")),
            str(more["hops"]), str(more["late_masks"]),
        )  # fmt: skip
    return [table]


def plot(report: Report, figure: Figure) -> None:
    """Worker times beside their deadlines, per plan."""
    axes = figure.add_subplot()
    for at, row in enumerate(report.rows):
        worker = row.more["worker_ms"]
        axes.plot([at, at], [worker["p50"], worker["max"]], color="black", linewidth=1)
        axes.plot(at, worker["p50"], "o", color="black")
        axes.plot(at, worker["p99"], "_", color="black", markersize=12)
        axes.plot(at, row.more["deadline_ms"], "v", color="tab:red")
    axes.set_xticks(
        range(len(report.rows)),
        [f"{row.contender}\n{row.more['latency_ms']:.0f} ms" for row in report.rows],
    )
    axes.set_yscale("log")
    axes.set_ylabel("ms: median, p99, worst; red: deadline")
    axes.grid(axis="y", alpha=0.3)
    caption(report, figure, f"Workers against their deadlines, {report.settings['model']}")


def _blocks(sound: NDArray[np.float32], size: int, seconds: float):
    for at in range(0, int(seconds * SAMPLE_RATE), size):
        start = at % (len(sound) - size)
        yield sound[start : start + size]


def _row(engine: Engine, model: str, threads: int) -> Row:
    stats = engine.stats()
    slowest = max(stats["worker_ms"].values(), key=lambda summary: summary["p50"])
    return Row(
        engine.plan.name,
        model,
        threads,
        median_ms=slowest["p50"],
        more={
            "latency_ms": engine.plan.latency_ms,
            "deadline_ms": stats["deadline_ms"],
            "worker_ms": slowest,
            "load": slowest["p50"] / stats["deadline_ms"],
            "callback_ms": stats["callback_ms"],
            "hops": stats["hops"],
            "late_masks": stats["late_masks"],
        },
    )
