"""`rtsep-bench slide`: what a run of a sliding window costs beside the whole net.

Three ways to the same masks, timed in turns: the whole net; only the rows that feed the frames heard;
of those only the rows that the slide before did not compute.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rtsep.cli.precision_argument import add_precision
from rtsep.errors import RtsepError
from rtsep.live.plans.notation import read_plan
from rtsep.live.plans.plan import StreamPlan
from rtsep.nets.precision import find_precision
from rtsep.nets.registry import UNET
from rtsep.nets.rows import rows_for
from rtsep.nets.sliding import SlidingState, SlidingWindow
from rtsep.nets.unet import LAYERS, UNet, UNetState
from rtsep.weights.library import model_named
from rtsep_bench import choose_weights, options
from rtsep_bench.fast_layers import executed_flop
from rtsep_bench.plots import caption, grouped_bars
from rtsep_bench.report import Report, Row, figures_table
from rtsep_bench.rounds import interleave
from rtsep_bench.sound import music_magnitudes

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

WHOLE, HEARD, KEPT = "whole net", "rows heard", "rows heard and new"
WAYS = (WHOLE, HEARD, KEPT)
DEFAULT_PLANS = (
    "64/1/1/1/hann,64/1/1/1/hann/4,64/2/4/2/hann,64/4/4/4/hann,"
    "128/1/1/1/hann,128/4/1/4/hann,128/8/1/8/hann,128/8/8/8/hann"
)
DEFAULT_ROUNDS = 30
CALLS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this subcommand."""
    # Other kinds keep nothing from run to run.
    options.add_model(parser, lambda config: config.kind == UNET)
    options.add_weights(parser)
    options.add_bins(parser)
    options.add_rounds(parser, DEFAULT_ROUNDS)
    parser.add_argument(
        "--plans", type=_plans, default=DEFAULT_PLANS, metavar="PLAN,...",
        help="names, or plans spelt out like 64/1/2/1/hann; compute delay and windows make no"
        " difference here (default: %(default)s)",
    )  # fmt: skip
    add_precision(parser, "f32")


def _plans(text: str) -> list[StreamPlan]:
    return [read_plan(word) for word in text.split(",")]


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> Report:
    """Run the subcommand; `say` is told what is going on. Raises RtsepError where masks differ."""
    config = model_named(arguments.model)
    kind = choose_weights.choose(config, arguments.weights, say)
    stem = config.stems[0]
    precision = find_precision(arguments.precision, paced=False).precision
    net = UNet(config, choose_weights.load(config, kind)[stem], precision)
    rows = []
    for plan in arguments.plans:
        case = _Case(net, arguments.bins, plan)
        say(f"{case.name}, rounds: {arguments.rounds}")
        rows += case.rows(arguments.rounds)
    settings = {
        "model": config.name, "stem": stem, "weights": kind, "bins": arguments.bins,
        "precision": precision,
        "rounds": arguments.rounds, "calls_per_round": CALLS,
    }  # fmt: skip
    notes = [
        choose_weights.describe(config, kind),
        "One thread. Ratio: to the whole net, the median over the rounds. MFLOP: executed.",
        "The masks of all three are equal, bit for bit.",
    ]
    return Report("slide", settings, rows, notes)


class _Case:
    """One window and stride: the three ways as calls without arguments."""

    def __init__(self, net: UNet, bins: int, plan: StreamPlan):
        self.name = plan.name
        frames, stride = plan.frames, plan.stride
        self._net, self._bins, self._plan = net, bins, plan
        self._wanted = plan.rows
        self._rows = rows_for(frames, plan.rows.start, plan.rows.stop)
        self._state = UNetState(frames, bins, net.precision)
        rows = plan.rows
        self._sliding = SlidingState(
            SlidingWindow(frames, bins, stride, rows.start, rows.stop, plan.extrapolated),
            net.precision,
        )
        self._masks = np.zeros((3, frames, 2, bins), np.float32)
        # A multiple of 64 frames that repeats: every phase comes by.
        self._magnitudes = music_magnitudes(2 * frames, bins)
        self._gains = np.ones(2 * frames, np.float32)
        self._start = 0
        # Once past every phase, so that only what a slide needs is computed from here on.
        for _ in range(-(-64 // stride) + 2):
            self._slide()

    def rows(self, rounds: int) -> list[Row]:
        """Time the three ways; one row each."""
        self._check()
        ways = dict(zip(WAYS, (self._whole, self._heard, self._slide)))
        timings = interleave(ways, rounds, CALLS)
        flop = dict(zip(WAYS, self._flop()))
        return [
            Row.timed(
                way, self.name, 1, timing, mflop=flop[way] / 1e6,
                ratio_to_whole=timing.ratio_to(timings[WHOLE]),
                flop_ratio=flop[way] / flop[WHOLE],
            )
            for way, timing in timings.items()
        ]  # fmt: skip

    def _window(self) -> np.ndarray:
        seen = np.roll(self._magnitudes, -self._start, axis=0)[: self._plan.real_frames]
        return np.concatenate([seen, (seen[-1] + seen[::-1][: self._plan.extrapolated]) / 2])

    def _whole(self) -> None:
        self._state.forward(self._net, self._masks[0], self._state.all_rows)

    def _heard(self) -> None:
        self._state.forward(self._net, self._masks[1], self._rows)

    def _slide(self) -> None:
        self._start += self._plan.stride
        masks = self._masks[2]
        self._sliding.run(self._net, self._magnitudes, self._gains, self._start, masks)

    def _check(self) -> None:
        self._slide()
        self._state.take_in(self._window())
        self._whole()
        self._heard()
        for masks in self._masks[1:]:
            if not np.array_equal(masks[self._wanted], self._masks[0][self._wanted]):
                raise RtsepError(f"{self.name}: the masks are not those of the whole net")

    def _flop(self) -> tuple[int, int, int]:
        def total(ranges: Iterable[Iterable[Sequence[int]]]) -> int:
            return sum(
                executed_flop(name, self._plan.frames, self._bins, int(first), int(stop))
                for name, parts in zip(LAYERS, ranges)
                for first, stop in parts
            )

        return (
            total([rows] for rows in self._state.all_rows),
            total([rows] for rows in self._rows),
            total(self._sliding.computed_rows()),
        )


def tables(report: Report) -> Iterator[Table]:
    """One line per window and way."""
    table = figures_table(
        f"sliding windows, {report.settings['model']}, one core",
        ["window", "computed"],
        ["min ms", "median ms", "ratio", "MFLOP", "FLOP ratio"],
    )
    for row in report.rows:
        if row.contender == WHOLE:
            table.add_section()
        table.add_row(
            row.case, row.contender, f"{row.min_ms:.2f}", f"{row.median_ms:.2f}",
            f"{row.more['ratio_to_whole']:.2f}", f"{row.more['mflop']:.0f}",
            f"{row.more['flop_ratio']:.2f}",
        )  # fmt: skip
    yield table


def plot(report: Report, figure: Figure) -> None:
    """Time of each way, window by window."""
    figure.set_size_inches(9, 5)
    cases = list(dict.fromkeys(row.case for row in report.rows))
    by_way = {way: [row for row in report.rows if row.contender == way] for way in WAYS}
    grouped_bars(
        figure.subplots(), cases,
        {way: [row.min_ms for row in rows] for way, rows in by_way.items()},
        "ms, fastest call; dash: median",
        {way: [row.median_ms for row in rows] for way, rows in by_way.items()},
    )  # fmt: skip
    caption(report, figure, f"A run of a sliding window, {report.settings['model']}")
