"""`rtsep-bench latency`: the plans, live, for a given time.

A seeded sound runs through the live engine in blocks, each at the time a device would ask for it; or the
devices themselves run, with whatever comes in. What is measured is what `rtsep-monitor --stats`
reports: latency, xruns, late masks, the callback's and the workers' times beside their deadlines.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rtsep.cli.monitor_arguments import add_device_arguments
from rtsep.cli.precision_argument import add_precision
from rtsep.cli.shared_arguments import add_priority, device_latency
from rtsep.environment import versions
from rtsep.errors import UsageError
from rtsep.live import INDEPENDENT, RATIO
from rtsep.live.engine import Engine
from rtsep.live.plans.notation import read_plan
from rtsep.live.plans.plan import PLANS
from rtsep.live.priority import session_first
from rtsep.live.process_settings import live_process
from rtsep.live.session import SessionSettings
from rtsep.nets.kinds import kind_of, net_names
from rtsep.nets.precision import find_precision
from rtsep.nets.registry import ModelConfig
from rtsep.weights.library import model_named
from rtsep_bench import choose_weights, options
from rtsep_bench.busy import busy_programs
from rtsep_bench.live_run import OpenDevices, run_on_devices, run_on_sound
from rtsep_bench.machine import describe_machine
from rtsep_bench.plots import caption
from rtsep_bench.report import Report, Row, figures_table
from rtsep_bench.sound import music
from rtsep_bench.watchdog import LONG_STALL, RECOVERED_S, Watchdog, watch_for_stalls

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

    from rtsep_kernels.precision import ChosenPrecision

DEFAULT_SECONDS = 20.0
DEFAULT_BLOCK = 1024
SOUND_S = 20.0
BACKENDS = ("file", "device")
NETS = ("all", "needed")
DEVICE_OPTIONS = ("input_device", "output_device", "hostapi", "samplerate", "channels")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this subcommand."""
    options.add_model(parser)
    options.add_weights(parser)
    parser.add_argument(
        "--plans", default=",".join(PLANS), metavar="PLAN,...",
        help="names, or plans spelt out like 64/1/2/1/hann (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--stem", action="append", default=[], metavar="NAME",
        help="a stem to hear, repeatable (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--nets", choices=NETS, default=NETS[0],
        help="run the nets of all stems, for the ratio mask, or only those of the stems named with"
        " --stem (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=options.seconds, default=DEFAULT_SECONDS, metavar="S",
        help="how long each plan runs (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--display", action="store_true", help="draw the live display of rtsep-monitor meanwhile"
    )
    options.add_busy(parser)
    parser.add_argument(
        "--watch", action="store_true",
        help="watch the machine meanwhile, and tell late masks beside its own stalls from the others",
    )  # fmt: skip
    parser.add_argument(
        "--backend", choices=BACKENDS, default=BACKENDS[0],
        help="a sound that is paced like a device's, or devices (default: %(default)s)",
    )  # fmt: skip
    add_precision(parser, "auto")
    add_priority(parser)
    add_device_arguments(parser.add_argument_group("devices (--backend device)"))
    parser.set_defaults(blocksize=DEFAULT_BLOCK)


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> Report:
    """Run the subcommand; `say` is told what is going on."""
    config = model_named(arguments.model)
    plans = [read_plan(name) for name in arguments.plans.split(",")]
    session = _session(arguments, config)
    (masking,) = session.masking_choices
    gains = dict.fromkeys(arguments.stem or config.stems, 1.0)
    opened = _choose_devices(arguments)
    kind = choose_weights.choose(config, arguments.weights, say)
    arrays = choose_weights.load(config, kind)
    chosen = find_precision(arguments.precision, paced=True, config=config)
    names = net_names(config, session.net_stems(masking))
    nets = [kind_of(config).net(config, arrays.pop(name), chosen.precision) for name in names]
    # Made beforehand: the clock runs once the first block is asked for.
    sound = music(SOUND_S)
    rows = []
    with busy_programs(arguments.busy):
        for plan in plans:
            say(f"{plan.name}: {arguments.seconds:g} s")
            watch = watch_for_stalls() if arguments.watch else None
            engine = Engine(
                config, nets, plan, gains, independent=session.independent_stems(masking)
            )
            engine.warm_up()
            with ExitStack() as running:
                if watch:
                    running.enter_context(watch)
                priority = running.enter_context(session_first(arguments.priority))
                running.enter_context(live_process())
                engine.start()
                running.callback(engine.stop)
                if opened is None:
                    stats = run_on_sound(
                        engine, sound, arguments.blocksize, arguments.seconds, arguments.display
                    )
                else:
                    stats = run_on_devices(
                        engine, opened, arguments.seconds, arguments.display, say
                    )
            rows.append(_row({**stats, "priority": priority.name}, config.name, watch))
    settings = {
        "model": config.name, "stems": list(gains), "nets": arguments.nets,
        "precision": chosen.precision,
        "backend": arguments.backend, "seconds": arguments.seconds,
        "blocksize": arguments.blocksize, "display": arguments.display, "busy": arguments.busy,
    }  # fmt: skip
    if opened is not None:
        settings |= {
            "input": opened.devices.input_name, "output": opened.devices.output_name,
            "device_latency": opened.backend.settings.device_latency,
        }  # fmt: skip
    return Report("latency", settings, rows, _notes(arguments, config, kind, chosen, opened))


