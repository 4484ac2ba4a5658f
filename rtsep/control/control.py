"""The control as a program holds it: processes beside it that serve clients, and are told and asked.

with Control([page_way(Address())], say) as control:
    ...
    control.begin(target, "rtsep-monitor")      # what is controlled
    while ...:
        control.wait(0.05)              # in place of time.sleep: does what clients ask for meanwhile
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

from rtsep import __version__
from rtsep.control.commands import Controllable
from rtsep.control.door import Door
from rtsep.control.protocol import make_command, reply, state_message
from rtsep.control.ways import Way
from rtsep.errors import RtsepError, UsageError
from rtsep.system.line_pipe import wait_for_any


class Control:
    """The processes of the control, which begin to start at once. For the program's main thread.

    Parameters
    ----------
    ways : sequence of Way
        By which clients come in.
    say : callable
        Tells the person a line.
    """

    def __init__(self, ways: Sequence[Way], say: Callable[[str], None]):
        self._say = say
        self._target: Controllable | None = None
        self._doors: list[Door] = []
        try:
            for way in ways:
                self._doors.append(Door(way))
        except BaseException:
            self.close()
            raise

    def begin(self, target: Controllable, program: str) -> list[str]:
        """Let clients in.

        Parameters
        ----------
        target : Controllable
            What they control, from now on.
        program : str
            Its name, for them.

        Returns
        -------
        list of str
            Lines for the person: where it is, or why it is nowhere; then nothing else is lost.
        """
        self._target = target
        for door in self._doors:
            greeting = {
                "program": program, "release": __version__, "commands": list(target.commands),
                "token": door.way.token,
            }  # fmt: skip
            door.write(json.dumps({**door.way.settings, "greeting": greeting}))
        said = []
        for door in list(self._doors):
            try:
                lines, following = door.first_lines()
                said += lines
                for line in following:
                    self._take(door, line)
            except RtsepError as error:
                said.append(f"{door.way.name} none: {error}; all else goes on without it")
                self._close(door)
        return said

    def wait(self, timeout_s: float) -> None:
        """Wait for so long, and do meanwhile, at once, what clients ask for."""
        ends_s = time.monotonic() + timeout_s
        while (left_s := ends_s - time.monotonic()) > 0:
            if not self._doors:
                time.sleep(left_s)
                return
            ready = wait_for_any([door.lines for door in self._doors], left_s)
            for door in [door for door in self._doors if door.lines in ready]:
                for line in door.lines.read(0):
                    self._take(door, line.decode())
                if door.lines.ended:
                    self._say(f"{door.why_ended()}: the sound goes on without it")
                    self._close(door)

    def close(self) -> None:
        """End the processes; a second call does nothing."""
        for door in list(self._doors):
            self._close(door)

    def __enter__(self) -> Control:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _close(self, door: Door) -> None:
        self._doors.remove(door)
        door.close()

    def _take(self, door: Door, line: str) -> None:
        """Do what a line of a process asks for."""
        word, _, text = line.partition(" ")
        assert self._target is not None
        if word == "state":
            door.write(f"state {state_message(self._target.state())}")
        elif word == "do":
            client, _, text = text.partition(" ")
            wanted = json.loads(text)
            why_refused = None
            try:
                self._target.perform(make_command(wanted["name"], **wanted["arguments"]))
            except UsageError as error:
                why_refused = str(error)
            if wanted["id"] is not None or why_refused is not None:
                door.write(f"reply {client} {reply(wanted['id'], why_refused)}")
        elif word == "say":
            self._say(text)
