"""What changes, in lines that a screen reader speaks: nothing is drawn twice, and nothing moves.

A fader on its way, or a key held down, is spoken once it stands.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rtsep.cli.terminal.progress import clock
from rtsep.cli.terminal.stream_status import RECENT_S, lost_samples, not_recorded

if TYPE_CHECKING:
    from rtsep.live.live_engine import LiveEngine
    from rtsep.live.mixer import MixControls
    from rtsep.live.recorder import Recorder

# So long must a value stand before it is spoken.
SETTLED_S = 0.25


def add_screen_reader(parser: argparse._ActionsContainer) -> None:
    """Add `--screen-reader`."""
    parser.add_argument(
        "--screen-reader", action="store_true",
        help="in place of the display: a line for each change, to be spoken",
    )  # fmt: skip


def say_line(line: str) -> None:
    """Print a line for the screen reader."""
    print(line, file=sys.stderr, flush=True)


class Changes:
    """Says what has changed from one look to the next. say: takes a line."""

    def __init__(self, say: Callable[[str], None] = say_line):
        self._say = say
        self._said: dict[str, Any] = {}
        # By topic: the value that is not said yet, and since when it has stood.
        self._pending: dict[str, tuple[Any, float]] = {}

    def look(self, topics: Mapping[str, tuple[Any, str]], now_s: float) -> None:
        """Take the value of each topic, and the words for it; what is new at first is not said."""
        for topic, (value, words) in topics.items():
            if self._said.setdefault(topic, value) == value:
                self._pending.pop(topic, None)
                continue
            pending, since_s = self._pending.get(topic, (None, now_s))
            if pending != value or topic not in self._pending:
                self._pending[topic] = value, now_s
            elif now_s - since_s >= SETTLED_S:
                self._said[topic] = value
                del self._pending[topic]
                self._say(words)


class Warnings:
    """Says counters that have gone up: at once, and then what they stand at every RECENT_S."""

    def __init__(self, say: Callable[[str], None] = say_line):
        self._say = say
        self._said: dict[str, int] = {}
        self._due_s: dict[str, float] = {}

    def look(self, counts: Mapping[str, int], now_s: float) -> None:
        """Take each counter, by its words."""
        for words, count in counts.items():
            if count > self._said.get(words, 0) and now_s >= self._due_s.get(words, now_s):
                self._said[words] = count
                self._due_s[words] = now_s + RECENT_S
                self._say(f"warning: {words} {count}")


class SpokenStatus:
    """The display of rtsep-monitor in lines; see Display of display.py."""

    def __init__(
        self,
        engine: LiveEngine,
        controls: MixControls,
        header: Sequence[str],
        recorder: Recorder | None = None,
    ):
        self._engine, self._controls, self._header = engine, controls, header
        self._recorder = recorder
        self._changes, self._warnings = Changes(), Warnings()

    def start(self) -> None:
        """Print the header, and what to press."""
        for line in self._header:
            say_line(line)
        say_line("space says how things stand, q ends")

    def refresh(self, now_s: float) -> None:
        """Say what has changed."""
        controls, counters = self._controls, self._engine.counters
        topics = mix_topics(controls.stem_states(), controls.selected, controls.bypassed)
        self._changes.look(topics, now_s)
        counts = {
            "late masks": counters.late_masks,
            "xruns": sum(counters.xruns.values()),
            "bad samples": counters.bad_samples,
            "samples not recorded": lost_samples(self._recorder),
        }
        self._warnings.look(counts, now_s)

    def toggle_freeze(self) -> None:
        """Nothing moves that could stand still: say how things stand."""
        engine, counters = self._engine, self._engine.counters
        lost = lost_samples(self._recorder)
        parts = [
            clock(engine.played_s),
            "bypass, the input is heard" if self._controls.bypassed else "",
            *(stem_words(stem) for stem in self._controls.stem_states()),
            f"{self._controls.selected} selected",
            f"plan {engine.plan.name}",
            f"late masks {counters.late_masks}",
            f"xruns {sum(counters.xruns.values())}",
            not_recorded(lost) if lost else "",
        ]
        say_line("; ".join(part for part in parts if part))

    def stop(self) -> None:
        """Nothing was taken hold of."""


class SpokenPlay:
    """The display of rtsep-play in lines; see PlayDisplay of play_display.py."""

    def __init__(self, header: Sequence[str]):
        self._header = header
        self._changes, self._warnings = Changes(), Warnings()

    def start(self) -> None:
        """Print the header, and what to press."""
        for line in self._header:
            say_line(line)
        say_line("w says where the song is, space pauses, q ends")

    def refresh(self, state: dict[str, Any], now_s: float) -> None:
        """Say what has changed in a state, PlaySession's."""
        position = clock(state["position_s"])
        loop, mark = state["loop_s"], state["loop_mark_s"]
        looped = "no loop"
        if loop:
            looped = "loop from {:.1f} to {:.1f} seconds".format(*loop)
        elif mark is not None:
            looped = f"loop begins at {mark:.1f} seconds"
        beats = state["count_in_beats"]
        topics = {
            "song": (state["song"], f"{state['song']}, {clock(state['duration_s'])}"),
            "playing": (
                state["playing"], f"{'playing from' if state['playing'] else 'paused at'} {position}"
            ),
            "loop": ((loop, mark), looped),
            "tempo": (state["tempo_percent"], f"tempo {state['tempo_percent']:g} per cent"),
            "key": (state["key_semitones"], f"key {state['key_semitones']:+d}"),
            "tuning": (state["tuning_cents"], f"tuning {state['tuning_cents']:+g} cents"),
            "count-in": (beats, f"count-in of {beats} beats" if beats else "no count-in"),
            **mix_topics(state["stems"], state["selected"], state["bypass"]),
        }  # fmt: skip
        self._changes.look(topics, now_s)
        self._warnings.look({"gaps": state["underruns"] + state["xruns"]}, now_s)

    def stop(self) -> None:
        """Nothing was taken hold of."""


def mix_topics(
    stems: Sequence[Mapping[str, Any]], selected: str, bypassed: bool
) -> dict[str, tuple[Any, str]]:
    """What a mixer's stem_states, its selection and bypass are to Changes."""
    topics: dict[str, tuple[Any, str]] = {
        "selected": (selected, f"{selected} selected"),
        "bypass": (
            bypassed, "bypass, the input is heard" if bypassed else "no bypass, the mix is heard"
        ),
    }  # fmt: skip
    for stem in stems:
        name, fader = stem["name"], stem["fading_to"]
        faded = f"to {100 * fader:.0f} per cent" if 0 < fader < 1 else "in" if fader else "out"
        topics |= {
            f"{name} muted": (stem["muted"], f"{name} {'muted' if stem['muted'] else 'not muted'}"),
            f"{name} solo": (stem["soloed"], f"{name} {'solo' if stem['soloed'] else 'not solo'}"),
            f"{name} gain": (stem["gain_db"], f"{name} {stem['gain_db']:+.1f} dB"),
            f"{name} fader": (fader, f"{name} faded {faded}"),
        }
    return topics


def stem_words(stem: Mapping[str, Any]) -> str:
    """All about a stem's place on the mixer; stem: one of stem_states."""
    parts = [
        stem["name"],
        "muted" if stem["muted"] else f"{stem['gain_db']:+.1f} dB",
        "solo" if stem["soloed"] else "",
        "faded out" if not stem["muted"] and stem["fading_to"] == 0 else "",
    ]
    return " ".join(part for part in parts if part)