def tables(report: Report) -> list[Table]:
    """What was heard, and what it took; one row per plan."""
    settings = report.settings
    heard = figures_table(
        f"plans, {settings['model']}, {settings['backend']}: latency and drop-outs", ["plan"], [
        "nets", "algorithm ms", "device in", "device out", "total", "measured", "hops",
        "late masks", "beside stalls", "xruns", "threads", "RSS MB", "growth",
    ])  # fmt: skip
    took = figures_table("times in ms beside their deadlines", ["plan"], [
        "deadline", "worker p50", "p99", "max", "load", "CPU", "block", "callback p50", "p99",
        "max",
    ])  # fmt: skip
    for row in report.rows:
        more, worker, callback = row.more, row.more["worker_ms"], row.more["callback_ms"]
        latency_ms = more["latency_ms"]
        heard.add_row(
            row.contender, str(row.threads),
            *(
                f"{latency_ms[part]:.1f}"
                for part in ("algorithm", "device_input", "device_output", "total")
            ),
            _measured(latency_ms),
            str(more["hops"]), str(more["late_masks"]), _beside_stalls(more), _xruns(more["xruns"]),
            more["priority"],
            _megabytes(more["rss_mb"]), _megabytes(more["rss_growth_mb"]),
        )  # fmt: skip
        took.add_row(
            row.contender, f"{more['deadline_ms']:.1f}", *_milliseconds(worker),
            f"{more['load']:.0%}", f"{more['cpu_load']:.0%}", f"{more['block_ms']:.1f}",
            *_milliseconds(callback),
        )  # fmt: skip
    return [heard, took]


def plot(report: Report, figure: Figure) -> None:
    """Worker and callback times beside their limits, per plan."""
    left, right = figure.subplots(1, 2)
    for axes, what, times, limit in (
        (left, "slowest worker", "worker_ms", "deadline_ms"),
        (right, "callback", "callback_ms", "block_ms"),
    ):
        for at, row in enumerate(report.rows):
            took = row.more[times]
            axes.plot([at, at], [took["p50"], took["max"]], color="black", linewidth=1)
            axes.plot(at, took["p50"], "o", color="black")
            axes.plot(at, took["p99"], "_", color="black", markersize=12)
            axes.plot(at, row.more[limit], "v", color="tab:red")
        axes.set_xticks(
            range(len(report.rows)),
            [f"{row.contender}\n{row.more['latency_ms']['total']:.0f} ms" for row in report.rows],
        )
        axes.set_yscale("log")
        axes.set_ylabel(f"{what}, ms: median, p99, worst; red: its limit")
        axes.grid(axis="y", alpha=0.3)
    title = f"Live times against their limits, {report.settings['model']}"
    caption(report, figure, title)


