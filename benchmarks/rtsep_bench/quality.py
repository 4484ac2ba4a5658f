"""`rtsep-bench quality`: what a plan's latency costs in separation, on songs with true stems.

Each song's mixture runs through the live engine (unpaced, no mask is late) once per plan; the stem that
comes out is compared with the true one. What remains of the mixture has the same error, so that its
SDR moves by the same amount. `--levels` turns the mixtures down and shows what the network level
recovers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.errors import UsageError
from rtsep.live.engine import Engine
from rtsep.live.file_session import run_unpaced
from rtsep.live.plans.ladder import LADDER
from rtsep.live.plans.notation import read_plan
from rtsep.live.plans.plan import PLANS, StreamPlan
from rtsep.nets.registry import MODELS, ModelConfig
from rtsep.nets.unet import UNet
from rtsep.weights.library import model_named, own_models
from rtsep.weights.load_nets import load_nets
from rtsep_bench import options, true_stems
from rtsep_bench.evaluation import sdr_db, si_sdr_db
from rtsep_bench.plots import caption
from rtsep_bench.report import Report, Row, figures_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

MASKS = ("ratio", "alone")
REFERENCE_PLAN = "classic"
ALL_OF_THE_LADDER = "ladder"
# A song at a speed beyond these is none any more.
SLOWEST, FASTEST = 0.5, 2.0
# More songs than these have no column of their own.
MOST_COLUMNS = 6


class Setting(NamedTuple):
    """One way to run a song. ratio: all nets and the ratio mask, else the stem's net alone."""

    plan: str
    latency_ms: float
    ratio: bool
    level_db: float
    auto_level: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this subcommand."""
    options.add_model(parser, [*MODELS, *own_models()])
    parser.add_argument(
        "songs", nargs="+", metavar="SONGS",
        help=f"a folder of songs, each a Stem file or a folder of stems (vocals.flac, drums.flac,"
        f" ...); such a file or folder; or {true_stems.DEMO}, the demo's song",
    )  # fmt: skip
    parser.add_argument("--stem", default="vocals", help="default: %(default)s")
    parser.add_argument(
        "--plans", default=",".join(PLANS), metavar="PLAN,...",
        help="names, or frames/stride/look-ahead/compute-delay/hann|asymmetric[/extrapolated]; "
        f"{ALL_OF_THE_LADDER} for all that --latency chooses from (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--masks", default=MASKS[0], metavar="KIND,...",
        help="ratio: of all nets; alone: of the stem's own net, no other runs (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--levels", default="0", metavar="DB,...",
        help="turn the mixtures down by so much, with and without the network level"
        " (default: %(default)s, as they are, with it)",
    )  # fmt: skip
    parser.add_argument(
        "--speeds", default="1", metavar="FACTOR,...",
        help="play the songs so much faster, pitch and all: as many songs more"
        " (default: %(default)s, as they are)",
    )  # fmt: skip


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> Report:
    """Run the subcommand; `say` is told what is going on."""
    config = model_named(arguments.model)
    plans = _plans(arguments.plans)
    masks = options.choices("--masks", arguments.masks, MASKS)
    for kind in masks:
        config.outputs(None if kind == MASKS[0] else [arguments.stem])
    if arguments.stem not in config.stems:
        raise UsageError(
            f"{config.name} has no stem {arguments.stem!r}: choose from {', '.join(config.stems)}"
        )
    levels_db, speeds = (
        options.numbers("--levels", arguments.levels, "0,-12,-20"),
        _speeds(arguments.speeds),
    )
    songs = [
        true_stems.at_speed(song, speed)
        for song in true_stems.songs(arguments.songs, arguments.stem)
        for speed in speeds
    ]
    nets = dict(zip(config.net_stems, load_nets(config), strict=True))
    rows = []
    # As they are only with the network level, unless other levels are asked for.
    auto_levels = (True,) if levels_db == [0.0] else (True, False)
    for song, plan, kind, level_db, auto_level in product(
        songs, plans, masks, levels_db, auto_levels
    ):
        setting = Setting(plan.name, plan.latency_ms, kind == MASKS[0], level_db, auto_level)
        say(f"{song.name}: {plan.name}, {_label(*setting[2:])}")
        rows.append(
            _row(song, setting, _separate(config, nets, plan, arguments.stem, song, setting))
        )
    return Report(
        "quality",
        {
            "songs": {song.name: len(song.true) for song in songs},
            "stem": arguments.stem,
            "model": config.name,
        },
        rows,
        [
            f"SDR of {arguments.stem} over whole songs: 10 log10 of energy ratios"
            " (benchmarks/rtsep_bench/evaluation.py), below museval's.",
            f"Relative to {REFERENCE_PLAN} with ratio masks; worst, best: song, likewise.",
        ],
    )


def tables(report: Report) -> list[Table]:
    """One row per setting: the mean over the songs, and each of them or the extremes."""
    songs = list(report.settings["songs"])
    reference_db = _reference_db(report)
    each = songs if len(songs) <= MOST_COLUMNS else ["worst", "best"]
    table = figures_table(
        f"quality of {report.settings['stem']}",
        ["plan", "masks"],
        ["ms", "level", "auto", "SDR dB", "relative", "SI-SDR dB", *each],
    )
    for setting, rows in _by_setting(report).items():
        sdr = {row.case: row.more["sdr_db"] for row in rows}
        si_sdr = [row.more["si_sdr_db"] for row in rows]
        relative = [sdr[song] - reference_db[song] for song in songs if song in reference_db]
        shown = [f"{value:.2f}" for value in sdr.values()]
        if len(songs) > MOST_COLUMNS:
            shown = [f"{limit(relative):+.2f}" if relative else "-" for limit in (min, max)]
        table.add_row(
            setting.plan, _kind(setting.ratio), f"{setting.latency_ms:.0f}", f"{setting.level_db:+g}",
            "yes" if setting.auto_level else "no", f"{np.mean([*sdr.values()]):.2f}",
            f"{np.mean(relative):+.2f}" if relative else "-", f"{np.mean(si_sdr):.2f}", *shown,
        )  # fmt: skip
    return [table]


def plot(report: Report, figure: Figure) -> None:
    """SDR against latency, a colour for each kind of masks and each level."""
    axes = figure.add_subplot()
    means = {
        setting: np.mean([row.more["sdr_db"] for row in rows])
        for setting, rows in _by_setting(report).items()
    }
    for line in dict.fromkeys(setting[2:] for setting in means):
        points = sorted((s.latency_ms, mean) for s, mean in means.items() if s[2:] == line)
        axes.plot(*zip(*points, strict=True), "o", label=_label(*line))
    for setting, mean in means.items():
        if setting.plan in PLANS and setting[2:] == next(iter(means))[2:]:
            axes.annotate(f" {setting.plan}", (setting.latency_ms, mean), va="top")
    axes.set_xscale("log")
    axes.margins(x=0.15)  # room for the names
    axes.set_xlabel("latency, ms")
    axes.set_ylabel("SDR, dB, mean over the songs")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    caption(report, figure, f"Quality of {report.settings['stem']} against latency")


def _label(ratio: bool, level_db: float, auto_level: bool) -> str:
    level = f", {level_db:+g} dB" if level_db else ""
    return f"{_kind(ratio)}{level}{'' if auto_level else ', no network level'}"


def _kind(ratio: bool) -> str:
    return MASKS[0] if ratio else MASKS[1]


def _by_setting(report: Report) -> dict[Setting, list[Row]]:
    groups: dict[Setting, list[Row]] = {}
    for row in report.rows:
        values = (row.contender, *(row.more[name] for name in Setting._fields[1:]))
        groups.setdefault(Setting(*values), []).append(row)
    return groups


def _reference_db(report: Report) -> dict[str, float]:
    """SDR of the reference plan by song, at the level as it is; empty where it was not run."""
    return {
        row.case: row.more["sdr_db"]
        for row in report.rows
        if (row.contender, row.more["ratio"], row.more["level_db"], row.more["auto_level"])
        == (REFERENCE_PLAN, True, 0.0, True)
    }


def _plans(text: str) -> list[StreamPlan]:
    if text == ALL_OF_THE_LADDER:
        return [rung.plan for rung in LADDER]
    return [read_plan(name) for name in text.split(",")]


def _speeds(text: str) -> list[float]:
    speeds = options.numbers("--speeds", text, "0.95,1,1.05")
    for speed in speeds:
        if not SLOWEST <= speed <= FASTEST:
            raise UsageError(f"--speeds must be from {SLOWEST:g} to {FASTEST:g}: got {speed:g}")
    return speeds


def _separate(
    config: ModelConfig,
    nets: Mapping[str, UNet],
    plan: StreamPlan,
    stem: str,
    song: true_stems.Song,
    setting: Setting,
) -> NDArray[np.float32]:
    independent = None if setting.ratio else [stem]
    gain = np.float32(10 ** (setting.level_db / 20))
    engine = Engine(
        config,
        [nets[name] for name in independent or config.stems],
        plan,
        {stem: 1.0},
        independent=independent,
        auto_level=setting.auto_level,
    )
    engine.start()
    try:
        silence = np.zeros((plan.latency_samples, 2), np.float32)
        sound = np.concatenate([song.mixture * gain, silence])
        out = next(run_unpaced(engine, [sound]))
    finally:
        engine.stop()
    return out[plan.latency_samples :] / gain


def _row(song: true_stems.Song, setting: Setting, stem: NDArray[np.float32]) -> Row:
    threads = 2 if setting.ratio else 1
    figures = {"sdr_db": sdr_db(stem, song.true), "si_sdr_db": si_sdr_db(stem, song.true)}
    known = {name: value for name, value in setting._asdict().items() if name != "plan"}
    return Row(setting.plan, song.name, threads, more=known | figures)
