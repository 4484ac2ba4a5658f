"""Learning: the control that is touched next is for the command that was named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rtsep.control.midi.events import Event
from rtsep.control.midi.midi_map import (
    CONTROL_CHANGE,
    FADER,
    MODES,
    SWITCH,
    TOGGLE,
    MidiControl,
    add_to_map,
    check_does,
)
from rtsep.errors import RtsepError, UsageError


def read_wanted(text: str) -> tuple[str, str]:
    """What a control is to do, and the mode behind it if there is one: ``vocals/mute momentary``.

    Raises UsageError where it is impossible.
    """
    does, _, mode = text.strip().rpartition(" ")
    if mode not in MODES:
        does, mode = text, TOGGLE
    elif check_does(does) != SWITCH:
        raise UsageError(f"{mode} is for a switch: {does} is none")
    check_does(does)
    return does, mode


class Learning:
    """The commands that wait for a control, one after the other.

    Parameters
    ----------
    wanted : sequence of str
        What `read_wanted` reads.
    path : Path
        The file of the map, to which each is added.
    say : callable
        Tells the person a line.
    """

    def __init__(self, wanted: Sequence[str], path: Path, say: Callable[[str], None]):
        self._wanted, self._path, self._say = [read_wanted(text) for text in wanted], path, say
        # A fader still moves as the next command's turn comes.
        self._learned: tuple[str, int, int] | None = None

    def prompt(self) -> str | None:
        """What to do next; None where nothing is left."""
        if not self._wanted:
            return None
        does, _ = self._wanted[0]
        kind = "fader or knob" if check_does(does) == FADER else "button or pedal"
        return f"midi: touch the {kind} for {does}"

    def take(self, event: Event) -> MidiControl | None:
        """What is learned from a touch; None where it is no news."""
        touched = event.kind, event.number, event.channel
        if not self._wanted or touched == self._learned or not event.position:
            return None
        does, mode = self._wanted[0]
        if check_does(does) == FADER and event.kind != CONTROL_CHANGE:
            return None
        control = MidiControl(*touched, does, mode)
        del self._wanted[0]
        self._learned = touched
        try:
            add_to_map(self._path, control)
            kept = f"kept in {self._path}"
        except RtsepError as error:
            kept = f"for this time only: {error}"
        self._say(f"midi: {control.describe()} is {does}, {kept}")
        if (prompt := self.prompt()) is not None:
            self._say(prompt)
        return control

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to learn."""
        return not self._wanted