def _session(arguments: argparse.Namespace, config: ModelConfig) -> SessionSettings:
    """The model, the stems heard and the masking, which decide on the nets that run."""
    ratio = arguments.nets == "all" and not config.has_rest
    masking = RATIO if ratio else INDEPENDENT
    session = SessionSettings(config.name, tuple(arguments.stem), masking=masking)
    if masking == INDEPENDENT and not 0 < len(session.named) < len(config.stems):
        raise UsageError(
            f"--stem needed: name the stems that are to be heard, of {', '.join(config.stems)}, not all"
        )
    return session


def _choose_devices(arguments: argparse.Namespace) -> OpenDevices | None:
    if arguments.backend == "file":
        for name in DEVICE_OPTIONS:
            if getattr(arguments, name) is not None:
                raise UsageError(f"--{name.replace('_', '-')} needs --backend device")
        return None
    from rtsep.devices.choice import DeviceSettings
    from rtsep.devices.open import PortAudioBackend

    settings = DeviceSettings(
        arguments.input_device, arguments.output_device, arguments.hostapi, arguments.samplerate,
        arguments.channels, arguments.channels, arguments.blocksize,
        device_latency(arguments.device_latency), arguments.one_clock,
    )  # fmt: skip
    backend = PortAudioBackend(settings)
    return OpenDevices(backend.find(), backend)


def _notes(
    arguments: argparse.Namespace,
    config: ModelConfig,
    kind: str,
    chosen: ChosenPrecision,
    opened: OpenDevices | None,
) -> list[str]:
    machine = describe_machine()
    beside = [
        *(["the live display"] if arguments.display else []),
        *([f"other busy programs: {arguments.busy}"] if arguments.busy else []),
    ]
    notes = [
        choose_weights.describe(config, kind),
        f"Nets in {chosen.precision}: {chosen.why}.",
        f"{machine['cpu']}, {machine['usable_cores']} cores, kernels {machine['kernel_set']}; one"
        f" thread per net; beside it {' and '.join(beside) or 'nothing'}.",
        f"Versions: {', '.join(f'{name} {version}' for name, version in versions().items())}.",
        "Workers: the slowest stem. Load: its median run over the deadline. CPU: of all cores, by the"
        " whole process. A callback's limit is the time between two of them. RSS: at the end of the"
        " run; growth: over the run, its first seconds left out.",
    ]
    if arguments.watch:
        notes.append(
            f"Stalls: a program that goes before all others was woken late by {LONG_STALL:.0%} of the"
            f" workers' deadline or more; late masks beside them: seen within {RECOVERED_S:g} s after."
        )
    if opened is None:
        notes.append("A paced sound has no device: no device latency, no xruns.")
    return notes


def _row(stats: dict, model: str, watch: Watchdog | None) -> Row:
    late_masks_seen = stats.pop("late_masks_seen")
    slowest = max(stats["worker_ms"].values(), key=lambda summary: summary["p50"])
    return Row(
        stats["plan"]["name"],
        model,
        len(stats["worker_ms"]),
        median_ms=slowest["p50"],
        more={
            **stats,
            **(watch.figures(stats["deadline_ms"] / 1000, late_masks_seen) if watch else {}),
            "worker_ms": slowest,
            "worker_ms_by_stem": stats["worker_ms"],
            "load": slowest["p50"] / stats["deadline_ms"],
        },
    )


def _milliseconds(summary: dict[str, float]) -> list[str]:
    return [f"{summary[name]:.2f}" for name in ("p50", "p99", "max")]


def _megabytes(amount: float | None) -> str:
    return "-" if amount is None else str(round(amount))


def _measured(latency_ms: dict[str, float | None]) -> str:
    """The total with what the devices took by their own clocks."""
    algorithm_ms, devices_ms = latency_ms["algorithm"], latency_ms.get("device_measured")
    return "-" if devices_ms is None or algorithm_ms is None else f"{algorithm_ms + devices_ms:.1f}"


def _beside_stalls(more: dict) -> str:
    if "stalls" not in more:
        return "-"
    return (
        f"{more['late_masks_beside_stalls']} ({more['stalls']}, {more['longest_stall_ms']:.0f} ms)"
    )


def _xruns(xruns: dict[str, int]) -> str:
    counted = [f"{name.replace('_', ' ')} {count}" for name, count in xruns.items() if count]
    return ", ".join(counted) or "0"
