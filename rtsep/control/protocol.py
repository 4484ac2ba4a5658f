"""The control protocol: its version, its commands, and how messages are read and written.

Everything that comes from outside goes through `read_command`, and nothing else knows what a message
looks like (docs/control.md). No command has a parameter that could name a file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from rtsep.errors import UsageError

VERSION = 1
# Where it is spoken unless something else is said.
LOOPBACK, DEFAULT_PORT, DEFAULT_OSC_PORT = "127.0.0.1", 8765, 8766
# Of a message that comes in, in bytes: a command takes some 60 of them.
LONGEST_MESSAGE = 4096
LONGEST_TEXT = 64
# What a client may call its command by, to know the reply again.
LARGEST_ID = 2**53

# How a server ends a connection, by WebSocket's codes for applications.
UNKNOWN_VERSION, WRONG_TOKEN, TOO_MANY_CLIENTS = 4400, 4401, 4503


@dataclass(frozen=True)
class Parameter:
    """What an argument may be. kind: "text", "switch", "number" or "whole", within lowest to highest."""

    kind: str
    lowest: float = 0.0
    highest: float = 0.0
    is_optional: bool = False

    def check(self, name: str, value: object) -> Any:
        """The value; raises UsageError in a line where it is none."""
        if self.kind == "text":
            if not isinstance(value, str) or not 0 < len(value) <= LONGEST_TEXT:
                raise UsageError(f"{name} must be a text of 1 to {LONGEST_TEXT} characters")
            return value
        if self.kind == "switch":
            if not isinstance(value, bool):
                raise UsageError(f"{name} must be true or false: got {shown(value)}")
            return value
        # True is an int in Python; a number of 400 digits is one in JSON, and no float.
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise UsageError(f"{name} must be a number: got {shown(value)}")
        if not self.lowest <= value <= self.highest or not math.isfinite(value):
            raise UsageError(
                f"{name} must lie within {self.lowest:g} to {self.highest:g}: got {shown(value)}"
            )
        if self.kind == "whole":
            if value != int(value):
                raise UsageError(f"{name} must be a whole number: got {shown(value)}")
            return int(value)
        return float(value)


_STEM = Parameter("text")
_SECONDS = Parameter("number", 0, 1e6)
# Without it the command turns on what is off, and off what is on: for keys and pedals.
_ON = Parameter("switch", is_optional=True)

# By command: its parameters. A program takes those that it has methods for (commands.py).
COMMANDS: Mapping[str, Mapping[str, Parameter]] = {
    "gain": {"stem": _STEM, "db": Parameter("number", -120, 60)},
    "trim": {"stem": _STEM, "db": Parameter("number", -180, 180)},
    "mute": {"stem": _STEM, "on": _ON},
    "solo": {"stem": _STEM, "on": _ON},
    "fade": {
        "stem": _STEM,
        "seconds": Parameter("number", 0, 60),
        "gain": Parameter("number", 0, 1, is_optional=True),
    },
    "bypass": {"on": _ON},
    "plan": {"name": Parameter("text")},
    "play": {"on": _ON},
    "seek": {"position_s": _SECONDS},
    "skip": {"seconds": Parameter("number", -1e6, 1e6)},
    "loop": {"start_s": _SECONDS, "end_s": _SECONDS},
    "mark_loop": {},
    "unloop": {},
    "tempo": {"percent": Parameter("number", 50, 150)},
    "key": {"semitones": Parameter("whole", -6, 6)},
    "tuning": {"cents": Parameter("number", -100, 100)},
    "count_in": {
        "beats": Parameter("whole", 0, 64),
        "bpm": Parameter("number", 10, 500, is_optional=True),
    },
    "song": {"number": Parameter("whole", 1, 1e6)},
}


@dataclass(frozen=True)
class Command:
    """A command with its arguments, as `COMMANDS` has them."""

    name: str
    arguments: Mapping[str, Any]


def make_command(name: str, /, **arguments: object) -> Command:
    """A command from within the program; raises UsageError as for one from outside."""
    return _command(name, arguments)


def read_command(text: str) -> tuple[Command, int | None]:
    """A command from a client's message, and what the client calls it by, if it does.

    Raises
    ------
    RefusedMessage
        With a line that says why, for whatever is no command of this version.
    """
    try:
        message = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise RefusedMessage("a message must be one JSON object") from None
    if not isinstance(message, dict):
        raise RefusedMessage(f"a message must be one JSON object: got {shown(message)}")
    number = message.pop("id", None)
    if number is not None and (type(number) is not int or not 0 <= number <= LARGEST_ID):
        raise RefusedMessage(f"id must be a whole number of at least 0: got {shown(number)}")
    try:
        version = message.pop("protocol", VERSION)
        if type(version) is not int or version != VERSION:
            raise UsageError(f"protocol {shown(version)} is unknown: this is {VERSION}")
        name = message.pop("do", None)
        if not isinstance(name, str):
            raise UsageError('a message must say what to "do"')
        return _command(name, message), number
    except UsageError as error:
        raise RefusedMessage(str(error), number) from None


class RefusedMessage(UsageError):
    """A message that is no command. number: what the client calls it by, where that could be read."""

    def __init__(self, why: str, number: int | None = None):
        super().__init__(why)
        self.number = number


def _command(name: str, given: Mapping[str, object]) -> Command:
    parameters = COMMANDS.get(name)
    if parameters is None:
        raise UsageError(f"unknown command {shown(name)}: choose from {', '.join(COMMANDS)}")
    for argument in given:
        if argument not in parameters:
            raise UsageError(
                f"{name} takes {', '.join(parameters) or 'no argument'}: got {shown(argument)}"
            )
    for argument, parameter in parameters.items():
        if argument not in given and not parameter.is_optional:
            raise UsageError(f"{name} needs {argument}")
    checked = {
        argument: parameters[argument].check(f"{name}: {argument}", value)
        for argument, value in given.items()
    }
    return Command(name, checked)


def hello(program: str, release: str, commands: Sequence[str]) -> str:
    """The first message to a client: with whom it speaks, and what that takes."""
    return to_text(
        {
            "type": "hello", "protocol": VERSION, "program": program, "release": release,
            "commands": list(commands),
        }
    )  # fmt: skip


def state_message(state: Mapping[str, Any]) -> str:
    """The state of now, to all clients."""
    return to_text({"type": "state", **state})


def reply(number: int | None, why_refused: str | None) -> str:
    """What became of a command, to the client that sent it."""
    if why_refused is None:
        return to_text({"type": "done", "id": number})
    return to_text({"type": "refused", "id": number, "why": why_refused})


def to_text(message: Mapping[str, Any]) -> str:
    """A message in one line of JSON."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False)


def shown(value: object) -> str:
    """A value from outside, in a few characters that are safe to print."""
    try:
        text = json.dumps(value)
    except ValueError:  # a number of thousands of digits
        text = "a long number"
    return text if len(text) <= 40 else text[:37] + "..."


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
