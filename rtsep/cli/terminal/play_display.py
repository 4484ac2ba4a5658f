"""What a person sees of rtsep-play: a live picture on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rtsep.cli.terminal.keys import help_line
from rtsep.cli.terminal.play_keys import PLAY_KEYS
from rtsep.cli.terminal.progress import clock
from rtsep.cli.terminal.spoken import SpokenPlay
from rtsep.cli.terminal.stream_status import PeakHold, RecentRise

if TYPE_CHECKING:
    from rich.console import Console

# The picture is drawn, and a plain line printed, at most this often.
REDRAW_S, LINE_S = 0.09, 5.0


class PlayDisplay(Protocol):
    """All methods are for the main thread."""

    def start(self) -> None:
        """Show what does not change."""
        ...

    def refresh(self, state: dict[str, Any], now_s: float) -> None:
        """Show a state, PlaySession's, if it is time to."""
        ...

    def stop(self) -> None:
        """Leave the terminal to others."""
        ...


def make_play_display(header: Sequence[str], *, quiet: bool, spoken: bool = False) -> PlayDisplay:
    """The display that fits; header: lines on what does not change."""
    if quiet:
        return QuietPlay()
    if spoken:
        return SpokenPlay(header)
    if sys.stderr is not None and sys.stderr.isatty():
        from rich.console import Console

        console = Console(stderr=True)
        if not console.is_dumb_terminal:
            return LivePlay(header, console)
    return PlainPlay(header)


class LivePlay:
    """Meters of the stems, position and loop, tempo and key; drawn again and again."""

    def __init__(self, header: Sequence[str], console: Console):
        from rich.live import Live

        from rtsep.cli.terminal.screen import Screen

        self._header, self._console = header, console
        self._screen = Screen(help_line=help_line(PLAY_KEYS))
        # No thread of rich's own; what others print to stderr appears above the picture.
        self._live = Live(
            self._screen, console=console, auto_refresh=False, transient=True,
            redirect_stdout=False, vertical_overflow="crop",
        )  # fmt: skip
        self._peaks = PeakHold()
        self._gaps = RecentRise()
        self._drawn_s = -math.inf

    def start(self) -> None:
        """Print the header, which stays, and begin to draw below it."""
        for line in self._header:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._live.start()

    def refresh(self, state: dict[str, Any], now_s: float) -> None:
        """Draw it; not too often."""
        if now_s - self._drawn_s < REDRAW_S:
            return
        from rtsep.cli.terminal.screen import Counter, Meter

        self._drawn_s = now_s
        levels = {stem["name"]: stem["level_dbfs"] for stem in state["stems"]}
        peaks = self._peaks.update({**levels, "mix": state["mix_dbfs"]}, now_s)
        self._screen.meters = [
            Meter(
                f"{number} {stem['name']}", stem["level_dbfs"], peaks[stem["name"]],
                f"{_remark(stem):<13}", heard=stem["heard"] and not state["bypass"],
                selected=stem["name"] == state["selected"],
            )
            for number, stem in enumerate(state["stems"], 1)
        ]  # fmt: skip
        remark = "bypass" if state["bypass"] else ""
        self._screen.meters.append(Meter("  mix", state["mix_dbfs"], peaks["mix"], remark))
        self._screen.status = status_line(state)
        gaps = state["underruns"] + state["xruns"]
        self._screen.counters = (
            [Counter(f"gaps {gaps}", gaps, self._gaps.update(gaps, now_s))] if gaps else []
        )
        self._live.refresh()

    def stop(self) -> None:
        """Remove the picture; the header stays."""
        self._live.stop()


class PlainPlay:
    """The header once, then a line now and then."""

    def __init__(self, header: Sequence[str]):
        self._header = header
        self._due_s: float | None = None

    def start(self) -> None:
        """Print the header."""
        for line in self._header:
            print(line, file=sys.stderr, flush=True)

    def refresh(self, state: dict[str, Any], now_s: float) -> None:
        """Print a line if the last one is LINE_S ago."""
        if self._due_s is None or now_s >= self._due_s:
            self._due_s = now_s + LINE_S
            print(status_line(state), file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Nothing was taken hold of."""


class QuietPlay:
    """No output."""

    def start(self) -> None:
        """Nothing."""

    def refresh(self, state: dict[str, Any], now_s: float) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""


def status_line(state: dict[str, Any]) -> str:
    """Song, position, and what differs from the song as it is, in one line."""
    doing = "waiting" if state["waiting"] else "" if state["playing"] else "paused"
    done_s = sum(end - begin for begin, end in state["done_s"])
    parts = [
        str(state["song"]),
        f"{clock(state['position_s'])} of {clock(state['duration_s'])}",
        doing,
    ]
    if state["duration_s"] and done_s < state["duration_s"] - 0.1:
        parts.append(f"separated {100 * done_s / state['duration_s']:.0f} %")
    if state["loop_s"]:
        parts.append("loop {:.1f}-{:.1f} s".format(*state["loop_s"]))
    elif state["loop_mark_s"] is not None:
        parts.append(f"loop from {state['loop_mark_s']:.1f} s")
    if state["tempo_percent"] != 100:
        parts.append(f"tempo {state['tempo_percent']:g} %")
    if state["key_semitones"]:
        parts.append(f"key {state['key_semitones']:+d}")
    if state["tuning_cents"]:
        parts.append(f"tuning {state['tuning_cents']:+g} cents")
    if state["count_in_beats"]:
        parts.append(f"count-in {state['count_in_beats']} at {state['count_in_bpm']:g}")
    return "  ".join(part for part in parts if part)


def _remark(stem: dict[str, Any]) -> str:
    remarks = ["muted"] if stem["muted"] else [f"{stem['gain_db']:+.1f} dB"]
    if stem["soloed"]:
        remarks.append("solo")
    return " ".join(remarks)
