"""The MIDI devices there are, and the one that was asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from rtsep.control.midi.jack_midi import JackMidi
from rtsep.control.midi.system_midi import SystemMidi
from rtsep.errors import RtsepError

# What passes on what programs send is nobody's controller.
_NO_DEVICE = "through"


class Connection(Protocol):
    """A device that is heard."""

    def is_there(self) -> bool:
        """Whether it still is."""
        ...

    def close(self) -> None:
        """Hear it no longer."""
        ...


class MidiSystem(Protocol):
    """Where devices are: jack_midi.py, system_midi.py. label: its name."""

    label: str

    def names(self) -> Mapping[str, str]:
        """By name the words in which it is looked for; raises RtsepError without such a system."""
        ...

    def open(self, name: str, on_message: Callable[[bytes], None]) -> Connection:
        """Hear a device; raises RtsepError."""
        ...

    def close(self) -> None:
        """Ask no longer."""
        ...


def all_systems() -> list[MidiSystem]:
    """Those to ask, in this order."""
    # JACK's graph thread is entered as Linux and macOS have it.
    return [SystemMidi()] if sys.platform == "win32" else [SystemMidi(), JackMidi()]


def list_inputs() -> str:
    """All devices, a line each. Raises RtsepError where no system can be asked."""
    systems = all_systems()
    try:
        found = find_names(systems)
    finally:
        for system in systems:
            system.close()
    return "\n".join(f"{system.label:<9} {words}" for system, _, words in found) or "no MIDI device"


def find_names(systems: Sequence[MidiSystem]) -> list[tuple[MidiSystem, str, str]]:
    """All devices: system, name and words for each. Raises RtsepError if no system answers."""
    found, complaints = [], []
    for system in systems:
        try:
            found += [(system, name, words) for name, words in system.names().items()]
        except RtsepError as error:
            complaints.append(str(error))
    if len(complaints) == len(systems):
        raise RtsepError("; ".join(complaints))
    return found


class Device:
    """The device that was asked for: taken when it is there, and again when it is back.

    Parameters
    ----------
    wanted : str
        Part of its name; nothing for the first device.
    on_message : callable
        Gets the bytes of each message, from some thread.
    say : callable
        Tells the person a line.
    """

    def __init__(
        self, wanted: str, on_message: Callable[[bytes], None], say: Callable[[str], None],
        systems: Sequence[MidiSystem] | None = None,
    ):  # fmt: skip
        self._wanted, self._on_message, self._say = wanted, on_message, say
        self._systems = all_systems() if systems is None else systems
        self._connection: Connection | None = None
        self._name = ""

    def begin(self) -> str:
        """Look for it; returns a line on what was found. Raises RtsepError where nothing can be."""
        found = find_names(self._systems)
        if self._take(found):
            return f"midi {self._name}"
        there = ", ".join(name for _, name, _ in found) or "none"
        wanted = f"{self._wanted!r}" if self._wanted else "device"
        return f"midi waits for {wanted}: there is no such device yet (there: {there})"

    def look(self) -> None:
        """Look whether it is still there, or back; call it about once a second."""
        try:
            if self._connection is None:
                if self._take(find_names(self._systems)):
                    self._say(f"midi: {self._name} is there")
            elif not self._connection.is_there():
                self._connection.close()
                self._connection = None
                self._say(
                    f"midi: {self._name} has gone: the sound goes on, and it is taken when it is back"
                )
        except RtsepError:  # a server that is away may come back, too
            return

    def close(self) -> None:
        """Hear nothing any longer."""
        if self._connection is not None:
            self._connection.close()
        for system in self._systems:
            system.close()

    def _take(self, found: Sequence[tuple[MidiSystem, str, str]]) -> bool:
        """Hear the best of what was found, if one fits."""
        wanted = self._wanted.lower()
        fitting = [
            (system, name)
            for system, name, words in found
            if (wanted in words.lower() if wanted else _NO_DEVICE not in words.lower())
        ]
        # One of just that name goes before others that it is a part of.
        fitting.sort(key=lambda one: one[1].lower() != wanted)
        for system, name in fitting[:1]:
            self._connection = system.open(name, self._on_message)
            self._name = f"{system.label} {name}"
        return bool(fitting)
