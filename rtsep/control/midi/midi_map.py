"""What each control of a MIDI device does, and the file that says so.

    [[control]]
    control-change = 7            # or note, or program-change: its number
    channel = 1                   # 1 to 16; any, where it is left out
    does = "vocals/gain"          # as in OSC (command_path.py), with values if need be: "skip -5"
    mode = "toggle"               # of a switch: toggle at each press, or momentary: on while it is held
    from = -30                    # of a fader: the values at its ends
    to = 0
    pickup = false                # of a fader: takes over at once, wherever it stands

Of two for the same control the later one counts: learning adds to the end, and leaves the rest as it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtsep.control.command_path import STANDS_AT, command_at, read_words, split_path, values_of
from rtsep.control.protocol import shown
from rtsep.errors import RtsepError, UsageError, one_line

CONTROL_CHANGE, NOTE, PROGRAM_CHANGE = KINDS = ("control-change", "note", "program-change")
TOGGLE, MOMENTARY = MODES = ("toggle", "momentary")
FADER, SWITCH, PRESS = "fader", "switch", "press"
_TABLE = "control"
_HEAD = (
    "# What MIDI controls do in rtsep: docs/osc-and-midi.md. What is learned is added at the end.\n"
)


@dataclass(frozen=True)
class MidiControl:
    """A fader, knob, button or pedal, and what it does.

    Attributes
    ----------
    kind : str
        One of KINDS, what it sends.
    number : int
        0 to 127.
    channel : int or None
        1 to 16; None for any.
    does : str
        A path and values.
    mode : str
        One of MODES, for a switch.
    ends : tuple of float or None
        Of a fader, its values at position 0 and 127; None for all that there is.
    pickup : bool
        Whether a fader waits until it stands where its value does.
    """

    kind: str
    number: int
    channel: int | None
    does: str
    mode: str = TOGGLE
    ends: tuple[float, float] | None = None
    pickup: bool = True

    @property
    def form(self) -> str:
        """FADER, SWITCH or PRESS: what becomes of its value."""
        return check_does(self.does)

    def describe(self) -> str:
        """Which control it is, in words."""
        where = "" if self.channel is None else f", channel {self.channel}"
        return f"{self.kind.replace('-', ' ')} {self.number}{where}"

    def to_table(self) -> dict[str, Any]:
        """Its table in the file; `read_control` is the inverse."""
        table: dict[str, Any] = {self.kind: self.number}
        if self.channel is not None:
            table["channel"] = self.channel
        table["does"] = self.does
        if self.form == SWITCH:
            table["mode"] = self.mode
        if self.ends is not None:
            table["from"], table["to"] = self.ends
        if not self.pickup:
            table["pickup"] = False
        return table


def check_does(does: str) -> str:
    """FADER, SWITCH or PRESS, whichever a command's control is; raises UsageError where it is none.

    A fader is what sets the one value of the state that the command leaves open, a switch what turns on
    and off.
    """
    path, values = read_words(does)
    _, name = split_path(path)
    left = list(values_of(name).values())[len(values) :]
    if left and left[0].kind == "switch":
        command_at(path, values)
        return SWITCH
    if left and left[0].kind != "text" and not left[0].is_optional and name in STANDS_AT:
        return FADER
    command_at(path, values)
    return PRESS


def read_control(table: Mapping[str, Any]) -> MidiControl:
    """A control from its table; raises UsageError in a line."""
    known = {*KINDS, "channel", "does", "mode", "from", "to", "pickup"}
    for key in table:
        if key not in known:
            raise UsageError(f"unknown {shown(key)}: choose from {', '.join(sorted(known))}")
    kinds = [kind for kind in KINDS if kind in table]
    if len(kinds) != 1:
        raise UsageError(f"give one of {', '.join(KINDS)}")
    (kind,) = kinds
    does = table.get("does")
    if not isinstance(does, str):
        raise UsageError('say what it does, such as does = "vocals/gain"')
    form = check_does(does)
    if form == FADER and kind != CONTROL_CHANGE:
        raise UsageError(
            f"{does} needs a fader or a knob, which sends {CONTROL_CHANGE}: got {kind}"
        )
    for key, one in (("mode", SWITCH), ("from", FADER), ("to", FADER), ("pickup", FADER)):
        if key in table and form != one:
            raise UsageError(f"{key} is for a {one}: {does} is none")
    if ("from" in table) != ("to" in table):
        raise UsageError("give both from and to")
    mode, pickup = table.get("mode", TOGGLE), table.get("pickup", True)
    if mode not in MODES:
        raise UsageError(f"mode must be {' or '.join(MODES)}: got {shown(mode)}")
    if not isinstance(pickup, bool):
        raise UsageError(f"pickup must be true or false: got {shown(pickup)}")
    ends = (_end(table, "from"), _end(table, "to")) if "from" in table else None
    if ends is not None and ends[0] == ends[1]:
        raise UsageError("from and to must differ")
    channel = _whole(table, "channel", 1, 16) if "channel" in table else None
    return MidiControl(kind, _whole(table, kind, 0, 127), channel, does, mode, ends, pickup)


def read_map(path: Path, is_wanted: bool = False) -> list[MidiControl]:
    """The controls of a file; none where there is no file.

    Raises UsageError for what is wrong in it, and where it is missing although it `is_wanted`.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        content = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        if is_wanted:
            raise UsageError(f"{path}: there is no such map of MIDI controls") from None
        return []
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is no TOML: {one_line(error)}") from error
    tables = content.get(_TABLE, [])
    if set(content) - {_TABLE} or not isinstance(tables, list):
        raise UsageError(f"{path}: must have nothing but tables [[{_TABLE}]]")
    controls = []
    for number, table in enumerate(tables, 1):
        try:
            if not isinstance(table, dict):
                raise UsageError("must be a table")
            controls.append(read_control(table))
        except UsageError as error:
            raise UsageError(f"{path}: [[{_TABLE}]] {number}: {error}") from None
    return controls


def add_to_map(path: Path, control: MidiControl) -> None:
    """Write a control behind those of a file, which is replaced as a whole. Raises RtsepError."""
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in control.to_table().items()]
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text(encoding="utf-8-sig") if path.exists() else _HEAD
        if not before.endswith("\n"):
            before += "\n"
        temporary.write_text(f"{before}\n[[{_TABLE}]]\n{''.join(lines)}", encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise RtsepError(f"cannot write {path}: {error.strerror or error}") from error


def _whole(table: Mapping[str, Any], key: str, lowest: int, highest: int) -> int:
    value = table[key]
    if type(value) is not int or not lowest <= value <= highest:
        raise UsageError(f"{key} must be {lowest} to {highest}: got {shown(value)}")
    return value


def _end(table: Mapping[str, Any], key: str) -> float:
    _, name = split_path(read_words(table["does"])[0])
    (parameter,) = values_of(name).values()
    return float(parameter.check(key, table[key]))
