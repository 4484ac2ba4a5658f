"""From a control that was moved to the command that it stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from rtsep.control.command_path import (
    command_at,
    read_words,
    split_path,
    state_values,
    values_of,
)
from rtsep.control.midi.events import HIGHEST, Event
from rtsep.control.midi.midi_map import FADER, MOMENTARY, PROGRAM_CHANGE, SWITCH, MidiControl
from rtsep.control.midi.pickup import Pickup, Scale
from rtsep.control.protocol import Command

# Values in the midst of their range that a fader has to be able to find.
_NEUTRAL = {"gain": 0.0, "tempo": 100.0, "key": 0.0, "tuning": 0.0}


class State(NamedTuple):
    """The program's state. is_new: whether it was asked for just now."""

    state: Mapping[str, Any]
    is_new: bool


class Actions:
    """What the controls of a device do.

    Parameters
    ----------
    controls : iterable of MidiControl
        Of several for one control the last counts.
    commands : sequence of str
        Those that the program takes; controls of others are for other programs.
    ask : callable
        The program's state, for faders; None where it does not come.
    say : callable
        Tells the person a line.
    """

    def __init__(
        self, controls: Iterable[MidiControl], commands: Sequence[str],
        ask: Callable[[], State | None], say: Callable[[str], None],
    ):  # fmt: skip
        self._commands, self._ask, self._say = commands, ask, say
        self._actions: dict[tuple[str, int, int | None], _Action] = {}
        for control in controls:
            self.add(control)

    def add(self, control: MidiControl) -> None:
        """Let a control do something from now on."""
        action = _Action(control)
        if action.name in self._commands:
            self._actions[control.kind, control.number, control.channel] = action

    def is_fader(self, event: Event) -> bool:
        """Whether of several events of this control the last one tells all."""
        action = self._action(event)
        return action is not None and action.control.form == FADER

    def take(self, event: Event) -> Command | None:
        """The command that follows from an event, if one does."""
        action = self._action(event)
        if action is None:
            return None
        if action.control.form == FADER:
            return self._move(action, event.position)
        was_pressed, action.is_pressed = action.is_pressed, event.is_pressed
        if event.kind == PROGRAM_CHANGE:  # a press without an end
            action.is_pressed = False
        elif event.is_pressed == was_pressed:
            return None
        if action.control.form == SWITCH and action.control.mode == MOMENTARY:
            return command_at(action.path, [*action.values, event.is_pressed])
        return command_at(action.path, action.values) if event.is_pressed else None

    def _action(self, event: Event) -> _Action | None:
        for channel in (event.channel, None):
            found = self._actions.get((event.kind, event.number, channel))
            if found is not None:
                return found
        return None

    def _move(self, action: _Action, position: int) -> Command | None:
        told = self._ask()
        values = state_values(told.state) if told else {}
        stands_at = values.get(action.path, ())
        scale = action.scale(values)
        if scale is None:
            # Of a stem that is not there: the program says so.
            return command_at(action.path, [0])
        if action.control.pickup:
            stands = scale.position(stands_at[0]) if stands_at else None
            is_new = told is not None and told.is_new
            if not action.pickup.moves(position, stands, scale.near, is_new):
                if stands_at and not action.was_told:
                    action.was_told = True
                    self._say(
                        f"midi: {action.path} stands at {stands_at[0]:g}: the control takes over as"
                        f" it comes by, at position {stands:.0f} of {HIGHEST}"
                    )
                return None
        return command_at(action.path, [scale.value(position)])


class _Action:
    """A control, its command, and how it stands."""

    def __init__(self, control: MidiControl):
        self.control = control
        self.path, self.values = read_words(control.does)
        _, self.name = split_path(self.path)
        self.is_pressed = False
        self.pickup = Pickup()
        # Whether the person knows that it does not take over at once.
        self.was_told = False

    def scale(self, values: Mapping[str, tuple[Any, ...]]) -> Scale | None:
        """Its values, as a state's values are; None where the state has no such thing."""
        (parameter,) = values_of(self.name).values()
        ends: tuple[Any, ...] = (parameter.lowest, parameter.highest)
        if self.control.ends is not None:
            ends = self.control.ends
        elif self.name == "gain":
            ends = values.get("gain_range_db", ends)
        elif self.name == "seek":
            ends = (0.0, max(1.0, *values.get("transport/duration_s", (0.0,))))
        elif self.name == "song":
            ends = (1, max(2, *values.get("transport/songs", (0,))))
        if values and self.path not in values:
            return None
        return Scale(ends[0], ends[1], parameter.kind == "whole", _NEUTRAL.get(self.name))
