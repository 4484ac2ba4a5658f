"""The picture that the live display draws: meters, loads, counters, keys.

Made of rich's Segments, a style and a string each, and not of its tables: it is drawn ten times a
second beside an audio thread, and laying out a table takes several times as long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions
from rich.segment import Segment
from rich.style import Style

from rtsep.cli.terminal.stream_status import Load

LOWEST_DBFS, WARM_DBFS, HOT_DBFS = -60.0, -12.0, -3.0
# Loads from here on are shown in yellow and red.
HIGH_LOAD, FULL_LOAD = 0.5, 0.8
SHORTEST_BAR = 4

PLAIN, DIM, BOLD = Style(), Style(dim=True), Style(bold=True)
GREEN, YELLOW, RED = Style(color="green"), Style(color="yellow"), Style(color="red", bold=True)

Line = list[Segment]


@dataclass(frozen=True)
class Meter:
    """One row: a stem or the mix.

    label: number and name. remark: its gain or why it is silent, and solo or bypass. heard: False
    for a stem that is not in the mix, whose meter is drawn dimly.
    """

    label: str
    level_dbfs: float
    peak_dbfs: float
    remark: str
    heard: bool = True
    selected: bool = False


@dataclass(frozen=True)
class Counter:
    """A count with its name; news while it has just gone up."""

    text: str
    count: int
    news: bool


@dataclass
class Screen:
    """The whole picture; a rich renderable of one line per row, which rich's Live cuts at the width."""

    meters: list[Meter] = field(default_factory=list)
    loads: list[Load | None] = field(default_factory=list)
    counters: list[Counter] = field(default_factory=list)
    status: str = ""
    help_line: str = ""

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        block, mark = ("#", "|") if options.ascii_only else ("█", "│")
        for line in self._lines(options.max_width, block, mark):
            yield from line
            yield Segment.line()

    def _lines(self, width: int, block: str, mark: str) -> Iterator[Line]:
        label_width = max((len(meter.label) for meter in self.meters), default=0)
        remark_width = max((len(meter.remark) for meter in self.meters), default=0)
        bar_width = max(SHORTEST_BAR, width - label_width - remark_width - 17)
        for meter in self.meters:
            yield [
                Segment(f"{'>' if meter.selected else ' '} {meter.label:<{label_width}} ", BOLD)
                if meter.selected
                else Segment(f"  {meter.label:<{label_width}} ", PLAIN),
                *_level_bar(meter, bar_width, block, mark),
                Segment(f" {meter.level_dbfs:6.1f} dBFS ", PLAIN if meter.heard else DIM),
                Segment(meter.remark, PLAIN if meter.heard else DIM),
            ]
        yield []
        loads = [load for load in self.loads if load is not None]
        label_width = max((len(load.name) for load in loads), default=0)
        # As long as the longest of the texts behind the bars: 11 ms of a classic plan's 2,902.
        bar_width = max(SHORTEST_BAR, width - label_width - 42)
        for load in loads:
            yield [
                Segment(f"  {load.name:<{label_width}} ", PLAIN),
                *_load_bar(load, bar_width, block, mark),
                Segment(
                    f" {100 * load.p50:4.0f} %, max {100 * load.worst:4.0f} % "
                    f"of {load.limit_ms:7.1f} ms",
                    _load_style(load.worst),
                ),
            ]
        yield []
        counters: Line = [Segment(f"  {self.status}", PLAIN)]
        for counter in self.counters:
            style = RED if counter.news else YELLOW if counter.count else PLAIN
            counters += [Segment("   ", PLAIN), Segment(counter.text, style)]
        yield counters
        yield [Segment(f"  {self.help_line}", DIM)]


def _level_bar(meter: Meter, width: int, block: str, mark: str) -> Line:
    filled, peak = (
        _columns((level - LOWEST_DBFS) / -LOWEST_DBFS, width)
        for level in (meter.level_dbfs, meter.peak_dbfs)
    )
    warm, hot = (
        _columns((level - LOWEST_DBFS) / -LOWEST_DBFS, width) for level in (WARM_DBFS, HOT_DBFS)
    )
    styles = (GREEN, YELLOW, RED) if meter.heard else (DIM, DIM, DIM)
    line, at = [], 0
    for style, end in zip(styles, (min(filled, warm), min(filled, hot), filled)):
        if end > at:
            line.append(Segment(block * (end - at), style))
            at = end
    return [*line, *_rest(at, peak, width, mark)]


def _load_bar(load: Load, width: int, block: str, mark: str) -> Line:
    filled = _columns(load.p50, width)
    bar = Segment(block * filled, _load_style(load.p50))
    return [bar, *_rest(filled, _columns(load.worst, width), width, mark)]


def _load_style(load: float) -> Style:
    return RED if load >= FULL_LOAD else YELLOW if load >= HIGH_LOAD else GREEN


def _columns(part: float, width: int) -> int:
    return round(min(max(part, 0.0), 1.0) * width)


def _rest(filled: int, marked: int, width: int, mark: str) -> Line:
    """What follows `filled` columns of a bar: blank, but for a mark in column `marked` - 1."""
    if marked <= filled:
        return [Segment(" " * (width - filled), PLAIN)]
    before, after = " " * (marked - 1 - filled), " " * (width - marked)
    return [Segment(f"{before}{mark}{after}", PLAIN)]
