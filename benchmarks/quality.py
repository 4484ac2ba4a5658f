"""`rtsep-bench quality`: what a plan's latency costs in separation, on songs with true stems.

Each song's mixture runs through the live engine (unpaced, no mask is late) once per plan; a stem that
comes out is compared with the true one. A song is a folder of files named after the stems; the
mixture is their sum. `--levels` turns the mixtures down and shows what the network level recovers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtsep.benchmarks import options
from rtsep.benchmarks.plots import caption
from rtsep.benchmarks.report import Report, Row
from rtsep.benchmarks.sound import song as read_file
from rtsep.errors import UsageError
from rtsep.evaluation import sdr_db, si_sdr_db
from rtsep.models import weights
from rtsep.models.registry import ModelConfig, find_model
from rtsep.models.unet import UNet
from rtsep.plan import PLANS, StreamPlan, find_plan
from rtsep.realtime.engine import Engine
from rtsep.realtime.file_session import run_unpaced

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

LONGEST_S = 600.0
REFERENCE_PLAN = "classic"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this subcommand."""
    options.add_model(parser)
    parser.add_argument(
        "songs", type=Path, metavar="DIR",
        help="a folder of songs, each a folder of stems (vocals.flac, drums.flac, ...)",
    )  # fmt: skip
    parser.add_argument("--stem", default="vocals", help="default: %(default)s")
    parser.add_argument(
        "--plans", default=",".join(PLANS), metavar="PLAN,...",
        help="names, or frames/stride/look-ahead/compute-delay/hann|asymmetric (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--levels", default="0", metavar="DB,...",
        help="turn the mixtures down by so much, with and without the network level"
        " (default: %(default)s, as they are, with it)",
    )  # fmt: skip


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> Report:
    """Run the subcommand; `say` is told what is going on."""
    config = find_model(arguments.model)
    config.members(arguments.stem)
    plans = [_plan(text) for text in arguments.plans.split(",")]
    levels_db = [float(text) for text in arguments.levels.split(",")]
    songs = _songs(arguments.songs, arguments.stem)
    arrays = weights.load(config)
    nets = [UNet(config, arrays[stem]) for stem in config.stems]
    rows = []
    for name, (mixture, true) in songs.items():
        for plan in plans:
            for level_db in levels_db:
                for auto_level in (True,) if levels_db == [0.0] else (True, False):
                    say(f"{name}: {plan.name}, {level_db:+g} dB")
                    gain = np.float32(10 ** (level_db / 20))
                    stem = _separate(config, nets, plan, arguments.stem, mixture * gain, auto_level)
                    rows.append(_row(name, plan, level_db, auto_level, stem / gain, true))
    return Report(
        "quality",
        {"songs": str(arguments.songs), "stem": arguments.stem, "model": config.name},
        rows,
        [
            f"SDR of {arguments.stem} over the whole song: 10 log10 of energy ratios (rtsep.evaluation)."
        ],
    )


def tables(report: Report) -> list[Table]:
    """One row per plan and level: the mean over the songs, and each song."""
    from rich.table import Table

    table = Table(title=f"quality of {report.settings['stem']}")
    songs = list(dict.fromkeys(row.case for row in report.rows))
    headings = ("plan", "latency ms", "level", "auto", "SDR dB", "SI-SDR dB", *songs)
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "plan" else "right")
    for key, rows in _by_setting(report).items():
        sdr = [row.more["sdr_db"] for row in rows]
        si_sdr = [row.more["si_sdr_db"] for row in rows]
        plan, latency_ms, level_db, auto_level = key
        table.add_row(
            plan, f"{latency_ms:.0f}", f"{level_db:+g}", "yes" if auto_level else "no",
            f"{np.mean(sdr):.2f}", f"{np.mean(si_sdr):.2f}", *(f"{value:.2f}" for value in sdr),
        )  # fmt: skip
    return [table]


def plot(report: Report, figure: Figure) -> None:
    """SDR against latency."""
    axes = figure.add_subplot()
    for (plan, latency_ms, level_db, auto_level), rows in _by_setting(report).items():
        mean = np.mean([row.more["sdr_db"] for row in rows])
        axes.plot(latency_ms, mean, "o" if auto_level else "x", color="black")
        axes.annotate(f" {plan} {level_db:+g}" if level_db else f" {plan}", (latency_ms, mean))
    axes.set_xscale("log")
    axes.set_xlabel("latency, ms")
    axes.set_ylabel("SDR, dB")
    axes.grid(alpha=0.3)
    caption(report, figure, f"Quality of {report.settings['stem']} against latency")


def _by_setting(report: Report) -> dict[tuple, list[Row]]:
    groups: dict[tuple, list[Row]] = {}
    for row in report.rows:
        more = row.more
        key = (row.contender, more["latency_ms"], more["level_db"], more["auto_level"])
        groups.setdefault(key, []).append(row)
    return groups


def _plan(text: str) -> StreamPlan:
    if "/" not in text:
        return find_plan(text)
    try:
        *numbers, windows = text.split("/")
        frames, stride, look_ahead, compute_delay = map(int, numbers)
    except ValueError:
        raise UsageError(
            f"a plan is a name or like 64/1/2/1/hann (frames, stride, look-ahead, compute delay, "
            f"windows): got {text!r}"
        ) from None
    return StreamPlan(text, frames, stride, look_ahead, compute_delay, windows == "asymmetric")


def _songs(folder: Path, stem: str) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    songs = {}
    for song in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = {path.stem: path for path in sorted(song.iterdir()) if path.is_file()}
        if stem not in files:
            continue
        stems = {name: read_file(path, LONGEST_S) for name, path in files.items()}
        length = min(map(len, stems.values()))
        stems = {name: sound[:length] for name, sound in stems.items()}
        songs[song.name] = (np.sum(list(stems.values()), axis=0), stems[stem])
    if not songs:
        raise UsageError(f"{folder} holds no song: folders with a file {stem}.* are needed")
    return songs


def _separate(
    config: ModelConfig, nets: list[UNet], plan: StreamPlan, stem: str, mixture, auto_level: bool
) -> NDArray[np.float32]:
    engine = Engine(config, nets, plan, {stem: 1.0}, auto_level=auto_level)
    engine.start()
    try:
        silence = np.zeros((plan.latency_samples, 2), np.float32)
        out = list(run_unpaced(engine, [np.concatenate([mixture, silence])]))[0]
    finally:
        engine.stop()
    return out[plan.latency_samples :]


def _row(song: str, plan: StreamPlan, level_db: float, auto_level: bool, stem, true) -> Row:
    return Row(
        plan.name,
        song,
        1,
        more={
            "latency_ms": plan.latency_ms,
            "level_db": level_db,
            "auto_level": auto_level,
            "sdr_db": sdr_db(stem, true),
            "si_sdr_db": si_sdr_db(stem, true),
        },
    )
