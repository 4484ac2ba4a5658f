"""What a person sees of a running stream: a live picture, plain lines, spoken changes, or nothing.

All of it goes to stderr, and is driven by the main thread's loop.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from rtsep.cli.terminal.keys import help_line
from rtsep.cli.terminal.plain_status import PlainStatus
from rtsep.cli.terminal.progress import clock
from rtsep.cli.terminal.spoken import SpokenStatus
from rtsep.cli.terminal.stream_status import (
    LoadReader,
    PeakHold,
    RecentRise,
    lost_samples,
    not_recorded,
    share_of_hops,
)

if TYPE_CHECKING:
    from rich.console import Console

    from rtsep.cli.terminal.screen import Counter, Meter
    from rtsep.live.live_engine import LiveEngine
    from rtsep.live.mixer import MixControls
    from rtsep.live.recorder import Recorder

# The picture is drawn at most this often, however often `refresh` is called.
REDRAW_S = 0.09


class Display(Protocol):
    """All methods are for the main thread."""

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
    engine: LiveEngine,
    controls: MixControls,
    header: Sequence[str],
    *,
    quiet: bool,
    spoken: bool = False,
    recorder: Recorder | None = None,
) -> Display:
    """The display that fits: the live picture on a terminal, plain lines elsewhere, or changes spoken.

    header: lines on what does not change (devices, plan, latency).
    """
    if quiet:
        return Quiet()
    if spoken:
        return SpokenStatus(engine, controls, header, recorder)
    if sys.stderr is not None and sys.stderr.isatty():
        from rich.console import Console

        console = Console(stderr=True)
        if not console.is_dumb_terminal:
            return LiveDisplay(engine, controls, header, console, recorder)
    return PlainStatus(engine, header, recorder=recorder)


class LiveDisplay:
    """Meters, loads and counters, drawn again and again below the header."""

    def __init__(
        self,
        engine: LiveEngine,
        controls: MixControls,
        header: Sequence[str],
        console: Console | None = None,
        recorder: Recorder | None = None,
    ):
        from rich.console import Console
        from rich.live import Live

        from rtsep.cli.terminal.screen import Screen

        self._engine, self._controls, self._header = engine, controls, header
        self._recorder = recorder
        self._console = console or Console(stderr=True)
        self._screen = Screen(help_line=help_line())
        # No thread of rich's own; what others print to stderr appears above the picture.
        self._live = Live(
            self._screen, console=self._console, auto_refresh=False, transient=True,
            redirect_stdout=False, vertical_overflow="crop",
        )  # fmt: skip
        self._loads = LoadReader(engine)
        self._peaks = PeakHold()
        self._late, self._xruns, self._bad = RecentRise(), RecentRise(), RecentRise()
        self._lost = RecentRise()
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
        from rtsep.cli.terminal.screen import Meter

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
        from rtsep.cli.terminal.screen import Counter

        counters = self._engine.counters
        late, xruns = counters.late_masks, sum(counters.xruns.values())
        bad = counters.bad_samples
        shown = [
            Counter(
                f"late masks {late}{share_of_hops(late, counters.hops)}", late,
                self._late.update(late, now_s),
            ),
            Counter(f"xruns {xruns}", xruns, self._xruns.update(xruns, now_s)),
        ]  # fmt: skip
        if bad:
            shown.append(Counter(f"bad samples {bad}", bad, self._bad.update(bad, now_s)))
        lost = lost_samples(self._recorder)
        if lost:
            shown.append(Counter(not_recorded(lost), lost, self._lost.update(lost, now_s)))
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
