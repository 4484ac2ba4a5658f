"""Commands as OSC and MIDI maps write them: a path and values, as in `vocals/gain -6` or `tempo 80`.

All of it follows from protocol.COMMANDS: a command with a stem stands behind that stem's name, and its
other arguments are the values, in their order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rtsep.control.protocol import (
    COMMANDS,
    Command,
    Parameter,
    make_command,
    shown,
)
from rtsep.errors import UsageError

_STEM = "stem"
# Where the state tells at what a command's only value stands. The other members keep their names.
STANDS_AT = {
    "gain": "gain_db", "mute": "muted", "solo": "soloed", "bypass": "bypass", "play": "playing",
    "seek": "position_s", "tempo": "tempo_percent", "key": "key_semitones", "tuning": "tuning_cents",
    "song": "song_number", "plan": "plan_choice",
}  # fmt: skip
_COMMAND_AT = {member: name for name, member in STANDS_AT.items()}
_SWITCHES = {"1": True, "on": True, "true": True, "0": False, "off": False, "false": False}


def values_of(name: str) -> dict[str, Parameter]:
    """The parameters of a command that are values: all but the stem."""
    return {key: value for key, value in COMMANDS[name].items() if key != _STEM}


def split_path(path: str) -> tuple[str | None, str]:
    """The stem, where there is one, and the command's name; raises UsageError where it is no path."""
    stem, separator, name = path.rpartition("/")
    if name in COMMANDS and bool(separator) == (_STEM in COMMANDS[name]) and "/" not in stem:
        return (stem if separator else None), name
    paths = ", ".join(f"STEM/{key}" if _STEM in COMMANDS[key] else key for key in COMMANDS)
    raise UsageError(f"unknown command {shown(path)}: choose from {paths}")


def command_at(path: str, values: Sequence[object]) -> Command:
    """The command of a path with values, as numbers and truth values; raises UsageError.

    0 and 1 stand for a switch's off and on.
    """
    stem, name = split_path(path)
    parameters = values_of(name)
    if len(values) > len(parameters):
        takes = ", ".join(parameters) or "no value"
        raise UsageError(f"{path} takes {takes}: got {len(values)} values")
    arguments: dict[str, object] = {} if stem is None else {_STEM: stem}
    for (key, parameter), value in zip(parameters.items(), values):
        arguments[key] = bool(value) if parameter.kind == "switch" and value in (0, 1) else value
    return make_command(name, **arguments)


def read_words(text: str) -> tuple[str, list[object]]:
    """A path and its values, as a person writes them; raises UsageError where a value is none."""
    path, *words = text.split() or [""]
    _, name = split_path(path)
    values: list[object] = []
    for word, parameter in zip(words, values_of(name).values()):
        if parameter.kind == "text":
            values.append(word)
        elif parameter.kind == "switch":
            values.append(_SWITCHES.get(word.lower(), word))
        else:
            try:
                values.append(float(word))
            except ValueError:
                raise UsageError(f"{path}: a value must be a number: got {shown(word)}") from None
    return path, [*values, *words[len(values) :]]


def state_values(state: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """All of a state by paths: those of commands, where they can be set, else the state's names."""
    found: dict[str, tuple[Any, ...]] = {}
    for member, value in state.items():
        if member == "stems":
            for stem in value:
                found |= _members(f"{stem['name']}/", stem, f"{stem['name']}/")
        elif isinstance(value, Mapping):
            found |= _members(f"{member}/", value, "")
        elif member != "type":
            found |= _members("", {member: value}, "")
    return found


def _members(before: str, values: Mapping[str, Any], commands: str) -> dict[str, tuple[Any, ...]]:
    """before, commands: what paths of members and of commands begin with."""
    return {
        f"{commands}{_COMMAND_AT[key]}" if key in _COMMAND_AT else f"{before}{key}": _flat(value)
        for key, value in values.items()
        if key != "name"
    }


def _flat(value: object) -> tuple[Any, ...]:
    """A value, those of a list, or of lists in a list; none for None."""
    if isinstance(value, (list, tuple)):
        return tuple(part for item in value for part in _flat(item))
    return () if value is None else (value,)
