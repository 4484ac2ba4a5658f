"""What a person sees of a running stream: a live picture, plain lines, or nothing; and the summary.

All of it goes to stderr, and is driven by the main thread's loop.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from rtsep.cli.keys import help_line
from rtsep.cli.plain_status import PlainStatus
from rtsep.cli.progress import clock
from rtsep.cli.stream_status import (
    LoadReader,
    PeakHold,
    RecentRise,
    percent,
    share_of_hops,
)
from rtsep.models.registry import HOP, SAMPLE_RATE
from rtsep.plan import PLANS

if TYPE_CHECKING:
    from rich.console import Console

    from rtsep.cli.screen import Counter, Meter
    from rtsep.realtime.controls import MixControls
    from rtsep.realtime.engine import Engine

# The picture is drawn at most this often, however often `refresh` is called.
REDRAW_S = 0.09
# p99 of the time allowed, from which on a machine is told that it has no head-room.
TIGHT_LOAD = 0.8
# Blocks from about a hop on are long enough; the period measured is not exact.
LONGEST_HELPFUL_BLOCK_MS = 0.9 * 1000 * HOP / SAMPLE_RATE


class Display(Protocol):
    """The three of them. All methods are for the main thread."""

    def start(self) -> None:
        """Show what does not change."""
        ...

    def refresh(self, now_s: float) -> None:
        """Show the state of now, if it is time to; `now_s` of any clock that never goes back."""
        ...

    def toggle_freeze(self) -> None:
        """Stand still, or go on."""
        ...

    def stop(self) -> None:
        """Leave the terminal to others."""
        ...


def make_display(
    engine: Engine, controls: MixControls, header: Sequence[str], *, quiet: bool
) -> Display:
    """The display that fits: the live picture on a terminal, plain lines elsewhere.

    header: lines on what does not change (devices, plan, latency).
    """
    if quiet:
        return Quiet()
    if sys.stderr is not None and sys.stderr.isatty():
        from rich.console import Console

        console = Console(stderr=True)
        if not console.is_dumb_terminal:
            return LiveDisplay(engine, controls, header, console)
    return PlainStatus(engine, header)


class LiveDisplay:
    """Meters, loads and counters, drawn again and again below the header."""

    def __init__(
        self,
        engine: Engine,
        controls: MixControls,
        header: Sequence[str],
        console: Console | None = None,
    ):
        from rich.console import Console
        from rich.live import Live

        from rtsep.cli.screen import Screen

        self._engine, self._controls, self._header = engine, controls, header
        self._console = console or Console(stderr=True)
        self._screen = Screen(help_line=help_line())
        # No thread of rich's own; what others print to stderr appears above the picture.
        self._live = Live(
            self._screen, console=self._console, auto_refresh=False, transient=True,
            redirect_stdout=False, vertical_overflow="crop",
        )  # fmt: skip
        self._loads = LoadReader(engine)
        self._peaks = PeakHold()
        self._late, self._xruns, self._nonfinite = RecentRise(), RecentRise(), RecentRise()
        self._drawn_s = -math.inf
        self._frozen = self._standing_still = False

    def start(self) -> None:
        """Print the header, which stays, and begin to draw below it."""
        for line in self._header:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._live.start()

    def refresh(self, now_s: float) -> None:
        """Draw the picture of now; not too often, and not while frozen."""
        if now_s - self._drawn_s < REDRAW_S or self._standing_still:
            return
        self._drawn_s = now_s
        self._standing_still = self._frozen
        self._update(now_s)
        self._live.refresh()

    def toggle_freeze(self) -> None:
        """Stand still after one more picture that says so, or go on."""
        self._frozen = not self._frozen
        self._standing_still = False

    def stop(self) -> None:
        """Remove the picture; the header stays."""
        self._live.stop()

    def _update(self, now_s: float) -> None:
        engine = self._engine
        levels = engine.levels_dbfs()
        peaks = self._peaks.update(levels, now_s)
        self._screen.meters = self._meters(levels, peaks)
        self._screen.loads = self._loads.read(now_s)
        self._screen.counters = self._counters(now_s)
        self._screen.status = clock(engine.played_s) + (", frozen" if self._frozen else "")

    def _meters(self, levels: dict[str, float], peaks: dict[str, float]) -> list[Meter]:
        from rtsep.cli.screen import Meter

        controls = self._controls
        meters = [
            Meter(
                f"{number} {stem}",
                levels[stem],
                peaks[stem],
                _remark(controls, stem),
                heard=controls.gain(stem) > 0 and not controls.bypassed,
                selected=stem == controls.selected,
            )
            for number, stem in enumerate(controls.stems, 1)
        ]
        remark = "bypass: the input" if controls.bypassed else ""
        return [*meters, Meter("  mix", levels["mix"], peaks["mix"], remark)]

    def _counters(self, now_s: float) -> list[Counter]:
        from rtsep.cli.screen import Counter

        counters = self._engine.counters
        late, xruns = counters.late_masks, sum(counters.xruns.values())
        nonfinite = counters.nonfinite_blocks
        shown = [
            Counter(
                f"late masks {late}{share_of_hops(late, counters.hops)}", late,
                self._late.update(late, now_s),
            ),
            Counter(f"xruns {xruns}", xruns, self._xruns.update(xruns, now_s)),
        ]  # fmt: skip
        if nonfinite:
            news = self._nonfinite.update(nonfinite, now_s)
            shown.append(Counter(f"invalid blocks {nonfinite}", nonfinite, news))
        return shown


class Quiet:
    """No output."""

    def start(self) -> None:
        """Nothing."""

    def refresh(self, now_s: float) -> None:
        """Nothing."""

    def toggle_freeze(self) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""


def _remark(controls: MixControls, stem: str) -> str:
    strip, gain = controls.strips[stem], controls.gain(stem)
    remarks = [f"{20 * math.log10(gain):+.1f} dB" if gain > 0 else "silent"]
    if strip.muted and not strip.mute_lifted:
        remarks = ["muted"]
    if strip.soloed:
        remarks.append("solo")
    return f"{' '.join(remarks):<13}"


# --- afterwards ---------------------------------------------------------------------------------


def summary(stats: dict) -> list[str]:
    """The lines to end with: what was played and measured, and what to change if it went badly.

    stats: as `--stats` writes them.
    """
    hops, late, deadline_ms = stats["hops"], stats["late_masks"], stats["deadline_ms"]
    xruns = {name: count for name, count in stats["xruns"].items() if count}
    described = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in xruns.items())
    callback, workers = stats["callback_ms"], stats["worker_ms"]
    block = f" of {stats['block_ms']:.1f} ms" if stats["block_ms"] else ""
    loads = ", ".join(
        f"{stem} {percent(ms['p50'] / deadline_ms)} (max {percent(ms['max'] / deadline_ms)})"
        for stem, ms in workers.items()
    )
    return [
        f"played   {clock(hops * HOP / SAMPLE_RATE)}, delayed by {_delay(stats)}",
        f"trouble  late masks {late}{share_of_hops(late, hops)}; xruns {described or 0}",
        f"callback median {callback['p50']:.2f} ms, p99 {callback['p99']:.2f}, max "
        f"{callback['max']:.2f}{block}",
        f"workers  {loads} of {deadline_ms:.1f} ms",
        *_clocks(stats),
        *_advice(stats),
    ]


def _delay(stats: dict) -> str:
    algorithm_ms = stats["latency_ms"]["algorithm"]
    devices_ms = stats["latency_ms"]["device_measured"]
    if devices_ms is None:
        return f"{algorithm_ms:.1f} ms (devices not counted)"
    return (
        f"{algorithm_ms + devices_ms:.1f} ms: {algorithm_ms:.1f} and the devices, by their own clocks, "
        f"{devices_ms:.1f}"
    )


def _clocks(stats: dict) -> list[str]:
    if "clock_drift_ppm" not in stats:
        return []
    drift = f"{stats['clock_drift_ppm']:+.0f} ppm"
    return [f"clocks   input and output have clocks of their own: drift {drift}"]


def _advice(stats: dict) -> list[str]:
    advice = [*_advice_on_workers(stats), *_advice_on_callback(stats)]
    if stats["nonfinite_blocks"]:
        advice.append(
            f"{stats['nonfinite_blocks']} blocks of input held NaN or infinity and were silenced: "
            "look at the program they come from"
        )
    return advice


def _advice_on_workers(stats: dict) -> list[str]:
    """Nets that are too slow: they want more time for a run, or fewer of them."""
    hops, late, deadline_ms = stats["hops"], stats["late_masks"], stats["deadline_ms"]
    load = max((ms["p99"] for ms in stats["worker_ms"].values()), default=0.0) / deadline_ms
    remedies = ["close other programs"]
    if len(stats["worker_ms"]) > 2:
        remedies.insert(0, "take a model of fewer stems (--model spleeter:2stems)")
    if longer := [plan.name for plan in PLANS.values() if plan.deadline_ms > deadline_ms]:
        remedies.insert(0, f"use a longer --latency ({', '.join(longer)})")
    remedy = " or ".join(remedies)
    if load >= TIGHT_LOAD:
        lead = f"late masks in {percent(late / hops)} of hops" if late else "no head-room"
        return [
            f"the machine is too slow for this plan: {lead}, workers at {percent(load)} of their "
            f"deadline; {remedy}"
        ]
    if late:
        return [
            f"late masks in {percent(late / hops)} of hops, although the nets keep up as a rule "
            f"({percent(load)} of their deadline): something held them up; {remedy}"
        ]
    return []


def _advice_on_callback(stats: dict) -> list[str]:
    """A callback that outlasts its block wants longer blocks; one that comes late, longer buffers."""
    block_ms, callback_ms = stats["block_ms"], stats["callback_ms"]["p99"]
    times = f"p99 {callback_ms:.1f} of {block_ms:.1f} ms"
    xruns = any(stats["xruns"].values())
    if block_ms and callback_ms >= TIGHT_LOAD * block_ms:
        lead = "the sound device ran dry or over" if xruns else "no head-room"
        # A hop's work is done in one block, however short; longer blocks than a hop gain nothing.
        remedy = (
            f"use a larger --blocksize ({HOP})"
            if block_ms < LONGEST_HELPFUL_BLOCK_MS
            else "take a model of fewer stems or close other programs"
        )
        return [f"the callback takes as long as its block lasts ({times}): {lead}; {remedy}"]
    if xruns:
        return [
            f"the sound device ran dry or over, although the callback has time to spare ({times}): "
            "something held it up; use more --device-latency (0.2) or close other programs"
        ]
    return []
